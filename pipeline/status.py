"""`status`: what is done, stale or missing, without doing anything: clips, data sets, takes."""

from __future__ import annotations

import importlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.table import Column, Table

from pipeline.config import CommonKnobs, StatusKnobs
from pipeline.console import Console, output, print_json
from pipeline.errors import PipelineError
from pipeline.knobs import Knobs, read_knobs
from pipeline.line import with_repo
from pipeline.paths import Paths
from pipeline.phases import PHASES, Phase, line_phases
from pipeline.schema.base import read_model
from pipeline.schema.manifest import Manifest
from pipeline.step import decide
from pipeline.units import Dataset, clips_of

States = dict[str, dict[str, str]]
"""Row → column → one word or a short reason."""


def main(knobs: StatusKnobs, common: CommonKnobs, console: Console) -> int:
    """Print one row a clip, one a data set and, for a chosen data set, one a take; 0, for looking is no failure."""
    paths = Paths(Path(common.data).absolute())
    datasets = [knobs.dataset] if knobs.dataset else [] if common.clip else started_datasets(paths)
    clips = common.clip or started_clips(paths) or (() if datasets else clips_of({}, common))
    tables: dict[str, States] = {}
    if clips and not knobs.dataset:
        rows = [row for row in PHASES if row.line == "factory"]
        tables["clip"] = {clip: {row.name: state_of(row, clip, paths, knobs.release) for row in rows} for clip in clips}
    if datasets:
        tables["data set"] = {name: dataset_states(name, paths, knobs.release) for name in datasets}
    if knobs.dataset:
        rows = [row for row in PHASES if row.unit == "take"]
        tables["take"] = {
            unit: {row.name: state_of(row, unit, paths, knobs.release) for row in rows}
            for unit in takes_of(knobs.dataset, paths)
        }
    if knobs.json:
        print_json(json.dumps({name: state for table in tables.values() for name, state in table.items()}))
        return 0
    for what, states in tables.items():
        columns = list(dict.fromkeys(column for state in states.values() for column in state))
        table = Table(Column(what, no_wrap=True), *columns, title=str(paths.data))
        for name, state in states.items():
            table.add_row(name, *(state.get(column, "") for column in columns))
        output().print(table)
    return 0


def started_clips(paths: Paths) -> tuple[str, ...]:
    """All clips that any phase has finished, sorted by name."""
    rows = [row for row in PHASES if row.unit == "clip"]
    return tuple(
        sorted({file.stem for row in rows for file in paths.manifest(row.name, "x").parent.glob("[!.]*.json")})
    )


def started_datasets(paths: Paths) -> list[str]:
    """Data sets that have a split.json, sorted by name."""
    prefix = paths.output_dir("").name
    return sorted(
        file.parent.name.removeprefix(prefix) for file in paths.data.glob(f"{prefix}*/{paths.split_file('').name}")
    )


def takes_of(dataset: str, paths: Paths) -> tuple[str, ...]:
    """The units of a data set's takes; none where it has no split.json yet."""
    if not paths.split_file(dataset).exists():
        return ()
    return Dataset(dataset, paths, {}).units(next(row for row in PHASES if row.unit == "take"))


def dataset_states(dataset: str, paths: Paths, release: str) -> dict[str, str]:
    """Phase → state; where a phase works on takes, how many of them are in which state."""
    states: dict[str, str] = {}
    for row in line_phases("egoexo"):
        if row.unit != "take":
            unit = dataset if row.unit == "dataset" else row.unit
            states[row.name] = state_of(row, unit, paths, release)
            continue
        counts = Counter(state_of(row, unit, paths, release).partition(" (")[0] for unit in takes_of(dataset, paths))
        states[row.name] = ", ".join(
            f"{number} {'to do' if state == '–' else state}" for state, number in counts.items()
        )
    return states


def state_of(row: Phase, unit: str, paths: Paths, release: str = "") -> str:
    """One word or a short reason; the settings are those of the environment, else the defaults."""
    module = importlib.import_module(row.module)
    file = paths.manifest(row.name, unit)
    if not file.exists():
        return "–"
    try:
        manifest = read_model(file, Manifest, "")
        if manifest.knobs.get("video"):
            return "done (one's own video)"
        # Which takes a data set was made of is no setting that a user repeats: the data set's name stands for it.
        chosen: dict[str, object] = {
            name: manifest.knobs[name] for name in ("takes", "scenario") if name in manifest.knobs
        }
        chosen |= {"release": release} if release else {}
        knobs_of: Mapping[str, Knobs] = {row.name: read_knobs(row.knobs, chosen, os.environ)}
        knobs = (with_repo(knobs_of, [unit]) if row.unit == "clip" else knobs_of)[row.name]
        if not row.always:
            decision = decide(row, module, unit, knobs, paths, redo=False)
            if decision.run or decision.warn:
                return decision.reason
    except PipelineError as error:
        return "done, with other settings" if "other settings" in error.problem else error.problem
    dropped = sum(manifest.dropped.values())
    return f"done ({manifest.seconds:.0f} s{f', {dropped} dropped' if dropped else ''})"
