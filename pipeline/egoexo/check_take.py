"""Looks at one processed take: its two files, its masks and its pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Set
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.egoexo.check_masks import check_masks
from pipeline.egoexo.findings import Findings
from pipeline.egoexo.processed import ProcessedTake, frame_number
from pipeline.ops.egoexo.tracks import annotated_frames, tracks_of_take, wanted_frames
from pipeline.ops.pictures.jpeg_file import PictureError, jpeg_size_wh
from pipeline.schema.base import Model
from pipeline.schema.egoexo_relations import OBJECT_MASKS
from pipeline.schema.egoexo_take import TakeAnnotation, TakeCamera, TakeFacts

FILES = ("annotation.json", "take.json")
SIDE_TOLERANCE = 0.02
"""Share of a side: 448-pixel videos round theirs to even numbers."""
SHOWN_ERRORS = 3
PLACE = re.compile(r"(/[^/]+/|[A-Za-z]:[\\/]|~/|file:)")
"""How a path of one machine begins: /home/…, C:\\…, ~/…"""


@dataclass
class CheckedTake:
    """What the pair files are held against."""

    take: ProcessedTake | None = None
    """None when its files are of no use."""
    pictures: dict[str, set[int]] = field(default_factory=dict)
    """Camera → frames on the disk."""
    masks: int = 0


def check_take(
    folder: Path, files: Set[str], findings: Findings, pool: Executor, advance: Callable[[], None]
) -> CheckedTake:
    """Collect everything that is wrong with one take.

    Args:
        folder: output_dir_{name}/{take_uid}.
        files: all files in it, relative to it.
        findings: where to put what is wrong.
        pool: opens the pictures.
        advance: called once a picture.
    """
    checked = CheckedTake(pictures=_pictures(files))
    facts = _read_facts(folder, files, findings)
    opening = list(_open_pictures(folder, checked.pictures, facts, pool, advance))
    annotation = _read_annotation(folder, files, findings)
    if annotation is not None:
        raw_masks = annotation.pop("masks")
        masks, checked.masks = check_masks(folder.name, annotation["object_masks"], raw_masks, facts, findings)
        annotation["masks"] = masks
        whole = _validated(TakeAnnotation, annotation, f"{folder.name}/annotation.json", "annotation_invalid", findings)
        if whole is not None and facts is not None:
            tracks = tracks_of_take(whole, facts.left_out_masks)
            checked.take = ProcessedTake(folder, whole, facts, tracks)
            _check_agreement(checked.take, findings)
            _check_frames(checked.take, checked.pictures, findings)
    _check_orphans(folder, files, facts, findings)
    for where, future in opening:
        for kind, detail in future.result():
            findings.add(kind, where, detail)
    return checked


def _pictures(files: Set[str]) -> dict[str, set[int]]:
    pictures: dict[str, set[int]] = {}
    for file in files:
        camera, slash, name = file.rpartition("/")
        number = frame_number(name)
        if slash and number is not None:
            pictures.setdefault(camera, set()).add(number)
    return pictures


def _read_annotation(folder: Path, files: Set[str], findings: Findings) -> dict[str, Any] | None:
    """annotation.json with `object_masks` of the release's shape, its masks not yet looked at; None if of no use."""
    where = f"{folder.name}/annotation.json"
    if "annotation.json" not in files:
        findings.add("annotation_missing", where)
        return None
    try:
        content = json.loads((folder / "annotation.json").read_bytes())
    except ValueError as error:
        findings.add("annotation_invalid", where, str(error))
        return None
    if not isinstance(content, dict):
        findings.add("annotation_invalid", where, f"it holds a {type(content).__name__}")
        return None
    wanted = set(TakeAnnotation.model_fields)
    if lacking := sorted(wanted - content.keys()):
        findings.add("annotation_keys", where, f"lacks {', '.join(lacking)}")
        return None
    if unknown := sorted(content.keys() - wanted):
        findings.add("annotation_keys", where, f"also has {', '.join(unknown)}")
    try:
        OBJECT_MASKS.validate_python(content["object_masks"])
    except ValidationError as error:
        findings.add("annotation_invalid", where, f"object_masks: {_first_errors(error)}")
        return None
    return {key: content[key] for key in wanted}


def _read_facts(folder: Path, files: Set[str], findings: Findings) -> TakeFacts | None:
    where = f"{folder.name}/take.json"
    if "take.json" not in files:
        findings.add("facts_missing", where)
        return None
    try:
        content = json.loads((folder / "take.json").read_bytes())
    except ValueError as error:
        findings.add("facts_invalid", where, str(error))
        return None
    return _validated(TakeFacts, content, where, "facts_invalid", findings)


