"""Made-up fisheye footage in the data sets' own layout, with its truth: for the demo and for tests."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.ops.camera.fisheye import Camera
from pipeline.ops.pictures.scene import OBJECTS, Event, Scene, make_events
from pipeline.schema.base import write_model, write_whole
from pipeline.schema.egocentric import EGOCENTRIC_10K, EGOCENTRIC_100K, ClipInfo, Layout
from pipeline.schema.intrinsics import Intrinsics

FPS = 30
QUALITY = 24
"""x265's rate factor: about the data set's own bit rate at 456×256."""

CALIBRATION_100K = Intrinsics(
    model="fisheye", image_width=456, image_height=256, fx=137.98, fy=138.23, cx=232.17, cy=125.37,
    k1=0.3948, k2=0.1798, k3=-0.2753, k4=0.0793,
)  # fmt: skip
CALIBRATION_10K = Intrinsics(
    model="fisheye", image_width=1920, image_height=1080, fx=1030.59, fy=1032.82, cx=966.69, cy=539.69,
    k1=-0.1166, k2=-0.0236, k3=0.0694, k4=-0.0463,
)  # fmt: skip
CALIBRATIONS = {EGOCENTRIC_100K.repo: CALIBRATION_100K, EGOCENTRIC_10K.repo: CALIBRATION_10K}


@dataclass(frozen=True)
class ClipSpec:
    """One clip to make.

    Attributes:
        clip: its name in the layout.
        duration_s: seconds, rounded to whole frames.
        keyframe_interval: frames from one keyframe to the next.
        seed: decides what happens in it.
        b_frames: pictures between two references.
        open_gop: whether pictures before a keyframe may refer across it.
    """

    clip: str
    duration_s: float = 20.0
    keyframe_interval: int = 250
    seed: int = 0
    b_frames: int = 3
    open_gop: bool = True

    @property
    def frames(self) -> int:
        """Number of frames, at least one."""
        return max(1, round(self.duration_s * FPS))


@dataclass(frozen=True)
class Shard:
    """What `make_shard` wrote."""

    archive: Path
    intrinsics: Path
    truths: dict[str, Path]
    """Clip → JSON with the events and boxes."""


def make_shard(folder: Path, clips: Sequence[ClipSpec], layout: Layout = EGOCENTRIC_100K) -> Shard:
    """Write one worker's archive and calibration below `folder` as in the data set's repository, and truth/ beside.

    The same specs give the same bytes with the same library versions.

    Raises:
        PipelineError: no clips, clips of several workers, or names that do not fit the layout.
    """
    workers = {layout.worker_dir(spec.clip) for spec in clips if layout.clip_pattern.fullmatch(spec.clip)}
    if len(workers) != 1 or not all(layout.clip_pattern.fullmatch(spec.clip) for spec in clips):
        names = ", ".join(spec.clip for spec in clips) or "none"
        raise PipelineError(
            f"clips to make: {names}; expected names of one worker of {layout.repo}",
            f"name them like {layout.default_clips[0]}",
        )
    worker_folder = folder / workers.pop()
    worker_folder.mkdir(parents=True, exist_ok=True)
    intrinsics = worker_folder / "intrinsics.json"
    write_model(intrinsics, CALIBRATIONS[layout.repo])
    archive_bytes = io.BytesIO()
    truths: dict[str, Path] = {}
    with tarfile.open(fileobj=archive_bytes, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for spec in clips:
            video = encode_clip(spec, layout)
            _add_member(archive, f"{spec.clip}.mp4", video)
            _add_member(archive, f"{spec.clip}.json", _clip_json(spec, layout, len(video)))
            truths[spec.clip] = folder / "truth" / f"{spec.clip}_events.json"
            write_whole(truths[spec.clip], json.dumps(_truth(spec, layout), indent=1) + "\n")
    path = worker_folder / _archive_name(clips[0].clip, layout)
    write_whole(path, archive_bytes.getvalue())
    return Shard(path, intrinsics, truths)


@lru_cache(maxsize=4)
def scene_of(spec: ClipSpec, layout: Layout = EGOCENTRIC_100K) -> Scene:
    """The scene of a clip, whose every frame can be drawn again."""
    camera = Camera.from_intrinsics(CALIBRATIONS[layout.repo])
    return Scene(camera, make_events(spec.frames / FPS, spec.seed, FPS), spec.seed)


def fisheye_frame(spec: ClipSpec, index: int, layout: Layout = EGOCENTRIC_100K) -> NDArray[np.uint8]:
    """Raw picture `index` before encoding, HWC uint8 RGB."""
    return scene_of(spec, layout).fisheye_frame(index / FPS)


def pinhole_frame(spec: ClipSpec, index: int, layout: Layout = EGOCENTRIC_100K) -> NDArray[np.uint8]:
    """What rectifying picture `index` with the camera's own matrix should give, HWC uint8 RGB."""
    return scene_of(spec, layout).pinhole_frame(index / FPS)


