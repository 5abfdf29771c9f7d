"""Which frames of a take somebody annotated, and which are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.egoexo.take_masks import TakeMasks
from pipeline.ops.egoexo.tracks import Track, tracks_of_relations, wanted_frames


def frames_to_keep(
    object_masks: Mapping[str, Any], masks: TakeMasks, ego_cameras: Sequence[str], exo_cameras: Sequence[str]
) -> dict[str, list[int]]:
    """Camera → its annotated frames, and those that a pair needs because of its other view, ascending.

    Whichever of several ego cameras stands for an object in the end, the pairs' frames are there: which one it is
    depends on the cameras whose videos open.
    """
    kept: dict[str, set[int]] = {}
    tracks = tracks_of_relations(object_masks)
    for cameras in tracks.values():
        for camera, track in cameras.items():
            kept.setdefault(camera, set()).update(track.annotated)
    whole = {
        name: {
            camera: Track(tuple(map(int, masks.masks[name][camera])), track.absent) for camera, track in cameras.items()
        }
        for name, cameras in tracks.items()
    }
    for ego in ego_cameras:
        for camera, frames in wanted_frames(whole, [ego], exo_cameras).items():
            kept.setdefault(camera, set()).update(frames)
    return {camera: sorted(frames) for camera, frames in kept.items()}
