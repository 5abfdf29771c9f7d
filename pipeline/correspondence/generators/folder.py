"""Masks that are there already: O-MaMa's tree, or pictures of masks in a folder a take and camera."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.ops.masks.rle import encode_rle
from pipeline.ops.proposals.generator import Picture
from pipeline.ops.proposals.omama import read_masks
from pipeline.ops.proposals.tidy import Found

Masks = NDArray[np.uint8]
"""[N, height, width], 0 or 1."""
OTHER_SHAPE = 0.02
"""Relative difference of aspect ratio from which on masks are those of another picture."""
ENDINGS = ("_masks.npz", ".png")
_FILE = re.compile(r"(0|[1-9]\d*)(_masks\.npz|\.png)")
_FRAME = re.compile(r"0|[1-9]\d*")


@dataclass(frozen=True)
class MaskFolder:
    """`{take}/{camera}/{frame}_masks.npz | {frame}.png | {frame}/*.png`, below the folder or its `Masks_*` folders.

    A take's folder is called by its uid or its name. A PNG `{frame}.png` has a value or colour for each mask, 0 for
    none; one in a folder `{frame}/` is a mask by itself.
    """

    root: Path
    is_parallel: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """Nothing but the files shapes these masks, and those are inputs."""
        return {}

    def files(self, take_uid: str, take_name: str) -> list[Path]:
        """All files with masks of a take, in the order of their names."""
        return [
            file
            for home in self._homes(take_uid, take_name)
            for camera in sorted(child for child in home.iterdir() if child.is_dir())
            for file in _of_camera(camera)
        ]

    def propose(self, picture: Picture) -> Sequence[Found] | None:
        """Masks of this frame at the picture's size.

        Raises:
            PipelineError: a file cannot be read, or holds masks of another shape.
        """
        files = self.files_of(picture)
        if not files:
            return None
        return [Found(encode_rle(mask)) for file in files for mask in _fitted(_read(file), picture, file)]

    def files_of(self, picture: Picture) -> list[Path]:
        """The files with this frame's masks."""
        found: list[Path] = []
        for home in self._homes(picture.take_uid, picture.take_name):
            place = home / picture.camera
            named = (place / f"{picture.frame}{ending}" for ending in ENDINGS)
            found += [file for file in named if file.is_file()]
            found += sorted((place / str(picture.frame)).glob("*.png"))
        return found

    def _homes(self, take_uid: str, take_name: str) -> list[Path]:
        """Folders of a take, which is called by its uid or its name."""
        names = [name for name in dict.fromkeys((take_uid, take_name)) if name]
        homes = (home / name for home in (self.root, *sorted(self.root.glob("Masks_*"))) for name in names)
        return [home for home in homes if home.is_dir()]


def _of_camera(folder: Path) -> Iterator[Path]:
    for child in sorted(folder.iterdir()):
        if child.is_file() and _FILE.fullmatch(child.name):
            yield child
        elif child.is_dir() and _FRAME.fullmatch(child.name):
            yield from sorted(child.glob("*.png"))


def _read(file: Path) -> Masks:
    if file.suffix == ".npz":
        return read_masks(file)
    picture = cv2.imdecode(np.frombuffer(file.read_bytes() or b"\0", np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise PipelineError(f"{file} does not open as a picture", "draw the masks as PNG")
    values = np.asarray(picture)
    if values.ndim == 3:  # a colour each; what is transparent says nothing of its own
        values = values[..., :3].astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
    if _FRAME.fullmatch(file.parent.name):
        return np.asarray(values[None] != 0, np.uint8)
    labels = [value for value in np.unique(values) if value]
    return np.stack([values == value for value in labels]).astype(np.uint8) if labels else np.zeros((0, 1, 1), np.uint8)


def _fitted(masks: Masks, picture: Picture, file: Path) -> Iterator[NDArray[np.uint8]]:
    """Masks at the picture's size, nearest pixels taken as O-MaMa does."""
    width, height = picture.size_wh
    if len(masks) and abs(masks.shape[2] * height / (masks.shape[1] * width) - 1) > OTHER_SHAPE:
        raise PipelineError(
            f"{file} has masks of {masks.shape[2]}×{masks.shape[1]} pixels, the picture has {width}×{height}",
            "masks may be larger or smaller than the stored picture, but must show all of it and nothing else",
        )
    for mask in masks:
        if mask.shape == (height, width):
            yield mask
        else:
            yield np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
