"""Every phase and command, declared once, in the order data flows.

The command line, `make help`, the README's table and the tests read these rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import config
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
)

COMMANDS: tuple[Command, ...] = (
    Command("list-clips", "what the archives of a worker hold", "pipeline.list_clips", config.ListClipsKnobs),
    Command("status", "what is done, stale or missing for each clip", "pipeline.status", config.StatusKnobs),
    Command("doctor", "is this machine ready for the run?", "pipeline.doctor", config.DoctorKnobs),
    Command("tiny-model", "write a tiny random model for MODEL=", "pipeline.tiny_model", config.TinyModelKnobs),
    Command("demo", "the whole line on made-up footage and a tiny model", "pipeline.demo", config.DemoKnobs),
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
    """All phases of one line, in order."""
    return tuple(row for row in PHASES if row.line == line)
