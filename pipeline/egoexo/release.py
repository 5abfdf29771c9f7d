"""The release folder: its metadata files, and one take's annotations out of the 2 GB that hold them all."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.config_egoexo import DatasetKnobs
from pipeline.errors import PipelineError
from pipeline.ops.egoexo.lone_surrogates import readable
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_index import TakeIndex
from pipeline.schema.egoexo_release import CAPTURES, SPLITS, Capture, Split, Take

FETCH = "bash run.sh egoexo-metadata --redo egoexo-metadata fetches it; where RELEASE= is given, mend that folder"
MAKE_INDEX = "REDO=egoexo-index makes it again"
NO_PARENT_TASK = "unknown"
Content = TypeVar("Content")


def release_dir(paths: Paths, knobs: DatasetKnobs) -> Path:
    """The folder that RELEASE= names, which is only read, else the one that the client fills.

    Raises:
        PipelineError: RELEASE= names no folder.
    """
    if not knobs.release:
        return paths.release()
    folder = Path(knobs.release).absolute()
    if not folder.is_dir():
        raise PipelineError(
            f"RELEASE={knobs.release} is no folder", "expected one with takes.json, annotations/ and takes/ in it"
        )
    return folder


def takes_file(release: Path) -> Path:
    """Facts of all takes."""
    return release / "takes.json"


def captures_file(release: Path) -> Path:
    """Facts of all recording sessions: who wears which camera."""
    return release / "captures.json"


def relations_files(release: Path) -> dict[Split, Path]:
    """Split → its file of object masks, for the splits that are there."""
    files = {split: release / "annotations" / f"relations_{split}.json" for split in SPLITS}
    return {split: file for split, file in files.items() if file.is_file()}


@dataclass(frozen=True)
class DamagedEntry:
    """An entry of takes.json without a sound uid or name. Text is empty where it cannot be told."""

    take_uid: str
    take_name: str
    parent_task_name: str
    problem: str
    """What is wrong, and with which entry, counted from 0."""


@dataclass(frozen=True)
class TakesFile:
    """takes.json in file order; a uid may stand in it twice."""

    takes: list[Take]
    damaged: list[DamagedEntry]


def read_takes(release: Path) -> TakesFile:
    """takes.json, entry by entry: one that is damaged does not cost the others.

    Raises:
        PipelineError: missing, unreadable, no JSON list, or not one entry of it is a take.
    """
    file = takes_file(release)
    try:
        entries = json.loads(_content(file))
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{file} is damaged: {error}", FETCH) from None
    if not isinstance(entries, list):
        raise PipelineError(f"{file} is damaged: expected a list of takes, not a {type(entries).__name__}", FETCH)
    takes, damaged = list[Take](), list[DamagedEntry]()
    for number, entry in enumerate(entries):
        try:
            takes.append(Take.model_validate(entry))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, (f"entry {number}", *first["loc"])))
            told = entry if isinstance(entry, dict) else {}
            texts = [told.get(key) for key in ("take_uid", "take_name", "parent_task_name")]
            uid, name, parent_task = (readable(text) if isinstance(text, str) else "" for text in texts)
            damaged.append(DamagedEntry(uid, name, parent_task, f"{place}: {first['msg']}"))
    if damaged and not takes:
        raise PipelineError(f"{file} is damaged: none of its {len(damaged)} entries is a take", FETCH)
    return TakesFile(takes, damaged)


def read_captures(release: Path) -> list[Capture]:
    """captures.json in file order.

    Raises:
        PipelineError: missing, unreadable or damaged.
    """
    return _read(captures_file(release), CAPTURES)


def _read(file: Path, kind: TypeAdapter[Content]) -> Content:
    try:
        return kind.validate_json(_content(file))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise PipelineError(
            f"{file} is damaged ({error.error_count()} faults; first {where}: {first['msg']})", FETCH
        ) from None


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise PipelineError(f"{file} does not exist", FETCH) from None
    except OSError as error:
        raise PipelineError(f"{file} cannot be read: {error.strerror}", FETCH) from None


def read_index(paths: Paths, take_uid: str) -> TakeIndex:
    """What egoexo-index found out about one take.

    Raises:
        PipelineError: it was not made yet, or is damaged.
    """
    return read_model(paths.take_index(take_uid), TakeIndex, MAKE_INDEX)


def load_take(release: Path, index: TakeIndex) -> dict[str, Any]:
    """One take's annotations (scenario, take_name, object_names, object_masks) by reading its slice alone.

    Raises:
        PipelineError: the relations file is gone, or is not the one that was indexed.
    """
    part = index.relations
    place = release / part.file
    try:
        with place.open("rb") as file:
            file.seek(part.offset_bytes)
            content = file.read(part.size_bytes)
    except OSError as error:
        raise PipelineError(f"{place} cannot be read: {error.strerror}", FETCH) from None
    if hashlib.sha256(content).hexdigest() != part.sha256:
        raise PipelineError(
            f"{place} changed since it was indexed: bytes {part.offset_bytes} … {part.offset_bytes + part.size_bytes} "
            f"are not the annotations of {index.take_uid} any more",
            "run egoexo-index again: it notices the change",
        )
    take: dict[str, Any] = json.loads(content)
    return take


def parent_task_folder(parent_task: str | None) -> str:
    """A parent task as it stands in folder names: `Bike Repair` → `bike_repair`."""
    return re.sub(r"[^\w-]+", "_", (parent_task or "").lower()).strip("_") or NO_PARENT_TASK
