"""Descriptors of masks: means of the features over the object and over a rectangle around it.

Source: O-MaMa (ICCV 2025 workshop), descriptors. There, features are upsampled bilinearly to a cell for every 4 pixels
and averaged over the cells of each mask. Upsampling is linear and separable, F↑ = U_h F U_wᵀ, so a mean over F↑ with
weights m is one over F with weights U_hᵀ m U_w: those weights are all that is made here, and no upsampled map.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.cores import cores
from pipeline.ops.matching.grid import CELL_PX, Grid, axis, first_cells, pixels_read, range_weights
from pipeline.ops.matching.kernels import sums_where_any, weights_of_pixels, weights_of_runs
from pipeline.ops.matching.rle_masks import Masks, RleMasks, size_of

Floats = NDArray[np.floating[Any]]
FloatType = type[np.float32] | type[np.float64]

CONTEXT_MARGIN_PX = 100.0
"""How far the context reaches beyond the object's box on each side, pixels of the resized image."""
_DENSE_SHARE = 0.3
"""Share of tokens in the masks above which one product over all tokens is faster than picking them."""
_MASKS_A_THREAD = 8


def descriptors(
    tokens: NDArray[np.generic],
    masks: Masks,
    boxes_xywh: NDArray[np.generic],
    input_hw: tuple[int, int],
    margin_px: float = CONTEXT_MARGIN_PX,
    threads: int | None = None,
) -> Floats:
    """Object and context of every mask of one image.

    Args:
        tokens: [h, w, C] features; float64 stays so, all else is pooled as float32.
        masks: N masks of the image at any size.
        boxes_xywh: [N, 4] their boxes, pixels of the resized image.
        input_hw: height and width in pixels of the resized image, as the backbone saw it.
        margin_px: of the context, pixels of the resized image.
        threads: of the loops over masks; None: one a core.

    Returns:
        [N, 2·C]: the object's mean, zeros where the mask misses every cell; then the context's.

    Raises:
        ValueError: a box too many or too few, or arrays of another form.
        MaskError: run lengths that do not fill the picture.
    """
    rows, columns, channels = tokens.shape
    grid = Grid((rows, columns), input_hw)
    dtype: FloatType = np.float64 if tokens.dtype == np.float64 else np.float32
    flat = np.ascontiguousarray(tokens.astype(dtype, copy=False)).reshape(rows * columns, channels)
    if len(boxes_xywh) != len(masks):
        raise ValueError(f"Got {len(boxes_xywh)} boxes for {len(masks)} masks")
    weights = np.empty((len(masks), 2, rows * columns), dtype)  # of object and context in turn
    _fill_object_weights(masks, grid, weights[:, 0], threads)
    weights[:, 1] = context_weights(boxes_xywh, grid, margin_px, dtype)
    means = weighted_means(weights.reshape(-1, rows * columns), flat, threads)
    return means.reshape(len(masks), 2 * channels)


def object_weights(masks: Masks, grid: Grid, dtype: FloatType = np.float32, threads: int | None = None) -> Floats:
    """[N, h·w] weight of every token in the mean over each mask; a row sums to 1, or to 0 for a mask without cells.

    Args:
        masks: N masks of the image at any size: a cell reads the pixel nearest to it.
        grid: the image's tokens.
        dtype: float32 or float64.
        threads: None: one a core.

    Raises:
        ValueError: an array of another form.
        MaskError: run lengths that do not fill the picture.
    """
    result = np.empty((len(masks), grid.tokens_hw[0] * grid.tokens_hw[1]), dtype)
    _fill_object_weights(masks, grid, result, threads)
    return result


