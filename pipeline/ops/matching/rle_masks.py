"""Several masks of one picture, as pixels or as COCO run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.matching.kernels import centre_of_runs, runs_of


@dataclass(frozen=True)
class RleMasks:
    """Masks of one picture as COCO's compressed run lengths."""

    counts: Sequence[str]
    size_hw: tuple[int, int]

    def __len__(self) -> int:
        return len(self.counts)

    def runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Run lengths of all masks one behind the other, and where each mask's begin; one more start at the end.

        Raises:
            MaskError: runs that do not fill the picture.
        """
        text = np.frombuffer(bytearray("".join(self.counts).encode("ascii", "replace")), np.uint8)
        ends = np.cumsum([len(one) for one in self.counts], dtype=np.int64)
        runs, starts = np.empty(text.size, np.int64), np.empty(len(self) + 1, np.int64)
        pixels = self.size_hw[0] * self.size_hw[1]
        wrong = runs_of(text, ends, pixels, runs, starts)
        if wrong < len(self):
            raise MaskError("runs do not sum to height × width", f"mask {wrong}, {self.size_hw[0]} × {self.size_hw[1]}")
        return runs[: starts[-1]], starts


Masks = NDArray[np.bool_] | NDArray[np.uint8] | RleMasks
"""[N, H, W], or as run lengths."""


def size_of(masks: Masks) -> tuple[int, int]:
    """Height and width in pixels.

    Raises:
        ValueError: an array of another form.
    """
    if isinstance(masks, RleMasks):
        return masks.size_hw
    if masks.ndim != 3 or masks.dtype.itemsize != 1:
        raise ValueError(f"Got masks of {masks.dtype} and shape {masks.shape}, expected bool or uint8 [N, H, W]")
    return masks.shape[1], masks.shape[2]


def centroids_xy(masks: Masks) -> NDArray[np.float64]:
    """[N, 2] means of the pixels' x and y; NaN for an empty mask.

    Raises:
        MaskError: as `RleMasks.runs`.
    """
    height, width = size_of(masks)
    sums = np.zeros((len(masks), 3))
    if isinstance(masks, RleMasks):
        runs, starts = masks.runs()
        for number in range(len(masks)):
            sums[number] = centre_of_runs(runs[starts[number] : starts[number + 1]], height)
    elif masks.size:
        pixels = masks != 0
        columns, rows = pixels.sum(axis=1), pixels.sum(axis=2)
        sums = np.stack([columns @ np.arange(width), rows @ np.arange(height), rows.sum(axis=1)], axis=1).astype(float)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[:, :2] / sums[:, 2:], np.float64)
