"""What egoexo-index finds out about each take, and its report on a whole data set."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import OwnModel
from pipeline.schema.egoexo_release import Split
from pipeline.schema.manifest import FileDigest


class RelationsSlice(OwnModel):
    """Where a take's annotations lie within their 2 GB file, so that the file is parsed once."""

    file: str
    """Relative to the release folder."""
    offset_bytes: int = Field(ge=0)
    size_bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the slice: one JSON object."""


class CameraIndex(OwnModel):
    """One annotated camera of a take."""

    is_ego: bool
    told_by: Literal["captures.json", "takes.json", "name"]
    """Who says so; the name only where no metadata does."""
    video: str
    """Below the take's folder in the release: `frame_aligned_videos/cam01.mp4`."""
    objects: int = Field(ge=0)
    masks: int = Field(ge=0)
    observations: int = Field(ge=0)
    """Annotated (object, frame) pairs, with and without a mask."""


class TakeIndex(OwnModel):
    """One take of the relations benchmark. The file changes only when something about this take does."""

    take_uid: str
    take_name: str
    capture_uid: str | None
    root_dir: str
    """The take's folder in the release: `takes/{take_name}`."""
    scenario: str
    """The relations file's text, unchanged: `Making Cucumber & Tomato Salad`."""
    parent_task: str
    """As folder name: `cooking`, `bike_repair`."""
    task: str
    university: str
    duration_s: float | None
    split: Split
    """Of the relations file that holds it; which split a data set has it in says its split.json."""
    relations: RelationsSlice
    cameras: dict[str, CameraIndex]
    """Camera as the relations file names it (`aria01_214-1`), sorted by name."""
    warnings: list[str] = Field(default_factory=list)


class TakeProblem(OwnModel):
    """Why a take is not part of the data set, or what is odd about it."""

    take_uid: str
    take_name: str
    split: str
    reason: str
    """A fixed phrase, so that equal ones can be counted."""
    detail: str = ""
    scenario: str = ""
    """The relations file's text, else the task of takes.json; empty: nobody knows."""
    parent_task: str = ""
    """As folder name; empty: nobody knows."""


class IndexReport(OwnModel):
    """data/egoexo/reports/{name}_index.json."""

    name: str
    takes: dict[str, dict[str, int]]
    """Split → scenario text → usable takes."""
    counts: dict[str, int]
    """takes, cameras, objects, masks, observations of the usable takes."""
    left_out_takes: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
    """Split (`none` for takes of no split) → scenario text (or `unknown`) → reason → takes left out."""
    left_out: list[TakeProblem]
    warnings: list[TakeProblem]


class ListedTake(OwnModel):
    """One take as a relations file holds it."""

    take_uid: str
    relations: RelationsSlice
    take_name: str
    scenario: str
    objects: int = Field(ge=0)
    """Objects of the take; one that two cameras see counts once."""
    cameras: dict[str, dict[str, int]]
    """Camera → objects, masks, observations."""
    problems: list[str] = Field(default_factory=list)
    """What makes the annotations of no use; empty for sound ones."""


class RelationsListing(OwnModel):
    """data/egoexo/index/relations_{split}.json: one relations file, parsed once."""

    source: FileDigest
    rules: Literal[2]
    """Of what makes annotations damaged: a listing by older ones is made anew."""
    takes: list[ListedTake]
