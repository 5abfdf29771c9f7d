"""A video file opened safely, and its packets read once without decoding."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.errors import PipelineError
from pipeline.ops.video.nal import NalFormat, picture_kind
from pipeline.ops.video.packet_table import CORRUPT, DISCARD, KEY, NO_TIME, PacketTable

FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,hevc,h264,ogg,asf,mxf,ivf"
"""Containers that are accepted: none that opens further files or addresses, as playlists do."""
MAX_FAILED_READS = 8
MAX_PIXELS = 1 << 26
"""A damaged header must not ask for gigabytes: 8192×8192 is beyond every camera that EgoPipe reads."""
MAX_TICKS = 1 << 53
"""Longest time span in units of the time base: still exact as a float, 285 years in microseconds."""
REMUX = "write it anew with `ffmpeg -i IN -c copy OUT.mp4`, or re-encode it"


@dataclass
class _Columns:
    """Packet facts as they are read; `array` keeps an hour of video in a few megabytes."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    position: array[int] = field(default_factory=lambda: array("q"))
    size: array[int] = field(default_factory=lambda: array("q"))
    duration: array[int] = field(default_factory=lambda: array("q"))
    flags: array[int] = field(default_factory=lambda: array("B"))
    kind: array[int] = field(default_factory=lambda: array("B"))

    def add(self, packet: Packet[VideoStream], nal_format: NalFormat | None) -> None:
        self.pts.append(NO_TIME if packet.pts is None else packet.pts)
        self.dts.append(NO_TIME if packet.dts is None else packet.dts)
        self.position.append(-1 if packet.pos is None else packet.pos)
        self.size.append(packet.size)
        self.duration.append(packet.duration or 0)
        self.flags.append(KEY * packet.is_keyframe | DISCARD * packet.is_discard | CORRUPT * packet.is_corrupt)
        self.kind.append(picture_kind(memoryview(packet), nal_format) if nal_format else 0)


def scan(video: Path) -> PacketTable:
    """Read every packet of a file's video stream once, without decoding.

    Raises:
        PipelineError: not a readable video with at least one picture that has a timestamp.
    """
    columns, read_errors = _Columns(), list[str]()
    with open_video(video) as container:
        stream = video_stream(container, video)
        context = stream.codec_context
        codec = context.codec.canonical_name
        nal_format = NalFormat.of(codec, context.extradata)

        def note(error: Exception) -> None:
            read_errors.append(f"reading failed after packet {len(columns.pts)}: {error}")

        for packet in read_packets(container, stream, note):
            columns.add(packet, nal_format)
        table = PacketTable(
            codec=codec,
            width=context.width,
            height=context.height,
            pixel_format=context.pix_fmt or "unknown",
            time_base=stream.time_base or Fraction(0),
            nal_format=nal_format,
            declared_frames=stream.frames,
            declared_end_s=_declared_end_s(container),
            pts=np.array(columns.pts, np.int64),
            dts=np.array(columns.dts, np.int64),
            position=np.array(columns.position, np.int64),
            size=np.array(columns.size, np.int64),
            duration=np.array(columns.duration, np.int64),
            flags=np.array(columns.flags, np.uint8),
            kind=np.array(columns.kind, np.uint8),
            read_errors=tuple(read_errors),
        )
    _check(table, video)
    return table


def _declared_end_s(container: InputContainer) -> float:
    is_only_stream = len(container.streams) == 1
    if not container.duration or not is_only_stream or "matroska" not in container.format.name:
        return 0.0
    return container.duration / av.time_base


def _check(table: PacketTable, video: Path) -> None:
    if not len(table):
        raise PipelineError(f"{video} holds no video data, expected at least one picture", "get the file again")
    if table.width <= 0 or table.height <= 0 or table.width * table.height > MAX_PIXELS:
        raise PipelineError(
            f"{video} claims a picture size of {table.width}×{table.height}, expected 1 to {MAX_PIXELS} pixels",
            "get the file again: its header is damaged",
        )
    if table.time_base <= 0:
        raise PipelineError(f"{video} has no time base, expected timestamps in seconds", REMUX)
    if not len(table.shown):
        raise PipelineError(
            f"{video} has {len(table)} pictures but none with a timestamp",
            "put it into a container that keeps time: `ffmpeg -framerate 30 -i IN -c copy OUT.mp4`",
        )
    known = table.pts[table.pts != NO_TIME]
    if int(known.max()) - int(known.min()) > MAX_TICKS:
        raise PipelineError(f"{video} has timestamps from {known.min()} to {known.max()}, which make no sense", REMUX)


def open_video(video: Path) -> InputContainer:
    """Open a local video file, and only that: no playlists, no further files, no network.

    Raises:
        PipelineError: the file is missing, empty, unreadable or no video container.
    """
    try:
        if not video.is_file():
            what = "is not a file" if video.exists() else "does not exist"
            raise PipelineError(f"{video} {what}, expected a video", "check the path, or run the earlier phases first")
        if not video.stat().st_size:
            raise PipelineError(f"{video} is empty, expected a video", "get the file again")
        return av.open(
            f"file:{video}",
            metadata_errors="ignore",
            options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise PipelineError(
            f"{video} cannot be opened as a video: {error}", f"get the file again, or {REMUX}"
        ) from None


def video_stream(container: InputContainer, video: Path) -> VideoStream:
    """The first video stream that is no cover picture, set to decode on one thread.

    Raises:
        PipelineError: there is none, or no decoder for it.
    """
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not streams:
        raise PipelineError(f"{video} has no video stream", "give a file with moving pictures")
    stream = streams[0]
    if stream.codec_context is None or not stream.codec_context.is_decoder:
        raise PipelineError(f"{video}: there is no decoder for its video stream", "re-encode it to H.264 or H.265")
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    return stream


def read_packets(
    container: InputContainer, stream: VideoStream, note: Callable[[Exception], None]
) -> Iterator[Packet[VideoStream]]:
    """The stream's packets from the present position; a failed read is noted and reading goes on while it can."""
    failures = 0
    while failures < MAX_FAILED_READS:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    failures = 0
                    yield packet
            return
        except av.FFmpegError as error:
            failures += 1
            note(error)
