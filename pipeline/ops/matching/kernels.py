"""The loops over cells of a mask and over tokens, compiled.

All compiled code of the matching is in this one file: numba's cache on disk notices a change of the file that a
function is in, not of those that it calls. None of it checks its input; the callers do.

Shapes: N masks of H × W pixels, h × w tokens of C channels. A *cell* is one of the H4 × W4 places at which the original
looks at the upsampled features; each reads one pixel of the mask.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.compiled import compiled

Floats = NDArray[np.float64]
AnyFloats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]


class Axis(NamedTuple):
    """Cells along one axis: bilinear sampling of n tokens at k places, corners not aligned."""

    low: Ints
    """[k] the token before the cell's centre; the one behind it is the next, or the same at the end."""
    share: Floats
    """[k] how much of the token behind it the cell takes."""


@compiled
def number_at(text: NDArray[np.uint8], place: int, end: int) -> tuple[int, int]:
    """One compressed number, and the place behind it."""
    number, shift, more = 0, 0, True
    while more and place < end:
        digit = int(text[place]) - 48
        number |= (digit & 31) << shift
        shift += 5
        more = (digit & 32) != 0
        place += 1
        if not more and digit & 16:
            number -= 1 << shift
    return number, place


@compiled
def runs_of(text: NDArray[np.uint8], ends: Ints, pixels: int, runs: Ints, starts: Ints) -> int:
    """COCO's compressed run lengths as numbers.

    Args:
        text: those of all masks, one behind the other.
        ends: where each mask's end.
        pixels: of the picture.
        runs: room for one a character; gets the lengths.
        starts: [N + 1] gets the place in `runs` where each mask's begin.

    Returns:
        The number of the first mask whose runs do not fill the picture, or N.
    """
    place = found = 0
    for mask in range(ends.size):
        starts[mask] = found
        filled = 0
        while place < ends[mask]:
            number, place = number_at(text, place, ends[mask])
            if found - starts[mask] > 2:
                number += runs[found - 2]
            if number < 0 or number > pixels:
                return mask
            runs[found] = number
            filled += number
            found += 1
        if filled != pixels:
            return mask
    starts[ends.size] = found
    return ends.size


@compiled
def centre_of_runs(runs: Ints, height: int) -> tuple[float, float, int]:
    """Sums of x and y over the mask's pixels, and how many there are."""
    sum_x = sum_y = 0.0
    area = filled = 0
    for number in range(runs.size):
        first, last = filled, filled + runs[number]
        filled = last
        if number % 2 == 0:
            continue
        area += last - first
        while first < last:
            column = first // height
            top = first - column * height
            bottom = min(height, top + last - first)
            sum_x += column * (bottom - top)
            sum_y += 0.5 * (bottom - top) * (top + bottom - 1)
            first += bottom - top
    return sum_x, sum_y, area


@compiled
def spread_runs(
    runs: Ints,
    height: int,
    first_row: Ints,
    first_column: Ints,
    along_y: Axis,
    along_x: Axis,
    weights: Floats,
    line: Floats,
) -> int:
    """U_hᵀ m U_w of a mask given as run lengths, added to `weights` [h, w]; returns the number of cells in the mask.

    Args:
        runs: lengths of zeros and ones in turn, column after column.
        height: of the mask, pixels.
        first_row, first_column: for each pixel the first cell that reads it or one behind it; one more at the end.
        along_y, along_x: where cells lie among the tokens.
        line: h zeros, left as such.
    """
    last_y, last_x = weights.shape[0] - 1, weights.shape[1] - 1
    cells = filled = 0
    for number in range(runs.size):
        first, last = filled, filled + runs[number]
        filled = last
        if number % 2 == 0:
            continue
        while first < last:
            column = first // height
            top = first - column * height
            bottom = min(height, top + last - first)
            first += bottom - top
            from_cell, to_cell = first_row[top], first_row[bottom]
            from_column, to_column = first_column[column], first_column[column + 1]
            if from_cell == to_cell or from_column == to_column:
                continue
            for cell in range(from_cell, to_cell):
                line[along_y.low[cell]] += 1.0 - along_y.share[cell]
                line[min(along_y.low[cell] + 1, last_y)] += along_y.share[cell]
            cells += (to_cell - from_cell) * (to_column - from_column)
            across = range(along_y.low[from_cell], min(along_y.low[to_cell - 1] + 1, last_y) + 1)
            for cell in range(from_column, to_column):
                left, share = along_x.low[cell], along_x.share[cell]
                right = min(left + 1, last_x)
                for token in across:
                    weights[token, left] += (1.0 - share) * line[token]
                    weights[token, right] += share * line[token]
            for token in across:
                line[token] = 0.0
    return cells


