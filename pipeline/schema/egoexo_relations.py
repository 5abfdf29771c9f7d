"""One take's object masks as annotations/relations_{split}.json holds them. Field names are the release's."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from pipeline.schema.base import ForeignModel

FrameIndex = Annotated[int, Field(ge=0, lt=10**9)]
FrameIndexKey = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,8})$")]


class RelationsMask(ForeignModel):
    """One mask. Clicks are not read."""

    width: int = Field(gt=0, strict=True)
    height: int = Field(gt=0, strict=True)
    encodedMask: str  # noqa: N815 — the release's name
    """LZString text of COCO run lengths."""


class RelationsCamera(ForeignModel):
    """One object in one camera."""

    annotation: dict[FrameIndexKey, Any]
    """Frame → `RelationsMask`; checked one by one, so that a damaged one costs no other."""
    annotated_frames: list[FrameIndex] | None = None
    """Frames that somebody looked at, with and without a mask."""


OBJECT_MASKS = TypeAdapter(dict[str, dict[str, RelationsCamera]])
"""Object → camera → its subtree."""
