"""Pictures of a processed take, linked to their new place under the name of their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pipeline.egoexo.layouts.pictures import (
    PICTURE_SUFFIXES,
    PictureFacts,
    number_of,
    put_picture,
    read_facts,
    visible_files,
    visible_folders,
)
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class CameraPictures:
    """Frames of one camera that came over, ascending, and their width and height in pixels."""

    numbers: list[int]
    size_wh: tuple[int, int]


def link_frames(
    source: Path, cameras: Sequence[str], folder: Path, stop: Event, dropped: Counter[str]
) -> dict[str, CameraPictures]:
    """Put the pictures of these cameras below `folder`; what is left behind is counted in `dropped`.

    Raises:
        PipelineError: the run is being stopped.
    """
    for stranger in visible_folders(source):
        if stranger.name not in cameras:
            number = len(visible_files(stranger))
            dropped.update({"pictures_of_cameras_without_masks": number} if number else {})
    return {camera: _link_camera(source / camera, folder / camera, stop, dropped) for camera in cameras}


def _link_camera(source: Path, folder: Path, stop: Event, dropped: Counter[str]) -> CameraPictures:
    found: dict[int, tuple[Path, PictureFacts]] = {}
    for file in visible_files(source):
        if stop.is_set():
            raise PipelineError("the import was stopped", "run it again: it goes on from here")
        number = number_of(file.stem)
        if file.suffix.lower() not in PICTURE_SUFFIXES or number is None:
            dropped["files_that_are_no_frames"] += 1
            continue
        try:
            facts = read_facts(file)
        except PipelineError:
            dropped["pictures_that_cannot_be_read"] += 1
            continue
        if number in found:
            dropped["pictures_with_a_number_twice"] += 1
            if file.name != f"{number}.jpg":
                continue
        found[number] = (file, facts)
    sizes_wh = Counter(facts.size_wh for _, facts in found.values())
    size_wh = sizes_wh.most_common(1)[0][0] if sizes_wh else (0, 0)
    folder.mkdir(parents=True, exist_ok=True)
    numbers: list[int] = []
    for number, (file, facts) in sorted(found.items()):
        if facts.size_wh != size_wh:
            dropped["pictures_of_another_size_than_their_camera"] += 1
            continue
        try:
            put_picture(file, facts, folder / f"{number}.jpg")
        except PipelineError:
            dropped["pictures_that_cannot_be_read"] += 1
            continue
        numbers.append(number)
    return CameraPictures(numbers, size_wh)
