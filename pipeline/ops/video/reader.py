"""An open video file that knows which packet of its table comes next, and turns decoded frames into RGB."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.ops.video.packet_table import PacketTable
from pipeline.ops.video.packets import MAX_PIXELS, open_video, read_packets, video_stream

SEEK_OVER_PACKETS = 300
"""Fewer packets than this are read and thrown away, more are jumped over."""
UNSPECIFIED_MATRIX = 2
HD_WIDTH, HD_HEIGHT = 1280, 576
"""From this width on, or above this height, a stream that names no colour matrix is BT.709, as players take it."""
AREA = Interpolation.AREA | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
"""Averages areas of luma and of colour at full precision: within 1 of averaging the exact full-size RGB picture."""


class Reader:
    """One open file with its own decoder on one thread, so that an error belongs to the packet that caused it.

    Args:
        size_wh: size of the RGB pictures, smaller than the stored ones; None: the stored size.
    """

    def __init__(self, video: Path, table: PacketTable, size_wh: tuple[int, int] | None = None) -> None:
        self.table = table
        self._size_wh = size_wh
        self._video = video
        self._reformatter = VideoReformatter()
        self._open()

    def _open(self) -> None:
        self._container = open_video(self._video)
        self._stream = video_stream(self._container, self._video)
        self._stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self._packets = self._read()
        self._next = 0

    def _read(self) -> Iterator[Packet[VideoStream]]:
        # Whatever cannot be read here could not be read in the scan either, where it was noted.
        return read_packets(self._container, self._stream, lambda _: None)

    def close(self) -> None:
        """Free the file and the decoder."""
        self._container.close()

    @property
    def decoder(self) -> VideoCodecContext:
        """The stream's decoder."""
        return self._stream.codec_context

    def packets_from(self, first: int) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """(ordinal, packet) from an access point on, for a decoder that has been emptied."""
        if not 0 <= first - self._next < SEEK_OVER_PACKETS:
            self._jump_to(first)
        if self.decoder.is_open:
            self.decoder.flush_buffers()
        for packet in self._packets:
            ordinal = self._next
            self._next += 1
            if ordinal >= first:
                yield ordinal, packet

    def _jump_to(self, first: int) -> None:
        """Seek to an access point or some way before it; to the file's start when the container cannot."""
        try:
            self._container.seek(int(self.table.pts[first]), stream=self._stream, backward=True)
            packets = self._read()
            landed = next(packets, None)
        except av.FFmpegError:
            landed = None
        ordinal = self._ordinal_of(landed) if landed else None
        if landed and ordinal is not None and ordinal <= first:
            self._packets, self._next = chain([landed], packets), ordinal
        else:
            self.close()
            self._open()

    def _ordinal_of(self, packet: Packet[VideoStream]) -> int | None:
        """Which packet of the table this is; None when that is not certain."""
        if packet.pos is None or packet.dts is None:
            return None
        table = self.table
        is_it = (table.position == packet.pos) & (table.dts == packet.dts) & (table.size == packet.size)
        matches = np.flatnonzero(is_it)
        return int(matches[0]) if len(matches) == 1 else None

    def to_rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """HWC uint8 RGB in the range and by the matrix that the stream names.

        A smaller size is made in the same pass: no RGB picture of the stored size ever exists.
        """
        is_hd = frame.width >= HD_WIDTH or frame.height > HD_HEIGHT
        matrix = Colorspace.ITU709 if is_hd and frame.colorspace == UNSPECIFIED_MATRIX else None
        # One thread: handing out slices of a small picture takes longer than converting it.
        width, height, how = (*self._size_wh, AREA) if self._size_wh else (None, None, None)
        rgb = self._reformatter.reformat(frame, width, height, "rgb24", matrix, interpolation=how, threads=1)
        return np.require(rgb.to_ndarray(), np.uint8, ["C", "W", "O"])
