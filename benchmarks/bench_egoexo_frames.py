"""Every 30th frame of a 4K video, kept at a quarter of its size, against the public recipe for this data set.

That recipe is decord: `get_batch` of all wanted frames at full size, then a resize. Each way runs in a process of its
own, the ways taking turns, with as many threads as each likes. The videos are made once, below .cache/.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from benchmarks.bench_decode import best_of, repeat, textured
from benchmarks.table import Row
from pipeline.egoexo.frames import extract_camera
from pipeline.ops.video.frames import iter_frames
from pipeline.provenance import peak_memory_bytes

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
WIDTH, HEIGHT, FPS = 3840, 2160, 30
SMALL_WH = (WIDTH // 4, HEIGHT // 4)
FRAMES = 60 * FPS
WANTED = range(0, FRAMES, 30)
MADE_FRAMES = {250: 600, 30: 300}
"""Keyframe interval → frames that are encoded; the rest are the same packets again."""
ROUNDS = 2
REQUIRED_TIME = {250: 1.0, 30: 0.5}
REQUIRED_MEMORY = 1 / 5
REQUIRED_SIDE_BY_SIDE = 1.6
SAME_PICTURE = 4.0
"""Mean difference in grey levels up to which two ways gave the same frame: the next frame differs by twice as much."""


def run() -> list[Row]:
    """All rows of this benchmark."""
    videos = {keyint: _cached_video(keyint) for keyint in REQUIRED_TIME}
    return [*(row for keyint, video in videos.items() for row in _against_decord(keyint, video)), _cameras(videos[250])]


@dataclass(frozen=True)
class Cost:
    """What one way took, beside a process that has only imported its libraries.

    Attributes:
        seconds: on the wall.
        cpu_s: of all its threads: hardly depends on what else the machine is doing.
    """

    seconds: float
    cpu_s: float
    peak_mib: float


def _against_decord(keyint: int, video: Path) -> Iterator[Row]:
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for way in WAYS:
                costs[way].append(_in_own_process(way, video, Path(folder) / f"{way}.npy"))
        plain, ours, one_thread = (np.load(Path(folder) / f"{way}.npy") for way in WAYS)
    assert np.array_equal(ours, one_thread), "the number of threads changes the pictures"
    _assert_same(plain, ours)
    megabits = video.stat().st_size * 8e-6 / (FRAMES / FPS)
    label = f"{len(WANTED)} of {FRAMES} frames of 4K, {megabits:.0f} Mbit/s, keyint {keyint}"
    plain_s, ours_s, one_thread_s = (min(cost.seconds for cost in costs[way]) for way in WAYS)
    plain_cpu_s, ours_cpu_s, _ = (min(cost.cpu_s for cost in costs[way]) for way in WAYS)
    yield Row(
        f"{label}: time",
        f"decord {plain_s:.1f} s (CPU {plain_cpu_s:.1f} s)",
        f"{ours_s:.1f} s (CPU {ours_cpu_s:.1f} s)",
        ours_s / plain_s,
        REQUIRED_TIME[keyint],
        at_most=True,
    )
    yield Row(
        f"{label}: time of one thread",
        f"decord on all cores {plain_s:.1f} s",
        f"{one_thread_s:.1f} s",
        one_thread_s / plain_s,
    )
    plain_mib, ours_mib, _ = (max(cost.peak_mib for cost in costs[way]) for way in WAYS)
    yield Row(
        f"{label}: peak memory",
        f"decord {plain_mib:.0f} MiB",
        f"{ours_mib:.0f} MiB",
        ours_mib / plain_mib,
        REQUIRED_MEMORY,
        at_most=True,
    )


def _cameras(video: Path) -> Row:
    """Frames of two cameras on the disk as JPEG, one decoding thread each: in turn and side by side."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folders = (Path(name) / str(number) for number in count())

        def extract(_: int) -> None:
            found = extract_camera(video, WANTED, SMALL_WH, next(folders), 95, Event(), lambda: None)
            assert found.written == list(WANTED), found.missing

        turn_s, both_s = best_of(lambda: [extract(0), extract(1)], lambda: list(pool.map(extract, range(2))))
    label = f"two 4K cameras of 60 s, keyint 250, one decoding thread each, {len(os.sched_getaffinity(0))} cores"
    return Row(label, f"in turn {turn_s:.1f} s", f"side by side {both_s:.1f} s", turn_s / both_s, REQUIRED_SIDE_BY_SIDE)


