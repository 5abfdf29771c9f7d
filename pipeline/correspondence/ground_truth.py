"""`ground-truth`: the benchmark's ground-truth file, from processed takes or from the release's annotations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.config import CommonKnobs
from pipeline.config_correspondence import GroundTruthKnobs
from pipeline.console import Console
from pipeline.correspondence.data_set import data_set_folder
from pipeline.errors import PipelineError
from pipeline.ops.egoexo.relations_scan import scan_relations
from pipeline.ops.evaluation.files import write_ground_truth
from pipeline.ops.evaluation.ground_truth import TakeTruth, truth_of_relations, truth_of_take
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_release import SplitFile
from pipeline.schema.egoexo_take import TakeAnnotation, TakeFacts

MOST_SHOWN = 20


def main(knobs: GroundTruthKnobs, common: CommonKnobs, console: Console) -> int:
    """Write the file, and say what of the annotations is not in it."""
    if not knobs.out or bool(knobs.data_set) == bool(knobs.relations):
        raise PipelineError(
            "ground-truth needs --out, and one of --data-set and --relations",
            "for example: ground-truth --data-set cooking --split val --out data/val_ground_truth.json.gz",
        )
    if knobs.data_set:
        takes = _processed(data_set_folder(knobs.data_set, common.data), knobs.split)
    else:
        takes = _released(Path(knobs.relations))
    annotations, left_out = {}, []
    for uid, take in takes:
        annotations[uid] = take.content
        left_out += [f"{uid} / {reason}" for reason in take.left_out]
    if not annotations:
        raise PipelineError("no take to make ground truth of", "choose another --split or file")
    write_ground_truth(Path(knobs.out), annotations)
    for reason in left_out[:MOST_SHOWN]:
        console.warn(f"left out: {reason}")
    if len(left_out) > MOST_SHOWN:
        console.warn(f"left out: {len(left_out)} in all")
    console.good(f"{knobs.out}: {len(annotations)} takes")
    return 0


def _processed(folder: Path, split: str) -> Iterator[tuple[str, TakeTruth]]:
    splits = read_model(folder / "split.json", SplitFile, "make it first: egoexo-index or egoexo-import")
    for uid in dict.fromkeys(getattr(splits, split)):
        fix = "make the take first: egoexo-process or egoexo-import"
        annotation = read_model(folder / uid / "annotation.json", TakeAnnotation, fix)
        yield uid, truth_of_take(annotation, read_model(folder / uid / "take.json", TakeFacts, fix))


def _released(file: Path) -> Iterator[tuple[str, TakeTruth]]:
    if not file.is_file():
        raise PipelineError(f"--relations is {file}, which is no file", "give a relations_{split}.json")
    for scanned in scan_relations(file):
        if not isinstance(scanned.content, dict):
            raise PipelineError(
                f"take {scanned.take_uid} of {file} is no object", "fetch the annotations again: REDO=egoexo-metadata"
            )
        try:
            yield scanned.take_uid, truth_of_relations(scanned.content)
        except PipelineError as error:
            raise PipelineError(f"take {scanned.take_uid} of {file}: {error.problem}", error.fix) from None
