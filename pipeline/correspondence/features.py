"""Dense features of every picture of a take, one file a picture, made once and used by all that follows."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config_correspondence import FeaturesKnobs
from pipeline.correspondence.camera_features import CameraWork, publish, show_all
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.cores import cores
from pipeline.ops.hub.token import load_token
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_take import TakeFacts
from pipeline.schema.features import FeatureSource

if TYPE_CHECKING:  # the libraries of models take seconds to import; to find that all is done must not
    from torch import nn

    from pipeline.models.backbone_files import BackboneFiles
    from pipeline.models.backbones import Backbone

_PROCESS = "make the take first: egoexo-process or egoexo-import"
NAMED = 5
"""Frames that a message names."""


@dataclass(frozen=True)
class Loaded:
    """The lent backbone. Its network stands here so that its memory is given back."""

    network: nn.Module
    backbone: Backbone
    files: BackboneFiles


def inputs(paths: Paths, unit: str, knobs: FeaturesKnobs) -> dict[str, Path]:
    """take.json and every picture that it names and that is there."""
    dataset, _, take_uid = unit.partition("/")
    facts_file = paths.take_facts(dataset, take_uid)
    if not facts_file.is_file():
        return {"facts": facts_file}
    cameras = read_model(facts_file, TakeFacts, _PROCESS).cameras
    pictures = {
        _picture(camera, frame): paths.frame(dataset, take_uid, camera, frame)
        for camera, facts in cameras.items()
        for frame in facts.frames
    }
    return {"facts": facts_file} | {name: file for name, file in pictures.items() if file.is_file()}


def products(paths: Paths, unit: str, knobs: FeaturesKnobs) -> dict[str, Path]:
    """A folder with a folder for each camera."""
    dataset, _, take_uid = unit.partition("/")
    return {"features": paths.take_features(dataset, knobs.backbone, take_uid)}


def load(knobs: FeaturesKnobs, report: Callable[[str], None]) -> AbstractContextManager[Loaded]:
    """Lend the backbone, once for all takes."""
    from pipeline.models.backbone_loading import load_backbone
    from pipeline.models.loading import lend

    def fetch_and_load() -> Loaded:
        backbone, files = load_backbone(
            knobs.backbone,
            knobs.backbone_weights,
            knobs.backbone_revision,
            knobs.backbone_sha256,
            knobs.device,
            knobs.computed_in,
            token=load_token(os.environ),
            report=report,
        )
        return Loaded(backbone.network, backbone, files)

    report(f"loading {knobs.backbone}")
    return lend(knobs.backbone, fetch_and_load)


def run(job: Job) -> Counts:
    """Show the take's pictures to the backbone and publish the maps.

    Raises:
        PipelineError: no picture of the take opens, the disk is too small, or float16 cannot hold the features.
    """
    knobs: FeaturesKnobs = job.knobs
    loaded: Loaded = job.model
    dataset, _, take_uid = job.unit.partition("/")
    facts = read_model(job.paths.take_facts(dataset, take_uid), TakeFacts, _PROCESS)
    source = _source(loaded, knobs)
    cameras = _cameras(job, facts, source)
    _check_room(job, cameras, facts, loaded.backbone)
    total = sum(len(camera.pictures) for camera in cameras)
    job.progress.start(total, f"features of {facts.take_name or take_uid}", "pictures")
    with ThreadPoolExecutor(cores()) as pool:
        for camera in cameras:
            show_all(
                camera,
                loaded.backbone,
                knobs.input_scale,
                knobs.resize,
                knobs.batch_pictures,
                pool,
                job.progress.advance,
            )
    if not any(camera.made for camera in cameras):
        raise PipelineError(f"no picture of take {take_uid} is there and opens", "REDO=egoexo-process makes them again")
    size_bytes = sum(
        publish(camera, source, job.products["features"] / camera.name) for camera in cameras if camera.made
    )
    return _counts(cameras, facts, source, size_bytes)


def _picture(camera: str, frame: int) -> str:
    return f"{camera}/{frame}"


def _source(loaded: Loaded, knobs: FeaturesKnobs) -> FeatureSource:
    backbone, files = loaded.backbone, loaded.files
    return FeatureSource(
        backbone=knobs.backbone,
        weights=files.name,
        revision=files.revision,
        weights_sha256=files.sha256,
        dim=backbone.dim,
        patch=backbone.patch,
        computed_in=backbone.computed_in,
        resize=knobs.resize,
        scale=knobs.input_scale,
    )


def _cameras(job: Job, facts: TakeFacts, source: FeatureSource) -> list[CameraWork]:
    """What is to be shown. Maps that an interrupted run made of another source are removed."""
    home = job.work / hashlib.sha256(source.model_dump_json().encode()).hexdigest()[:16]
    for other in job.work.iterdir():
        if other != home:
            shutil.rmtree(other)
    cameras = []
    for name, of_camera in sorted(facts.cameras.items()):
        digests = {frame: job.inputs.get(_picture(name, frame)) for frame in sorted(of_camera.frames)}
        there = {frame: digest for frame, digest in digests.items() if digest}
        pictures = {frame: Path(digest.path) for frame, digest in there.items()}
        cameras.append(
            CameraWork(name, pictures, {frame: digest.sha256 for frame, digest in there.items()}, home / name)
        )
    return cameras


def _check_room(job: Job, cameras: Sequence[CameraWork], facts: TakeFacts, backbone: Backbone) -> None:
    """Refuse what the disk cannot hold before an hour is spent on it."""
    needed = 0
    for camera in cameras:
        rows, columns = backbone.grid(facts.cameras[camera.name].frame_size_wh, job.knobs.input_scale).hw
        to_make = sum(not camera.waiting(frame).exists() for frame in camera.pictures)
        needed += to_make * rows * columns * backbone.dim * 2
    free = shutil.disk_usage(job.work).free
    if needed > free:
        raise PipelineError(
            f"the features of {job.unit} take {needed / 1e9:.1f} GB, and the disk of {job.work} has "
            f"{free / 1e9:.1f} GB free",
            "free some space, move DATA= to another disk, or take a narrower BACKBONE= (dinov3-s)",
        )


def _counts(cameras: Sequence[CameraWork], facts: TakeFacts, source: FeatureSource, size_bytes: int) -> Counts:
    dropped = {"pictures_not_there": 0, "pictures_that_do_not_open": 0}
    incomplete = []
    for camera in cameras:
        gone = [frame for frame in facts.cameras[camera.name].frames if frame not in camera.pictures]
        for reason, frames in zip(dropped, (gone, camera.damaged), strict=True):
            dropped[reason] += len(frames)
            if frames:
                named = ", ".join(map(str, sorted(frames)[:NAMED])) + (", …" if len(frames) > NAMED else "")
                incomplete.append(f"{len(frames)} {reason.replace('_', ' ')} of {camera.name} ({named})")
    made = sum(len(camera.made) for camera in cameras)
    return Counts(
        made={"pictures": made, "dim": source.dim, "megabytes": size_bytes / 1e6},
        dropped={reason: number for reason, number in dropped.items() if number},
        details={"source": source.model_dump(mode="json")},
        incomplete=incomplete,
    )