@compiled
def spread_pixels(
    mask: NDArray[np.uint8],
    rows: Ints,
    columns: Ints,
    along_y: Axis,
    along_x: Axis,
    weights: Floats,
    line: Floats,
) -> int:
    """As `spread_runs`, of a mask [H, W]; `rows` and `columns` are the pixels that cells read, `line` has w zeros."""
    last_y, last_x = weights.shape[0] - 1, weights.shape[1] - 1
    cells = 0
    for number in range(rows.size):
        row = mask[rows[number]]
        seen = np.uint8(0)
        for value in row:  # most rows are empty, and this much is done many pixels at a time
            seen |= value
        if not seen:
            continue
        left_most, right_most = last_x + 1, -1
        for cell in range(columns.size):
            if row[columns[cell]]:
                low = along_x.low[cell]
                line[low] += 1.0 - along_x.share[cell]
                right_most = min(low + 1, last_x)
                line[right_most] += along_x.share[cell]
                left_most = min(left_most, low)
                cells += 1
        low = along_y.low[number]
        high, share = min(low + 1, last_y), along_y.share[number]
        for token in range(left_most, right_most + 1):
            weights[low, token] += (1.0 - share) * line[token]
            weights[high, token] += share * line[token]
            line[token] = 0.0
    return cells


@compiled
def normalised(weights: Floats, cells: int, result: AnyFloats) -> None:
    """Write `weights` [h, w] divided by `cells` into a row of tokens, and make `weights` zeros again."""
    width = weights.shape[1]
    for y in range(weights.shape[0]):
        for x in range(width):
            result[y * width + x] = weights[y, x] / cells if cells else 0.0
            weights[y, x] = 0.0


@compiled
def weights_of_pixels(
    masks: NDArray[np.uint8],
    rows: Ints,
    columns: Ints,
    along_y: Axis,
    along_x: Axis,
    tokens_hw: tuple[int, int],
    result: AnyFloats,
) -> None:
    """Weights of every token in the mean over each of masks [N, H, W], into `result` [N, h·w]."""
    weights, line = np.zeros(tokens_hw), np.zeros(tokens_hw[1])
    for number in range(masks.shape[0]):
        cells = spread_pixels(masks[number], rows, columns, along_y, along_x, weights, line)
        normalised(weights, cells, result[number])


@compiled
def weights_of_runs(
    runs: Ints,
    starts: Ints,
    height: int,
    first_row: Ints,
    first_column: Ints,
    along_y: Axis,
    along_x: Axis,
    tokens_hw: tuple[int, int],
    result: AnyFloats,
) -> None:
    """As `weights_of_pixels`, of masks whose run lengths stand one behind the other; mask n's begin at `starts[n]`."""
    weights, line = np.zeros(tokens_hw), np.zeros(tokens_hw[0])
    for number in range(starts.size - 1):
        own = runs[starts[number] : starts[number + 1]]
        cells = spread_runs(own, height, first_row, first_column, along_y, along_x, weights, line)
        normalised(weights, cells, result[number])


@compiled
def sums_where_any(weights: AnyFloats, tokens: AnyFloats, result: AnyFloats) -> None:
    """`weights` [N, T] times `tokens` [T, C] into `result` [N, C], which lies in one piece; skips tokens of weight 0.

    Four tokens at a time, so that a sum is fetched and stored once for four.
    """
    chosen = np.empty(weights.shape[1], np.int64)
    for number in range(weights.shape[0]):
        shares = weights[number]
        many = 0
        for token in range(shares.size):
            if shares[token] != 0:
                chosen[many] = token
                many += 1
        sums = result[number]
        sums[:] = 0
        place = 0
        while place + 4 <= many:
            first, second = tokens[chosen[place]], tokens[chosen[place + 1]]
            third, fourth = tokens[chosen[place + 2]], tokens[chosen[place + 3]]
            a, b = shares[chosen[place]], shares[chosen[place + 1]]
            c, d = shares[chosen[place + 2]], shares[chosen[place + 3]]
            for channel in range(sums.size):
                sums[channel] += a * first[channel] + b * second[channel] + c * third[channel] + d * fourth[channel]
            place += 4
        while place < many:
            first, a = tokens[chosen[place]], shares[chosen[place]]
            for channel in range(sums.size):
                sums[channel] += a * first[channel]
            place += 1
