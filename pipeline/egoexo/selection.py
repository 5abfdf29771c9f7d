"""Which takes a user asks for: those of a parent task, all, or a list of one's own."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.config_egoexo import IndexKnobs
from pipeline.egoexo import problems
from pipeline.egoexo.catalog import Catalog
from pipeline.egoexo.release import parent_task_folder
from pipeline.errors import PipelineError
from pipeline.schema.egoexo_index import TakeProblem

ALL = "all"
"""SCENARIO= for every take with annotations."""


def takes_files(values: Iterable[str]) -> list[Path]:
    """Those of the values of TAKES= that name files."""
    return [Path(value) for value in values if Path(value).is_file()]


def listed_takes(values: Iterable[str]) -> tuple[str, ...]:
    """Names and uids of TAKES=; a value that names a file stands for its lines, `#` begins a comment.

    Raises:
        PipelineError: a file cannot be read as text, or names no take.
    """
    found: list[str] = []
    for value in values:
        file = Path(value)
        if not file.is_file():
            found.append(value)
            continue
        fix = "expected a text file with one take name or uid a line"
        try:
            lines = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise PipelineError(f"TAKES={value} cannot be read: {error}", fix) from None
        if not any(lines):
            raise PipelineError(f"TAKES={value} names no take", fix)
        found += filter(None, lines)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Selection:
    """What the user asked for."""

    scenario: str
    takes: tuple[str, ...]
    """Names or uids; empty: all of the scenario."""

    @classmethod
    def of(cls, knobs: IndexKnobs) -> Selection:
        """Raises PipelineError where nothing was asked for, or a list cannot be read."""
        if not (knobs.scenario or knobs.takes or knobs.split):
            raise PipelineError(
                f"NAME={knobs.name} does not say which takes it is made of",
                "add SCENARIO=cooking, TAKES=…, or SPLIT=split.json",
            )
        return cls(knobs.scenario, listed_takes(knobs.takes))

    def wants(self, catalog: Catalog, take_uid: str) -> bool:
        """Whether a take is asked for, as far as can be told."""
        if self.takes:
            return take_uid in self.takes or catalog.name_of(take_uid) in self.takes
        return self.scenario in ("", ALL) or catalog.parent_task_of(take_uid) == self.scenario

    def cannot_tell(self, catalog: Catalog, take_uid: str) -> bool:
        """Whether one scenario is asked for and nothing says which the take is of."""
        is_one = not self.takes and self.scenario not in ("", ALL)
        return is_one and catalog.parent_task_of(take_uid) is None

    def check(self, catalog: Catalog) -> None:
        """Raises PipelineError where the scenario has no annotated take; names those that do."""
        if self.takes or self.scenario in ("", ALL):
            return
        numbers = annotated_takes_of_scenarios(catalog)
        if self.scenario not in numbers:
            known = ", ".join(f"{name} {number}" for name, number in numbers.items())
            raise PipelineError(
                f"SCENARIO={self.scenario} has no take with annotations in this release",
                f"scenarios and their takes: {known or 'none'}; all stands for every take",
            )

    def unknown(self, catalog: Catalog, assigned: Iterable[str]) -> list[TakeProblem]:
        """The entries of TAKES= that no take with a split answers to."""
        answered = {name for uid in assigned for name in (uid, catalog.name_of(uid))}
        uid_of = {catalog.name_of(uid): uid for uid in [*catalog.annotated, *catalog.takes]}
        found = []
        for entry in self.takes:
            if entry in answered:
                continue
            uid = uid_of.get(entry, entry)
            reason, detail = problems.NOT_IN_RELEASE, ""
            if uid in catalog.annotated:
                reason = problems.NOT_IN_SPLIT
            elif uid in catalog.takes:
                reason = problems.NO_ANNOTATIONS
            else:
                alike = difflib.get_close_matches(entry, [*uid_of, *catalog.takes], n=2)
                detail = f"did you mean {' or '.join(alike)}?" if alike else "no such take name, uid or file"
            name = catalog.name_of(uid) or entry
            found.append(TakeProblem(take_uid=uid, take_name=name, split="", reason=reason, detail=detail))
        return found


def annotated_takes_of_scenarios(catalog: Catalog) -> dict[str, int]:
    """Parent task as folder name → takes with annotations, the most frequent first."""
    numbers = Counter(
        parent_task_folder(catalog.takes[uid][0].parent_task_name) for uid in catalog.annotated if uid in catalog.takes
    )
    return dict(numbers.most_common())
