"""Masks that may be objects, a file a camera; and how many of the true masks are among them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.schema.base import OwnModel
from pipeline.schema.egoexo_take import FrameKey

Pixels = Annotated[int, Field(gt=0)]
ProposalMethod = Literal["classical", "sam2", "fastsam", "folder"]


class Proposal(OwnModel):
    """One mask of a frame; never empty."""

    counts: str
    """COCO compressed run lengths at the file's `size_wh`."""
    box_xyxy: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels, half-open."""
    area: int = Field(gt=0)
    """Pixels."""
    score: float | None
    """The generator's own, the more the better; null where it has none."""


class FrameProposals(OwnModel):
    """Those of one frame while a take is being worked on."""

    size_wh: tuple[Pixels, Pixels]
    proposals: list[Proposal]
    dropped: dict[str, int]
    """Reason → how many masks of the generator are not among them."""


class CameraProposals(OwnModel):
    """proposals/{method}/{take_uid}/{camera}.json."""

    method: ProposalMethod
    settings: dict[str, Any]
    """All that shaped the masks; equal settings mean masks that can be compared."""
    size_wh: tuple[Pixels, Pixels]
    """Of the stored pictures."""
    frames: dict[FrameKey, list[Proposal]]
    """Frame → masks by area, greatest first, then by box and run lengths, no two the same; none found: an empty one."""


class RecallScores(OwnModel):
    """How well the best proposal covers each true mask; null without any."""

    masks: int
    """True masks."""
    best_iou: float | None
    """Mean over true masks of the best IoU with any proposal: no choice among proposals can score more."""
    recall_at_iou_50: float | None
    recall_at_iou_75: float | None


class RecallReport(OwnModel):
    """DIR/recall.json: what the proposals of a data set allow."""

    method: ProposalMethod
    data_set: str
    split: str
    overall: RecallScores
    breakdowns: dict[str, dict[str, RecallScores]]
    """By `size` (share of the frame), `view` (ego or exo), `take` and `object`."""
    frames: int
    """Those with a true mask and a picture."""
    proposals_per_frame: float | None
    frames_without_proposals: int
    vanished: int
    """True masks without a pixel at the size of the stored frames; they count with IoU 0."""
    masks_without_picture: int
    """True masks whose frame has no stored picture; not counted."""
