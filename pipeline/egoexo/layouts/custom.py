"""One's own data: a folder a take, in it a folder a camera with photos or a video, and `masks/`.

docs/custom-data.md explains it.
"""

from __future__ import annotations

import difflib
import functools
from collections import Counter
from pathlib import Path
from threading import Event

from pipeline.egoexo.layouts.assemble import (
    assemble,
    original_of,
    refuse_one_sided,
    sounds_worn,
    with_missing_frames,
    write_take,
)
from pipeline.egoexo.layouts.coco_labels import read_coco
from pipeline.egoexo.layouts.custom_cameras import CustomCamera, put_frames, read_cameras
from pipeline.egoexo.layouts.custom_labels import CameraLabels, check_names, read_mask_pictures, three_states
from pipeline.egoexo.layouts.pictures import visible_files, visible_folders
from pipeline.egoexo.layouts.tree import Problems, SourceTake, Tree, listed, splits_of_takes
from pipeline.egoexo.take_masks import Masks
from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import tracks_of_take, wanted_frames
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_foreign import DatasetFile, ImportedTake
from pipeline.schema.egoexo_release import SPLITS, Split
from pipeline.schema.egoexo_take import TakeFacts

DATASET_FILE, MASKS = "dataset.json", "masks"
READ_MORE = "docs/custom-data.md shows a whole example"


def look_custom(root: Path) -> Tree:
    """Find the takes: folders with `masks` in them.

    Raises:
        PipelineError: no take, a damaged dataset.json, or one that names what is not there.
    """
    file = root / DATASET_FILE
    dataset = read_model(file, DatasetFile, READ_MORE) if file.is_file() else DatasetFile()
    folders = visible_folders(root)
    takes = {folder.name: folder for folder in folders if (folder / MASKS).is_dir()}
    if not takes:
        raise PipelineError(f"no folder of {root} is a take: none has a folder {MASKS} in it", READ_MORE)
    every: dict[Split, list[str]] = (
        {split: getattr(dataset.split, split) for split in SPLITS} if dataset.split else {"train": list(takes)}
    )
    split_of = splits_of_takes(every, file)
    for take_uid in (*split_of, *dataset.takes):
        if take_uid not in takes:
            raise PipelineError(
                f"{file} names take {take_uid}, which is no folder with {MASKS} in it; {_nearest(take_uid, takes)}",
                "write the folder's name as it is",
            )
    known = {camera.name for folder in takes.values() for camera in visible_folders(folder)} - {MASKS}
    for camera in dataset.ego:
        if camera not in known:
            raise PipelineError(
                f"{file} names ego camera {camera}, which no take has; {_nearest(camera, known)}",
                "write the camera folder's name as it is",
            )
    without_masks = [folder.name for folder in folders if folder.name not in takes]
    strangers = [take_uid for take_uid in takes if take_uid not in split_of]
    notes = [f"folders without {MASKS}, which are no takes: {listed(without_masks)}"] if without_masks else []
    notes += [f"takes in no split of {file}, left out: {listed(strangers)}"] if strangers else []
    dropped = {"folders_without_masks": len(without_masks), "takes_in_no_split": len(strangers)}
    inputs = {DATASET_FILE: file} if file.is_file() else {}
    for take_uid in split_of:
        files = sorted(path for path in takes[take_uid].rglob("*") if path.is_file())
        inputs |= {str(path.relative_to(root)): path for path in files}
    return Tree(
        "custom",
        tuple(SourceTake(take_uid, split, takes[take_uid]) for take_uid, split in split_of.items()),
        inputs,
        functools.partial(_import_take, dataset),
        dropped={reason: number for reason, number in dropped.items() if number},
        notes=tuple(notes),
    )


