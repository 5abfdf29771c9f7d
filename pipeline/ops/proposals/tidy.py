"""What every generator's masks go through: no empty ones, no two the same, sizes within limits, one order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import check_rle
from pipeline.schema.proposals import FrameProposals, Proposal


@dataclass(frozen=True)
class Found:
    """A mask as a generator gives it: COCO run lengths at the picture's size, and its score if it has one."""

    counts: str
    score: float | None = None


@dataclass(frozen=True)
class Limits:
    """Which masks are kept.

    Attributes:
        most: masks of a frame; those of least score go first, of equal ones (or without) those that came last.
        least_share, most_share: of the picture's area.
    """

    most: int
    least_share: float = 0.0
    most_share: float = 1.0


def tidy(found: Iterable[Found], size_wh: tuple[int, int], limits: Limits) -> FrameProposals:
    """The masks that are kept, by area, box and run lengths; and how many are not, by reason."""
    size_hw = (size_wh[1], size_wh[0])
    pixels = size_wh[0] * size_wh[1]
    dropped: Counter[str] = Counter()
    kept: dict[str, Proposal] = {}
    for one in found:
        try:
            mask = check_rle(one.counts, size_hw)
        except MaskError:
            dropped["damaged_masks"] += 1
            continue
        if mask.box_xyxy is None:
            dropped["empty_masks"] += 1
        elif not limits.least_share * pixels <= mask.area <= limits.most_share * pixels:
            dropped["masks_too_small" if mask.area < limits.least_share * pixels else "masks_too_large"] += 1
        elif mask.counts in kept:
            dropped["duplicate_masks"] += 1
            if (before := kept[mask.counts]).score is not None and one.score is not None:
                kept[mask.counts] = before.model_copy(update={"score": max(before.score, one.score)})
        else:
            kept[mask.counts] = Proposal(counts=mask.counts, box_xyxy=mask.box_xyxy, area=mask.area, score=one.score)
    best = sorted(kept.values(), key=lambda one: 0.0 if one.score is None else -one.score)[: limits.most]
    if len(best) < len(kept):
        dropped["masks_above_the_limit"] = len(kept) - len(best)
    best.sort(key=lambda one: (-one.area, one.box_xyxy, one.counts))
    return FrameProposals(size_wh=size_wh, proposals=best, dropped=dict(dropped))
