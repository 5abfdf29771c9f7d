"""A picture to be laid on surfaces, with smaller copies for when it is seen from afar."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ops.pictures.viewpoint import Floats

Image = NDArray[np.uint8]


class Texture:
    """Levels of one picture, each half the size of the one before, so that far surfaces do not glitter.

    Args:
        picture: HWC uint8 RGB.
    """

    def __init__(self, picture: Image) -> None:
        self.levels = [picture]
        while min(self.levels[-1].shape[:2]) >= 8:
            height, width = self.levels[-1].shape[:2]
            smaller = cv2.resize(self.levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            self.levels.append(np.asarray(smaller, np.uint8))

    def level_across(self, width_px: float) -> Image:
        """The level to show when the whole picture is about `width_px` wide."""
        return self._level(self.levels[0].shape[1] / max(width_px, 1.0))

    def level_for(self, homography: Floats, inside: Image) -> tuple[Image, Floats]:
        """The level for a flat whose unit square goes to pixels by `homography`, and its texels' own homography.

        Args:
            homography: (3, 3) texture's unit square to pixels of `inside`.
            inside: HW, non-zero where the flat is; its middle decides.
        """
        x, y = inside.shape[1] / 2, inside.shape[0] / 2
        seen = np.linalg.inv(homography) @ np.array([[x, x + 1, x], [y, y, y + 1], [1, 1, 1]])
        units = seen[:2] / seen[2]
        height, width = self.levels[0].shape[:2]
        steps = (units[:, 1:] - units[:, :1]) * [[width], [height]]
        level = self._level(float(np.sqrt(abs(np.linalg.det(steps)))))
        height, width = level.shape[:2]
        texels = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
        return level, homography @ texels

    def _level(self, texels_a_pixel: float) -> Image:
        number = int(np.floor(np.log2(max(texels_a_pixel, 1.0)) + 0.3))
        return self.levels[min(number, len(self.levels) - 1)]
