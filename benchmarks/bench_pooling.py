"""Descriptors of masks: upsampled features and masks, batched and mask by mask, against pooling on the token grid.

The plain ways are written from the method's description, in float32 on all cores: features upsampled to a cell for
every 4 pixels, then one product with all masks (einsum), or a loop that masks the map and takes its mean. Rectangles of
the context are masks to the product, and slices to the loop. Ours starts from the same pixels, and from run lengths,
as proposals are stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.bench_masks import drawn_mask
from benchmarks.table import Row, print_table
from pipeline.ops.masks.rle import encode_rle
from pipeline.ops.matching.boxes import mask_boxes_xywh
from pipeline.ops.matching.grid import Grid
from pipeline.ops.matching.pooling import CONTEXT_MARGIN_PX, context_cells, descriptors
from pipeline.ops.matching.rle_masks import RleMasks

TOKENS, INPUT, CELLS, CHANNELS = 50, 700, 175, 768
SIZES = ((8, 32), (1, 150))
REQUIRED, REQUIRED_OF_LOOP = 20.0, 200.0
LOOPED = 16
"""Masks of the loop that are measured: each takes as long as the next."""
ROUNDS = 5
Result = TypeVar("Result")


def made_up(batch: int, masks: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Features [B, h, w, C] and masks [B, N, H, W] of uneven outlines; one in ten is large."""
    random = np.random.default_rng(0)
    tokens = random.standard_normal((batch, TOKENS, TOKENS, CHANNELS), np.float32)
    drawn = np.stack([drawn_mask(random, (INPUT, INPUT)) for _ in range(batch * masks)])
    for mask in drawn[::10]:
        y, x = random.integers(0, INPUT // 2, 2)
        mask[y : y + random.integers(100, 400), x : x + random.integers(100, 400)] = 1
    return tokens, drawn.reshape(batch, masks, INPUT, INPUT)


def upsampled(tokens: NDArray[np.float32]) -> Tensor:
    """[B, C, 175, 175]."""
    maps = torch.from_numpy(tokens).permute(0, 3, 1, 2).contiguous()
    return functional.interpolate(maps, [CELLS, CELLS], mode="bilinear", align_corners=False)


def batched(tokens: NDArray[np.float32], masks: NDArray[np.uint8], cells: NDArray[np.int64]) -> Tensor:
    """[B, N, 2·C] by products with the upsampled map."""
    maps = upsampled(tokens)
    small = torch.from_numpy(masks[:, :, ::4, ::4]).float()
    place = torch.arange(CELLS)
    left, top, right, bottom = torch.from_numpy(cells).unbind(-1)
    rows = (place >= top[..., None]) & (place < bottom[..., None])
    columns = (place >= left[..., None]) & (place < right[..., None])
    around = (rows[..., :, None] & columns[..., None, :]).float()
    parts = [
        torch.einsum("bchw,bnhw->bnc", maps, weights) / weights.sum((2, 3)).clamp(min=1)[..., None]
        for weights in (small, around)
    ]
    return torch.cat(parts, dim=-1)


def looped(maps: Tensor, masks: NDArray[np.uint8], cells: NDArray[np.int64]) -> Tensor:
    """[N, 2·C] of one image, mask by mask."""
    small = torch.from_numpy(masks[:, ::4, ::4]).float()
    found = []
    for mask, (left, top, right, bottom) in zip(small, cells.tolist(), strict=True):
        mean = (maps * mask).sum((1, 2)) / mask.sum().clamp(min=1)
        found.append(torch.cat([mean, maps[:, top:bottom, left:right].mean((1, 2))]))
    return torch.stack(found)


def compare(batch: int, count: int) -> list[Row]:
    """All ways in turns; the best round of each."""
    tokens, masks = made_up(batch, count)
    boxes = [mask_boxes_xywh(of) for of in masks]
    grid = Grid((TOKENS, TOKENS), (INPUT, INPUT))
    cells = np.stack([context_cells(of, grid, CONTEXT_MARGIN_PX) for of in boxes])
    stored = [RleMasks([encode_rle(mask) for mask in of], (INPUT, INPUT)) for of in masks]
    size = (INPUT, INPUT)

    def ours() -> list[NDArray[np.floating]]:
        return [descriptors(*item, size) for item in zip(tokens, masks, boxes, strict=True)]

    def ours_stored() -> list[NDArray[np.floating]]:
        return [descriptors(*item, size) for item in zip(tokens, stored, boxes, strict=True)]

    seconds: dict[str, list[float]] = {"plain": [], "pixels": [], "runs": []}
    for number in range(ROUNDS + 1):
        for name, way in (("pixels", ours), ("runs", ours_stored)):
            for _ in range(3):  # they are short: a busy moment of the machine would hide them
                took, found = timed(way)
                seconds[name] += [took] if number else []  # machine code is made in the first round
        took, expected = timed(lambda: batched(tokens, masks, cells))
        seconds["plain"].append(took)
        np.testing.assert_allclose(np.stack(found), expected.numpy(), atol=1e-5)
    upsampling, maps = timed(lambda: upsampled(tokens[:1])[0])
    one_by_one, expected = timed(lambda: looped(maps, masks[0, :LOOPED], cells[0, :LOOPED]))
    np.testing.assert_allclose(found[0][:LOOPED], expected.numpy(), atol=1e-5)
    loop = batch * (upsampling + one_by_one * count / LOOPED)

    plain, pixels, runs = (min(seconds[name]) for name in ("plain", "pixels", "runs"))
    claim = f"descriptors of {batch} × {count} masks, {TOKENS}×{TOKENS}×{CHANNELS}"
    return [
        Row(f"{claim}, against einsum", f"{plain * 1e3:.0f} ms", f"{pixels * 1e3:.1f} ms", plain / pixels, REQUIRED),
        Row(
            f"{claim}, against a loop ({LOOPED} masks measured)",
            f"{loop:.1f} s",
            f"{pixels * 1e3:.1f} ms",
            loop / pixels,
            REQUIRED_OF_LOOP,
        ),
        Row(f"{claim}, from run lengths", f"{plain * 1e3:.0f} ms", f"{runs * 1e3:.1f} ms", plain / runs, REQUIRED),
    ]


def timed(way: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds on the clock, and what came out."""
    started = time.perf_counter()
    result = way()
    return time.perf_counter() - started, result


def run() -> list[Row]:
    """The rows of this file."""
    return [row for size in SIZES for row in compare(*size)]


if __name__ == "__main__":
    print_table(run())
