"""The quarter grid on which masks are pooled, and where its cells lie between tokens and pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.matching.kernels import Axis

CELL_PX = 4
"""Pixels of the resized image a cell."""

SizeHw = tuple[int, int]
Cells = NDArray[np.int64]

_ROUNDING = 1e-10


@dataclass(frozen=True)
class Grid:
    """The token map of one image.

    Raises:
        ValueError: no token, or an image of less than one cell.
    """

    tokens_hw: SizeHw
    """Rows and columns of tokens."""
    input_hw: SizeHw
    """Height and width in pixels of the image that the backbone saw: the space of boxes and margins."""

    def __post_init__(self) -> None:
        if min(self.tokens_hw) < 1 or min(self.input_hw) < CELL_PX:
            raise ValueError(f"Got {self.tokens_hw} tokens of an image of {self.input_hw} pixels; neither may be empty")

    @property
    def cells_hw(self) -> SizeHw:
        """Rows and columns of cells."""
        return self.input_hw[0] // CELL_PX, self.input_hw[1] // CELL_PX


@lru_cache(maxsize=256)
def axis(tokens: int, cells: int) -> Axis:
    """Where the cells' centres lie among the tokens'."""
    place = np.maximum((np.arange(cells) + 0.5) * tokens / cells - 0.5, 0)
    low = np.minimum(place.astype(np.int64), tokens - 1)
    return Axis(low, place - low)


@lru_cache(maxsize=256)
def _sums_before(tokens: int, cells: int) -> NDArray[np.float64]:
    """[k + 1, n]: row i is the sum of the first i rows of U [k, n], which makes cells of tokens."""
    low, share = axis(tokens, cells)
    rows = np.arange(1, cells + 1)
    sums = np.zeros((cells + 1, tokens))
    np.add.at(sums, (rows, low), 1 - share)
    np.add.at(sums, (rows, np.minimum(low + 1, tokens - 1)), share)
    return np.cumsum(sums, axis=0)


def range_weights(tokens: int, cells: int, first: Cells, end: Cells) -> NDArray[np.float64]:
    """[N, n] weight of every token in the mean over each of N half-open ranges of cells."""
    before = _sums_before(tokens, cells)
    sums = before[end] - before[first]
    sums[sums < _ROUNDING] = 0  # what is left of a difference of equals would slow down each product with it
    return np.asarray(sums / (end - first)[:, None], np.float64)


@lru_cache(maxsize=256)
def pixels_read(pixels: int, cells: int) -> NDArray[np.int64]:
    """[k] the pixel of a mask that each cell reads: nearest, in whole numbers; 4i at the image's own size."""
    return np.arange(cells, dtype=np.int64) * pixels // cells


@lru_cache(maxsize=256)
def first_cells(pixels: int, cells: int) -> NDArray[np.int64]:
    """[pixels + 1] for each pixel the first cell that reads it or one behind it."""
    return np.searchsorted(pixels_read(pixels, cells), np.arange(pixels + 1)).astype(np.int64)