def _fill_object_weights(masks: Masks, grid: Grid, result: Floats, threads: int | None) -> None:
    size_hw = size_of(masks)
    (token_rows, token_columns), (rows, columns) = grid.tokens_hw, grid.cells_hw
    along_y, along_x = axis(token_rows, rows), axis(token_columns, columns)
    if isinstance(masks, RleMasks):
        runs, starts = masks.runs()
        first_row, first_column = first_cells(size_hw[0], rows), first_cells(size_hw[1], columns)

        def fill(part: slice) -> None:
            own = starts[part.start : part.stop + 1]
            weights_of_runs(
                runs, own, size_hw[0], first_row, first_column, along_y, along_x, grid.tokens_hw, result[part]
            )
    else:
        pixels = masks.view(np.uint8)
        row_read, column_read = pixels_read(size_hw[0], rows), pixels_read(size_hw[1], columns)

        def fill(part: slice) -> None:
            weights_of_pixels(pixels[part], row_read, column_read, along_y, along_x, grid.tokens_hw, result[part])

    _in_parts(fill, len(masks), threads)


def context_cells(boxes_xywh: NDArray[np.generic], grid: Grid, margin_px: float) -> NDArray[np.int64]:
    """[N, 4] cells left, top, right, bottom (half-open) of the rectangles around boxes; at least one cell each.

    Order of the steps as in the original: whole pixels, margin, image, cells, grid.
    """
    boxes = np.trunc(np.asarray(boxes_xywh, np.float64).reshape(-1, 4))
    size_wh = np.array(grid.input_hw[::-1])
    last = np.array(grid.cells_hw[::-1])
    low = np.clip(boxes[:, :2] - margin_px, 0, size_wh) // CELL_PX
    high = np.clip(boxes[:, :2] + boxes[:, 2:] + margin_px, 0, size_wh) // CELL_PX
    high = np.minimum(np.maximum(low + 1, high), last)
    return np.concatenate([np.minimum(low, last - 1), high], axis=1).astype(np.int64)


def context_weights(
    boxes_xywh: NDArray[np.generic],
    grid: Grid,
    margin_px: float = CONTEXT_MARGIN_PX,
    dtype: FloatType = np.float32,
) -> Floats:
    """[N, h·w] weight of every token in the mean over the rectangle around each box; a row sums to 1.

    Args:
        boxes_xywh: [N, 4] pixels of the resized image.
        grid: the image's tokens.
        margin_px: pixels of the resized image on each side.
        dtype: float32 or float64.
    """
    left, top, right, bottom = context_cells(boxes_xywh, grid, margin_px).T
    along_y = range_weights(grid.tokens_hw[0], grid.cells_hw[0], top, bottom)
    along_x = range_weights(grid.tokens_hw[1], grid.cells_hw[1], left, right)
    weights = np.einsum("ny,nx->nyx", along_y, along_x, dtype=dtype, casting="same_kind")
    return np.asarray(weights.reshape(len(left), grid.tokens_hw[0] * grid.tokens_hw[1]))


def weighted_means(weights: Floats, tokens: Floats, threads: int | None = None) -> Floats:
    """`weights` [N, T] times `tokens` [T, C]: [N, C]."""
    if np.count_nonzero(weights) > _DENSE_SHARE * weights.size:
        return np.asarray(weights @ tokens)
    result = np.empty((len(weights), tokens.shape[1]), tokens.dtype)
    _in_parts(lambda part: sums_where_any(weights[part], tokens, result[part]), len(weights), threads)
    return result


def _in_parts(work: Callable[[slice], None], count: int, threads: int | None) -> None:
    """Do the work on parts of `count` things, side by side where there are enough of them; compiled code allows it."""
    wanted = min(threads or cores(), max(1, count // _MASKS_A_THREAD))
    if wanted == 1:
        return work(slice(0, count))
    # Many small parts even out masks of different sizes.
    edges = np.linspace(0, count, 2 * wanted + 1).astype(int).tolist()
    parts = [slice(start, stop) for start, stop in itertools.pairwise(edges) if start < stop]
    with ThreadPoolExecutor(wanted) as pool:
        for done in [pool.submit(work, part) for part in parts]:
            done.result()
    return None
