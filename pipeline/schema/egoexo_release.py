"""Files of the Ego-Exo4D release: takes.json, captures.json, splits and the client's manifests.

The shapes are those of release v2 (docs.ego-exo4d-data.org); fields that nobody here reads are left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from pipeline.schema.base import ForeignModel

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def _writable(text: str) -> str:
    text.encode()
    return text


Text = Annotated[str, AfterValidator(_writable)]
"""Text that a file can hold: JSON can escape half a surrogate pair, and then it would be refused on writing."""


def _none_if_invalid(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return None


LENIENT = WrapValidator(_none_if_invalid)
"""A field that nothing depends on: what is not of its type counts as not told."""


class CaptureCamera(ForeignModel):
    """One camera of a capture."""

    cam_id: Text
    """`aria01`, `cam01`, `gp01`: without the stream that file names carry (`aria01_214-1`)."""
    is_ego: bool | None = None
    """None: not told."""


class Capture(ForeignModel):
    """One recording session; its cameras' `is_ego` is the authority on who wears which."""

    capture_uid: str
    cameras: list[CaptureCamera] = Field(default_factory=list)


class AlignedVideo(ForeignModel):
    """One stream of one camera of a take."""

    relative_path: Text | None = None
    """Below the take's `root_dir`; None for pseudo cameras."""


class Take(ForeignModel):
    """One take of takes.json. Only the uid and the name must be sound; other fields may be None."""

    take_uid: Text
    take_name: Text
    capture_uid: Annotated[Text | None, LENIENT] = None
    root_dir: Annotated[Text | None, LENIENT] = None
    task_name: Annotated[Text | None, LENIENT] = None
    parent_task_name: Annotated[Text | None, LENIENT] = None
    university_name: Annotated[Text | None, LENIENT] = None
    duration_sec: Annotated[float | None, LENIENT] = None
    is_dropped: Annotated[bool | None, LENIENT] = None
    capture: Annotated[Capture | None, LENIENT] = None
    frame_aligned_videos: Annotated[dict[Text, dict[str, AlignedVideo]] | None, LENIENT] = None
    """Camera → stream → video."""


class SplitFile(BaseModel):
    """Which take belongs to which split: the baselines' split.json, and a `split.json` of ours."""

    train: list[str] = Field(default_factory=list)
    val: list[str] = Field(default_factory=list)
    test: list[str] = Field(default_factory=list)


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


CAPTURES = TypeAdapter(list[Capture])
MANIFEST = TypeAdapter(list[ManifestEntry])
