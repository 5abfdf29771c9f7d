"""A phase for tests of step.py and runner.py: doubles a text, with faults on request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.knobs import Knobs, knob
from pipeline.paths import Paths
from pipeline.phases import Phase


@dataclass(frozen=True)
class ToyKnobs(Knobs):
    """Knobs of the toy phase."""

    times: int = knob(2, "how often the text is repeated", low=1, high=9)
    loud: bool = knob(False, "say more", shapes_product=False)
    prompt: str = knob("", "a file whose content counts", accepts="a path", is_file=True)


def row(model: str | None = None) -> Phase:
    """The toy phase's row; with a model it keeps its product when the code changes."""
    return Phase("toy", "double", "factory", __name__, ToyKnobs, "annotate", "clip", ("earlier",), "toy", model)


def inputs(paths: Paths, unit: str, knobs: ToyKnobs) -> dict[str, Path]:
    """One text a unit."""
    return {"text": paths.data / f"{unit}.txt"}


def products(paths: Paths, unit: str, knobs: ToyKnobs) -> dict[str, Path]:
    """Two files, so that a kill may come between them."""
    return {"out": paths.data / "out" / f"{unit}.out", "copy": paths.data / "out" / f"{unit}.copy"}


def run(job: Job) -> Counts:
    """Write both products; the text itself may ask for a fault."""
    text = (job.paths.data / f"{job.unit}.txt").read_text()
    if text == "keep then fail":
        job.products["out"].write_text("kept")
        job.publish("out")
    if "fail" in text:
        raise PipelineError("the text asked for it", "change the text")
    if text == "bug":
        raise KeyError("bug")
    if text == "full":
        raise OSError(28, "No space left on device")
    (job.work / "partial").write_text("half")
    job.products["out"].write_text(text * job.knobs.times)
    job.products["copy"].write_text(text)
    return Counts(made={"letters": len(text)}, dropped={"spaces": text.count(" ")})
