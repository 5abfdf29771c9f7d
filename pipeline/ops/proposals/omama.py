"""Masks_{SPLIT}_{EXO2EGO|EGO2EXO}/{take}/{camera}/{frame}_masks.npz and _boxes.npy: proposals as O-MaMa's readers know
them, read and written.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.ops.masks.rle import decode_rle
from pipeline.schema.base import write_whole
from pipeline.schema.egoexo_pairs import Setting
from pipeline.schema.proposals import Proposal

KEY = "arr_0"
DIRECTION_NAMES: dict[Setting, str] = {"exoego": "EXO2EGO", "egoexo": "EGO2EXO"}
FIX = "make the file again; its form is: one array arr_0, uint8 [N, height, width]"
_NONE: NDArray[np.uint8] = np.zeros((0, 0, 0), np.uint8)


def tree_name(split: str, setting: Setting) -> str:
    """Name of the folder with the proposals of one split's target frames."""
    return f"Masks_{split.upper()}_{DIRECTION_NAMES[setting]}"


def masks_file(folder: Path, frame: str) -> Path:
    """Masks of one frame, below the camera's folder."""
    return folder / f"{frame}_masks.npz"


def boxes_file(folder: Path, frame: str) -> Path:
    """Boxes of one frame, beside its masks."""
    return folder / f"{frame}_boxes.npy"


def read_masks(file: Path) -> NDArray[np.uint8]:
    """[N, height, width], 0 or 1; N = 0 for an array of fewer dimensions, which is how the original says "none".

    Raises:
        PipelineError: the file cannot be read, or holds something else.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile) or KEY not in archive:
                raise PipelineError(f"{file} has no array {KEY}", FIX)
            masks = archive[KEY]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PipelineError(f"{file} cannot be read: {error}", FIX) from None
    if masks.ndim < 3 or not len(masks):
        return _NONE
    if masks.ndim != 3 or 0 in masks.shape or masks.dtype.kind not in "bui":
        raise PipelineError(f"{file} holds {masks.dtype} of shape {masks.shape}", FIX)
    return np.asarray(masks != 0, np.uint8)


def write_frame(folder: Path, frame: str, proposals: Sequence[Proposal], size_wh: tuple[int, int]) -> None:
    """Write masks and boxes (x1, y1, width, height) of one frame, masks last: where they are, both are."""
    size_hw = (size_wh[1], size_wh[0])
    boxes = np.zeros((len(proposals), 4), np.float32)
    for number, one in enumerate(proposals):
        left, top, right, bottom = one.box_xyxy
        boxes[number] = left, top, right - left, bottom - top
    masks = np.stack([decode_rle(one.counts, size_hw) for one in proposals]) if proposals else np.zeros(0, np.uint8)
    for file, content in ((boxes_file(folder, frame), _npy(boxes)), (masks_file(folder, frame), _npz(masks))):
        write_whole(file, content)


def _npy(array: NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _npz(array: NDArray[np.uint8]) -> bytes:
    """As np.savez_compressed does, but without the time of writing, so that the same masks give the same bytes."""
    stream, content = io.BytesIO(), io.BytesIO()
    np.save(content, array, allow_pickle=False)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{KEY}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()
