"""A phase whose product is a folder, for tests of step.py and runner.py; a text file a unit says what is to happen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.knobs import Knobs, knob
from pipeline.paths import Paths
from pipeline.phases import Phase

planned: list[tuple[str, ...]] = []
stopped: list[str] = []


@dataclass(frozen=True)
class TakeKnobs(Knobs):
    """Knobs of the toy phase."""

    size: int = knob(2, "files in the folder", low=1, high=9)
    dry_run: bool = knob(False, "plan only", shapes_product=False)


def row(*, keeps: bool = False, always: bool = False) -> Phase:
    """The toy phase's row."""
    return Phase(
        "toy-take",
        "folders",
        "egoexo",
        __name__,
        TakeKnobs,
        "preprocess",
        "take",
        (),
        "toy",
        keeps=keeps,
        always=always,
    )


def inputs(paths: Paths, unit: str, knobs: TakeKnobs) -> dict[str, Path]:
    """One text a unit."""
    return {"text": paths.data / f"{unit.replace('/', '-')}.txt"}


def products(paths: Paths, unit: str, knobs: TakeKnobs) -> dict[str, Path]:
    """A folder named after the take."""
    return {"take": paths.data / "out" / unit}


def plan(paths: Paths, units: Sequence[str], knobs: TakeKnobs, report: Callable[[str], None]) -> bool:
    """Notes what it was asked; a unit named `huge` is refused."""
    planned.append(tuple(units))
    if any(unit.endswith("huge") for unit in units):
        raise PipelineError("huge does not fit", "free some space")
    return not knobs.dry_run


def prepare(job: Job) -> str:
    """Runs ahead; the unit `slow` waits until it is told to stop."""
    if job.unit.endswith("slow") and job.stop.wait(20):
        stopped.append(job.unit)
    return "prepared"


def run(job: Job) -> Counts:
    """Write the folder."""
    text = inputs(job.paths, job.unit, job.knobs)["text"].read_text()
    folder = job.products["take"]
    (folder / "cam01").mkdir(parents=True)
    for number in range(job.knobs.size):
        (folder / "cam01" / f"{number}.jpg").write_text(text)
        if text == "fail":
            raise PipelineError("the text asked for it", "change the text")
        if text == "interrupt":
            raise KeyboardInterrupt
    (folder / "annotation.json").write_text("{}")
    return Counts(made={"files": job.knobs.size}, incomplete=["cam02 has no video"] if text == "incomplete" else [])
