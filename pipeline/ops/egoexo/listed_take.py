"""What one take of a relations file holds, in numbers, and whether it has the shape that later phases rely on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.ops.egoexo.relations_scan import ScannedTake
from pipeline.ops.egoexo.tracks import Track, tracks_of_relations
from pipeline.schema.egoexo_index import ListedTake, RelationsSlice
from pipeline.schema.egoexo_relations import FRAME_KEY, FRAMES

SAFE_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
"""Uids and cameras become names of folders."""


def list_take(scanned: ScannedTake, file: str) -> ListedTake:
    """Count a take's cameras, objects, masks and observations.

    Args:
        file: the relations file, relative to the release.
    """
    content = scanned.content if isinstance(scanned.content, dict) else {}
    problems = list(_problems(scanned.take_uid, scanned.content))
    tracks = {} if problems else tracks_of_relations(content["object_masks"])
    seen: dict[str, list[Track]] = {}
    for cameras in tracks.values():
        for camera, track in cameras.items():
            seen.setdefault(camera, []).append(track)
    return ListedTake(
        take_uid=scanned.take_uid,
        relations=RelationsSlice(
            file=file, offset_bytes=scanned.offset_bytes, size_bytes=scanned.size_bytes, sha256=scanned.sha256
        ),
        take_name=str(content.get("take_name", "")),
        scenario=str(content.get("scenario", "")),
        objects=len(tracks),
        cameras={
            camera: {
                "objects": len(seen[camera]),
                "masks": sum(len(track.present) for track in seen[camera]),
                "observations": sum(len(track.annotated) for track in seen[camera]),
            }
            for camera in sorted(seen)
        },
        problems=problems,
    )


def _problems(take_uid: str, content: Any) -> Iterator[str]:
    if not SAFE_NAME.fullmatch(take_uid):
        yield f"uid {take_uid!r} cannot name a folder"
    if not isinstance(content, dict):
        yield f"expected an object, not {_kind(content)}"
        return
    for key in ("scenario", "take_name"):
        if not isinstance(content.get(key), str):
            yield f"{key} is {_kind(content.get(key))}, expected text"
    objects = content.get("object_masks")
    if not isinstance(objects, dict):
        yield f"object_masks is {_kind(objects)}, expected an object"
        return
    for name, cameras in objects.items():
        if not isinstance(cameras, dict):
            yield f"{name!r} is {_kind(cameras)}, expected cameras"
            continue
        for camera, subtree in cameras.items():
            if not SAFE_NAME.fullmatch(camera):
                yield f"camera {camera!r} of {name!r} cannot name a folder"
            yield from (f"{name!r} in {camera}: {problem}" for problem in _track_problems(subtree))


def _track_problems(subtree: Any) -> Iterator[str]:
    """Whatever `RelationsCamera` refuses, so that no take gets as far as its videos in vain."""
    masks = subtree.get("annotation") if isinstance(subtree, Mapping) else None
    if not isinstance(masks, dict):
        yield "it has no masks under `annotation`"
        return
    if odd := [frame for frame in masks if not FRAME_KEY.fullmatch(frame)]:
        yield f"frame {odd[0]!r} is no number of the release's form"
    frames = subtree.get("annotated_frames")
    if frames is None:
        return
    if not isinstance(frames, list) or any(type(frame) is not int or not 0 <= frame < FRAMES for frame in frames):
        yield "annotated_frames is not a list of frame numbers"


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
