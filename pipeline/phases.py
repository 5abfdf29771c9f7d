"""Every phase and command, declared once, in the order data flows.

The command line, `make help`, the README's table and the tests read these rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import config
from pipeline import config_correspondence as correspondence
from pipeline import config_egoexo as egoexo
from pipeline.knobs import Knobs


@dataclass(frozen=True)
class Phase:
    """One step of a line, run by step.py on one unit at a time.

    Its module has `inputs(paths, unit, knobs)` and `products(paths, unit, knobs)`, which name files, and `run(job)`.
    If it needs them it also has `check(paths, unit, knobs)`, which looks at inputs before any model is loaded,
    `prepare(job)`, which may run ahead in a thread, and `load(knobs, report)`, which lends its model.
    """

    name: str
    help: str
    line: str
    module: str
    knobs: type[Knobs]
    image: str
    unit: str
    needs: tuple[str, ...]
    makes: str
    model: str | None = None
    """Name of the knob that says which model it loads; None: it loads none."""
    keeps: bool = False
    """Its product stays, with a warning, when only the code changed: making it again would cost a download."""
    by_name_only: bool = False
    """Not part of its line's run: the next phase does it on the way, or a user asks for it."""
    always: bool = False
    """Runs every time: its product is what it sees now."""

    @property
    def is_costly(self) -> bool:
        """Whether an edit of the code is no reason to make its products again."""
        return self.model is not None or self.keeps


@dataclass(frozen=True)
class Command:
    """Something that makes no unit of its own: its module has `main(knobs, common, console) -> exit status`."""

    name: str
    help: str
    module: str
    knobs: type[Knobs]


PHASES: tuple[Phase, ...] = (
    Phase(
        name="download",
        help="fetch the wanted clips and their calibration from the hub",
        line="factory",
        module="pipeline.factory.download",
        knobs=config.DownloadKnobs,
        image="annotate",
        unit="clip",
        needs=(),
        makes="data/raw/{repo path}/…",
    ),
    Phase(
        name="extract",
        help="put each clip and its facts into data/clips/",
        line="factory",
        module="pipeline.factory.extract",
        knobs=config.ExtractKnobs,
        image="annotate",
        unit="clip",
        needs=("download",),
        makes="data/clips/{clip}.mp4, .json",
    ),
    Phase(
        name="check-rectify",
        help="show one frame before and after rectification",
        line="factory",
        module="pipeline.factory.check_rectify",
        knobs=config.CheckRectifyKnobs,
        image="annotate",
        unit="clip",
        needs=("extract",),
        makes="data/debug/{clip}_raw.jpg, _rectified.jpg, _side_by_side.jpg",
    ),
    Phase(
        name="annotate",
        help="describe what the hands do, segment by segment",
        line="factory",
        module="pipeline.factory.annotate",
        knobs=config.AnnotateKnobs,
        image="annotate",
        unit="clip",
        needs=("extract",),
        makes="data/annotate/{clip}_annotations.json, _raw_response.txt, _raw_response.json, _timeline.jpg",
        model="model",
    ),
    Phase(
        name="egoexo-metadata",
        help="fetch takes.json, captures.json and the object masks (2 GB) of Ego-Exo4D",
        line="egoexo",
        module="pipeline.egoexo.metadata",
        knobs=egoexo.MetadataKnobs,
        image="preprocess",
        unit="release",
        needs=(),
        makes="data/egoexo/takes.json, captures.json, annotations/relations_*.json",
        keeps=True,
    ),
    Phase(
        name="egoexo-index",
        help="find each take's annotations, cameras and split, and what is not there",
        line="egoexo",
        module="pipeline.egoexo.index",
        knobs=egoexo.IndexKnobs,
        image="preprocess",
        unit="dataset",
        needs=("egoexo-metadata",),
        makes="data/output_dir_{name}/split.json, data/egoexo/reports/{name}_index.json",
    ),
    Phase(
        name="egoexo-download",
        help="fetch the annotated cameras' videos of each take",
        line="egoexo",
        module="pipeline.egoexo.download",
        knobs=egoexo.DownloadVideosKnobs,
        image="preprocess",
        unit="take",
        needs=("egoexo-index",),
        makes="data/egoexo/takes/{take_name}/frame_aligned_videos/…",
        keeps=True,
        by_name_only=True,
    ),
    Phase(
        name="egoexo-process",
        help="take by take: videos in, frames and COCO masks out, videos deleted",
        line="egoexo",
        module="pipeline.egoexo.process",
        knobs=egoexo.ProcessKnobs,
        image="preprocess",
        unit="take",
        needs=("egoexo-index",),
        makes="data/output_dir_{name}/{take_uid}/annotation.json, take.json, {camera}/{frame}.jpg",
        keeps=True,
    ),
    Phase(
        name="egoexo-pairs",
        help="pair the views of each object: six pair files, each with the target's state",
        line="egoexo",
        module="pipeline.egoexo.pairs",
        knobs=egoexo.PairsKnobs,
        image="preprocess",
        unit="dataset",
        needs=("egoexo-process",),
        makes="data/output_dir_{name}/{split}_{setting}_pairs.json, _pairs_typed.jsonl, a report",
    ),
    Phase(
        name="egoexo-check",
        help="open every frame, decode every mask, follow every pair",
        line="egoexo",
        module="pipeline.egoexo.check",
        knobs=egoexo.CheckKnobs,
        image="preprocess",
        unit="dataset",
        needs=("egoexo-pairs",),
        makes="data/egoexo/reports/{name}_check.json",
        always=True,
    ),
    Phase(
        name="egoexo-preview",
        help="a sheet per take: both views with the same objects outlined",
        line="egoexo",
        module="pipeline.egoexo.preview",
        knobs=egoexo.PreviewKnobs,
        image="preprocess",
        unit="take",
        needs=("egoexo-process",),
        makes="data/debug/egoexo_{name}/{take_uid}.jpg",
    ),
    Phase(
        name="egoexo-import",
        help="bring another data set with masks into this layout",
        line="egoexo",
        module="pipeline.egoexo.importing",
        knobs=egoexo.ImportKnobs,
        image="preprocess",
        unit="dataset",
        needs=(),
        makes="data/output_dir_{name}/",
        by_name_only=True,
    ),
    Phase(
        name="egoexo-export",
        help="write a data set in another layout",
        line="egoexo",
        module="pipeline.egoexo.exporting",
        knobs=egoexo.ExportKnobs,
        image="preprocess",
        unit="dataset",
        needs=(),
        makes="data/export/{name}_{layout}/",
        by_name_only=True,
    ),
)

