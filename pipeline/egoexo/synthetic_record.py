"""One camera of a made-up take: its videos, and the masks of what it sees."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.egoexo.synthetic_take import FPS, TakeSpec
from pipeline.ops.masks.rle import encode_rle
from pipeline.ops.pictures.table_scene import THINGS, TableScene, film

SHORT_SIDE_PX = 448
"""Of the downscaled videos; smaller ones are halved."""
_LEAST_SHARE = 3e-5
_LEAST_PX = 12
"""Fewer visible pixels than these are no mask, as an annotator would not see the thing."""
_QUALITY = {"libx264": 23, "libx265": 26}
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class DrawnMask:
    """What is visible of a thing: COCO run lengths at the video's size, box (half-open pixels) and clicks inside."""

    counts: str
    box_xyxy: tuple[int, int, int, int]
    clicks_xy: tuple[tuple[int, int], ...]


@dataclass
class Footage:
    """One camera's truth: thing → frame → mask, for every step, annotated or not; no mask where it is not seen."""

    camera: str
    size_wh: tuple[int, int]
    masks: dict[int, dict[int, DrawnMask]] = field(default_factory=dict)


def small_size_wh(size_wh: tuple[int, int]) -> tuple[int, int]:
    """Size of the downscaled video: short side 448, or half of it where that is no smaller; even numbers."""
    short = min(size_wh)
    wanted = SHORT_SIDE_PX if short > SHORT_SIDE_PX else short / 2
    width, height = (max(2, 2 * round(side * wanted / short / 2)) for side in size_wh)
    return width, height


def record(take: TakeSpec, scene: TableScene, exo: int | None, native: Path, small: Path | None) -> Footage:
    """Draw and encode one camera; `exo` counts the cameras around the table, None is the head's."""
    camera = take.ego_camera if exo is None else take.exo[exo][0]
    footage = Footage(camera, take.cameras[camera], {thing: {} for thing in range(THINGS)})
    random = np.random.default_rng([take.seed, 99 if exo is None else exo])
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(_recording(native, footage.size_wh, take))
        small_wh = small_size_wh(footage.size_wh)
        small_recorder = stack.enter_context(_recording(small, small_wh, take)) if small else None
        shares = [frame / take.frames for frame in range(take.frames)]
        for frame, shot in enumerate(film(scene, exo, footage.size_wh, shares)):
            recorder.add(shot.picture)
            if small_recorder:
                small_recorder.add(
                    np.asarray(cv2.resize(shot.picture, small_wh, interpolation=cv2.INTER_AREA), np.uint8)
                )
            if frame in take.steps:
                for thing in range(THINGS):
                    mask = _draw_mask(np.equal(shot.owners, thing + 1), random)
                    if mask:
                        footage.masks[thing][frame] = mask
    return footage


def _draw_mask(seen: NDArray[np.bool_], random: np.random.Generator) -> DrawnMask | None:
    rows, columns = np.nonzero(seen)
    if len(rows) < max(_LEAST_PX, _LEAST_SHARE * seen.size):
        return None
    box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    clicks = tuple((int(columns[place]), int(rows[place])) for place in random.integers(0, len(rows), 2))
    return DrawnMask(encode_rle(seen), box, clicks if random.random() > 0.15 else ())


class _Recorder:
    """Adds pictures to one video."""

    def __init__(self, container: Any, size_wh: tuple[int, int], take: TakeSpec) -> None:
        self._container, self._count = container, 0
        self._stream = container.add_stream(take.codec, rate=FPS, options=_encoder_options(take))
        self._stream.width, self._stream.height = size_wh
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1

    def add(self, picture: Image) -> None:
        """The next picture, HWC uint8 RGB."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self._count, Fraction(1, FPS)
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))


@contextlib.contextmanager
def _recording(path: Path, size_wh: tuple[int, int], take: TakeSpec) -> Iterator[_Recorder]:
    """A video that appears under its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with av.open(str(partial), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
            recorder = _Recorder(container, size_wh, take)
            yield recorder
            recorder.finish()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encoder_options(take: TakeSpec) -> dict[str, str]:
    """Fast, on one thread, without dates or build marks; keyframes exactly where they are asked for."""
    settings: dict[str, int | str] = {
        "keyint": take.keyframe_interval, "min-keyint": take.keyframe_interval, "scenecut": 0, "bframes": 2,
        "b-adapt": 0, "open-gop": 0, "rc-lookahead": 10,
    }  # fmt: skip
    if take.codec == "libx265":
        settings |= {"pools": "none", "frame-threads": 1, "wpp": 0, "info": 0, "log-level": "none"}
    else:
        settings |= {"threads": 1, "log-level": -1}
    joined = ":".join(f"{name}={value}" for name, value in settings.items())
    return {"preset": "ultrafast", "crf": str(_QUALITY[take.codec]), f"{take.codec.removeprefix('lib')}-params": joined}
