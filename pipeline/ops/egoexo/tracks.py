"""Where an object is known to be seen or not: three states, kept apart from the relations file to the pairs.

present      the frame has a mask
absent       the frame was annotated and the object is not in the picture: a known negative
unannotated  nobody looked: never a negative, never evaluated
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.schema.egoexo_pairs import Setting, Visibility
from pipeline.schema.egoexo_take import LeftOutMask, TakeAnnotation

EGO_DEVICE = "aria"


def is_ego_name(camera: str) -> bool:
    """Whether a camera is called like the release's worn ones (`aria01_214-1`), in whatever case."""
    return EGO_DEVICE in camera.lower()


@dataclass(frozen=True)
class Track:
    """One object in one camera. Frames are indices in the frame-aligned video.

    Attributes:
        present: frames with a mask, ascending whatever order the file has them in.
        absent: annotated frames without the object.
    """

    present: tuple[int, ...]
    absent: frozenset[int]

    @property
    def annotated(self) -> frozenset[int]:
        """Frames that somebody looked at."""
        return self.absent | frozenset(self.present)

    def state(self, frame: int) -> Visibility:
        """What is known of the object at this frame."""
        if frame in self.present:
            return "present"
        return "absent" if frame in self.absent else "unannotated"


Tracks = Mapping[str, Mapping[str, Track]]
"""Object → camera → track, in file order."""


def tracks_of_relations(object_masks: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Track]]:
    """Tracks as the release has them, before any mask was looked at.

    A mask whose frame is not in `annotated_frames` counts: somebody drew it.
    """
    return {
        name: {
            camera: _track(subtree, [int(frame) for frame in subtree["annotation"]]) for camera, subtree in of.items()
        }
        for name, of in object_masks.items()
    }


def tracks_of_take(annotation: TakeAnnotation, left_out: Iterable[LeftOutMask]) -> dict[str, dict[str, Track]]:
    """Tracks of a processed take: empty masks count as absent, damaged ones as unannotated."""
    unknown = {(mask.object, mask.camera, mask.frame) for mask in left_out if mask.reason != "empty"}
    tracks: dict[str, dict[str, Track]] = {}
    for name, cameras in annotation.object_masks.items():
        tracks[name] = {}
        for camera, subtree in cameras.items():
            present = [int(frame) for frame in annotation.masks.get(name, {}).get(camera, {})]
            track = _track(subtree, present)
            unsure = {frame for frame in track.absent if (name, camera, frame) in unknown}
            tracks[name][camera] = Track(track.present, track.absent - unsure)
    return tracks


def _track(subtree: Mapping[str, Any], present: Sequence[int]) -> Track:
    looked_at = {int(frame) for frame in subtree.get("annotated_frames") or ()} | {
        int(frame) for frame in subtree["annotation"]
    }
    return Track(tuple(sorted(present)), frozenset(looked_at - set(present)))


def annotated_frames(object_masks: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[int]:
    """All annotated frames of a take, ascending: `subsample_idx`. Those of masks that turn out damaged count."""
    tracks = tracks_of_relations(object_masks)
    return sorted({frame for cameras in tracks.values() for track in cameras.values() for frame in track.annotated})


def choose_ego(cameras: Mapping[str, Track], ego_cameras: Sequence[str], exo_cameras: Sequence[str]) -> str | None:
    """The ego camera that stands for an object: most annotated frames shared with its exo cameras, ties by name."""
    candidates = sorted(camera for camera in cameras if camera in ego_cameras)
    seen = frozenset[int]().union(*(cameras[camera].annotated for camera in cameras if camera in exo_cameras))
    return max(candidates, key=lambda camera: len(cameras[camera].annotated & seen), default=None)


def camera_pairs(
    tracks: Tracks, ego_cameras: Sequence[str], exo_cameras: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """(object, ego camera, exo camera) in file order, for each object that both kinds of camera know."""
    for name, cameras in tracks.items():
        ego = choose_ego(cameras, ego_cameras, exo_cameras)
        if ego is not None:
            yield from ((name, ego, camera) for camera in cameras if camera in exo_cameras)


def wanted_frames(tracks: Tracks, ego_cameras: Sequence[str], exo_cameras: Sequence[str]) -> dict[str, list[int]]:
    """Camera → frames to keep, ascending: its annotated ones, and those a pair needs because of its other view."""
    wanted: dict[str, set[int]] = {}
    for cameras in tracks.values():
        for camera, track in cameras.items():
            if camera in ego_cameras or camera in exo_cameras:
                wanted.setdefault(camera, set()).update(track.annotated)
    for name, ego, exo in camera_pairs(tracks, ego_cameras, exo_cameras):
        wanted[exo].update(tracks[name][ego].present)
        wanted[ego].update(tracks[name][exo].present)
    return {camera: sorted(frames) for camera, frames in wanted.items()}


@dataclass(frozen=True, slots=True)
class Pair:
    """The object masked in the source view, and its state in the target view, at one frame."""

    object: str
    ego_camera: str
    exo_camera: str
    frame: int
    target: Visibility


def pairs_of(
    tracks: Tracks, ego_cameras: Sequence[str], exo_cameras: Sequence[str], setting: Setting
) -> Iterator[Pair]:
    """The rule: for each object and each of its exo cameras one pair a frame with a mask in the source view.

    Source: the public baseline's `create_pairs.py`, whose pair is made whatever the target's state is.
    """
    for name, ego, exo in camera_pairs(tracks, ego_cameras, exo_cameras):
        source, target = (ego, exo) if setting == "egoexo" else (exo, ego)
        for frame in tracks[name][source].present:
            yield Pair(name, ego, exo, frame, tracks[name][target].state(frame))
