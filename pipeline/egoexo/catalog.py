"""What a release holds: takes, recording sessions and annotations, each found by the take's uid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.egoexo.listing import list_relations
from pipeline.egoexo.release import (
    DamagedEntry,
    captures_file,
    parent_task_folder,
    read_captures,
    read_takes,
    takes_file,
)
from pipeline.job import Progress
from pipeline.paths import Paths
from pipeline.schema.egoexo_index import ListedTake, RelationsListing
from pipeline.schema.egoexo_release import Capture, Split, Take
from pipeline.schema.manifest import FileDigest

SHOWN_ENTRIES = 3
"""Damaged entries of takes.json that are named on the screen."""


@dataclass(frozen=True)
class Catalog:
    """A release's metadata. Lists under a uid are longer than one where the release repeats it.

    Attributes:
        takes: uid → what takes.json says.
        captures: capture uid → cameras; without captures.json empty.
        listings: split → its relations file.
        annotated: uid → (split of the file, numbers and place), in file order.
        damaged: uid → entry of takes.json that is of no use.
    """

    takes: dict[str, list[Take]]
    captures: dict[str, Capture]
    listings: dict[Split, RelationsListing]
    annotated: dict[str, list[tuple[Split, ListedTake]]]
    damaged: dict[str, DamagedEntry]

    def name_of(self, take_uid: str) -> str:
        """The take's name, as far as anything says it."""
        if take_uid in self.takes:
            return self.takes[take_uid][0].take_name
        names = [listed.take_name for _, listed in self.annotated.get(take_uid, ())]
        return next(iter(names), self.damaged[take_uid].take_name if take_uid in self.damaged else "")

    def scenario_of(self, take_uid: str) -> str:
        """The relations file's text, else what takes.json calls the task; empty where neither knows the take."""
        texts = [listed.scenario for _, listed in self.annotated.get(take_uid, ())]
        return next(iter(texts), "") or next((take.task_name or "" for take in self.takes.get(take_uid, ())), "")

    def parent_task_of(self, take_uid: str) -> str | None:
        """The take's parent task as folder name; None: nothing tells it.

        Of a take that takes.json lacks, its scenario's text tells it where other takes of that text have one.
        """
        if take_uid in self.takes:
            return parent_task_folder(self.takes[take_uid][0].parent_task_name)
        if take_uid in self.damaged and (parent_task := self.damaged[take_uid].parent_task_name):
            return parent_task_folder(parent_task)
        found = self._parent_tasks_of_texts.get(self.scenario_of(take_uid), set())
        return next(iter(found)) if len(found) == 1 else None

    @cached_property
    def _parent_tasks_of_texts(self) -> dict[str, set[str]]:
        """Task name or scenario text → parent tasks that takes of that text have."""
        found: dict[str, set[str]] = {}
        for uid, (take, *_) in self.takes.items():
            if take.parent_task_name:
                for text in {take.task_name, self.scenario_of(uid)} - {None, ""}:
                    found.setdefault(str(text), set()).add(parent_task_folder(take.parent_task_name))
        return found


def read_catalog(
    paths: Paths,
    release: Path,
    digest_of: Callable[[Path, FileDigest | None], FileDigest],
    say: Callable[[str], None],
    meter: Progress,
) -> Catalog:
    """Read all metadata of a release; relations files only where they changed since they were parsed.

    Raises:
        PipelineError: a file is damaged, or takes.json is missing.
    """
    of_takes = read_takes(release)
    takes = _grouped(of_takes.takes)
    if of_takes.damaged:
        shown = "; ".join(entry.problem for entry in of_takes.damaged[:SHOWN_ENTRIES])
        more = ", …" if len(of_takes.damaged) > SHOWN_ENTRIES else ""
        say(f"{takes_file(release)}: {len(of_takes.damaged)} damaged entries are left out ({shown}{more})")
    has_captures = captures_file(release).is_file()
    if not has_captures:
        say(f"{captures_file(release)} is not there: takes.json tells ego from exo cameras, else their names do")
    captures = {capture.capture_uid: capture for capture in read_captures(release)} if has_captures else {}
    listings = list_relations(paths, release, digest_of, say, meter)
    annotated: dict[str, list[tuple[Split, ListedTake]]] = {}
    for split, listing in listings.items():
        for listed in listing.takes:
            annotated.setdefault(listed.take_uid, []).append((split, listed))
    damaged = {entry.take_uid: entry for entry in of_takes.damaged if entry.take_uid}
    return Catalog(takes, captures, listings, annotated, damaged)


def _grouped(takes: Iterable[Take]) -> dict[str, list[Take]]:
    found: dict[str, list[Take]] = {}
    for take in takes:
        found.setdefault(take.take_uid, []).append(take)
    return found