def _validated(shape: type[Model], content: Any, where: str, kind: str, findings: Findings) -> Model | None:
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        findings.add(kind, where, _first_errors(error))
        return None


def _first_errors(error: ValidationError) -> str:
    items = error.errors(include_url=False, include_input=False)
    shown = [f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in items[:SHOWN_ERRORS]]
    return "; ".join(shown) + (f"; and {len(items) - SHOWN_ERRORS} more" if len(items) > SHOWN_ERRORS else "")


def _check_agreement(take: ProcessedTake, findings: Findings) -> None:
    """The two files and the folder speak of the same take, its cameras and its sizes."""
    uid, facts, annotation = take.folder.name, take.facts, take.annotation
    names = {facts.take_name, annotation.take_name}
    if facts.take_uid != uid or len(names) > 1:
        findings.add("facts_disagree", f"{uid}/take.json", f"take_uid {facts.take_uid}, names {sorted(names)}")
    annotated = annotated_frames(annotation.object_masks)
    if annotation.subsample_idx != annotated:
        odd = sorted(set(annotated) ^ set(annotation.subsample_idx))
        findings.add("subsample_idx_wrong", f"{uid}/annotation.json", f"frames {odd[:5]}" if odd else "not ascending")
    for camera in take.unknown_cameras:
        findings.add("camera_missing", f"{uid}/take.json", camera)
    for camera, of in facts.cameras.items():
        if not of.frames:
            findings.add("camera_without_frames", f"{uid}/{camera}", next(iter(of.missing.values()), ""))
        expected = [side * of.scale for side in of.native_size_wh]
        far = [
            abs(side - want) > 1 + SIDE_TOLERANCE * want for side, want in zip(of.frame_size_wh, expected, strict=True)
        ]
        if any(far):
            detail = f"{of.native_size_wh} × {of.scale:.4f} is not {of.frame_size_wh}"
            findings.add("scale_wrong", f"{uid}/take.json", f"{camera}: {detail}")
    for text in _texts(facts):
        if is_absolute(text):
            findings.add("absolute_path", f"{uid}/take.json", text)


def _texts(facts: TakeFacts) -> Iterator[str]:
    yield from facts.warnings
    for camera in facts.cameras.values():
        yield camera.video
        yield from dict.fromkeys(camera.missing.values())


def is_absolute(text: str) -> bool:
    """Whether a path, or a word in a sentence, names a place of one machine."""
    return any(PLACE.match(word.strip("'\"(),;:")) for word in text.split())


def _check_frames(take: ProcessedTake, pictures: dict[str, set[int]], findings: Findings) -> None:
    """Every frame that take.json lists, or that annotations and pairs need, is on the disk."""
    wanted = wanted_frames(take.tracks, take.ego_cameras, take.exo_cameras)
    for camera, of in take.facts.cameras.items():
        listed = set(of.frames)
        for frame in sorted((listed | set(wanted.get(camera, ()))) - pictures.get(camera, set())):
            where, reason = f"{take.folder.name}/{camera}/{frame}.jpg", of.missing.get(str(frame))
            if reason is None or frame in listed:
                findings.add(
                    "frame_missing", where, "listed in take.json" if frame in listed else "an annotation needs it"
                )
            else:
                findings.add("frame_known_missing", where, reason)


def _check_orphans(folder: Path, files: Set[str], facts: TakeFacts | None, findings: Findings) -> None:
    expected = set(FILES)
    if facts is not None:
        expected |= {f"{camera}/{frame}.jpg" for camera, of in facts.cameras.items() for frame in of.frames}
    else:  # nobody says which pictures belong to the take
        expected |= {file for file in files if "/" in file}
    for file in sorted(files - expected):
        findings.add("orphan_file", f"{folder.name}/{file}")


def _open_pictures(
    folder: Path, pictures: dict[str, set[int]], facts: TakeFacts | None, pool: Executor, advance: Callable[[], None]
) -> Iterator[tuple[str, Future[list[tuple[str, str]]]]]:
    """Where each picture lies, and what is wrong with it."""

    def look(file: Path, of: TakeCamera | None) -> list[tuple[str, str]]:
        try:
            size_wh = jpeg_size_wh(file.read_bytes())
        except (PictureError, OSError) as error:
            return [("picture_damaged", str(error))]
        finally:
            advance()
        if of is not None and size_wh != of.frame_size_wh:
            return [("picture_size", f"{size_wh}, but take.json says {of.frame_size_wh}")]
        return []

    for camera in sorted(pictures):
        of = facts.cameras.get(camera) if facts else None
        for frame in sorted(pictures[camera]):
            yield f"{folder.name}/{camera}/{frame}.jpg", pool.submit(look, folder / camera / f"{frame}.jpg", of)
