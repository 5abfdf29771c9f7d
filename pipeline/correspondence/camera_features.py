"""One camera's pictures through the backbone: batch by batch, each map kept as soon as it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.correspondence.feature_maps import CAMERA_FILE
from pipeline.ops.features.grid import Grid, Resize, fit
from pipeline.ops.features.npy import open_array, write_array
from pipeline.ops.files import link_or_copy
from pipeline.schema.base import sweep_partials, write_model
from pipeline.schema.features import CameraFeatures, FeatureGrid, FeatureSource

if TYPE_CHECKING:  # the libraries of models take seconds to import; to find that all is done must not
    from pipeline.models.backbones import Backbone

SizeWh = tuple[int, int]


@dataclass(frozen=True)
class Fitted:
    """One picture in the size that the backbone is shown, RGB, and the size that it had."""

    size_wh: SizeWh
    grid: Grid
    image: NDArray[np.uint8]


@dataclass
class CameraWork:
    """One camera's pictures, and where their maps wait until the take is published.

    Attributes:
        pictures: frame → file, ascending.
        sha256: frame → digest of the file.
        folder: where the maps wait; for maps of one source only.
        grids: picture size → grid, of all maps there are.
        damaged: frames whose picture does not open.
    """

    name: str
    pictures: dict[int, Path]
    sha256: dict[int, str]
    folder: Path
    grids: dict[SizeWh, Grid] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)

    def waiting(self, frame: int) -> Path:
        """Where a map waits; a changed picture of the same number gets another name."""
        return self.folder / f"{frame}.{self.sha256[frame][:16]}.npy"

    def is_made(self, frame: int) -> bool:
        """Whether an earlier run has left the whole map."""
        try:
            return open_array(self.waiting(frame)).ndim == 3
        except (OSError, ValueError):
            return False

    @property
    def made(self) -> list[int]:
        """Frames with a map, once all were shown."""
        return [frame for frame in self.pictures if frame not in self.damaged]


def show_all(
    work: CameraWork,
    backbone: Backbone,
    scale: float,
    resize: Resize,
    batch_pictures: int,
    pool: ThreadPoolExecutor,
    advance: Callable[[float], None],
) -> None:
    """Make the maps that are not there yet; the pictures of the next batch are read while one is shown.

    Batches are cut from all frames, not from those that are left: numbers may differ in their last digit with the size
    of a batch, and an interrupted run is to end with the same bytes as any other.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    sweep_partials(work.folder)
    frames = list(work.pictures)
    left = []
    for batch in (frames[start : start + batch_pictures] for start in range(0, len(frames), batch_pictures)):
        if all(work.is_made(frame) for frame in batch):
            for size_wh in {_size_wh(work.pictures[frame]) for frame in batch}:
                work.grids[size_wh] = backbone.grid(size_wh, scale)
            advance(len(batch))
        else:
            left.append(batch)

    def read(frame: int) -> Fitted | None:
        return read_fitted(work.pictures[frame], lambda size_wh: backbone.grid(size_wh, scale), resize)

    for batch, pictures in _one_ahead(pool, left, read):
        of_grid: dict[Grid, list[tuple[int, Fitted]]] = {}
        for frame, picture in zip(batch, pictures, strict=True):
            if picture is None:
                work.damaged.append(frame)
            else:
                work.grids[picture.size_wh] = picture.grid
                of_grid.setdefault(picture.grid, []).append((frame, picture))
        for grid, shown in of_grid.items():
            maps = backbone.tokens(np.stack([picture.image for _, picture in shown]), grid)
            for (frame, _), tokens in zip(shown, maps, strict=True):
                write_array(work.waiting(frame), tokens)
        advance(len(batch))


def read_fitted(file: Path, grid_of: Callable[[SizeWh], Grid], resize: Resize) -> Fitted | None:
    """A picture as the backbone is shown it; None when it does not open."""
    bgr = cv2.imdecode(np.frombuffer(file.read_bytes() or b"\0", np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        return None
    size_wh = (bgr.shape[1], bgr.shape[0])
    grid = grid_of(size_wh)
    rgb = cv2.cvtColor(fit(np.asarray(bgr, np.uint8), grid.shown_size_wh, resize), cv2.COLOR_BGR2RGB)
    return Fitted(size_wh, grid, np.asarray(rgb, np.uint8))


def publish(work: CameraWork, source: FeatureSource, folder: Path) -> int:
    """Put the maps into a folder with camera.json beside them; they stay in the work folder until the take is done.

    Returns:
        Bytes of the maps.
    """
    folder.mkdir(parents=True)
    for frame in work.made:
        link_or_copy(work.waiting(frame), folder / f"{frame}.npy")
    grids = [
        FeatureGrid(picture_size_wh=size_wh, input_size_wh=grid.input_size_wh, grid_hw=grid.hw)
        for size_wh, grid in sorted(work.grids.items())
    ]
    write_model(folder / CAMERA_FILE, CameraFeatures(source=source, grids=grids, frames=work.made))
    return sum((folder / f"{frame}.npy").stat().st_size for frame in work.made)


def _size_wh(file: Path) -> SizeWh:
    """From the file's head alone."""
    with Image.open(file) as picture:
        return picture.size


def _one_ahead(
    pool: ThreadPoolExecutor, batches: Sequence[list[int]], read: Callable[[int], Fitted | None]
) -> Iterator[tuple[list[int], list[Fitted | None]]]:
    """Each batch with its pictures, which were read while the batch before was worked on."""
    waiting: list[Future[Fitted | None]] = [pool.submit(read, frame) for frame in batches[0]] if batches else []
    for number, batch in enumerate(batches):
        pictures = [future.result() for future in waiting]
        following = batches[number + 1] if number + 1 < len(batches) else []
        waiting = [pool.submit(read, frame) for frame in following]
        yield batch, pictures
