"""Decoding of chosen pictures: a run of packets from one access point on, and nothing that they do not need."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.ops.video.packet_table import DISCARD, KEY, NO_TIME, PacketTable
from pipeline.ops.video.reader import Reader

Image = NDArray[np.uint8]

MAX_REORDER = 32
"""So many later pictures may leave the decoder before one counts as lost; H.265 and H.264 reorder at most 16."""
NO_PICTURE = "the decoder gave no picture for it"


@dataclass(frozen=True)
class Run:
    """Wanted pictures that one access point decodes.

    Attributes:
        first: ordinal of the access point.
        ranks: indices into `PacketTable.shown`, ascending.
    """

    first: int
    ranks: list[int]


@dataclass(frozen=True)
class Picture:
    """One wanted picture, HWC uint8 RGB, or None with the reason."""

    rank: int
    image: Image | None
    reason: str = ""


@dataclass
class Tally:
    """What a run cost, and what went wrong in it with the time."""

    frames_decoded: int = 0
    packets_dropped: int = 0
    errors: list[str] = field(default_factory=list)


class Stop(Protocol):
    """A `threading.Event`, or several in one."""

    def is_set(self) -> bool:
        """Whether decoding is to end at the next packet."""


class RunDecoder:
    """Decodes one run. Packets that no wanted picture needs are dropped, and only wanted pictures are converted.

    A picture is given only when everything decoded before it in the run is known to be whole: after the loss of a
    picture that others are predicted from, all up to the next keyframe are refused. Damage that decodes without a
    complaint is beyond what can be seen here.
    """

    def __init__(
        self, table: PacketTable, run: Run, convert: Callable[[Image], Image], tally: Tally, stop: Stop
    ) -> None:
        self._table, self._run, self._convert, self._tally, self._stop = table, run, convert, tally, stop
        self._rank_of = {int(table.shown[rank]): rank for rank in run.ranks}
        self._ready: dict[int, Image] = {}
        self._in_decoder: dict[int, int] = {}
        """Ordinals sent whose frame is not out yet, oldest first, with the count of frames out when sent."""
        self._failed: dict[int, str] = {}
        self._damage: list[tuple[int, int]] = []
        """(lost reference, next keyframe) ordinals."""

    def pictures(self, reader: Reader) -> Iterator[Picture]:
        """The wanted pictures in the order they are shown, each whole or with the reason why not."""
        waiting = deque(self._run.ranks)
        for frame in self._frames(reader):
            self._take(frame, reader)
            while waiting and self._is_settled(int(self._table.shown[waiting[0]])):
                yield self._settle(waiting.popleft())
            if not waiting:
                return
        for sent in list(self._in_decoder):
            self._give_up(sent)
        for rank in waiting:
            yield self._settle(rank)

    def _frames(self, reader: Reader) -> Iterator[VideoFrame]:
        last = max(self._rank_of)
        needed = self._needed(last)
        for ordinal, packet in reader.packets_from(self._run.first):
            if self._stop.is_set():
                return
            if needed[ordinal - self._run.first]:
                yield from self._send(reader, ordinal, packet)
            else:
                self._tally.packets_dropped += 1
            if ordinal >= last:
                break
        yield from self._send(reader, last, None)

    def _needed(self, last: int) -> list[bool]:
        """For each packet from the access point to the last wanted one: whether it must be decoded."""
        table, first = self._table, self._run.first
        here = slice(first, last + 1)
        needed = ~table.can_be_left_out[here]
        if (first or table.begins_with_access_point) and table.pts[first] != NO_TIME:
            # Shown before the access point: predicted from what lies before it, and nothing later from them.
            needed &= (table.pts[here] >= table.pts[first]) | (table.pts[here] == NO_TIME)
        needed[np.array(list(self._rank_of)) - first] = True
        return [bool(value) for value in needed]

    def _send(self, reader: Reader, ordinal: int, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if packet is not None:
            if self._table.is_damaged[ordinal]:
                self._fail(ordinal, "its packet is cut off or overwritten in the file")
                return []
            # Decoders hand a packet's pts to its frame: so a frame is known whatever the file's timestamps are worth.
            packet.pts = packet.dts = ordinal
            if not self._table.flags[ordinal] & DISCARD:
                self._in_decoder[ordinal] = self._tally.frames_decoded
        try:
            return reader.decoder.decode(packet)
        except (av.FFmpegError, MemoryError) as error:
            self._fail(ordinal, f"its packet does not decode ({getattr(error, 'strerror', None) or 'out of memory'})")
            return []

    def _take(self, frame: VideoFrame, reader: Reader) -> None:
        self._tally.frames_decoded += 1
        ordinal = -1 if frame.pts is None else frame.pts
        self._in_decoder.pop(ordinal, None)
        for sent, frames_out in list(self._in_decoder.items()):
            if self._tally.frames_decoded - frames_out <= MAX_REORDER:
                break
            self._give_up(sent)
        if frame.is_corrupt:
            self._fail(ordinal, "its packet decodes only in part")
        elif ordinal in self._rank_of and ordinal not in self._failed:
            if (frame.width, frame.height) == (self._table.width, self._table.height):
                self._ready[ordinal] = self._convert(reader.to_rgb(frame))
            else:
                self._failed[ordinal] = f"it is {frame.width}×{frame.height}, unlike the stream"

    def _give_up(self, ordinal: int) -> None:
        """No frame will come of a packet: it was hidden, or built on a lost one. That alone damages no other."""
        del self._in_decoder[ordinal]
        self._failed.setdefault(ordinal, NO_PICTURE)

    def _fail(self, ordinal: int, reason: str) -> None:
        """Note a packet that does not decode, and what is predicted from it."""
        self._in_decoder.pop(ordinal, None)
        self._failed[ordinal] = reason
        self._tally.errors.append(f"{self._time_s(ordinal):.3f} s: {reason}")
        # FFmpeg's H.265 decoder itself refuses pictures whose reference is gone; the others patch and give them.
        if self._table.codec != "hevc" and not self._table.can_be_left_out[ordinal]:
            later_keys = np.flatnonzero(self._table.flags[ordinal + 1 :] & KEY)
            next_key = ordinal + 1 + int(later_keys[0]) if len(later_keys) else len(self._table)
            self._damage.append((ordinal, next_key))

    def _is_settled(self, ordinal: int) -> bool:
        """Whether a picture's fate is known: it is there or lost, and so is all that was decoded before it."""
        if ordinal not in self._ready and ordinal not in self._failed:
            return False
        return next(iter(self._in_decoder), ordinal) >= ordinal

    def _settle(self, rank: int) -> Picture:
        ordinal = int(self._table.shown[rank])
        image = self._ready.pop(ordinal, None)
        reason = self._failed.get(ordinal, "")
        for lost, next_key in self._damage:
            if lost < ordinal and not reason and self._is_spoilt(ordinal, next_key):
                reason = f"it is built on the damaged picture at {self._time_s(lost):.3f} s"
        if reason or image is None:
            return Picture(rank, None, reason or NO_PICTURE)
        return Picture(rank, image)

    def _is_spoilt(self, ordinal: int, next_key: int) -> bool:
        """Whether a picture after a loss comes before the next keyframe, in decoding or in showing."""
        return ordinal < next_key or bool(self._table.pts[ordinal] < self._table.pts[next_key])

    def _time_s(self, ordinal: int) -> float:
        return float(self._table.seconds(np.array([ordinal]))[0])
