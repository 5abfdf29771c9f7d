"""`evaluate`: score a prediction file against ground truth, and say exactly what is wrong where that cannot be done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from pipeline.config import CommonKnobs
from pipeline.config_correspondence import EvaluateKnobs
from pipeline.console import Console, output, print_json
from pipeline.correspondence.cases import case_sheet, choose_cases
from pipeline.correspondence.data_set import data_set_folder
from pipeline.correspondence.evaluation_plots import iou_by_size, success_curve
from pipeline.errors import PipelineError
from pipeline.ops.evaluation.files import PredictionFile, TruthFile, read_ground_truth, read_predictions
from pipeline.ops.evaluation.findings import findings
from pipeline.ops.evaluation.protocols import PROTOCOLS, Item, Protocol, score_all
from pipeline.ops.evaluation.report import Options, metrics_of, row_of
from pipeline.ops.pictures.charts import png
from pipeline.ops.pictures.drawing import jpeg
from pipeline.schema.base import write_model, write_whole
from pipeline.schema.evaluation import CorrectedScores, Direction, FindingRow, FindingsFile, Interval, Metrics

MOST_SHOWN = 20
"""Findings on the screen; all of them are in findings.json."""
PRODUCTS = (
    "metrics.json", "items.jsonl", "iou_by_size.png", "success_curve.png", "worst_cases.jpg", "best_cases.jpg",
    "findings.json",
)  # fmt: skip
_NAMES = {
    "iou": "IoU",
    "location_error": "location error",
    "contour_accuracy": "contour accuracy",
    "balanced_accuracy": "balanced accuracy",
    "native_iou": "IoU at native size",
    "recall_at_iou_50": "recall at IoU 0.5",
    "recall_at_iou_75": "recall at IoU 0.75",
    "registered_contour_accuracy": "contour accuracy, registered",
    "centroid_error": "centroid error of predictions made",
    "miss_rate": "share of visible objects with an empty prediction",
    "centroid_error_with_misses": "centroid error, a miss counted as 1",
}


@dataclass(frozen=True)
class _Inputs:
    """What both directions share."""

    truth: TruthFile
    predictions: PredictionFile
    protocol: Protocol
    options: Options
    data_set: Path | None
    cases: int


def main(knobs: EvaluateKnobs, common: CommonKnobs, console: Console) -> int:
    """Score all directions asked for; 1 when one of them has findings and could not be scored."""
    for flag in ("ground_truth", "predictions", "out"):
        if not getattr(knobs, flag):
            raise PipelineError(
                f"evaluate needs --{flag.replace('_', '-')}", "see `python -m pipeline evaluate --help`"
            )
    inputs = _Inputs(
        truth=read_ground_truth(Path(knobs.ground_truth)),
        predictions=read_predictions(Path(knobs.predictions)),
        protocol=PROTOCOLS[knobs.protocol],
        options=Options(threshold=knobs.threshold, draws=knobs.draws, seed=knobs.seed),
        data_set=data_set_folder(knobs.data_set, common.data) if knobs.data_set else None,
        cases=knobs.cases,
    )
    given = inputs.predictions.results
    directions: list[Direction] = [one for one in given if knobs.direction in ("", one)]
    if not directions:
        raise PipelineError(
            f"--direction is {knobs.direction}, but {knobs.predictions} only has {', '.join(given)}",
            "leave --direction out to score what is there",
        )
    scored: dict[Direction, Metrics] = {}
    for direction in directions:
        folder = Path(knobs.out) / direction if len(directions) > 1 else Path(knobs.out)
        metrics = _evaluate(inputs, direction, folder, console)
        if metrics:
            scored[direction] = metrics
            console.good(f"{folder / 'metrics.json'}")
    if knobs.json and scored:
        shown: dict[str, Any] = {direction: metrics.model_dump(mode="json") for direction, metrics in scored.items()}
        print_json(json.dumps(shown if len(directions) > 1 else next(iter(shown.values()))))
    elif not knobs.json:
        for metrics in scored.values():
            _print(metrics)
    return 0 if len(scored) == len(directions) else 1


def _evaluate(inputs: _Inputs, direction: Direction, folder: Path, console: Console) -> Metrics | None:
    """Everything that goes into one folder; None when the predictions have findings."""
    for name in PRODUCTS:  # of an earlier run: beside new ones they would say something else
        (folder / name).unlink(missing_ok=True)
    truth, protocol, results = inputs.truth.truth, inputs.protocol, inputs.predictions.results[direction]
    found = list(
        findings(
            truth,
            results,
            direction,
            official_sizes=protocol.official_sizes,
            number_confidence=protocol.number_confidence,
        )
    )
    if found:
        _tell(found, direction, folder / "findings.json", console)
        return None
    items = list(score_all(truth, results, direction, protocol))
    if not items:
        raise PipelineError(
            f"the ground truth has nothing to score for {direction}",
            "it needs objects with an ego and an exo camera, and frames annotated in both",
        )
    metrics = metrics_of(
        items,
        truth,
        direction,
        protocol,
        inputs.options,
        ground_truth_sha256=inputs.truth.sha256,
        predictions_sha256=inputs.predictions.sha256,
    )
    write_whole(folder / "items.jsonl", "".join(f"{row_of(item).model_dump_json()}\n" for item in items))
    write_whole(folder / "iou_by_size.png", png(iou_by_size(metrics)))
    write_whole(folder / "success_curve.png", png(success_curve(items, metrics)))
    if inputs.data_set:
        _draw_cases(items, inputs, results, inputs.data_set, folder, console)
    write_model(folder / "metrics.json", metrics)  # last: where it is, all is
    return metrics


def _tell(found: list[FindingRow], direction: Direction, file: Path, console: Console) -> None:
    console.error(f"{direction}: {len(found)} findings in the predictions, nothing scored; all are in {file}")
    for row in found[:MOST_SHOWN]:
        console.say(f"  {row.place}: got {row.got}, expected {row.expected}")
    write_model(file, FindingsFile(direction=direction, total=len(found), findings=found))


def _draw_cases(
    items: list[Item], inputs: _Inputs, results: Any, data_set: Path, folder: Path, console: Console
) -> None:
    for name, is_worst in (("worst", True), ("best", False)):
        chosen = choose_cases(items, inputs.cases, is_worst=is_worst)
        sheet, missing = case_sheet(chosen, inputs.truth.truth, results, data_set)
        if missing:
            console.warn(f"{name} cases: {len(missing)} frames are not there, the first: {missing[0]}")
        if sheet is not None:
            write_whole(folder / f"{name}_cases.jpg", jpeg(sheet))


def _print(metrics: Metrics) -> None:
    """Two tables: numbers of different protocols never stand in one."""
    counts = metrics.counts
    table = Table("", "", "95 % over takes", title=f"{metrics.protocol} protocol, {metrics.direction}")
    for name, value in metrics.aggregate.model_dump().items():
        table.add_row(_NAMES[name], _number(value), _range(metrics.intervals[name]))
    output().print(table)
    output().print(
        f"targets: {counts.present} present ({counts.vanished} without a pixel at the size of comparison), "
        f"{counts.absent} absent, {counts.unannotated} unannotated and not scored"
    )
    output().print(_corrected_table(metrics.corrected, metrics.direction))


def _corrected_table(corrected: CorrectedScores, direction: Direction) -> Table:
    table = Table("", "", "95 % over takes", title=f"corrected metrics, {direction} (not the benchmark's)")
    values = corrected.model_dump(exclude={"existence", "intervals"})
    for name, value in values.items():
        table.add_row(_NAMES[name], _number(value), _range(corrected.intervals[name]))
    of = corrected.existence
    chosen = f"existence at {of.chosen.threshold:.3g} ({of.chosen_from})"
    interval = _range(corrected.intervals["existence_balanced_accuracy"])
    table.add_row(f"balanced accuracy of {chosen}", _number(of.chosen.balanced_accuracy), interval)
    for what, at in (("existence at 0.5", of.at_half), (chosen, of.chosen)):
        table.add_row(f"true positive rate of {what}", _number(at.true_positive_rate), "")
        table.add_row(f"true negative rate of {what}", _number(at.true_negative_rate), "")
    table.add_row("AUROC of existence", _number(of.auroc), "")
    table.add_row("calibration error of existence", _number(of.calibration_error), "")
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _range(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval[0]:.4f} … {interval[1]:.4f}"
