"""The two published layouts of the Egocentric data sets, hidden behind one adapter.

Source: the trees of builddotai/Egocentric-100K and builddotai/Egocentric-10K on the hub.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import Field

from pipeline.errors import PipelineError
from pipeline.schema.base import ForeignModel


class ClipInfo(ForeignModel):
    """The `.json` member beside every clip: a hint only, the video container decides."""

    factory_id: str
    worker_id: str
    video_index: int = Field(ge=0)
    duration_sec: float = Field(ge=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    fps: float = Field(gt=0)
    size_bytes: int = Field(ge=0)
    codec: str


@dataclass(frozen=True)
class Layout:
    """Where one data set keeps its archives and how it names their members."""

    repo: str
    clip_pattern: re.Pattern[str]
    archive_pattern: re.Pattern[str]
    worker_dir_format: str
    worker_pattern: re.Pattern[str]
    default_clips: tuple[str, ...]

    def worker_dir(self, clip: str) -> str:
        """Folder in the repository that holds the archives and the intrinsics of this clip's worker."""
        match = self.clip_pattern.fullmatch(clip)
        assert match, f"{clip} is not a clip of {self.repo}"
        return self.worker_dir_format.format(factory=match["factory"], worker=match["worker"])


EGOCENTRIC_100K = Layout(
    repo="builddotai/Egocentric-100K",
    clip_pattern=re.compile(r"factory_(?P<factory>\d{3})_worker_(?P<worker>\d{3})_(?P<index>\d{4,})", re.ASCII),
    archive_pattern=re.compile(r"factory\d{3}/worker\d{3}/part\d+\.tar", re.ASCII),
    worker_dir_format="factory{factory}/worker{worker}",
    worker_pattern=re.compile(r"factory\d{3}/worker\d{3}", re.ASCII),
    default_clips=("factory_001_worker_001_0000", "factory_001_worker_001_0001"),
)
EGOCENTRIC_10K = Layout(
    repo="builddotai/Egocentric-10K",
    clip_pattern=re.compile(r"factory(?P<factory>\d{3})_worker(?P<worker>\d{3})_(?P<index>\d{5,})", re.ASCII),
    archive_pattern=re.compile(
        r"factory_(?P<factory>\d{3})/workers/worker_(?P<worker>\d{3})/factory(?P=factory)_worker(?P=worker)_part\d+\.tar",
        re.ASCII,
    ),
    worker_dir_format="factory_{factory}/workers/worker_{worker}",
    worker_pattern=re.compile(r"factory_\d{3}/workers/worker_\d{3}", re.ASCII),
    default_clips=("factory001_worker001_00000", "factory001_worker001_00001"),
)
LAYOUTS = (EGOCENTRIC_100K, EGOCENTRIC_10K)


def layout_of(clip: str) -> Layout:
    """The layout that a clip's name belongs to.

    Raises:
        PipelineError: the name fits neither data set.
    """
    for layout in LAYOUTS:
        if layout.clip_pattern.fullmatch(clip):
            return layout
    raise PipelineError(
        f"{clip!r} is no clip name of Egocentric-100K or Egocentric-10K",
        "write it like factory_001_worker_001_0000 (100K) or factory001_worker001_00001 (10K)",
    )


def layout_of_worker(worker: str) -> Layout:
    """The layout that a worker's folder belongs to.

    Raises:
        PipelineError: the folder fits neither data set.
    """
    for layout in LAYOUTS:
        if layout.worker_pattern.fullmatch(worker):
            return layout
    raise PipelineError(
        f"{worker!r} is no worker's folder of Egocentric-100K or Egocentric-10K",
        "write it like factory001/worker001 (100K) or factory_001/workers/worker_001 (10K)",
    )
