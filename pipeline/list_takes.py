"""`list-takes`: takes of the release by task, place and length, and which of them have object masks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from pipeline.config import CommonKnobs
from pipeline.config_egoexo import ListTakesKnobs
from pipeline.console import Console, output, print_json
from pipeline.egoexo.catalog import Catalog, read_catalog
from pipeline.egoexo.release import FETCH, parent_task_folder, release_dir
from pipeline.egoexo.selection import ALL
from pipeline.errors import PipelineError
from pipeline.paths import Paths
from pipeline.provenance import digest_file


@dataclass(frozen=True)
class TakeRow:
    """One take; what the metadata do not tell is None or empty."""

    take_uid: str
    take_name: str
    scenario: str
    """Parent task as SCENARIO= takes it."""
    task: str
    university: str
    duration_s: float | None
    relations: str | None
    """Split of the relations file that has the take's object masks; None: no masks."""
    objects: int
    masks: int
    cameras: list[str]
    """With masks."""


def main(knobs: ListTakesKnobs, common: CommonKnobs, console: Console) -> int:
    """Print one row a take that passes all filters.

    Raises:
        PipelineError: metadata are missing or damaged.
    """
    paths = Paths(Path(common.data).absolute())
    release = release_dir(paths, knobs)
    catalog = read_catalog(paths, release, digest_file, console.say, console.progress)
    console.progress.stop()
    if not catalog.listings:
        if knobs.has_relations:
            raise PipelineError(f"{release} has no annotations/relations_*.json, so no take has relations", FETCH)
        console.warn(f"{release} has no annotations/relations_*.json: which takes have masks is not known")
    rows = [row for row in _rows(catalog) if _is_wanted(row, knobs)]
    if knobs.json:
        print_json(json.dumps([dataclasses.asdict(row) for row in rows]))
    else:
        output().print(_table(rows))
    console.say(
        f"{len(rows)} of {len(catalog.takes)} takes, {sum(row.relations is not None for row in rows)} with masks"
    )
    return 0


def _rows(catalog: Catalog) -> Iterator[TakeRow]:
    """One row a take of takes.json, in its order."""
    for uid, (take, *_) in catalog.takes.items():
        split, listed = next(iter(catalog.annotated.get(uid, ())), (None, None))
        yield TakeRow(
            take_uid=uid,
            take_name=take.take_name,
            scenario=parent_task_folder(take.parent_task_name),
            task=take.task_name or "",
            university=take.university_name or "",
            duration_s=take.duration_sec,
            relations=split,
            objects=listed.objects if listed else 0,
            masks=sum(camera["masks"] for camera in listed.cameras.values()) if listed else 0,
            cameras=list(listed.cameras) if listed else [],
        )


def _is_wanted(row: TakeRow, knobs: ListTakesKnobs) -> bool:
    """A take of unknown length passes only where no length is asked for."""
    plain = ListTakesKnobs()
    any_length = (knobs.min_duration_s, knobs.max_duration_s) == (plain.min_duration_s, plain.max_duration_s)
    return (
        knobs.scenario in ("", ALL, row.scenario)
        and knobs.task.lower() in row.task.lower()
        and knobs.university.lower() in ("", row.university.lower())
        and (any_length if row.duration_s is None else knobs.min_duration_s <= row.duration_s <= knobs.max_duration_s)
        and (row.relations is not None or not knobs.has_relations)
    )


def _table(rows: list[TakeRow]) -> Table:
    right = [Column(title, justify="right") for title in ("seconds", "objects", "masks")]
    table = Table(
        Column("take", overflow="fold"),
        Column("uid", no_wrap=True),
        "scenario",
        "task",
        "university",
        *right,
        "relations",
    )
    for row in rows:
        seconds = "?" if row.duration_s is None else f"{row.duration_s:.0f}"
        numbers = (seconds, str(row.objects or "–"), str(row.masks or "–"))
        place = (row.take_name, row.take_uid, row.scenario, row.task, row.university)
        table.add_row(*map(Text, (*place, *numbers, row.relations or "–")))
    return table
