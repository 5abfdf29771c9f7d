"""Somebody's data set as an import sees it: which takes it holds, before any of them is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from pipeline.errors import PipelineError
from pipeline.schema.egoexo_foreign import ImportedTake
from pipeline.schema.egoexo_pairs import SEPARATOR, Setting
from pipeline.schema.egoexo_release import SPLITS, Split

SHOWN = 5
"""Names or problems listed in one message."""


@dataclass(frozen=True)
class SourceTake:
    """One take of the tree; its uid is the name of its folder."""

    take_uid: str
    split: Split
    folder: Path


@dataclass(frozen=True)
class Tree:
    """A data set looked through.

    Attributes:
        layout: its name.
        takes: in the order of train, val, test.
        inputs: name → file whose change makes the import stale.
        pair_files: those that it brings along.
        dropped: reason → what of the tree does not come over, counted before any take is read.
        notes: lines for the person at the terminal.
        import_take: writes one take into a folder: (take, folder, stop).
    """

    layout: str
    takes: tuple[SourceTake, ...]
    inputs: Mapping[str, Path]
    import_take: Callable[[SourceTake, Path, Event], ImportedTake]
    pair_files: Mapping[tuple[Split, Setting], Path] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Problems:
    """What is wrong with one take, collected, so that it can be mended in one go."""

    def __init__(self, take_uid: str) -> None:
        self._take_uid = take_uid
        self._problems: list[str] = []
        self._fixes: dict[str, None] = {}

    def add(self, problem: str, fix: str) -> None:
        """Note one problem."""
        self._problems.append(problem)
        self._fixes[fix] = None

    def __bool__(self) -> bool:
        return bool(self._problems)

    def raise_if_any(self) -> None:
        """Stop here if something is wrong.

        Raises:
            PipelineError: with all problems of the take.
        """
        if self._problems:
            raise PipelineError(f"take {self._take_uid}: {listed(self._problems, '; ')}", "; ".join(self._fixes))


def listed(texts: Iterable[str], separator: str = ", ") -> str:
    """The first few, and how many more there are."""
    every = list(texts)
    more = f"{separator}and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return separator.join(every[:SHOWN]) + more


def splits_of_takes(splits: Mapping[Split, Sequence[str]], where: Path) -> dict[str, Split]:
    """Take → its split, each take once.

    Raises:
        PipelineError: a take in two splits, or a name that is no folder's name.
    """
    split_of: dict[str, Split] = {}
    for split in SPLITS:
        for take_uid in dict.fromkeys(splits.get(split, ())):
            safe_name(take_uid, f"a take in {where}")
            if take_uid in split_of:
                raise PipelineError(
                    f"take {take_uid} stands in {split_of[take_uid]} and in {split} of {where}",
                    "leave it in one of them: what is trained on must not be tested on",
                )
            split_of[take_uid] = split
    return split_of


def safe_name(name: str, what: str) -> str:
    """A name that can be one folder's and one field of a pair's path.

    Raises:
        PipelineError: it is not; `what` says whose it is.
    """
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise PipelineError(
            f"{name!r} cannot be the name of {what}", "expected one folder's name, without / or a dot before"
        )
    return name


def safe_object(name: str, where: Path | str) -> str:
    """An object's name that can be a field of a pair's path.

    Raises:
        PipelineError: it is empty or holds `//`.
    """
    if not name or SEPARATOR in name:
        raise PipelineError(f"{where}: {name!r} cannot be the name of an object", "expected no `//`, and not nothing")
    return name


def add(counter: Counter[str], reason: str, number: int = 1) -> None:
    """Count, leaving out reasons that did not occur."""
    if number:
        counter[reason] += number