def _import_take(dataset: DatasetFile, source: SourceTake, folder: Path, stop: Event) -> ImportedTake:
    """Write one take.

    Raises:
        PipelineError: anything wrong with it, all at once as far as it can be seen.
    """
    problems, dropped = Problems(source.take_uid), Counter[str]()
    cameras = read_cameras(source.folder, MASKS, problems, dropped)
    labels = {
        camera: found
        for camera in sorted(_labelled(source.folder / MASKS), key=lambda name: (not _is_ego(dataset, name), name))
        if (found := _read_labels(source.folder / MASKS, camera, cameras, dataset, problems)) is not None
    }
    check_names(labels, dataset, problems)
    problems.raise_if_any()
    for camera in sorted(cameras.keys() - labels.keys()):
        dropped["cameras_without_masks"] += 1
        del cameras[camera]
    is_ego = {camera: _is_ego(dataset, camera) for camera in labels}
    refuse_one_sided(
        source.take_uid,
        is_ego,
        f'name the worn cameras in {DATASET_FILE}: {{"ego": ["phone"]}}; or let their folders\' names begin with ego'
        if True not in is_ego.values()
        else "a take needs a camera that nobody wears too, with masks of the same objects",
    )
    masks, looked_at = three_states(labels, dataset)
    object_masks = {
        name: {camera: original_of(masks[name][camera], frames) for camera, frames in of.items()}
        for name, of in looked_at.items()
    }
    names = dataset.takes.get(source.take_uid)
    scenario = names.scenario if names and names.scenario else dataset.scenario
    take_name = names.take_name if names and names.take_name else source.take_uid
    annotation = assemble(masks, object_masks, scenario, take_name)
    ego, exo = ([camera for camera, worn in is_ego.items() if worn == kind] for kind in (True, False))
    wanted = wanted_frames(tracks_of_take(annotation, ()), ego, exo)
    made = {
        camera: put_frames(cameras[camera], is_ego[camera], wanted.get(camera, []), folder / camera, stop)
        for camera in labels
    }
    facts = TakeFacts(
        take_uid=source.take_uid, take_name=take_name, cameras=made, left_out_masks=[], warnings=_rates(cameras)
    )
    facts = with_missing_frames(annotation, facts, "there is no such picture", dropped)
    dropped.update(_one_sided_objects(masks, is_ego))
    write_take(folder, annotation, facts)
    return ImportedTake(
        made={
            "frames": sum(len(camera.frames) for camera in facts.cameras.values()),
            "masks": sum(len(frames) for of in masks.values() for frames in of.values()),
        },
        dropped=dict(dropped),
        incomplete=[
            f"{len(camera.missing)} frames of {source.take_uid}/{name} cannot be decoded, first {first}: {reason}"
            for name, camera in made.items()
            for first, reason in list(camera.missing.items())[:1]
        ],
    )


def _is_ego(dataset: DatasetFile, camera: str) -> bool:
    return camera in dataset.ego if dataset.ego else sounds_worn(camera)


def _labelled(folder: Path) -> set[str]:
    """Cameras that `masks/` speaks of."""
    files = {file.stem for file in visible_files(folder) if file.suffix.lower() == ".json"}
    return files | {place.name for place in visible_folders(folder)}


def _read_labels(
    folder: Path, camera: str, cameras: dict[str, CustomCamera], dataset: DatasetFile, problems: Problems
) -> CameraLabels | None:
    """What `masks/{camera}.json` or `masks/{camera}/` says; None when something is wrong with it."""
    coco, pictures = folder / f"{camera}.json", folder / camera
    if camera not in cameras:
        shown = (coco if coco.is_file() else pictures).name
        problems.add(
            f"{MASKS}/{shown} belongs to no camera; {_nearest(camera, cameras)}",
            "call it like the folder of the camera's pictures",
        )
        return None
    if coco.is_file() and pictures.is_dir():
        problems.add(f"{camera} has both {MASKS}/{camera}.json and {MASKS}/{camera}/", "keep one of them")
        return None
    if coco.is_file():
        return read_coco(coco, cameras[camera], problems)
    return read_mask_pictures(pictures, cameras[camera], dataset, problems)


def _nearest(name: str, known: dict[str, object] | set[str] | dict[str, CustomCamera] | dict[str, Path]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there are {listed(sorted(known)) or 'none'}"


def _one_sided_objects(masks: Masks, is_ego: dict[str, bool]) -> dict[str, int]:
    """Objects that are labelled in one kind of view only: no pair shows them."""
    number = sum(len({is_ego[camera] for camera, frames in of.items() if frames}) < 2 for of in masks.values())
    return {"objects_without_masks_in_both_views": number} if number else {}


def _rates(cameras: dict[str, CustomCamera]) -> list[str]:
    """A warning where frame k of one video is another moment than frame k of the other."""
    rates = {name: round(camera.rate_fps, 2) for name, camera in sorted(cameras.items()) if camera.rate_fps}
    if len(set(rates.values())) < 2:
        return []
    return ["the videos' frame rates differ, so equal numbers are other moments: " + ", ".join(
        f"{name} {rate:g}" for name, rate in rates.items()
    )]  # fmt: skip
