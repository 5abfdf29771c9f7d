"""Every knob of the correspondence line, with its unit, range and default."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.knobs import Knobs, knob


@dataclass(frozen=True)
class EvaluateKnobs(Knobs):
    """Knobs of `evaluate`."""

    ground_truth: str = knob("", "ground truth in the benchmark's form", accepts="path of a .json or .json.gz")
    predictions: str = knob(
        "", "results of one direction, or a submission of both", accepts="path of a .json or .json.gz"
    )
    protocol: str = knob(
        "official",
        "official: the benchmark's script; omama: as O-MaMa and its derivatives report; corrected: what is meant",
        choices=("official", "omama", "corrected"),
    )
    direction: str = knob(
        "",
        "which direction of the predictions; empty: all that the file has, in a folder each where it has both",
        choices=("", "ego-exo", "exo-ego"),
    )
    out: str = knob("", "folder for metrics.json, items.jsonl and pictures", accepts="a path")
    threshold: float | None = knob(
        None,
        "confidence above which the object counts as present in the corrected metrics, as chosen on val",
        low=-1e9,
        high=1e9,
    )
    draws: int = knob(1000, "draws of the bootstrap; 0: no intervals", low=0, high=100_000)
    seed: int = knob(0, "of the bootstrap", low=0, high=2**31)
    data_set: str = knob(
        "",
        "where the frames are, for pictures of the worst and best cases; empty: none are made",
        accepts="path of an output_dir_{name}, or its name",
    )
    cases: int = knob(8, "worst and best cases to show", low=1, high=100)
    json: bool = knob(False, "print metrics.json instead of the table")


@dataclass(frozen=True)
class GroundTruthKnobs(Knobs):
    """Knobs of `ground-truth`."""

    data_set: str = knob("", "processed takes to make it from", accepts="path of an output_dir_{name}, or its name")
    split: str = knob("val", "which takes of its split.json", choices=("train", "val", "test"))
    relations: str = knob(
        "", "or the release's own annotations, all takes of the file", accepts="path of a relations_{split}.json"
    )
    out: str = knob("", "file to write; gzipped when it ends in .gz", accepts="path of a .json or .json.gz")
