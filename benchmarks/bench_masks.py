"""Masks of the annotations: LZString to checked run lengths, against the way over pixels, and masks a minute.

The masks are uneven outlines for whose texts `lzstring` needs about 2 ms each, as it does for real ones.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import lzstring
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from benchmarks.table import Row, print_table
from pipeline.ops.masks.lzstring import compress
from pipeline.ops.masks.rle import check_rle, encode_rle, rle_from_lzstring

MASKS = 24
ROUNDS = 3
REQUIRED = {(1408, 1408): 15.0, (2160, 3840): 40.0}
REQUIRED_A_MINUTE = 500_000
CORES = 2
FIRST_CALL = """
import time
started = time.perf_counter()
from pipeline.ops.masks.rle import rle_from_lzstring
rle_from_lzstring("MoRiA", (5, 7))
print(time.perf_counter() - started)
"""


def drawn_mask(random: np.random.Generator, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """One object, uint8 of shape (height, width), 0 or 1: an uneven outline around a random centre."""
    angles = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    radius = np.ones(angles.size)
    for harmonic in range(2, 9):
        radius += random.normal(0, 0.5 / harmonic) * np.cos(harmonic * angles + random.uniform(0, 2 * np.pi))
    radius = min(size_hw) * random.uniform(0.03, 0.09) * np.clip(radius, 0.2, None)
    radius += random.normal(0, 0.3, angles.size)
    centre_xy = random.uniform(0.25, 0.75, 2) * size_hw[::-1]
    outline_xy = centre_xy + np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    mask = np.zeros(size_hw, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline_xy).astype(np.int32)], 1)
    return mask


def over_pixels(encoded: str, size_hw: tuple[int, int]) -> str:
    """The plain way: the library's reader, the mask's pixels, and their run lengths again."""
    counts = lzstring.LZString().decompressFromEncodedURIComponent(encoded)
    pixels = coco.decode({"size": list(size_hw), "counts": counts.encode()})
    return str(coco.encode(pixels)["counts"].decode())


def compare(size_hw: tuple[int, int]) -> Row:
    """Both ways over the same masks, in turns; the best round of each."""
    random = np.random.default_rng(0)
    texts = [compress(encode_rle(drawn_mask(random, size_hw))) for _ in range(MASKS)]
    plain, own = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        expected = [over_pixels(text, size_hw) for text in texts]
        plain.append(time.perf_counter() - started)
        started = time.perf_counter()
        found = [rle_from_lzstring(text, size_hw).counts for text in texts]
        own.append(time.perf_counter() - started)
        assert found == expected
    plain_ms, own_ms = (min(seconds) / MASKS * 1e3 for seconds in (plain, own))
    length = statistics.median(len(counts) for counts in expected)
    return Row(
        f"encodedMask to checked RLE, {size_hw[0]}×{size_hw[1]}, {length:.0f} characters, against lzstring and pixels",
        f"{plain_ms:.2f} ms",
        f"{own_ms * 1e3:.1f} µs",
        plain_ms / own_ms,
        REQUIRED[size_hw],
    )


def masks_a_minute(count: int = 100_000) -> Row:
    """All masks of a release's mixture: half ego, half exo; as many threads as promised cores."""
    random = np.random.default_rng(1)
    kinds = [
        (compress(encode_rle(drawn_mask(random, size_hw))), size_hw) for size_hw in REQUIRED for _ in range(2 * MASKS)
    ]
    share = (kinds * (count // len(kinds) + 1))[: count // CORES]

    def work() -> int:
        return sum(rle_from_lzstring(encoded, size_hw).area > 0 for encoded, size_hw in share)

    with ThreadPoolExecutor(CORES) as pool:
        started = time.perf_counter()
        done = sum(future.result() for future in [pool.submit(work) for _ in range(CORES)])
        rate = done / (time.perf_counter() - started) * 60
    return Row(
        f"masks a minute, {CORES} threads",
        f"{REQUIRED_A_MINUTE:,}",
        f"{rate:,.0f}",
        rate / REQUIRED_A_MINUTE,
        required=1.0,
    )


def measures() -> Row:
    """Area and box from the runs, against area and box from the pixels."""
    size_hw = (2160, 3840)
    counts = encode_rle(drawn_mask(np.random.default_rng(2), size_hw))
    started = time.perf_counter()
    for _ in range(5):
        pixels = coco.decode({"size": list(size_hw), "counts": counts.encode()})
        area, box_xywh = cv2.countNonZero(pixels), cv2.boundingRect(pixels)
    plain_ms = (time.perf_counter() - started) / 5 * 1e3
    started = time.perf_counter()
    for _ in range(500):
        checked = check_rle(counts, size_hw)
    own_ms = (time.perf_counter() - started) / 500 * 1e3
    left, top, width, height = box_xywh
    assert (checked.area, checked.box_xyxy) == (area, (left, top, left + width, top + height))
    claim = "area and box of a 2160×3840 mask, against its pixels"
    return Row(claim, f"{plain_ms:.2f} ms", f"{own_ms * 1e3:.1f} µs", plain_ms / own_ms)


def first_call() -> Row:
    """The first mask of a fresh process, imports included: before and after its machine code lies on disk."""
    root, seconds = Path(__file__).parents[1], []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        for _ in ("never compiled", "compiled before"):
            command = [sys.executable, "-c", FIRST_CALL]
            done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
            seconds.append(float(done.stdout))
    before, after = seconds
    claim = "first mask of a process with its imports, compiled before, against never compiled"
    return Row(claim, f"{before:.2f} s", f"{after:.2f} s", before / after)


def run() -> list[Row]:
    """The rows of this file."""
    return [*map(compare, REQUIRED), masks_a_minute(), measures(), first_call()]


if __name__ == "__main__":
    print_table(run())
