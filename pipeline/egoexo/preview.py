"""egoexo-preview: a sheet per take on which a person sees whether both views show the same objects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.config_egoexo import PreviewKnobs
from pipeline.egoexo.processed import ProcessedTake, frames_on_disk, read_take, take_files
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.egoexo.moments import choose_moments, most_seen
from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import check_rle, decode_rle
from pipeline.ops.pictures.drawing import Image, jpeg
from pipeline.ops.pictures.outlines import Outline, Pen, pen_of
from pipeline.ops.pictures.take_sheet import View, take_sheet
from pipeline.paths import Paths
from pipeline.schema.egoexo_pairs import Visibility

MOST_EGO, MOST_EXO = 2, 3
"""Cameras beside each other; a sheet with more cannot be judged."""
UNSEEN: dict[Visibility, str] = {"absent": "absent", "unannotated": "not annotated"}


def inputs(paths: Paths, unit: str, knobs: PreviewKnobs) -> dict[str, Path]:
    """Masks and facts of the take; whoever makes its pictures anew makes these anew."""
    dataset, _, take_uid = unit.partition("/")
    annotation, facts = take_files(paths, dataset, take_uid)
    return {"annotation": annotation, "facts": facts}


def products(paths: Paths, unit: str, knobs: PreviewKnobs) -> dict[str, Path]:
    """The sheet."""
    dataset, _, take_uid = unit.partition("/")
    return {"sheet": paths.take_preview(dataset, take_uid)}


def run(job: Job) -> Counts:
    """Draw the take's sheet.

    Raises:
        PipelineError: a file of the take is of no use, or it has no picture at all.
    """
    knobs: PreviewKnobs = job.knobs
    dataset, _, take_uid = job.unit.partition("/")
    take = read_take(job.paths, dataset, take_uid)
    ego, exo = take.ego_cameras, take.exo_cameras
    pictures = {camera: set(frames_on_disk(take.folder / camera)) for camera in (*ego, *exo)}
    moments = choose_moments(take.tracks, ego, exo, pictures, knobs.rows)
    if not moments:
        raise PipelineError(f"take {take_uid} has no picture on the disk", "REDO=egoexo-process makes it again")
    cameras = [*most_seen(take.tracks, ego, MOST_EGO), *most_seen(take.tracks, exo, MOST_EXO)]
    pens = {name: pen_of(number) for number, name in enumerate(take.tracks)}
    rows = [[_view(take, camera, frame, pens, pictures[camera]) for camera in cameras] for frame in moments]
    left_out = [camera for camera in (*ego, *exo) if camera not in cameras]
    sheet = take_sheet(_head(take, left_out), list(pens.items()), rows)
    job.products["sheet"].write_bytes(jpeg(sheet))
    shown = sum(len(view.outlines) for views in rows for view in views)
    job.report(f"{take.facts.take_name}: look at {job.paths.take_preview(dataset, take_uid)}")
    made: dict[str, int | float | str] = {"moments": len(moments), "views": len(cameras), "masks": shown}
    return Counts(made=made, dropped={"cameras_not_shown": len(left_out)} if left_out else {})


def _head(take: ProcessedTake, left_out: list[str]) -> list[str]:
    lines = [f"{take.facts.take_name}   {take.annotation.scenario}   {take.facts.take_uid}"]
    if left_out:
        lines.append(f"not shown: {', '.join(left_out)}")
    return lines


def _view(take: ProcessedTake, camera: str, frame: int, pens: dict[str, Pen], on_disk: set[int]) -> View:
    facts = take.facts.cameras.get(camera)
    kind = "ego" if camera in take.ego_cameras else "exo"
    title = f"frame {frame}   {camera} ({kind})"
    image = _read(take.folder / camera / f"{frame}.jpg") if frame in on_disk else None
    if image is None:
        reason = facts.missing.get(str(frame), "not on the disk") if facts else "the camera is not in take.json"
        title += f"   no picture: {'it does not open' if frame in on_disk else reason}"
    size_wh = facts.frame_size_wh if facts else (1, 1)
    outlines, unseen = [], []
    for name, pen in pens.items():
        track = take.tracks[name].get(camera)
        state = track.state(frame) if track else "unannotated"
        if state == "present":
            outlines.append(_outline(take, name, camera, frame, pen))
        else:
            unseen.append((name, pen, UNSEEN[state]))
    return View(title, image, size_wh, outlines, unseen)


def _outline(take: ProcessedTake, name: str, camera: str, frame: int, pen: Pen) -> Outline:
    rle = take.annotation.masks[name][camera][str(frame)]
    try:
        check_rle(rle.counts, rle.size)
    except MaskError as error:
        raise PipelineError(
            f"the mask of {name!r} in {camera} at frame {frame} of {take.facts.take_uid} does not decode: {error}",
            "egoexo-check finds all of these; REDO=egoexo-process makes the take again",
        ) from None
    return Outline(name, pen, decode_rle(rle.counts, rle.size))


def _read(file: Path) -> Image | None:
    """A picture in RGB; None when it does not open."""
    bgr = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    return None if bgr is None else np.ascontiguousarray(bgr[..., ::-1])
