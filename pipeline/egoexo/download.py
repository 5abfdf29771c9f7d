"""Fetch one take's videos with the real client: the annotated cameras only, each file checked afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.config_egoexo import DownloadVideosKnobs
from pipeline.egoexo.fetching import drop_changed, recorded_files
from pipeline.egoexo.plan import show_plan
from pipeline.egoexo.release import read_index
from pipeline.egoexo.videos import fetch_take
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.paths import Paths


def inputs(paths: Paths, unit: str, knobs: Any) -> dict[str, Path]:
    """What the index knows of the take."""
    return {"index": paths.take_index(_take_of(unit))}


def products(paths: Paths, unit: str, knobs: Any) -> dict[str, Path]:
    """The record, and the files that it names."""
    return recorded_files(paths, _take_of(unit))


def plan(paths: Paths, units: Sequence[str], knobs: DownloadVideosKnobs, report: Callable[[str], None]) -> bool:
    """Say what will be fetched; False for a dry run.

    Raises:
        PipelineError: it does not fit; an unknown part; trouble with keys or network.
    """
    return show_plan(paths, units, knobs, report)


def run(job: Job) -> Counts:
    """Bring the take's files into data/egoexo.

    Raises:
        PipelineError: RELEASE is given; else as `fetch_take`.
    """
    if job.knobs.release:
        raise PipelineError(
            f"RELEASE={job.knobs.release} is only read, so nothing can be downloaded into it",
            "leave RELEASE= out to download to data/egoexo, or go on with egoexo-process",
        )
    take_uid = _take_of(job.unit)
    changed = drop_changed(
        job.paths.manifest("egoexo-download", job.unit), products(job.paths, job.unit, job.knobs).values()
    )
    if changed:
        job.report(f"{', '.join(changed)}: not what was fetched, so fetched again")
    index = read_index(job.paths, take_uid)
    record = fetch_take(job.paths, index, job.knobs, report=job.report, stop=job.stop, progress=job.progress)
    for part in record.parts_without_files:
        job.report(f"{index.take_name}: part {part} has nothing of this take")
    return Counts(
        made={"files": len(record.files), "bytes": record.size_bytes},
        dropped={"parts_without_this_take": len(record.parts_without_files)} if record.parts_without_files else {},
        details={"take_name": index.take_name, "parts": list(record.parts)},
        incomplete=[f"{name}: {why}" for name, why in record.missing.items()],
    )


def _take_of(unit: str) -> str:
    return unit.partition("/")[2]
