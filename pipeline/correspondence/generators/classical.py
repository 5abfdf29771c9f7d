"""Classical segmentation at several scales: no weights, no download; for the demo, tests and a first try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config_correspondence import ProposalsKnobs
from pipeline.ops.masks.rle import encode_rle
from pipeline.ops.proposals.generator import Picture
from pipeline.ops.proposals.tidy import Found
from pipeline.ops.segmentation.objects import find_things

OVERLAP = 0.8
"""IoU from which on two regions count as one."""


@dataclass(frozen=True)
class Classical:
    """Regions of one colour or texture, joined step by step; see `pipeline/ops/segmentation/`."""

    most: int
    shares: tuple[float, float]
    work_side: int
    overlap: float
    is_parallel: bool = True

    @classmethod
    def from_knobs(cls, knobs: ProposalsKnobs) -> Classical:
        """As the user wants it."""
        return cls(
            knobs.most_proposals, (knobs.least_share, knobs.most_share), knobs.work_side, knobs.overlap or OVERLAP
        )

    @property
    def settings(self) -> dict[str, Any]:
        """All that shapes its masks."""
        return {"work_side": self.work_side, "overlap": self.overlap}

    def propose(self, picture: Picture) -> Sequence[Found]:
        """The regions that look most like things, best first."""
        things = find_things(
            picture.rgb, most=self.most, work_side=self.work_side, shares=self.shares, alike_iou=self.overlap
        )
        return [Found(encode_rle(thing.mask), thing.score) for thing in things]
