"""Who wears a camera: the capture's metadata say so; its name is only the fallback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal

from pipeline.ops.egoexo.tracks import is_ego_name
from pipeline.schema.egoexo_release import Capture, Take

ToldBy = Literal["captures.json", "takes.json", "name"]


def ego_of(camera: str, take: Take, capture: Capture | None) -> tuple[bool, ToldBy]:
    """Whether the camera is worn, and who says so.

    Args:
        camera: as the relations file and the video files name it: `aria01_214-1`, `cam01`.
        capture: of captures.json; the take of takes.json may hold a copy of its own.
    """
    names = list(dict.fromkeys(_names(camera, take)))
    sources: tuple[tuple[ToldBy, Capture | None], ...] = (("captures.json", capture), ("takes.json", take.capture))
    for source, told in sources:
        worn = {entry.cam_id: entry.is_ego for entry in told.cameras} if told else {}
        for name in names:
            if (is_ego := worn.get(name)) is not None:
                return is_ego, source
    return is_ego_name(camera), "name"


def video_of(camera: str, take: Take) -> str:
    """The camera's video below the take's folder, as takes.json has it, else where videos of this name lie."""
    return next((path for _, path in _videos(camera, take)), f"frame_aligned_videos/{camera}.mp4")


def _names(camera: str, take: Take) -> Iterator[str]:
    """What the metadata may call the camera: by its video file, by its own name, and without the stream."""
    yield from (cam_id for cam_id, _ in _videos(camera, take))
    yield camera
    if "_" in camera:
        yield camera.rpartition("_")[0]


def _videos(camera: str, take: Take) -> Iterator[tuple[str, str]]:
    """(name in the metadata, path) of the take's videos called like the camera, where the path stays inside."""
    for cam_id, streams in (take.frame_aligned_videos or {}).items():
        for video in streams.values():
            path = PurePosixPath(video.relative_path or "")
            if path.stem == camera and not path.is_absolute() and ".." not in path.parts:
                yield cam_id, str(path)
