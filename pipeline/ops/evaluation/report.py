"""From scored items to everything that metrics.json says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.ops.evaluation.aggregate import HALF, Bootstrap, Flags, Values, balanced_accuracy, existence, mean
from pipeline.ops.evaluation.protocols import Item, MaskScores, Protocol
from pipeline.ops.evaluation.queries import all_queries
from pipeline.schema.evaluation import (
    CorrectedScores,
    Direction,
    GroundTruth,
    Group,
    ItemCounts,
    ItemRow,
    Metrics,
    Scores,
)

SIZE_BINS: Mapping[str, tuple[float, float]] = {
    "below 0.1 %": (0.0, 0.001),
    "0.1 to 0.5 %": (0.001, 0.005),
    "0.5 to 2 %": (0.005, 0.02),
    "above 2 %": (0.02, np.inf),
}
"""Area of the true mask as a share of the frame, at native size: from … to below."""
UNKNOWN = "unknown"
"""Scenario in ground truth that says nothing of it."""

_MASK_VALUES: Mapping[str, Callable[[MaskScores], float | None]] = {
    "iou": lambda scores: scores.iou,
    "location_error": lambda scores: scores.location_error,
    "contour_accuracy": lambda scores: scores.contour_accuracy,
    "native_iou": lambda scores: scores.native_iou,
    "recall_at_iou_50": lambda scores: float(scores.iou >= 0.5),
    "recall_at_iou_75": lambda scores: float(scores.iou >= 0.75),
    "registered_contour_accuracy": lambda scores: scores.registered_contour_accuracy,
    "centroid_error": lambda scores: scores.centroid_error,
    "miss_rate": lambda scores: float(scores.pred_pixels == 0),
    "centroid_error_with_misses": lambda scores: scores.centroid_error if scores.pred_pixels else 1.0,
}
_HEADLINE = ("iou", "location_error", "contour_accuracy")
_CORRECTED_HEADLINE = ("iou", "centroid_error_with_misses", "registered_contour_accuracy")
"""Same places, what they claim to measure."""
_CORRECTED = tuple(name for name in _MASK_VALUES if name not in _HEADLINE)


@dataclass(frozen=True)
class Options:
    """What a report depends on besides the items.

    Attributes:
        threshold: of confidence, chosen on other items; None: not known.
        draws, seed: of the bootstrap.
    """

    threshold: float | None = None
    draws: int = 1000
    seed: int = 0


class _Columns:
    """The items, column by column; values of masks are NaN where there is none."""

    def __init__(self, items: Sequence[Item], protocol: Protocol, threshold: float | None) -> None:
        self.exists: Flags = np.array([item.gt_exists for item in items], np.bool_)
        self.confidence: Values = np.array([item.confidence for item in items], np.float64)
        is_corrected = protocol.name == "corrected"
        self.predicted: Flags = self.confidence > (HALF if threshold is None or not is_corrected else threshold)
        self.values: dict[str, Values] = {name: _column(items, of_scores) for name, of_scores in _MASK_VALUES.items()}
        names = _CORRECTED_HEADLINE if is_corrected else _HEADLINE
        self.headline = {shown: self.values[name] for shown, name in zip(_HEADLINE, names, strict=True)}

    def scores_of(self, some: Flags) -> dict[str, float | None]:
        """The four numbers of some of the items."""
        return {name: mean(values[some]) for name, values in self.headline.items()} | {
            "balanced_accuracy": balanced_accuracy(self.exists[some], self.predicted[some])
        }


def _column(items: Sequence[Item], of_scores: Callable[[MaskScores], float | None]) -> Values:
    values = (None if item.scores is None else of_scores(item.scores) for item in items)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def metrics_of(
    items: Sequence[Item],
    truth: GroundTruth,
    direction: Direction,
    protocol: Protocol,
    options: Options,
    *,
    ground_truth_sha256: str = "",
    predictions_sha256: str = "",
) -> Metrics:
    """Aggregate, counts, intervals, breakdowns, and the corrected metrics beside them.

    Args:
        items: all of `score_all`.
    """
    columns = _Columns(items, protocol, options.threshold)
    bootstrap = Bootstrap([item.query.take for item in items], draws=options.draws, seed=options.seed)
    every_item = np.ones(len(items), np.bool_)
    return Metrics(
        protocol=protocol.name,
        direction=direction,
        aggregate=Scores(**columns.scores_of(every_item)),
        counts=ItemCounts(
            present=int(columns.exists.sum()),
            absent=int((~columns.exists).sum()),
            unannotated=sum(not is_annotated for _, is_annotated in all_queries(truth, direction)),
            vanished=sum(item.scores is not None and item.scores.gt_pixels == 0 for item in items),
        ),
        intervals=bootstrap.of_means(columns.headline)
        | {"balanced_accuracy": bootstrap.of_balanced_accuracy(columns.exists, columns.predicted)},
        corrected=_corrected(columns, bootstrap, options.threshold),
        breakdowns=_breakdowns(items, truth, columns),
        bootstrap_draws=options.draws,
        bootstrap_seed=options.seed,
        ground_truth_sha256=ground_truth_sha256,
        predictions_sha256=predictions_sha256,
    )


def _corrected(columns: _Columns, bootstrap: Bootstrap, threshold: float | None) -> CorrectedScores:
    values = {name: columns.values[name] for name in _CORRECTED}
    of_existence = existence(columns.exists, columns.confidence, threshold)
    predicted = columns.confidence > of_existence.chosen.threshold
    return CorrectedScores(
        **{name: mean(of_items) for name, of_items in values.items()},
        existence=of_existence,
        intervals=bootstrap.of_means(values)
        | {"existence_balanced_accuracy": bootstrap.of_balanced_accuracy(columns.exists, predicted)},
    )


def _breakdowns(items: Sequence[Item], truth: GroundTruth, columns: _Columns) -> dict[str, dict[str, Group]]:
    def exo_camera(item: Item) -> str:
        query = item.query
        egos = truth.annotations[query.take].ego_cameras_of(query.object)
        return query.target if query.source in egos else query.source

    sizes = ["" if item.scores is None else size_bin(item.scores.gt_share) for item in items]
    keys: dict[str, list[str]] = {
        "take": [item.query.take for item in items],
        "object": [item.query.object for item in items],
        "scenario": [truth.annotations[item.query.take].scenario or UNKNOWN for item in items],
        "camera": [exo_camera(item) for item in items],
    }
    groups = {kind: _members(names) for kind, names in keys.items()}
    by_size = _members(sizes)
    groups["size"] = {name: by_size[name] for name in SIZE_BINS if name in by_size}
    return {kind: {key: _group(columns, some) for key, some in of_kind.items()} for kind, of_kind in groups.items()}


def _members(names: Sequence[str]) -> dict[str, Flags]:
    """Name → which items have it, in the order of first appearance."""
    numbers: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        numbers.setdefault(name, []).append(number)
    flags = {}
    for name, of_name in numbers.items():
        flags[name] = np.zeros(len(names), np.bool_)
        flags[name][of_name] = True
    return flags


def _group(columns: _Columns, some: Flags) -> Group:
    return Group(**columns.scores_of(some), items=int(some.sum()), present=int(columns.exists[some].sum()))


def size_bin(share: float) -> str:
    """Name of the bin of an object's share of the frame."""
    return next(name for name, (low, high) in SIZE_BINS.items() if low <= share < high)


def row_of(item: Item) -> ItemRow:
    """An item as a line of items.jsonl."""
    query = item.query
    return ItemRow(
        take=query.take,
        object=query.object,
        source=query.source,
        target=query.target,
        frame=int(query.frame) if query.frame.isascii() and query.frame.isdecimal() else query.frame,
        gt_exists=item.gt_exists,
        pred_exists=item.pred_exists,
        confidence=item.confidence,
        **({} if item.scores is None else dataclasses.asdict(item.scores)),
    )
