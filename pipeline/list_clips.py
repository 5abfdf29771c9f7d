"""`list-clips`: what the archives of one worker hold, without extracting anything."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from rich.table import Column, Table

from pipeline.config import CommonKnobs, ListClipsKnobs
from pipeline.console import Console, output, print_json
from pipeline.factory.listing import list_clips
from pipeline.paths import Paths
from pipeline.schema.egocentric import layout_of
from pipeline.units import clips_of


def main(knobs: ListClipsKnobs, common: CommonKnobs, console: Console) -> int:
    """Print one row a clip."""
    first = clips_of({"list-clips": knobs}, common)[0]
    worker = knobs.worker or layout_of(first).worker_dir(first)
    paths = Paths(Path(common.data).absolute())
    rows = list_clips(paths, worker, console.say, console.progress, knobs.repo, knobs.revision)
    console.progress.stop()
    if knobs.json:
        print_json(json.dumps([dataclasses.asdict(row) for row in rows]))
        return 0
    table = Table(Column("clip", no_wrap=True), "seconds", "MB", "codec", "archive", title=worker)
    for row in rows:
        duration = "?" if row.duration_s is None else f"{row.duration_s:.1f}"
        table.add_row(row.clip, duration, f"{row.size_bytes / 1e6:.1f}", row.codec or "?", row.archive)
    output().print(table)
    console.say(f"{len(rows)} clips")
    return 0
