"""A video stream's packets as a compact table, and what follows from it without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.video.nal import TEMPORAL_MASK, TEMPORAL_SHIFT, Kind, NalFormat

NO_TIME = int(np.iinfo(np.int64).min)
"""Stands for a timestamp that the container does not give."""
KEY, DISCARD, CORRUPT = 1, 2, 4
"""Bits of `PacketTable.flags`."""
HOLE_STEPS = 1.5
END_TOLERANCE_STEPS = 3
MIN_FRAMES_FOR_STEP = 4


@dataclass(frozen=True)
class PacketTable:
    """All packets of one video stream in the order they are decoded, one array entry each ("ordinal").

    Attributes:
        pts, dts: int64 timestamps in `time_base`, `NO_TIME` where unknown.
        position: int64 byte position in the file, -1 where unknown.
        size: int64 bytes.
        duration: int64 in `time_base`, 0 where unknown.
        flags: uint8, KEY | DISCARD (an edit list hides it) | CORRUPT (cut off or damaged for the container).
        kind: uint8, see `pipeline.ops.video.nal`; 0 for codecs without NAL units.
        read_errors: what the container reader complained about, with the time reached.
        declared_frames: what the container claims, 0 if it does not.
        declared_end_s: where Matroska without other streams says that the file ends, else 0.
    """

    codec: str
    width: int
    height: int
    pixel_format: str
    time_base: Fraction
    nal_format: NalFormat | None
    declared_frames: int
    declared_end_s: float
    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    position: NDArray[np.int64]
    size: NDArray[np.int64]
    duration: NDArray[np.int64]
    flags: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    read_errors: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pts)

    @cached_property
    def access_points(self) -> NDArray[np.int64]:
        """Ordinals, ascending, at which decoding can begin; the first packet always counts as one.

        H.265: IRAP pictures; H.264: IDR only, since other keyframes may need what came before; else the key flag.
        """
        begins = self.kind & Kind.RANDOM_ACCESS if self.nal_format else self.flags & KEY
        points = np.flatnonzero(begins)
        return points if len(points) and points[0] == 0 else np.concatenate([[0], points])

    @cached_property
    def is_damaged(self) -> NDArray[np.bool_]:
        """Packets that the container reader or the rules of their format show to be cut off or overwritten."""
        return np.asarray((self.flags & CORRUPT != 0) | (self.kind & Kind.DAMAGED != 0))

    @cached_property
    def begins_with_access_point(self) -> bool:
        """Whether the first packet is one, as in every file that was not cut out of a longer one carelessly."""
        first = self.kind[0] & Kind.RANDOM_ACCESS if self.nal_format else self.flags[0] & KEY
        return bool(first)

    @cached_property
    def shown(self) -> NDArray[np.int64]:
        """Ordinals of the pictures that are shown, in the order they are shown.

        Not among them: packets without a timestamp; those that an edit list hides; H.265 RASL pictures before the
        second access point, which by the standard are not output (their other half was cut away); and at the end of a
        cut-off file those after the first missing one.
        """
        is_shown = (self.pts != NO_TIME) & (self.flags & DISCARD == 0)
        if self.begins_with_access_point:
            second = self.access_points[1] if len(self.access_points) > 1 else len(self)
            is_shown[:second] &= self.kind[:second] & Kind.SKIPPED_LEADING == 0
        ordinals = np.flatnonzero(is_shown)
        in_order = ordinals[np.argsort(self.pts[ordinals], kind="stable")]
        return in_order[: self._whole_until(self.pts[in_order])]

    def _whole_until(self, pts: NDArray[np.int64]) -> int | None:
        """How many of the ascending timestamps come before a hole that the file's cut-off end tore; None for all.

        No missing packet is shown before the last one's decoding time, so a hole after it may be torn. It is, when the
        file is known to be cut off or all steps before are regular.
        """
        if len(pts) < MIN_FRAMES_FOR_STEP or self.dts[-1] == NO_TIME:
            return None
        steps = np.diff(pts)
        is_hole = steps > HOLE_STEPS * np.median(steps)
        in_tail = pts[1:] > self.dts[-1]
        if not self.is_cut_off and np.any(is_hole & ~in_tail):
            return None
        holes = np.flatnonzero(is_hole & in_tail)
        return int(holes[0]) + 1 if len(holes) else None

    @cached_property
    def is_cut_off(self) -> bool:
        """Whether the file has less than it declares, ends in the middle of a packet or fails to be read on."""
        if len(self) < self.declared_frames or self.flags[-1] & CORRUPT or self.read_errors:
            return True
        known = self.pts[self.pts != NO_TIME]
        if not self.declared_end_s or len(known) < MIN_FRAMES_FOR_STEP:
            return False
        last, step = int(known.max()), (int(known.max()) - int(known.min())) / (len(known) - 1)
        return self.declared_end_s > (last + END_TOLERANCE_STEPS * step) * self.time_base

    @cached_property
    def start_ticks(self) -> int:
        """Timestamp of the first picture shown."""
        return int(self.pts[self.shown[0]])

    def seconds(self, ordinals: NDArray[np.int64]) -> NDArray[np.float64]:
        """Times of pictures in seconds since the first one shown."""
        ticks = (self.pts[ordinals] - self.start_ticks).astype(np.float64)
        return np.asarray(ticks * self.time_base.numerator / self.time_base.denominator)

    @cached_property
    def times_s(self) -> NDArray[np.float64]:
        """Ascending times of the shown pictures, seconds since the first."""
        return self.seconds(self.shown)

    @cached_property
    def frame_step_s(self) -> float:
        """Median time between neighbouring shown pictures; 0 for a single one."""
        return float(np.median(np.diff(self.times_s))) if len(self.shown) > 1 else 0.0

    @cached_property
    def duration_s(self) -> float:
        """End of the last shown picture, seconds since the start of the first."""
        last = max(int(self.duration[self.shown[-1]]), 0) * self.time_base.numerator / self.time_base.denominator
        return float(self.times_s[-1]) + (last or self.frame_step_s)

    @cached_property
    def keyframe_interval_s(self) -> float:
        """Median time between access points; the duration when there is only one."""
        points = self.access_points[self.pts[self.access_points] != NO_TIME]
        steps_s = np.diff(self.seconds(np.sort(points)))
        return float(np.median(steps_s)) if len(steps_s) else self.duration_s

    @cached_property
    def can_be_left_out(self) -> NDArray[np.bool_]:
        """Pictures from which no other is predicted.

        H.265: sub-layer non-reference pictures of the highest temporal layer; H.264: nal_ref_idc 0; other codecs: none.
        """
        if np.any(self.kind & Kind.LAYERED):
            return np.zeros(len(self), np.bool_)
        layers = self.kind >> TEMPORAL_SHIFT & TEMPORAL_MASK
        return np.asarray((self.kind & Kind.NON_REFERENCE != 0) & (layers == layers.max(initial=0)))
