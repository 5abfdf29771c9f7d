"""`status`: what is done, stale or missing for each clip, without doing anything."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

from rich.table import Column, Table

from pipeline.config import CommonKnobs, StatusKnobs
from pipeline.console import Console, output, print_json
from pipeline.errors import PipelineError
from pipeline.knobs import read_knobs
from pipeline.line import units_of, with_repo
from pipeline.paths import Paths
from pipeline.phases import PHASES, Phase
from pipeline.schema.base import read_model
from pipeline.schema.manifest import Manifest
from pipeline.step import decide


def main(knobs: StatusKnobs, common: CommonKnobs, console: Console) -> int:
    """Print one row a clip, one column a phase; always 0, for looking is no failure."""
    paths = Paths(Path(common.data).absolute())
    clips = common.clip or started_clips(paths) or units_of({}, common)
    states = {clip: {row.name: state_of(row, clip, paths) for row in PHASES} for clip in clips}
    if knobs.json:
        print_json(json.dumps(states))
        return 0
    table = Table(Column("clip", no_wrap=True), *(row.name for row in PHASES), title=str(paths.data))
    for clip, row in states.items():
        table.add_row(clip, *row.values())
    output().print(table)
    return 0


def started_clips(paths: Paths) -> tuple[str, ...]:
    """All units that any phase has finished, sorted by name."""
    return tuple(
        sorted({file.stem for row in PHASES for file in paths.manifest(row.name, "x").parent.glob("[!.]*.json")})
    )


def state_of(row: Phase, clip: str, paths: Paths) -> str:
    """One word or a short reason; the settings are those of the environment, else the defaults."""
    module = importlib.import_module(row.module)
    file = paths.manifest(row.name, clip)
    if not file.exists():
        return "–"
    try:
        manifest = read_model(file, Manifest, "")
        if manifest.knobs.get("video"):
            return "done (one's own video)"
        knobs = with_repo({row.name: read_knobs(row.knobs, {}, os.environ)}, [clip])[row.name]
        decision = decide(row, module, clip, knobs, paths, redo=False)
    except PipelineError as error:
        return "done, with other settings" if "other settings" in error.problem else error.problem
    if decision.run or decision.warn:
        return decision.reason
    dropped = sum(manifest.dropped.values())
    return f"done ({manifest.seconds:.0f} s{f', {dropped} dropped' if dropped else ''})"
