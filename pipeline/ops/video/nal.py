"""What one compressed H.265 or H.264 picture says about itself, read from its NAL headers without decoding.

Numbers: ITU-T H.265 table 7-1 and clause 7.4.2.2, ITU-T H.264 table 7-1 and clause 7.4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from typing import Literal

START_CODE = b"\0\0\1"
HEVC_VCL_TYPES = range(32)
HEVC_IRAP_TYPES = range(16, 24)
HEVC_RASL_TYPES = (8, 9)
AVC_SLICE, AVC_PARTITION, AVC_IDR_SLICE = 1, 2, 5
AVC_SCALABLE_TYPES = (14, 20)


class Kind(IntFlag):
    """Facts of one picture, in a byte together with its temporal layer (see `TEMPORAL_SHIFT`)."""

    NONE = 0
    RANDOM_ACCESS = 1
    """Decoding can begin here: every picture shown after it is independent of what came before."""
    NON_REFERENCE = 2
    """No other picture of the same temporal layer is predicted from it."""
    SKIPPED_LEADING = 4
    """H.265 RASL: shown before the random access picture that it follows, and lost when decoding begins there."""
    LAYERED = 8
    """H.264 with scalability extensions: nal_ref_idc alone does not tell what depends on the picture."""
    DAMAGED = 128
    """The packet breaks the rules of its format, as when a part of the file was overwritten or never written."""


TEMPORAL_SHIFT = 4
TEMPORAL_MASK = 7
FORBIDDEN = b"\0\0\0"
"""Never inside a NAL unit (H.265 and H.264, 7.4.1.1), but what an unwritten part of a file is full of."""
MAX_PADDING = 8
"""So many zeros at the end of a NAL unit are a careless muxer's."""


@dataclass(frozen=True)
class NalFormat:
    """How NAL units lie in a stream's packets: `length_size` bytes of length before each, or start codes when 0."""

    codec: Literal["hevc", "h264"]
    length_size: int

    @classmethod
    def of(cls, codec: str, extradata: bytes | None) -> NalFormat | None:
        """The format by the stream's configuration record (ISO/IEC 14496-15); None for a codec without NAL units."""
        if codec not in ("hevc", "h264"):
            return None
        length_at = 21 if codec == "hevc" else 4
        if not extradata or extradata[0] != 1 or len(extradata) <= length_at:
            return cls("hevc" if codec == "hevc" else "h264", 0)
        return cls("hevc" if codec == "hevc" else "h264", (extradata[length_at] & 3) + 1)


def picture_kind(packet: bytes | memoryview, nal_format: NalFormat) -> int:
    """`Kind` flags of the picture in a packet, plus its temporal layer times 2**TEMPORAL_SHIFT.

    Without flags (nothing known, so it must be decoded) for a packet without a picture or with damaged headers.
    """
    damaged = Kind.DAMAGED if nal_format.length_size and _is_damaged(packet, nal_format.length_size) else Kind.NONE
    if nal_format.codec == "hevc":
        return _hevc_kind(packet, nal_format.length_size) | damaged
    return _avc_kind(packet, nal_format.length_size) | damaged


def _is_damaged(packet: bytes | memoryview, length_size: int) -> bool:
    """Whether NAL lengths do not add up to the packet, or one holds what cannot stand in it."""
    data, offset = bytes(packet), 0
    while offset + length_size <= len(data):
        begin = offset + length_size
        end = begin + int.from_bytes(data[offset:begin], "big")
        if end > len(data) or end == length_size:
            return True
        hole = data.find(FORBIDDEN, begin, end)
        is_padding = end - hole <= MAX_PADDING and not any(data[hole:end])
        if hole >= 0 and not is_padding:
            return True
        offset = end
    return offset != len(data)


def _hevc_kind(packet: bytes | memoryview, length_size: int) -> int:
    for start in _nal_starts(packet, length_size):
        if start + 1 >= len(packet):
            break
        first, second = packet[start], packet[start + 1]
        nal_type, layer = (first >> 1) & 63, (first & 1) << 5 | second >> 3
        if nal_type not in HEVC_VCL_TYPES or layer:
            continue
        kind = Kind.NONE
        if nal_type in HEVC_IRAP_TYPES:
            kind |= Kind.RANDOM_ACCESS
        elif nal_type < 16 and nal_type % 2 == 0:
            kind |= Kind.NON_REFERENCE
        if nal_type in HEVC_RASL_TYPES:
            kind |= Kind.SKIPPED_LEADING
        temporal_layer = (second & 7) - 1
        # 0 in place of a layer number is forbidden: the header is damaged, zeroed for instance.
        return int(kind) | temporal_layer << TEMPORAL_SHIFT if temporal_layer >= 0 else 0
    return 0


def _avc_kind(packet: bytes | memoryview, length_size: int) -> int:
    slices: list[tuple[int, int]] = []
    for start in _nal_starts(packet, length_size):
        nal_type, reference = packet[start] & 31, packet[start] >> 5 & 3
        if nal_type in AVC_SCALABLE_TYPES:
            return int(Kind.LAYERED)
        if nal_type in (AVC_SLICE, AVC_PARTITION, AVC_IDR_SLICE):
            slices.append((nal_type, reference))
    if not slices:
        return 0
    if slices[0][0] == AVC_IDR_SLICE:
        return int(Kind.RANDOM_ACCESS)
    # The two fields of one frame may differ: it can be left out only when no slice is a reference.
    return int(Kind.NONE if any(reference for _, reference in slices) else Kind.NON_REFERENCE)


def _nal_starts(packet: bytes | memoryview, length_size: int) -> Iterator[int]:
    """Offset of each NAL unit's header byte."""
    if length_size:
        offset = 0
        while offset + length_size < len(packet):
            yield offset + length_size
            offset += length_size + int.from_bytes(packet[offset : offset + length_size], "big")
        return
    data = bytes(packet)
    offset = data.find(START_CODE)
    while 0 <= offset < len(data) - len(START_CODE):
        yield offset + len(START_CODE)
        offset = data.find(START_CODE, offset + len(START_CODE))
