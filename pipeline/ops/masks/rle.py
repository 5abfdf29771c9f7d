"""COCO run lengths: made from LZString text, checked, and measured without making a single pixel.

`counts` is COCO's compressed form: lengths of runs of zeros and ones in turn, column after column from the top left.
Sizes are (height, width) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco  # type: ignore[import-untyped]

from pipeline.ops.masks.kernels import (
    CUT_SHORT,
    FINE,
    FOREIGN_CHARACTER,
    LONG_NUMBER,
    NEGATIVE_RUN,
    WRONG_SUM,
    walk,
)
from pipeline.ops.masks.lzstring import MaskError, expanded

_LONGEST_SIDE = 65535  # a run of the whole picture still fits COCO's 32 bits

_REASONS = {
    FOREIGN_CHARACTER: "character outside COCO's run-length alphabet",
    CUT_SHORT: "run lengths end inside a number",
    LONG_NUMBER: "run length of more than 32 bits",
    NEGATIVE_RUN: "run below 0",
    WRONG_SUM: "runs do not sum to height × width",
}


@dataclass(frozen=True)
class CheckedMask:
    """A mask known to be valid for the size that it was checked against."""

    counts: str
    """COCO's compressed run lengths."""
    area: int
    """Pixels."""
    box_xyxy: tuple[int, int, int, int] | None
    """Left, top, right, bottom in pixels, half-open; None when the mask is empty."""


def rle_from_lzstring(encoded: str, size_hw: tuple[int, int]) -> CheckedMask:
    """A mask of the annotations (`encodedMask`), as COCO run lengths.

    Raises:
        MaskError: LZString text that is empty, damaged or without its end; otherwise as `check_rle`.
    """
    return _checked(expanded(encoded), size_hw)


def check_rle(counts: str, size_hw: tuple[int, int]) -> CheckedMask:
    """Check that the run lengths make a mask of this size.

    Raises:
        MaskError: a foreign character, a number that does not end or is too long, a run below 0, runs that do not sum
            to height × width, or a size that no picture has.
    """
    # From a bytearray, so that the kernel sees a writable array as from `expanded`: another kind is compiled once more.
    units = bytearray(counts.encode("utf-16-le", "surrogatepass"))
    return _checked(np.frombuffer(units, np.uint16), size_hw)


def decode_rle(counts: str, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """The mask's pixels: uint8 of shape (height, width), 0 or 1.

    Raises:
        MaskError: as `check_rle`.
    """
    check_rle(counts, size_hw)  # the library writes beyond its array when the runs are longer than the picture
    columns: NDArray[np.uint8] = coco.decode({"size": list(size_hw), "counts": counts.encode()})
    # The library's array lies column by column, users want rows: OpenCV turns it five times as fast as numpy.
    return np.asarray(cv2.transpose(columns.T), np.uint8)


def encode_rle(mask: NDArray[np.generic]) -> str:
    """The run lengths of a mask of shape (height, width); every value but 0 belongs to the object.

    Raises:
        MaskError: an array that is not a picture.
    """
    if mask.ndim != 2 or 0 in mask.shape:
        raise MaskError("mask that is no picture", f"an array of shape {mask.shape}")
    encoded = coco.encode(np.asfortranarray(mask != 0).view(np.uint8))
    return str(encoded["counts"].decode("ascii"))


def _checked(units: NDArray[np.uint16], size_hw: tuple[int, int]) -> CheckedMask:
    height, width = size_hw
    if not (1 <= height <= _LONGEST_SIDE and 1 <= width <= _LONGEST_SIDE):
        raise MaskError("size that no picture has", f"{height} × {width}")
    fault, where, area, x0, y0, x1, y1 = walk(units, height, width)
    if fault == FINE:
        return CheckedMask(units.tobytes().decode("utf-16-le"), area, (x0, y0, x1, y1) if area else None)
    if fault == WRONG_SUM:
        detail = f"{where:,}, not {height} × {width} = {height * width:,}"
    elif fault == FOREIGN_CHARACTER:
        detail = f"{chr(units[where])!r} at {where} of {units.size}"
    else:
        detail = f"at character {where} of {units.size}"
    raise MaskError(_REASONS[fault], detail)
