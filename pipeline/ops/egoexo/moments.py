"""Which moments of a take to show to a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import pairwise

from pipeline.ops.egoexo.tracks import Tracks


def choose_moments(
    tracks: Tracks,
    ego_cameras: Sequence[str],
    exo_cameras: Sequence[str],
    pictures: Mapping[str, Set[int]],
    rows: int,
) -> list[int]:
    """Frames spread over the take, ascending; in each stretch the one where most objects are seen in both views.

    Args:
        pictures: camera → frames on the disk.
        rows: how many frames at most.
    """
    in_ego, in_exo = _frames(pictures, ego_cameras), _frames(pictures, exo_cameras)
    candidates = sorted(in_ego & in_exo) or sorted(in_ego | in_exo)
    stretches = min(rows, len(candidates))
    edges = [len(candidates) * number // stretches for number in range(stretches + 1)] if stretches else []

    def worth(frame: int) -> tuple[int, int]:
        in_both = masks = 0
        for cameras in tracks.values():
            ego = sum(frame in cameras[camera].present for camera in cameras if camera in ego_cameras)
            exo = sum(frame in cameras[camera].present for camera in cameras if camera in exo_cameras)
            in_both += bool(ego and exo)
            masks += ego + exo
        return in_both, masks

    return [max(candidates[start:end], key=worth) for start, end in pairwise(edges)]


def most_seen(tracks: Tracks, cameras: Sequence[str], at_most: int) -> list[str]:
    """The cameras with most masks, in the order given."""
    masks = {camera: sum(len(of[camera].present) for of in tracks.values() if camera in of) for camera in cameras}
    best = sorted(cameras, key=lambda camera: -masks[camera])[:at_most]
    return [camera for camera in cameras if camera in best]


def _frames(pictures: Mapping[str, Set[int]], cameras: Iterable[str]) -> set[int]:
    return {frame for camera in cameras for frame in pictures.get(camera, ())}
