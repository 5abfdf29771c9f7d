"""1 fps rectified frames against OpenCV's seek per sample, and memory against the length of the video.

Every frame is compared with what decoding everything gives. With EGOPIPE_SAMPLES=folder the clips of the shards below
that folder (Egocentric layout, `part*.tar` beside `intrinsics.json`) are measured too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from benchmarks.table import Row
from pipeline.ops.camera.fisheye import Camera
from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.video.decode import Image, Run, RunDecoder, Tally
from pipeline.ops.video.frames import iter_frames
from pipeline.ops.video.packets import scan
from pipeline.ops.video.probe import probe
from pipeline.ops.video.reader import Reader
from pipeline.ops.video.sampling import choose, plan_runs, regular_times

WIDTH, HEIGHT, FPS = 456, 256, 30
# The published calibration of one Egocentric-100K camera.
MATRIX = np.array([[137.98, 0, 232.17], [0, 138.23, 125.37], [0, 0, 1]])
DISTORTION = np.array([0.3948, 0.1798, -0.2753, 0.0793])
ROUNDS = 3
REQUIRED = {250: 5.5, 30: 3.0}
STREAM_FRAMES = """
import sys
from pathlib import Path
from benchmarks.bench_decode import rectifier
from pipeline.ops.video.frames import iter_frames
from pipeline.provenance import peak_memory_bytes
count = sum(1 for _ in iter_frames(Path(sys.argv[1]), fps=1, rectifier=rectifier()))
print(count, peak_memory_bytes())
"""


def run() -> list[Row]:
    """All rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_made_videos(Path(folder)), *_samples(Path(folder))]


def rectifier(camera: Camera | None = None) -> Rectifier:
    """A rectifier that keeps size and matrix."""
    return Rectifier(camera or Camera(MATRIX, DISTORTION, (WIDTH, HEIGHT)))


def _made_videos(folder: Path) -> Iterator[Row]:
    minute = encode(folder / "keyint250.mp4", seconds=60, keyint=250)
    three = repeat(minute, 3, folder / "three_minutes.mp4")
    yield against_opencv("made, keyint 250, 60 s", minute, rectifier(), REQUIRED[250])
    yield against_opencv("made, keyint 250, 180 s", three, rectifier(), REQUIRED[250])
    close = encode(folder / "keyint30.mp4", seconds=20, keyint=30)
    yield against_opencv("made, keyint 30, 20 s", close, rectifier(), REQUIRED[30])
    yield memory(minute, repeat(minute, 20, folder / "twenty_minutes.mp4"))
    for keyint in (15, 30, 60, 120):
        yield grouping(keyint, encode(folder / f"group{keyint}.mp4", seconds=10, keyint=keyint))


def _samples(folder: Path) -> Iterator[Row]:
    root = os.environ.get("EGOPIPE_SAMPLES")
    for shard in sorted(Path(root).rglob("part*.tar")) if root else []:
        values = json.loads((shard.parent / "intrinsics.json").read_text())
        matrix = np.array([[values["fx"], 0, values["cx"]], [0, values["fy"], values["cy"]], [0, 0, 1]])
        distortion = np.array([values[name] for name in ("k1", "k2", "k3", "k4")])
        camera = Camera(matrix, distortion, (values["image_width"], values["image_height"]))
        with tarfile.open(shard) as archive:
            for name in sorted(name for name in archive.getnames() if name.endswith(".mp4")):
                archive.extract(name, folder, filter="data")
                facts = probe(folder / name)
                required = REQUIRED[30 if facts.keyframe_interval_s < 2 else 250]
                label = f"{Path(name).stem}, keyframes {facts.keyframe_interval_s:.2f} s, {facts.duration_s:.0f} s"
                yield against_opencv(label, folder / name, rectifier(camera), required)


def against_opencv(label: str, video: Path, undistort: Rectifier, required: float) -> Row:
    """1 fps rectified frames of one video, both ways in turn."""
    frames = assert_exact(video, undistort)
    plain_s, ours_s = best_of(
        lambda: opencv_seek(video, undistort), lambda: [0 for _ in iter_frames(video, fps=1, rectifier=undistort)]
    )
    return Row(
        f"1 fps rectified, {label}: all {frames} frames exact",
        f"OpenCV set(POS_MSEC) {plain_s:.2f} s",
        f"{ours_s:.3f} s",
        plain_s / ours_s,
        required,
    )


def best_of(*ways: Callable[[], object]) -> list[float]:
    """Shortest time of each way, in seconds, the ways taking turns."""
    times_s = [[timed(way) for way in ways] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*times_s, strict=True)]


def timed(way: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


def opencv_seek(video: Path, undistort: Rectifier) -> list[Image]:
    """The usual way: one seek per sample. (Its frames are not checked: on open groups some are late.)"""
    capture = cv2.VideoCapture(str(video))
    seconds = int(capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS))
    frames = []
    for second in range(seconds):
        capture.set(cv2.CAP_PROP_POS_MSEC, second * 1000)
        is_read, image = capture.read()
        assert is_read, f"OpenCV found no frame at {second} s"
        frames.append(undistort.rectify(np.asarray(image, np.uint8)))
    return frames


