"""Rectification: one interpolation in place of two, sampled frames in place of all, fixed-point maps, built once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.table import Row, print_table
from pipeline.factory.synthetic import FPS, ClipSpec, encode_clip, fisheye_frame, scene_of
from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.video.frames import iter_frames

SPEC = ClipSpec("factory_001_worker_001_0000", 20.0)
MODEL_SIZE_WH = (448, 252)
ROUNDS = 5


def best_ms(first: Callable[[], object], second: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Milliseconds of one call each, the best of several rounds taken in turns."""
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for number, call in enumerate((first, second)):
            started = time.perf_counter()
            for _ in range(repeats):
                call()
            best[number] = min(best[number], (time.perf_counter() - started) / repeats * 1e3)
    return best[0], best[1]


def _row(claim: str, plain_ms: float, own_ms: float, required: float | None = None) -> Row:
    return Row(claim, f"{plain_ms:.2f} ms", f"{own_ms:.2f} ms", plain_ms / own_ms, required)


def run() -> list[Row]:
    """The rows of this file."""
    camera, raw = scene_of(SPEC).camera, fisheye_frame(SPEC, 0)
    own_size, direct = Rectifier(camera), Rectifier(camera, size_wh=MODEL_SIZE_WH)
    matrices = (camera.K, camera.D, np.eye(3), camera.K, camera.size_wh)
    float_maps = cv2.fisheye.initUndistortRectifyMap(*matrices, cv2.CV_32FC1)
    rows = [
        _row(
            "straight to 448×252, against full size and then resizing",
            *best_ms(
                lambda: cv2.resize(own_size.rectify(raw), MODEL_SIZE_WH, interpolation=cv2.INTER_AREA),
                lambda: direct.rectify(raw),
                200,
            ),
            required=1.2,
        ),
        _row(
            "fixed-point maps, against float maps",
            *best_ms(lambda: cv2.remap(raw, *float_maps, cv2.INTER_LINEAR), lambda: own_size.rectify(raw), 200),
        ),
        _row(
            "maps built once, against cv2.fisheye.undistortImage on each frame",
            *best_ms(
                lambda: cv2.fisheye.undistortImage(raw, camera.K, camera.D, Knew=camera.K),
                lambda: own_size.rectify(raw),
                20,
            ),
            required=3.0,
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "clip.mp4"
        video.write_bytes(encode_clip(SPEC))

        def every_frame() -> None:
            for number, frame in enumerate(iter_frames(video, fps=FPS)):
                picture = own_size.rectify(frame.image)
                if number % 30 == 0:
                    cv2.resize(picture, MODEL_SIZE_WH, interpolation=cv2.INTER_AREA)

        def only_sampled() -> None:
            for _ in iter_frames(video, fps=1.0, rectifier=direct):
                pass

        claim = "1 fps of a 20 s clip, against rectifying every frame"
        rows.append(_row(claim, *best_ms(every_frame, only_sampled, 1), required=2.0))
    return rows


if __name__ == "__main__":
    print_table(run())
