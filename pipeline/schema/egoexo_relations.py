"""One take's object masks as annotations/relations_{split}.json holds them. Field names are the release's."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from pipeline.schema.base import ForeignModel

FRAMES = 10**9
"""No frame number is so large."""
FRAME_KEY = re.compile(r"^(0|[1-9][0-9]{0,8})$")
"""A frame number as text, in its one spelling: `030` would be a second name of frame 30."""
FrameIndex = Annotated[int, Field(ge=0, lt=FRAMES)]
FrameIndexKey = Annotated[str, Field(pattern=FRAME_KEY.pattern)]


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
