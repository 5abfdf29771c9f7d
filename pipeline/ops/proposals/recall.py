"""How many of the true masks are among the proposals: what no choice among these can exceed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco  # type: ignore[import-untyped]

from pipeline.ops.evaluation.report import SIZE_BINS, size_bin
from pipeline.ops.masks.rle import check_rle, decode_rle, encode_rle
from pipeline.schema.egoexo_take import Rle
from pipeline.schema.proposals import Proposal, RecallScores


@dataclass(frozen=True)
class TrueMask:
    """One true mask and its best proposal.

    Attributes:
        share: of the frame, at native size.
        best_iou: 0 where there is no proposal or the mask has vanished.
        has_vanished: without a pixel at the size of the stored frame.
    """

    take: str
    object: str
    camera: str
    view: str
    frame: str
    share: float
    best_iou: float
    has_vanished: bool


def best_ious(
    masks: Sequence[Rle], proposals: Sequence[Proposal], size_wh: tuple[int, int]
) -> list[tuple[float, bool]]:
    """For each true mask of a frame its best IoU with any proposal, and whether it vanishes.

    Args:
        masks: at native size; compared at that of the proposals, nearest pixels taken as the benchmark does.
        size_wh: of the proposals.

    Raises:
        MaskError: a true mask or a proposal that is none.
    """
    size_hw = [size_wh[1], size_wh[0]]
    true = [_shrunk(mask, size_wh) for mask in masks]
    if not true:
        return []
    if proposals:
        for one in proposals:  # the library writes beyond its memory when the runs are longer than the picture
            check_rle(one.counts, (size_wh[1], size_wh[0]))
        given = [{"size": size_hw, "counts": one.counts.encode()} for one in proposals]
        wanted = [{"size": size_hw, "counts": counts.encode()} for counts in true]
        best: NDArray[np.float64] = np.asarray(coco.iou(given, wanted, [0] * len(wanted))).max(axis=0)
    else:
        best = np.zeros(len(true))
    vanished = [check_rle(counts, (size_wh[1], size_wh[0])).area == 0 for counts in true]
    return [(0.0 if gone else float(iou), gone) for iou, gone in zip(best, vanished, strict=True)]


def _shrunk(mask: Rle, size_wh: tuple[int, int]) -> str:
    if (mask.size[1], mask.size[0]) == size_wh:
        return mask.counts
    return encode_rle(cv2.resize(decode_rle(mask.counts, mask.size), size_wh, interpolation=cv2.INTER_NEAREST))


def recall_of(masks: Sequence[TrueMask]) -> RecallScores:
    """Means over true masks."""
    ious = np.array([mask.best_iou for mask in masks])
    if not len(ious):
        return RecallScores(masks=0, best_iou=None, recall_at_iou_50=None, recall_at_iou_75=None)
    return RecallScores(
        masks=len(ious),
        best_iou=float(ious.mean()),
        recall_at_iou_50=float((ious >= 0.5).mean()),
        recall_at_iou_75=float((ious >= 0.75).mean()),
    )


def breakdowns(masks: Sequence[TrueMask]) -> dict[str, dict[str, RecallScores]]:
    """The same by size, view, take and object."""
    keys: Mapping[str, Callable[[TrueMask], str]] = {
        "size": lambda mask: size_bin(mask.share),
        "view": lambda mask: mask.view,
        "take": lambda mask: mask.take,
        "object": lambda mask: mask.object,
    }
    tables: dict[str, dict[str, RecallScores]] = {}
    for name, key in keys.items():
        groups: dict[str, list[TrueMask]] = {size: [] for size in SIZE_BINS} if name == "size" else {}
        for mask in masks:
            groups.setdefault(key(mask), []).append(mask)
        tables[name] = {value: recall_of(group) for value, group in groups.items()}
    return tables