COMMANDS: tuple[Command, ...] = (
    Command("list-clips", "what the archives of a worker hold", "pipeline.list_clips", config.ListClipsKnobs),
    Command("list-takes", "takes of Ego-Exo4D by task, place, length", "pipeline.list_takes", egoexo.ListTakesKnobs),
    Command(
        "ground-truth",
        "what predictions are scored against",
        "pipeline.correspondence.ground_truth",
        correspondence.GroundTruthKnobs,
    ),
    Command("evaluate", "score predicted masks", "pipeline.correspondence.evaluate", correspondence.EvaluateKnobs),
    Command("status", "what is done, stale or missing for each clip", "pipeline.status", config.StatusKnobs),
    Command("doctor", "is this machine ready for the run?", "pipeline.doctor", config.DoctorKnobs),
    Command("tiny-model", "write a tiny random model for MODEL=", "pipeline.tiny_model", config.TinyModelKnobs),
    Command("demo", "one whole line, factory or egoexo, on made-up footage", "pipeline.demo", config.DemoKnobs),
)


def phase(name: str) -> Phase:
    """The row of that name."""
    return next(row for row in PHASES if row.name == name)


def with_earlier(name: str) -> tuple[Phase, ...]:
    """A phase and all that it needs, in the order of their rows."""
    wanted = {name}
    for row in reversed(PHASES):
        if row.name in wanted:
            wanted |= set(row.needs)
    return tuple(row for row in PHASES if row.name in wanted)


def line_phases(line: str) -> tuple[Phase, ...]:
    """All phases that a run of one line consists of, in order."""
    return tuple(row for row in PHASES if row.line == line and not row.by_name_only)
