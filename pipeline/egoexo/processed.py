"""A processed take as the phases after egoexo-process read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import Tracks, is_ego_name, tracks_of_take
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_relations import OBJECT_MASKS
from pipeline.schema.egoexo_release import SPLITS, Split, SplitFile
from pipeline.schema.egoexo_take import TakeAnnotation, TakeFacts

PROCESS_AGAIN = "make the take again: REDO=egoexo-process, or REDO=egoexo-import for an imported one"


@dataclass(frozen=True)
class ProcessedTake:
    """One take on the disk."""

    folder: Path
    annotation: TakeAnnotation
    facts: TakeFacts
    tracks: Tracks

    @property
    def unknown_cameras(self) -> list[str]:
        """Annotated cameras that take.json does not have, as when a video was never there."""
        annotated = dict.fromkeys(camera for cameras in self.tracks.values() for camera in cameras)
        return [camera for camera in annotated if camera not in self.facts.cameras]

    @property
    def ego_cameras(self) -> list[str]:
        """Cameras that somebody wore; of unknown ones, those that are called so.

        One without pictures is not among them where another has some: it must not stand for an object in the pairs.
        """
        known = [camera for camera, facts in self.facts.cameras.items() if facts.is_ego]
        with_pictures = [camera for camera in known if self.facts.cameras[camera].frames]
        return with_pictures or known + [camera for camera in self.unknown_cameras if self._is_worn(camera)]

    @property
    def exo_cameras(self) -> list[str]:
        """Cameras that stood in the room."""
        known = [camera for camera, facts in self.facts.cameras.items() if not facts.is_ego]
        return known + [camera for camera in self.unknown_cameras if not self._is_worn(camera)]

    def _is_worn(self, camera: str) -> bool:
        """Of a camera without pictures: as the metadata say, else by its name."""
        return self.facts.without_frames.get(camera, is_ego_name(camera))


def read_split(paths: Paths, dataset: str) -> dict[Split, list[str]]:
    """Takes of each split in the order of split.json, each once.

    Raises:
        PipelineError: there is no split.json, or it is no valid one.
    """
    file = paths.split_file(dataset)
    splits = read_model(file, SplitFile, "make it first: egoexo-index or egoexo-import")
    return {split: list(dict.fromkeys(getattr(splits, split))) for split in SPLITS}


def take_files(paths: Paths, dataset: str, take_uid: str) -> tuple[Path, Path]:
    """annotation.json and take.json; the take is processed when both are there."""
    return paths.take_annotation(dataset, take_uid), paths.take_facts(dataset, take_uid)


def is_processed(paths: Paths, dataset: str, take_uid: str) -> bool:
    """Whether egoexo-process or egoexo-import has finished the take."""
    return all(file.is_file() for file in take_files(paths, dataset, take_uid))


def read_take(paths: Paths, dataset: str, take_uid: str) -> ProcessedTake:
    """Masks and facts of one take.

    Raises:
        PipelineError: a file is missing or not of its shape.
    """
    annotation_file, facts_file = take_files(paths, dataset, take_uid)
    annotation = read_model(annotation_file, TakeAnnotation, PROCESS_AGAIN)
    facts = read_model(facts_file, TakeFacts, PROCESS_AGAIN)
    try:
        OBJECT_MASKS.validate_python(annotation.object_masks)
    except ValidationError as error:
        item = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, item["loc"]))
        raise PipelineError(f"{annotation_file}: object_masks: {place}: {item['msg']}", PROCESS_AGAIN) from None
    return ProcessedTake(annotation_file.parent, annotation, facts, tracks_of_take(annotation, facts.left_out_masks))


def frames_on_disk(folder: Path) -> Iterator[int]:
    """Numbers of a camera's pictures, in no order; empty files and other names do not count."""
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        number = frame_number(file.name)
        if number is not None and file.stat().st_size:
            yield number


def frame_number(file_name: str) -> int | None:
    """30 of `30.jpg`; None for what is no picture's name: `030.jpg`, `30.png`."""
    stem, dot, suffix = file_name.partition(".")
    if dot and suffix == "jpg" and stem.isascii() and stem.isdecimal() and str(int(stem)) == stem:
        return int(stem)
    return None