def encode_clip(spec: ClipSpec, layout: Layout = EGOCENTRIC_100K) -> bytes:
    """The clip as H.265 in MP4 at 30 fps with time base 1/15360, on one thread and without dates or build marks."""
    scene = scene_of(spec, layout)
    settings = {
        "keyint": spec.keyframe_interval, "min-keyint": spec.keyframe_interval, "scenecut": 0,
        "bframes": spec.b_frames, "b-adapt": 0, "b-pyramid": 0, "open-gop": int(spec.open_gop), "rc-lookahead": 10,
        "pools": "none", "frame-threads": 1, "wpp": 0, "info": 0, "log-level": "none",
    }  # fmt: skip
    options = {
        "preset": "ultrafast", "crf": str(QUALITY), "x265-params": ":".join(f"{k}={v}" for k, v in settings.items()),
    }  # fmt: skip
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx265", rate=FPS, options=options)
        stream.width, stream.height = scene.camera.size_wh
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for packet in _packets(stream, (scene.fisheye_frame(index / FPS) for index in range(spec.frames))):
            container.mux(packet)
    return buffer.getvalue()


def _packets(stream: Any, images: Iterator[NDArray[np.uint8]]) -> Iterator[Any]:
    for index, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _clip_json(spec: ClipSpec, layout: Layout, size_bytes: int) -> bytes:
    match, calibration = layout.clip_pattern.fullmatch(spec.clip), CALIBRATIONS[layout.repo]
    assert match
    info = ClipInfo(
        factory_id=f"factory_{match['factory']}",
        worker_id=f"worker_{match['worker']}",
        video_index=int(match["index"]),
        duration_sec=spec.frames / FPS,
        width=calibration.image_width,
        height=calibration.image_height,
        fps=float(FPS),
        size_bytes=size_bytes,
        codec="h265",
    )
    return info.model_dump_json(indent=2).encode() + b"\n"


def _archive_name(clip: str, layout: Layout) -> str:
    match = layout.clip_pattern.fullmatch(clip)
    assert match
    name = (
        "part000.tar" if layout == EGOCENTRIC_100K else f"factory{match['factory']}_worker{match['worker']}_part00.tar"
    )
    assert layout.archive_pattern.fullmatch(f"{layout.worker_dir(clip)}/{name}"), name
    return name


def _add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _truth(spec: ClipSpec, layout: Layout) -> dict[str, Any]:
    """Events, each with its object's box in its middle frame: rectified pixels with the camera's own matrix."""
    scene = scene_of(spec, layout)
    return {
        "clip": spec.clip,
        "n_frames": spec.frames,
        "fps_nominal": float(FPS),
        "keyint": spec.keyframe_interval,
        "segments": [_truth_segment(scene, event) for event in scene.events],
    }


def _truth_segment(scene: Scene, event: Event) -> dict[str, Any]:
    first, last = round(event.start_s * FPS), round(event.end_s * FPS)
    middle = (first + last) // 2
    box = scene.object_boxes(middle / FPS)[event.carried]
    carried = OBJECTS[event.carried]
    objects = [
        {"object_name": carried.name, "rigid": carried.rigid, "rectified_px": [round(value, 2) for value in box]}
    ]
    return {
        "t_start_s": first / FPS,
        "t_end_s": last / FPS,
        "start_frame": first,
        "end_frame": last,
        "middle_frame": middle,
        "active": event.active,
        "description": event.description,
        "objects": objects if event.active else [],
    }
