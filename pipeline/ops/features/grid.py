"""Which token grid a picture gets, and the picture that a backbone is shown for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Resize = Literal["area", "nearest"]
PICTURE_PX = 14
"""Pixels of a stored picture, along a side, that make one token: O-MaMa's 50×50 of 704×704 and 38×68 of 540×960. It is
the same for all backbones, so that position tables fit them all and results can be compared."""


@dataclass(frozen=True)
class Grid:
    """How one size of pictures becomes tokens.

    Attributes:
        hw: tokens, rows and columns.
        patch: pixels of the resized picture, along a side, that a token stands for.
        shown_size_wh: size in which the backbone is shown the picture, whose sides are multiples of its stride: that of
            the resized picture, or half a stride more for a ResNet's odd grid.
    """

    hw: tuple[int, int]
    patch: int
    shown_size_wh: tuple[int, int]

    @property
    def input_size_wh(self) -> tuple[int, int]:
        """Size of the resized picture: the space of boxes and masks when features are pooled."""
        return self.hw[1] * self.patch, self.hw[0] * self.patch


def grid_of(picture_size_wh: tuple[int, int], patch: int, stride: int, scale: float = 1.0) -> Grid:
    """The grid of pictures of one size. Portrait pictures get a portrait grid.

    Args:
        patch: pixels of the resized picture that a token stands for.
        stride: what the sides of the shown picture must be multiples of; where it is `patch`, the shown picture is the
            grid times the patch exactly.
        scale: more or fewer tokens along each side than usual.
    """
    width, height = (max(1, int(side * scale) // PICTURE_PX) for side in picture_size_wh)
    shown_width, shown_height = (-(-tokens * patch // stride) * stride for tokens in (width, height))
    return Grid((height, width), patch, (shown_width, shown_height))


def fit(picture: NDArray[np.uint8], size_wh: tuple[int, int], resize: Resize = "area") -> NDArray[np.uint8]:
    """A picture (H, W, 3) at another size.

    Args:
        resize: `area` averages pixels where the picture shrinks and is bilinear where it grows; `nearest` picks pixels,
            as O-MaMa did.
    """
    height, width = picture.shape[:2]
    if (width, height) == size_wh:
        return picture
    shrinks = size_wh[0] <= width and size_wh[1] <= height
    rule = cv2.INTER_NEAREST if resize == "nearest" else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size_wh, interpolation=rule), np.uint8)
