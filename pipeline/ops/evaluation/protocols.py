"""The three protocols, never mixed in one table, and the scores of each item under one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import sqrt
from typing import Any

from pipeline.ops.cores import cores
from pipeline.ops.evaluation.queries import Query, queries, record_of
from pipeline.ops.evaluation.scores import (
    LONG_SIDE,
    SizeHw,
    box_centre_distance_px,
    centroid_distance_px,
    contour_accuracy,
    iou,
    native_iou,
    official_size_hw,
    registered_contour_accuracy,
    shape_at,
)
from pipeline.schema.evaluation import Direction, GroundTruth, ProtocolName

CHUNK = 64
"""Items that a thread takes at once."""


@dataclass(frozen=True)
class Protocol:
    """What the protocols differ in.

    Attributes:
        official_sizes: masks are compared at a long side of 480; else at the prediction's own size.
        number_confidence: confidence is a number; else a list of one number is read too.
        sorted_directions: directions whose objects and frames are taken in the order of their text.
    """

    name: ProtocolName
    official_sizes: bool
    number_confidence: bool
    sorted_directions: tuple[Direction, ...] = ()


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("official", official_sizes=True, number_confidence=True),
        Protocol("omama", official_sizes=False, number_confidence=False, sorted_directions=("exo-ego",)),
        Protocol("corrected", official_sizes=True, number_confidence=True),
    )
}


@dataclass(frozen=True, slots=True)
class MaskScores:
    """A predicted mask against the true one.

    Attributes:
        location_error: as the protocol has it: box centres, over 480·√2 (official) or the diagonal (omama).
        gt_pixels, pred_pixels: areas at `shape_hw`, the size of comparison.
        gt_share: area of the true mask as a share of the frame, at native size.
        native_iou, registered_contour_accuracy: corrected metrics.
        centroid_error: distance of centroids over the diagonal of `shape_hw`; None where a mask is empty there.
    """

    iou: float
    contour_accuracy: float
    location_error: float
    gt_pixels: int
    pred_pixels: int
    shape_hw: SizeHw
    gt_share: float
    native_iou: float
    registered_contour_accuracy: float
    centroid_error: float | None


@dataclass(frozen=True, slots=True)
class Item:
    """One query with its answer; `scores` is None where the object is not in the target view."""

    query: Query
    confidence: float
    scores: MaskScores | None

    @property
    def gt_exists(self) -> bool:
        """Whether the object is in the target view."""
        return self.scores is not None

    @property
    def pred_exists(self) -> bool:
        """Whether the prediction says so: more than half sure."""
        return self.confidence > 0.5


def score_all(
    truth: GroundTruth,
    results: Mapping[str, Any],
    direction: Direction,
    protocol: Protocol,
    *,
    threads: int | None = None,
) -> Iterator[Item]:
    """Every item that counts, in the protocol's order; masks are compared on all cores.

    Args:
        truth: its masks must be valid (`files.read_ground_truth`).
        results: must be without findings (`findings.findings`).
        threads: None: one a core that this process may use.
    """
    asked = list(queries(truth, direction, sort_as_strings=direction in protocol.sorted_directions))
    chunks = [asked[start : start + CHUNK] for start in range(0, len(asked), CHUNK)]

    def score_chunk(chunk: Sequence[Query]) -> list[Item]:
        return [score(query, truth, record_of(results, query), protocol) for query in chunk]

    with ThreadPoolExecutor(threads or cores()) as pool:
        for items in pool.map(score_chunk, chunks):
            yield from items


def score(query: Query, truth: GroundTruth, record: Mapping[str, Any], protocol: Protocol) -> Item:
    """One query against the truth."""
    confidence = record["confidence"]
    confidence = float(confidence[0] if isinstance(confidence, list) else confidence)
    true = truth.annotations[query.take].masks[query.object][query.target].get(query.frame)
    if true is None:
        return Item(query, confidence, None)
    counts, predicted_hw = record["pred_mask"]["counts"], tuple(record["pred_mask"]["size"])
    return Item(query, confidence, score_mask(true.counts, true.size_hw, counts, predicted_hw, protocol))


def score_mask(
    true_counts: str, native_hw: SizeHw, predicted_counts: str, predicted_hw: SizeHw, protocol: Protocol
) -> MaskScores:
    """One predicted mask against the true one, both valid RLEs of these sizes."""
    size_hw = official_size_hw(native_hw) if protocol.official_sizes else predicted_hw
    truth = shape_at(true_counts, native_hw, size_hw)
    prediction = shape_at(predicted_counts, predicted_hw, size_hw)
    diagonal = sqrt(size_hw[0] ** 2 + size_hw[1] ** 2)
    centroid_px = centroid_distance_px(truth, prediction)
    return MaskScores(
        iou=iou(truth, prediction),
        contour_accuracy=contour_accuracy(truth, prediction),
        location_error=box_centre_distance_px(truth, prediction)
        / (LONG_SIDE * sqrt(2) if protocol.official_sizes else diagonal),
        gt_pixels=truth.area,
        pred_pixels=prediction.area,
        shape_hw=size_hw,
        gt_share=truth.native_area / (native_hw[0] * native_hw[1]),
        native_iou=native_iou(true_counts, native_hw, truth, prediction),
        registered_contour_accuracy=registered_contour_accuracy(truth, prediction),
        centroid_error=None if centroid_px is None else centroid_px / diagonal,
    )
