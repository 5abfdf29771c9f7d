"""The annotations of a made-up take, as relations_{split}.json holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.egoexo.synthetic_record import DrawnMask, Footage
from pipeline.egoexo.synthetic_take import FPS, TakeSpec, made_uid
from pipeline.ops.masks.lzstring import compress


def relations_json(take: TakeSpec, footage: Sequence[Footage]) -> dict[str, Any]:
    """One take of relations_{split}.json."""
    of_camera = {shot.camera: shot for shot in footage}
    object_masks: dict[str, Any] = {}
    boxes: list[dict[str, Any]] = []
    for thing, cameras in take.annotated.items():
        name = take.scene.things[thing].name
        object_masks[name] = {
            camera: _track(take, name, of_camera[camera], of_camera[camera].masks[thing], frames)
            for camera, frames in cameras.items()
        }
        ego = of_camera[take.ego_camera]
        seen = [frame for frame in cameras.get(take.ego_camera, ()) if frame in ego.masks[thing]]
        if seen:
            boxes.append(_named_box(name, ego, seen[0], ego.masks[thing][seen[0]]))
    return {
        "scenario": take.scenario,
        "take_name": take.take_name,
        "object_names": {
            "annotation": boxes,
            "annotation_metadata": {"annotation_uid": made_uid(f"{take.take_name} objects")},
            "annotation_fps": FPS,
        },
        "object_masks": object_masks,
    }


def _track(
    take: TakeSpec, name: str, shot: Footage, masks: Mapping[int, DrawnMask], frames: Sequence[int]
) -> dict[str, Any]:
    uid = made_uid(f"{take.take_name} {name} {shot.camera}")
    width, height = shot.size_wh
    number = int(uid[:8], 16)
    return {
        "annotation": {
            str(frame): {
                "width": width,
                "height": height,
                "encodedMask": compress(masks[frame].counts),
                "intSegClicks": _clicks(masks[frame]),
            }
            for frame in frames
            if frame in masks
        },
        "annotation_metadata": {
            "annotation_uid": uid,
            "annotator_id": f"annotator_{number % 10}",
            "response_time": 100 + number % 800,
            "job_id": number % 1_000_000,
            "response_id": number // 7 % 1_000_000,
        },
        "annotation_fps": 1,
        "annotated_frames": list(frames),
    }


def _clicks(mask: DrawnMask) -> dict[str, Any]:
    """Two clicks on the thing, or the two corners of a box around it."""
    x0, y0, x1, y1 = mask.box_xyxy
    corners = [] if mask.clicks_xy else [(x0, y0, 500), (x1 - 1, y1 - 1, 600)]
    return {
        "positive": [
            {"x": x + 0.5, "y": y + 0.5, "timestamp": 1000 * number}
            for number, (x, y) in enumerate(mask.clicks_xy, start=1)
        ],
        "negative": [],
        "upperLeft": [{"x": float(x), "y": float(y), "timestamp": time} for x, y, time in corners[:1]],
        "bottomRight": [{"x": float(x), "y": float(y), "timestamp": time} for x, y, time in corners[1:]],
        "unlabeled": [],
    }


def _named_box(name: str, ego: Footage, frame: int, mask: DrawnMask) -> dict[str, Any]:
    x0, y0, x1, y1 = mask.box_xyxy
    return {
        "x": float(x0),
        "y": float(y0),
        "width": float(x1 - x0),
        "height": float(y1 - y0),
        "rotation": 0,
        "original_width": ego.size_wh[0],
        "original_height": ego.size_wh[1],
        "frameNumber": frame,
        "endInterpolation": False,
        "interpolated": False,
        "track_id": name,
        "milo_type": "bbox",
    }