def assert_exact(video: Path, undistort: Rectifier) -> int:
    """Compare every frame with a plain decode of the whole video; their number."""
    wanted = {frame.index: frame.image for frame in iter_frames(video, fps=1, rectifier=undistort)}
    count = len(wanted)
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                expected = undistort.rectify(np.ascontiguousarray(frame.to_ndarray(format="rgb24"), np.uint8))
                assert np.array_equal(wanted.pop(index), expected), f"{video.name}: frame {index} differs"
        assert not wanted and count == -(-(index + 1) // FPS), f"{video.name}: frames are missing"
    return count


def memory(short: Path, long: Path) -> Row:
    """Peak memory of streaming a minute and twenty minutes, each in a process of its own."""
    peaks = []
    for video, seconds in ((short, 60), (long, 1200)):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-c", STREAM_FRAMES, str(video)]
        output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
        assert int(output[0]) == seconds, f"{video.name}: {output[0]} frames, expected {seconds}"
        peaks.append(int(output[1]) / 2**20)
    label = "peak memory of streaming 20 min against 1 min"
    return Row(label, f"{peaks[0]:.0f} MiB", f"{peaks[1]:.0f} MiB", peaks[1] / peaks[0], 1.1, at_most=True)


def grouping(keyint: int, video: Path) -> Row:
    """Decoding each sample from its own keyframe against decoding each stretch once, on one core."""
    table = scan(video)
    ranks = choose(table, regular_times(table, 1)).ranks
    grouped = plan_runs(table, ranks)
    alone = [Run(run.first, [rank]) for run in grouped for rank in run.ranks]

    def decode(runs: list[Run]) -> None:
        reader = Reader(video, table)
        for run in runs:
            list(RunDecoder(table, run, lambda image: image, Tally(), Event()).pictures(reader))
        reader.close()

    alone_s, grouped_s = best_of(lambda: decode(alone), lambda: decode(grouped))
    label = f"1 fps, keyint {keyint}: each stretch decoded once"
    return Row(label, f"each sample from its keyframe {alone_s:.3f} s", f"{grouped_s:.3f} s", alone_s / grouped_s)


def encode(path: Path, seconds: int, keyint: int) -> Path:
    """A swaying camera over a textured scene with moving objects and sensor noise, H.265, open groups, B-frames."""
    random = np.random.default_rng(0)
    scene = textured(random, 2 * HEIGHT, 2 * WIDTH)
    objects = [textured(random, 60, 60) for _ in range(3)]
    with av.open(str(path), "w") as output:
        params = f"keyint={keyint}:min-keyint={keyint}:scenecut=0:log-level=none"
        stream = output.add_stream("libx265", rate=FPS, options={"preset": "fast", "crf": "26", "x265-params": params})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(seconds * FPS):
            image = picture(number / FPS, scene, objects, random)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        output.mux(stream.encode(None))
    return path


def textured(random: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Noise at many scales, HWC in [0, 255]."""
    total = np.zeros((height, width, 3), np.float32)
    for scale in (2, 4, 8, 16, 32, 64):
        coarse = random.normal(0, scale**0.7, (height // scale + 2, width // scale + 2, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.normalize(total, total.copy(), 0, 255, cv2.NORM_MINMAX))


def picture(
    time_s: float, scene: NDArray[np.float32], objects: list[NDArray[np.float32]], random: np.random.Generator
) -> Image:
    """One frame, HWC uint8 RGB."""
    left = WIDTH / 2 + 60 * np.sin(0.7 * time_s) + 3 * np.sin(12 * time_s)
    top = HEIGHT / 2 + 40 * np.sin(0.5 * time_s) + 4 * np.sin(12.6 * time_s)
    image = cv2.getRectSubPix(scene, (WIDTH, HEIGHT), (left + WIDTH / 2, top + HEIGHT / 2))
    for number, patch in enumerate(objects):
        x = int(WIDTH / 2 - 30 + 150 * np.sin((0.9 + 0.3 * number) * time_s + number))
        y = int(HEIGHT / 2 - 30 + 80 * np.cos((1.1 + 0.2 * number) * time_s + number))
        image[y : y + 60, x : x + 60] = patch
    noise = random.normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def repeat(video: Path, times: int, path: Path) -> Path:
    """The same packets several times in a row, without encoding again."""
    with av.open(str(video)) as source, av.open(str(path), "w") as output:
        pictures = source.streams.video[0]
        stream = output.add_stream_from_template(pictures)
        packets = [packet for packet in source.demux(pictures) if packet.size]
        length = sum(packet.duration or 0 for packet in packets)
        times_of = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        for turn in range(times):
            for packet, (pts, dts) in zip(packets, times_of, strict=True):
                packet.stream, packet.time_base = stream, pictures.time_base or packet.time_base
                packet.pts, packet.dts = pts + turn * length, dts + turn * length
                output.mux(packet)
    return path
