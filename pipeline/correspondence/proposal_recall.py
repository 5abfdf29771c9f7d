"""`proposal-recall`: how many of a data set's true masks are among its proposals, which bounds all that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.table import Table

from pipeline.config import CommonKnobs
from pipeline.config_correspondence import ProposalRecallKnobs
from pipeline.console import Console, output, print_json
from pipeline.correspondence.data_set import data_set_folder
from pipeline.errors import PipelineError
from pipeline.ops.evaluation.report import SIZE_BINS
from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import check_rle
from pipeline.ops.pictures.charts import ChartBar, bar_chart, line_chart, png
from pipeline.ops.pictures.drawing import Image
from pipeline.ops.proposals.recall import TrueMask, best_ious, breakdowns, recall_of
from pipeline.schema.base import read_model, write_model, write_whole
from pipeline.schema.egoexo_release import SPLITS, SplitFile
from pipeline.schema.egoexo_take import Rle, TakeAnnotation, TakeFacts
from pipeline.schema.proposals import CameraProposals, RecallReport, RecallScores

REPORT, BY_SIZE, CURVE = "recall.json", "recall_by_size.png", "recall_curve.png"
STEPS = 100
"""Thresholds of the curve between 0 and 1."""
MOST_SHOWN = 20
"""Objects in the table; all of them are in recall.json."""
_TAKE = "make the take first: egoexo-process or egoexo-import"


@dataclass
class _Seen:
    """What was compared, take after take."""

    masks: list[TrueMask] = field(default_factory=list)
    proposals: list[int] = field(default_factory=list)
    """Of each frame."""
    without_picture: int = 0


def main(knobs: ProposalRecallKnobs, common: CommonKnobs, console: Console) -> int:
    """Compare, write report and pictures, print the table."""
    if not knobs.data_set:
        raise PipelineError("proposal-recall needs --data-set", "see `python -m pipeline proposal-recall --help`")
    folder = data_set_folder(knobs.data_set, common.data)
    home = folder / "proposals" / knobs.proposals
    seen = _Seen()
    takes = list(_takes(folder, knobs.split))
    console.progress.start(len(takes), "comparing proposals with true masks", "takes")
    for uid in takes:
        _compare(folder / uid, home / uid, seen)
        console.progress.advance()
    console.progress.stop()
    if not seen.masks:
        raise PipelineError(f"no true mask in the {knobs.split} takes of {folder}", "choose another --split")
    report = _report(seen, knobs, folder.name)
    out = Path(knobs.out) if knobs.out else home
    write_whole(out / BY_SIZE, png(_by_size(report)))
    write_whole(out / CURVE, png(_curve(seen.masks, report)))
    write_model(out / REPORT, report)  # last: where it is, all is
    console.good(f"{out / REPORT}")
    if knobs.json:
        print_json(report.model_dump_json())
    else:
        _print(report)
    return 0


def _takes(folder: Path, split: str) -> Iterator[str]:
    splits = read_model(folder / "split.json", SplitFile, "make it first: egoexo-index or egoexo-import")
    wanted = SPLITS if split == "all" else (split,)
    yield from dict.fromkeys(uid for name in wanted for uid in getattr(splits, name))


def _compare(take: Path, proposals: Path, seen: _Seen) -> None:
    annotation = read_model(take / "annotation.json", TakeAnnotation, _TAKE)
    facts = read_model(take / "take.json", TakeFacts, _TAKE)
    of_camera: dict[str, dict[str, dict[str, Rle]]] = {}
    for name, cameras in annotation.masks.items():
        for camera, frames in cameras.items():
            for frame, mask in frames.items():
                of_camera.setdefault(camera, {}).setdefault(frame, {})[name] = mask
    for camera, by_frame in sorted(of_camera.items()):
        stored = facts.cameras.get(camera)
        kept = {str(frame) for frame in stored.frames} if stored else set()
        seen.without_picture += sum(len(masks) for frame, masks in by_frame.items() if frame not in kept)
        if stored is None or not kept & by_frame.keys():
            continue
        file = proposals / f"{camera}.json"
        given = read_model(file, CameraProposals, "make them first: bash run.sh proposals")
        for frame in sorted(kept & by_frame.keys(), key=int):
            masks, found = by_frame[frame], given.frames.get(frame, [])
            try:
                best = best_ious(list(masks.values()), found, given.size_wh)
                shares = [check_rle(mask.counts, mask.size).area / np.prod(mask.size) for mask in masks.values()]
            except MaskError as error:
                raise PipelineError(
                    f"a mask of {take.name}, {camera}, frame {frame} does not decode: {error}",
                    "make the take and its proposals again: REDO=egoexo-process,proposals",
                ) from None
            view = "ego" if stored.is_ego else "exo"
            seen.proposals.append(len(found))
            seen.masks += [
                TrueMask(take.name, name, camera, view, frame, float(share), iou, gone)
                for name, share, (iou, gone) in zip(masks, shares, best, strict=True)
            ]


def _report(seen: _Seen, knobs: ProposalRecallKnobs, data_set: str) -> RecallReport:
    return RecallReport.model_validate(
        {
            "method": knobs.proposals,
            "data_set": data_set,
            "split": knobs.split,
            "overall": recall_of(seen.masks),
            "breakdowns": breakdowns(seen.masks),
            "frames": len(seen.proposals),
            "proposals_per_frame": float(np.mean(seen.proposals)) if seen.proposals else None,
            "frames_without_proposals": Counter(seen.proposals)[0],
            "vanished": sum(mask.has_vanished for mask in seen.masks),
            "masks_without_picture": seen.without_picture,
        }
    )


def _by_size(report: RecallReport) -> Image:
    groups = report.breakdowns["size"]
    bars = [ChartBar(name, f"n = {groups[name].masks}", groups[name].best_iou) for name in SIZE_BINS]
    return bar_chart(f"Best IoU with {report.method} proposals by share of the frame", "mean best IoU", bars)


def _curve(masks: Sequence[TrueMask], report: RecallReport) -> Image:
    """Share of true masks with a proposal of at least each IoU."""
    ious = np.sort([mask.best_iou for mask in masks])
    thresholds = np.linspace(0, 1, STEPS + 1)
    shares = 1 - np.searchsorted(ious, thresholds, "left") / len(ious)
    return line_chart(
        f"Recall of {report.method} proposals: {len(ious)} true masks, mean best IoU {report.overall.best_iou:.3f}",
        "IoU of at least",
        "share",
        list(zip(thresholds.tolist(), shares.tolist(), strict=True)),
    )


def _print(report: RecallReport) -> None:
    table = Table(
        "", "true masks", "best IoU", "recall at 0.5", "at 0.75", title=f"{report.method} proposals, {report.data_set}"
    )
    for row in _rows("all", [("", report.overall)]):
        table.add_row(*row)
    for name in ("size", "view", "take", "object"):
        table.add_section()
        for row in _rows(name, list(report.breakdowns[name].items())[:MOST_SHOWN]):
            table.add_row(*row)
    output().print(table)
    output().print(
        f"{report.frames} frames, {report.proposals_per_frame:.1f} proposals each, "
        f"{report.frames_without_proposals} without any; {report.vanished} true masks without a pixel at the stored "
        f"size, {report.masks_without_picture} without a picture and not counted"
    )


def _rows(name: str, groups: Iterable[tuple[str, RecallScores]]) -> Iterator[list[str]]:
    for value, scores in groups:
        numbers = (scores.best_iou, scores.recall_at_iou_50, scores.recall_at_iou_75)
        yield [f"{name} {value}".strip(), str(scores.masks)] + [
            "–" if number is None else f"{number:.3f}" for number in numbers
        ]
