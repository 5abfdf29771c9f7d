"""Processed folders of the public baseline and of what was made from it: find the takes, read one."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pipeline.egoexo.ego_of import ego_of
from pipeline.egoexo.layouts.assemble import assemble, refuse_one_sided, sounds_worn, with_missing_frames, write_take
from pipeline.egoexo.layouts.pair_names import find_pair_files
from pipeline.egoexo.layouts.processed_frames import link_frames
from pipeline.egoexo.layouts.processed_masks import read_processed_masks
from pipeline.egoexo.layouts.tree import SourceTake, Tree, listed, splits_of_takes
from pipeline.egoexo.release import read_takes
from pipeline.errors import PipelineError
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_foreign import DatasetFile, ImportedTake, ProcessedAnnotation
from pipeline.schema.egoexo_release import SPLITS, Split, SplitFile, Take
from pipeline.schema.egoexo_take import TakeCamera, TakeFacts

MEND = "mend or remove it, or leave the take out of split.json"
NO_ABSENCES = "the source does not say which frames were annotated: without a mask they count as unannotated"


@dataclass(frozen=True)
class _Beside:
    """What files beside the takes say about them."""

    ego: frozenset[str]
    """Cameras that dataset.json calls ego."""
    takes_json: Path | None


def look_baseline(root: Path) -> Tree:
    """`split.json`, `{take}/annotation.json`, `{take}/{camera}/{frame}.jpg`; or the takes in a folder per split.

    Raises:
        PipelineError: not of this form.
    """
    return _look("baseline", root, root, root)


def look_omama(root: Path) -> Tree:
    """`processed/` with the same in it, `dataset_jsons/` with the pair files, perhaps `takes.json`.

    Raises:
        PipelineError: not of this form.
    """
    return _look("omama", root, root / "processed", root / "dataset_jsons")


def _look(layout: str, root: Path, folder: Path, pairs_folder: Path) -> Tree:
    splits, split_file = _splits(folder)
    split_of = splits_of_takes(splits, split_file)
    takes, not_there = [], []
    for take_uid, split in split_of.items():
        places = [place for place in (folder / take_uid, folder / split / take_uid) if place.is_dir()]
        if places:
            takes.append(SourceTake(take_uid, split, places[0]))
        else:
            not_there.append(take_uid)
    inputs = {split_file.name: split_file} if split_file.is_file() else {}
    for take in takes:
        for name in ("annotation.json", "take.json"):
            if (file := take.folder / name).is_file():
                inputs[f"{take.take_uid}/{name}"] = file
    beside = {name: root / name for name in ("dataset.json", "takes.json") if (root / name).is_file()}
    pair_files = find_pair_files(pairs_folder)
    inputs |= beside | {file.name: file for file in pair_files.values()}
    known = set(split_of)
    strangers = [place.name for place in _take_folders(folder) if place.name not in known]
    notes = [f"{split_file} names takes that are not there: {listed(not_there)}"] if not_there else []
    notes += [f"takes in no split of {split_file}, left out: {listed(strangers)}"] if strangers else []
    dropped = {"takes_of_the_split_not_there": len(not_there), "takes_in_no_split": len(strangers)}
    dataset = DatasetFile()
    if "dataset.json" in beside:
        dataset = read_model(beside["dataset.json"], DatasetFile, "docs/custom-data.md shows one")
    about = _Beside(frozenset(dataset.ego), beside.get("takes.json"))
    return Tree(
        layout,
        tuple(takes),
        inputs,
        functools.partial(_import_take, about),
        pair_files,
        {reason: number for reason, number in dropped.items() if number},
        tuple(notes),
    )


def _splits(folder: Path) -> tuple[Mapping[Split, list[str]], Path]:
    """Takes of each split, from split.json or from the folders `train`, `val` and `test`; and where that stands."""
    file = folder / "split.json"
    if file.is_file():
        splits = read_model(file, SplitFile, 'expected {"train": […], "val": […], "test": […]}')
        return {split: getattr(splits, split) for split in SPLITS}, file
    by_folder: dict[Split, list[str]] = {
        split: [file.parent.name for file in sorted((folder / split).glob("*/annotation.json"))] for split in SPLITS
    }
    if not any(by_folder.values()):
        raise PipelineError(
            f"{folder} has no split.json, and no takes in folders train, val and test",
            'put a split.json there: {"train": [take], "val": [], "test": []}',
        )
    return by_folder, folder


def _take_folders(folder: Path) -> list[Path]:
    places = [folder, *(folder / split for split in SPLITS)]
    return sorted(file.parent for place in places for file in place.glob("*/annotation.json"))


def _import_take(beside: _Beside, source: SourceTake, folder: Path, stop: Event) -> ImportedTake:
    """Write one take.

    Raises:
        PipelineError: no readable annotation.json, no ego or no exo camera, no picture at all.
    """
    annotation = read_model(source.folder / "annotation.json", ProcessedAnnotation, MEND)
    facts_file = source.folder / "take.json"
    known = read_model(facts_file, TakeFacts, MEND) if facts_file.is_file() else None
    read = read_processed_masks(annotation, known, source.take_uid)
    cameras = list(dict.fromkeys(camera for of in read.object_masks.values() for camera in of))
    known_cameras = known.cameras if known else {}
    take = _takes(beside.takes_json).get(source.take_uid) if beside.takes_json else None
    is_ego = {
        camera: known_cameras[camera].is_ego if camera in known_cameras else _is_ego(camera, beside.ego, take)
        for camera in cameras
    }
    refuse_one_sided(
        source.take_uid, is_ego, 'name the ego cameras in a dataset.json beside split.json: {"ego": ["gp01"]}'
    )
    dropped = Counter(read.dropped)
    frames = link_frames(source.folder, cameras, folder, stop, dropped)
    if not any(of.numbers for of in frames.values()):
        raise PipelineError(
            f"take {source.take_uid} has no picture: expected {source.folder}/{cameras[0]}/{{frame}}.jpg", MEND
        )
    made_cameras: dict[str, TakeCamera] = {}
    for camera in cameras:
        numbers, frame_size_wh = frames[camera].numbers, frames[camera].size_wh
        before = known_cameras.get(camera)
        native_size_wh = read.native_size_wh.get(camera, before.native_size_wh if before else frame_size_wh)
        frame_size_wh = frame_size_wh if numbers else before.frame_size_wh if before else native_size_wh
        made_cameras[camera] = TakeCamera(
            is_ego=is_ego[camera],
            video=before.video if before else "",
            video_size_wh=before.video_size_wh if before else native_size_wh,
            video_frames=before.video_frames if before else len(numbers),
            native_size_wh=native_size_wh,
            frame_size_wh=frame_size_wh,
            scale=before.scale
            if before and before.frame_size_wh == frame_size_wh
            else max(frame_size_wh) / max(native_size_wh),
            frames=numbers,
            missing=before.missing if before else {},
        )
    scenario, take_name = annotation.scenario, annotation.take_name
    if not take_name and take:
        scenario, take_name = take.task_name or "", take.take_name
    if not take_name and not known:
        take_name = source.take_uid
    whole = assemble(read.masks, read.object_masks, scenario, take_name)
    facts = TakeFacts(
        take_uid=source.take_uid,
        take_name=whole.take_name,
        cameras=made_cameras,
        left_out_masks=read.left_out,
        warnings=known.warnings if known else [] if annotation.object_masks is not None else [NO_ABSENCES],
    )
    facts = with_missing_frames(whole, facts, "the imported tree has no such picture", dropped)
    if annotation.object_masks is None:
        dropped["takes_whose_absences_are_not_known"] += 1
    write_take(folder, whole, facts)
    return ImportedTake(
        made={
            "frames": sum(len(camera.frames) for camera in facts.cameras.values()),
            "masks": sum(len(masks) for of in whole.masks.values() for masks in of.values()),
            "masks_restored": read.restored,
        },
        dropped=dict(dropped),
        incomplete=[
            f"camera {camera} of take {source.take_uid} has masks but no picture"
            for camera, of in facts.cameras.items()
            if not of.frames
        ],
    )


def _is_ego(camera: str, told: frozenset[str], take: Take | None) -> bool:
    """dataset.json before takes.json before the name."""
    if told:
        return camera in told
    if take:
        is_ego, told_by = ego_of(camera, take, None)
        if told_by != "name":
            return is_ego
    return sounds_worn(camera)


def _takes(takes_json: Path) -> dict[str, Take]:
    return _read_takes(takes_json, takes_json.stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _read_takes(takes_json: Path, modified_ns: int) -> dict[str, Take]:
    """Uid → facts; read once while the file stays as it is."""
    try:
        return {take.take_uid: take for take in read_takes(takes_json.parent).takes}
    except PipelineError as error:
        raise PipelineError(error.problem, "mend or remove it: it is only read for names and cameras") from None
