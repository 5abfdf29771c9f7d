"""The folder in which one camera's frames wait until the take is published; it survives a kill."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.schema.base import read_model, write_model
from pipeline.schema.egoexo_work import CameraWork, ExtractedCamera


@dataclass(frozen=True)
class Video:
    """A camera's video, and what it is called in the release."""

    path: Path
    name: str


@dataclass(frozen=True)
class CameraFolder:
    """`camera.json` and `frames/{frame}.jpg`, and whether they are of use for the work at hand.

    Attributes:
        settings: all knobs that shape the product.
        wanted: frames that annotations and pairs need, ascending.
    """

    folder: Path
    settings: Mapping[str, Any]
    wanted: tuple[int, ...]

    @property
    def frames(self) -> Path:
        """Where the frames are."""
        return self.folder / "frames"

    def frame(self, frame: int) -> Path:
        """One of them."""
        return self.frames / f"{frame}.jpg"

    def begin(self, video: Video) -> CameraWork:
        """Note what the frames are made of; those of an earlier run stay only if they are made of the same."""
        now = CameraWork(
            settings=dict(self.settings),
            wanted=list(self.wanted),
            video=video.name,
            video_bytes=video.path.stat().st_size,
        )
        before = _read(self.folder)
        if before is None or before.model_copy(update={"wanted": now.wanted, "done": None}) != now:
            shutil.rmtree(self.folder, ignore_errors=True)
        write_model(_record(self.folder), now)
        return now

    def finish(self, work: CameraWork, done: ExtractedCamera) -> CameraWork:
        """Note that all frames are there: from now on the video is not needed."""
        finished = work.model_copy(update={"done": done})
        write_model(_record(self.folder), finished)
        return finished

    def finished(self, video: Video | None) -> tuple[CameraWork, ExtractedCamera] | None:
        """What an earlier run has finished, if it still is what is wanted and nothing is gone of it."""
        work = _read(self.folder)
        if work is None or work.done is None:
            return None
        same = (work.settings, work.wanted) == (dict(self.settings), list(self.wanted))
        if video is not None:
            same &= (work.video, work.video_bytes) == (video.name, video.path.stat().st_size)
        return (
            (work, work.done) if same and all(_has_content(self.frame(frame)) for frame in work.done.frames) else None
        )


def is_left_done(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether an earlier run with the same settings has left all of a camera's frames here."""
    work = _read(folder)
    return work is not None and work.done is not None and work.settings == dict(settings)


def _record(folder: Path) -> Path:
    return folder / "camera.json"


def _read(folder: Path) -> CameraWork | None:
    """None: there is none, or a crash has cut it off."""
    try:
        return read_model(_record(folder), CameraWork, "")
    except PipelineError:
        return None


def _has_content(file: Path) -> bool:
    """After a power cut a new file may be there and empty."""
    try:
        return file.stat().st_size > 0
    except OSError:
        return False
