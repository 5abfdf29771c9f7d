"""Real video files for tests: encoded on the spot, with the frame number painted into every picture."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.ops.video.packets import scan

WIDTH, HEIGHT = 192, 128
BITS = 12
BLOCK = 24
Image = NDArray[np.uint8]


@lru_cache(maxsize=128)
def paint(number: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """A moving texture with `number` as black and white blocks, highest bit first: HWC uint8 RGB, not to be changed."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.sin(0.11 * (x + 2 * number)) + np.cos(0.07 * (y - 3 * number)) + np.sin(0.03 * (x - y) + 0.1 * number)
    picture = np.stack([128 + 35 * waves, 128 + 30 * np.roll(waves, 7, 0), 128 - 35 * waves], -1).astype(np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, 6)
        block = picture[8 + row * (BLOCK + 8) :, 8 + column * (BLOCK + 6) :]
        block[:BLOCK, :BLOCK] = 235 if number >> (BITS - 1 - bit) & 1 else 20
    return picture


def read_number(picture: Image) -> int:
    """The number painted into a decoded picture; fails when a block is neither black nor white."""
    number = 0
    for bit in range(BITS):
        row, column = divmod(bit, 6)
        top, left = 8 + row * (BLOCK + 8), 8 + column * (BLOCK + 6)
        level = picture[top + 6 : top + BLOCK - 6, left + 6 : left + BLOCK - 6].mean()
        assert level < 80 or level > 175, f"block {bit} is grey ({level:.0f}): the picture is damaged"
        number = number << 1 | int(level > 128)
    return number


@dataclass(frozen=True)
class Recipe:
    """How a test video is encoded.

    Attributes:
        pts: timestamp of each frame in `time_base`; regular frames from 0 when None.
        container: options of the muxer.
        shift: added to every packet's timestamps when it is written, in `time_base`.
    """

    name: str
    codec: str = "libx265"
    suffix: str = "mp4"
    frames: int = 90
    keyint: int = 30
    open_gop: bool = True
    b_frames: int = 4
    fps: int = 30
    time_base: Fraction = Fraction(1, 15360)
    pts: tuple[int, ...] | None = None
    shift: int = 0
    container: tuple[tuple[str, str], ...] = ()
    pixel_format: str = "yuv420p"
    extra: str = ""
    size_wh: tuple[int, int] = (WIDTH, HEIGHT)

    def encoder_options(self) -> dict[str, str]:
        """Options of the encoder, single-threaded so that files are the same everywhere."""
        shared = f"keyint={self.keyint}:min-keyint={self.keyint}:scenecut=0:bframes={self.b_frames}"
        if self.codec == "libx265":
            params = f"{shared}:open-gop={int(self.open_gop)}:pools=1:frame-threads=1:log-level=none"
            return {"preset": "ultrafast", "crf": "20", "x265-params": f"{params}:b-adapt=0{self.extra}"}
        if self.codec == "libx264":
            params = f"{shared}:open-gop={int(self.open_gop)}:threads=1:log-level=-1:b-adapt=0{self.extra}"
            return {"preset": "veryfast", "crf": "20", "x264-params": params}
        if self.codec == "mpeg4":
            return {"g": str(self.keyint), "bf": str(self.b_frames), "q": "3"}
        return {"g": str(self.keyint), "deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"}

    def timestamps(self) -> Sequence[int]:
        """Presentation time of each frame, in `time_base`."""
        step = int(1 / self.fps / self.time_base)
        return self.pts or [number * step for number in range(self.frames)]


def encode(recipe: Recipe, path: Path, edit: Callable[[Packet[VideoStream]], None] | None = None) -> Path:
    """Write the video; `edit` may change each packet before it is written."""
    with av.open(str(path), "w", options=dict(recipe.container)) as output:
        stream = output.add_stream(recipe.codec, rate=recipe.fps, options=recipe.encoder_options())
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = recipe.size_wh
        stream.pix_fmt = recipe.pixel_format
        stream.codec_context.time_base = recipe.time_base
        stream.codec_context.thread_count = 1

        def write(packets: list[Packet[VideoStream]]) -> None:
            for packet in packets:
                for name in ("pts", "dts"):
                    setattr(packet, name, getattr(packet, name) + recipe.shift)
                if edit:
                    edit(packet)
                output.mux(packet)

        for number, pts in enumerate(recipe.timestamps()):
            frame = av.VideoFrame.from_ndarray(paint(number, *recipe.size_wh))
            frame.pts, frame.time_base = pts, recipe.time_base
            write(stream.encode(frame))
        write(stream.encode(None))
    return path


@dataclass(frozen=True)
class Plain:
    """Everything that a stream shows, decoded the simple way: the reference for all else."""

    times_s: NDArray[np.float64]
    images: list[Image]

    def shown_at(self, time_s: float) -> int:
        """Index of the frame with the greatest time ≤ `time_s` (within a microsecond)."""
        return int(np.flatnonzero(self.times_s <= time_s + 1e-6)[-1])


def decode_plainly(path: Path) -> Plain:
    """Decode a whole file with PyAV and sort by timestamp."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sorted(((frame.pts, frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)), key=_pts)
        assert stream.time_base is not None
        times_s = [float((pts - frames[0][0]) * stream.time_base) for pts, _ in frames]
    return Plain(np.array(times_s), [image for _, image in frames])


def _pts(frame: tuple[int | None, Image]) -> int:
    assert frame[0] is not None
    return frame[0]


def make_first_time_negative(path: Path, ticks: int) -> None:
    """Subtract `ticks` from every composition offset of an MP4 without an edit list (ISO/IEC 14496-12, 8.6.1.3)."""
    content = bytearray(path.read_bytes())
    box = content.index(b"ctts")
    content[box + 4] = 1  # version 1: signed offsets
    (entries,) = struct.unpack_from(">I", content, box + 8)
    for entry in range(entries):
        place = box + 12 + 8 * entry + 4
        (offset,) = struct.unpack_from(">i", content, place)
        struct.pack_into(">i", content, place, offset - ticks)
    path.write_bytes(content)


def overwrite_packet(path: Path, ordinal: int, change: Callable[[bytearray], None]) -> None:
    """Change the bytes of one packet (in decoding order) where they lie in the file."""
    table = scan(path)
    position, size = int(table.position[ordinal]), int(table.size[ordinal])
    content = bytearray(path.read_bytes())
    packet = content[position : position + size]
    change(packet)
    content[position : position + size] = packet
    path.write_bytes(content)
