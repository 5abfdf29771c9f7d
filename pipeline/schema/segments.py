"""The annotations of one clip: action segments that cover it, and everything needed to judge them.

Times are seconds from the clip's start, whole milliseconds; boxes are `[x1, y1, x2, y2]` pixels of the picture that
`boxes` describes, x to the right, y down. Nothing in here varies between two runs on the same input.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from pipeline.schema.base import OwnModel
from pipeline.schema.provenance import Provenance

Box = tuple[float, float, float, float]
Row = tuple[float, float, float]


class Strict(OwnModel):
    """No coercion: a number in quotes is not a number."""

    model_config = ConfigDict(strict=True)


class SegmentObject(Strict):
    """One handled object; null means unknown."""

    object_name: str | None
    bbox: Box | None
    rigid: bool | None

    @model_validator(mode="after")
    def _box_has_an_area(self) -> Self:
        if self.bbox is not None:
            x1, y1, x2, y2 = self.bbox
            if not (0 <= x1 < x2 and 0 <= y1 < y2):
                raise ValueError(f"bbox {self.bbox} is not x1 < x2, y1 < y2 from 0")
        return self


class Ecot(Strict):
    """Short reasoning about one active segment; a part that the model left out is null."""

    scene: str | None
    subtask: str | None
    motion: str | None
    prediction: str | None


class Segment(Strict):
    """One stretch of the clip with one manipulation, or idle."""

    action_id: int = Field(ge=1)
    t_start_s: float = Field(ge=0)
    t_end_s: float = Field(gt=0)
    active: bool
    objects: tuple[SegmentObject, ...]
    ecot: Ecot | None

    @model_validator(mode="after")
    def _is_a_stretch(self) -> Self:
        if self.t_start_s >= self.t_end_s:
            raise ValueError(f"t_start_s {self.t_start_s} is not before t_end_s {self.t_end_s}")
        if not self.active and self.ecot is not None:
            raise ValueError("an idle segment has no ecot")
        return self


class Repair(Strict):
    """One change to what the model said.

    `segment` is the segment's position among all objects of the raw response, from 1; null for what was inserted.
    """

    segment: int | None = Field(ge=1)
    rule: str = Field(pattern=r"^[a-z_]+$")
    before: JsonValue
    after: JsonValue


class SegmentFlags(Strict):
    """What stands beside one segment.

    Attributes:
        source: its position among all objects of the raw response, from 1; null when it was inserted.
        bbox_t_s: true time of the sampled frame nearest to the middle of the span that the model gave.
        model_boxes: the model's raw numbers, one entry an object, null where it gave no four numbers.
        inferred: the whole segment was inserted; the model did not say it.
        inferred_fields: fields that the model left out and that were concluded from the others.
        review: reasons for a person to look at it.
    """

    source: int | None
    bbox_t_s: float | None
    model_boxes: tuple[Box | None, ...]
    inferred: bool
    inferred_fields: tuple[str, ...]
    review: tuple[str, ...]


class ClipWarning(Strict):
    """A reason to doubt the clip as a whole; nothing was changed because of it."""

    code: str = Field(pattern=r"^[a-z_]+$")
    detail: str


class BoxSpace(Strict):
    """The picture whose pixels the boxes count.

    `rectified_px`: the clip after rectification at `size_wh`, with the camera matrix `rectified_K` (3×3, pixels of
    that picture), the digest of the remap and its `balance` (null: the new matrix is the old one).
    `raw_px`: the clip as recorded, for footage without intrinsics.
    """

    space: Literal["rectified_px", "raw_px"]
    size_wh: tuple[int, int]
    rectified_K: tuple[Row, Row, Row] | None  # noqa: N815  K is the matrix's name everywhere
    map_digest: str | None
    balance: float | None

    @model_validator(mode="after")
    def _camera_goes_with_space(self) -> Self:
        if min(self.size_wh) < 1:
            raise ValueError(f"size_wh {self.size_wh} is no picture size")
        if (self.space == "rectified_px") != (self.rectified_K is not None and self.map_digest is not None):
            raise ValueError("rectified_K and map_digest go with rectified_px, and only with it")
        return self


class Quality(Strict):
    """Figures that need no ground truth.

    Shares are of the clip's duration, but for `repeated_text_share`: active segments with a subtask whose text an
    earlier one already had. `fixes` counts repairs; renumbering is not counted.
    """

    coverage_before_repair: float = Field(ge=0, le=1)
    fixes: int = Field(ge=0)
    inferred_share: float = Field(ge=0, le=1)
    active_share: float = Field(ge=0, le=1)
    segments_per_min: float = Field(ge=0)
    median_length_s: float = Field(ge=0)
    objects: int = Field(ge=0)
    objects_with_boxes: int = Field(ge=0)
    repeated_text_share: float = Field(ge=0, le=1)
    decode_errors: int = Field(ge=0)


class Annotations(Strict):
    """The content of `{clip}_annotations.json`.

    `duration_s` is the clip's duration down to the whole millisecond; the segments cover `[0, duration_s]` in order,
    without gap or overlap. `flags` is keyed by `action_id` and has an entry for every segment.
    """

    clip: str = Field(min_length=1)
    duration_s: float = Field(gt=0)
    segments: tuple[Segment, ...] = Field(min_length=1)
    boxes: BoxSpace
    repairs: tuple[Repair, ...]
    flags: dict[int, SegmentFlags]
    warnings: tuple[ClipWarning, ...]
    needs_review: bool
    quality: Quality
    provenance: Provenance

    @model_validator(mode="after")
    def _covers_the_clip(self) -> Self:
        ids = [segment.action_id for segment in self.segments]
        if ids != list(range(1, len(ids) + 1)):
            raise ValueError("action_id does not count 1, 2, 3, …")
        if self.segments[0].t_start_s != 0 or self.segments[-1].t_end_s != self.duration_s:
            raise ValueError(f"the segments do not reach from 0 to duration_s {self.duration_s}")
        for earlier, later in pairwise(self.segments):
            if earlier.t_end_s != later.t_start_s:
                raise ValueError(f"segment {later.action_id} does not start where {earlier.action_id} ends")
        if list(self.flags) != ids:
            raise ValueError("flags has not exactly one entry per action_id, in order")
        return self

    @model_validator(mode="after")
    def _boxes_lie_inside(self) -> Self:
        width, height = self.boxes.size_wh
        for segment in self.segments:
            if len(self.flags[segment.action_id].model_boxes) != len(segment.objects):
                raise ValueError(f"flags of segment {segment.action_id} do not match its objects")
            for item in segment.objects:
                if item.bbox is not None and (item.bbox[2] > width or item.bbox[3] > height):
                    raise ValueError(f"a box of segment {segment.action_id} leaves the {width}x{height} picture")
        return self
