"""Files of the Ego-Exo4D release: takes.json, captures.json, splits and the client's manifests.

The shapes are those of release v2 (docs.ego-exo4d-data.org); fields that nobody here reads are left out.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, TypeAdapter

from pipeline.schema.base import ForeignModel

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class CaptureCamera(ForeignModel):
    """One camera of a capture."""

    cam_id: str
    """`aria01`, `cam01`, `gp01`: without the stream that file names carry (`aria01_214-1`)."""
    is_ego: bool | None = None
    """None: not told."""


class Capture(ForeignModel):
    """One recording session; its cameras' `is_ego` is the authority on who wears which."""

    capture_uid: str
    cameras: list[CaptureCamera] = Field(default_factory=list)


class AlignedVideo(ForeignModel):
    """One stream of one camera of a take."""

    relative_path: str | None = None
    """Below the take's `root_dir`; None for pseudo cameras."""


class Take(ForeignModel):
    """One take of takes.json."""

    take_uid: str
    take_name: str
    capture_uid: str | None = None
    root_dir: str = ""
    task_name: str | None = None
    parent_task_name: str | None = None
    university_name: str | None = None
    duration_sec: float | None = None
    is_dropped: bool = False
    capture: Capture | None = None
    frame_aligned_videos: dict[str, dict[str, AlignedVideo]] | None = None
    """Camera → stream → video."""


class SplitFile(BaseModel):
    """Which take belongs to which split: the baselines' split.json, and a `split.json` of ours."""

    train: list[str] = Field(default_factory=list)
    val: list[str] = Field(default_factory=list)
    test: list[str] = Field(default_factory=list)


class OfficialSplits(ForeignModel):
    """annotations/splits.json."""

    split_to_take_uids: dict[str, list[str]]


class ManifestPath(ForeignModel):
    """One file of a part."""

    source_path: str
    """s3://bucket/key"""
    relative_path: str
    """Below the release folder."""
    size: int | None = Field(default=None, ge=0)
    """Bytes; None: to be asked of the store."""


class ManifestEntry(ForeignModel):
    """All files of one uid in a part: a take's, a capture's, or one metadata file's."""

    uid: str
    paths: list[ManifestPath]
    benchmarks: list[str] | None = None


TAKES = TypeAdapter(list[Take])
CAPTURES = TypeAdapter(list[Capture])
MANIFEST = TypeAdapter(list[ManifestEntry])