def _in_own_process(way: str, video: Path, pictures: Path) -> Cost:
    command = [sys.executable, "-m", __spec__.name, way, str(video), str(pictures)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]).stdout
    return Cost(**json.loads(output))


def _measure(name: str, video: Path, pictures: Path) -> None:
    """What the child process does: measure one way, then save its pictures."""
    way = WAYS[name]
    if way is _decord:
        importlib.import_module("decord")  # loading it costs time and memory that are not the recipe's
    before = peak_memory_bytes()
    begin, cpu_begin = time.perf_counter(), time.process_time()
    images = way(video)
    seconds, cpu_s = time.perf_counter() - begin, time.process_time() - cpu_begin
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "peak_mib": (peak_memory_bytes() - before) / 2**20}))
    np.save(pictures, np.stack(images))


def _decord(video: Path) -> list[NDArray[np.uint8]]:
    decord = importlib.import_module("decord")  # not at the top: the other way must not carry it
    reader = decord.VideoReader(str(video))
    batch = reader.get_batch(range(0, len(reader), 30)).asnumpy()
    return [np.asarray(cv2.resize(image, SMALL_WH), np.uint8) for image in batch]


def _ours(video: Path, workers: int | None = None) -> list[NDArray[np.uint8]]:
    frames = iter_frames(video, indices=WANTED, size_wh=SMALL_WH, scale_while_decoding=True, workers=workers)
    return [frame.image for frame in frames]


WAYS: dict[str, Callable[[Path], list[NDArray[np.uint8]]]] = {
    "decord": _decord,
    "ours": _ours,
    "one_thread": lambda video: _ours(video, workers=1),
}


def _assert_same(plain: NDArray[np.uint8], ours: NDArray[np.uint8]) -> None:
    assert plain.shape == ours.shape, (plain.shape, ours.shape)
    for index, one, other in zip(WANTED, plain, ours, strict=True):
        difference = np.abs(one.astype(np.int16) - other).mean()
        assert difference < SAME_PICTURE, f"frame {index} differs from decord's by {difference:.1f} on average"


def _cached_video(keyint: int) -> Path:
    video = CACHE / f"4k_60s_keyint{keyint}.mp4"
    if not video.exists():
        print(f"making {video.name}, once …", file=sys.stderr)
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            part = _encode(Path(folder) / "part.mp4", keyint)
            repeat(part, FRAMES // MADE_FRAMES[keyint], Path(folder) / video.name).replace(video)
    return video


def _encode(path: Path, keyint: int) -> Path:
    """A swaying camera over a textured scene with a moving object and sensor noise, H.264, closed groups, B-frames."""
    random = np.random.default_rng(0)
    margin, side = 256, 600
    scene = textured(random, HEIGHT + margin, WIDTH + margin).astype(np.uint8)
    patch = textured(random, side, side).astype(np.uint8)
    noises = [np.repeat(random.normal(128, 4.4, (HEIGHT, WIDTH, 1)).astype(np.uint8), 3, axis=2) for _ in range(5)]
    params = f"keyint={keyint}:min-keyint={keyint}:scenecut=0"
    options = {"preset": "veryfast", "crf": "23", "x264-params": params}
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(MADE_FRAMES[keyint]):
            time_s = number / FPS
            left, top = (int(margin / 2 * (1 + np.sin(rate * time_s))) for rate in (0.7, 0.5))
            image = scene[top : top + HEIGHT, left : left + WIDTH].copy()
            x = int((WIDTH - side) / 2 * (1 + np.sin(0.9 * time_s)))
            y = int((HEIGHT - side) / 2 * (1 + np.cos(1.1 * time_s)))
            image[y : y + side, x : x + side] = patch
            image = np.asarray(cv2.addWeighted(image, 1, noises[number % len(noises)], 1, -128), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        output.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    _measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
