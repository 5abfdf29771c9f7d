"""Figures and doubts about a clip's segments that need no ground truth."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from statistics import median

from pipeline.ops.timeline.text_times import to_ms
from pipeline.schema.segments import ClipWarning, Quality, Repair, Segment, SegmentFlags

MOST_SHARE = 0.8
SECONDS_PER_SEGMENT = 1.5
SAME_IN_A_ROW = 5
LOWEST_COVERAGE = 0.5
# Two frames share one token in time, so every second sample is a natural border; coarser is a guess.
NATURAL_STEPS = 2
BOUNDARIES_TO_JUDGE = 4

_WORD = re.compile(r"\w+")


def label(segment_text: str | None) -> str:
    """A description's words, so that two writings of it compare equal; empty when it has none."""
    return " ".join(_WORD.findall(segment_text.casefold())) if segment_text else ""


def measure(
    segments: Sequence[Segment],
    flags: Mapping[int, SegmentFlags],
    repairs: Sequence[Repair],
    coverage_before_repair: float,
    decode_errors: int,
) -> Quality:
    """The figures of `Quality`, rounded to four decimals, for segments that cover the clip."""
    lengths = [segment.t_end_s - segment.t_start_s for segment in segments]
    total_s = segments[-1].t_end_s
    inferred_s = sum(
        length for segment, length in zip(segments, lengths, strict=True) if flags[segment.action_id].inferred
    )
    active_s = sum(length for segment, length in zip(segments, lengths, strict=True) if segment.active)
    texts = [text for segment in segments if segment.active and (text := _description(segment))]
    objects = [item for segment in segments for item in segment.objects]
    return Quality(
        coverage_before_repair=round(coverage_before_repair, 4),
        fixes=sum(1 for repair in repairs if repair.rule != "renumbered"),
        inferred_share=round(min(inferred_s / total_s, 1), 4),
        active_share=round(min(active_s / total_s, 1), 4),
        segments_per_min=round(len(segments) * 60 / total_s, 4),
        median_length_s=round(median(lengths), 4),
        objects=len(objects),
        objects_with_boxes=sum(1 for item in objects if item.bbox is not None),
        repeated_text_share=round(1 - len(set(texts)) / len(texts), 4) if texts else 0.0,
        decode_errors=decode_errors,
    )


def warn(
    segments: Sequence[Segment], flags: Mapping[int, SegmentFlags], step_ms: int, coverage_before_repair: float
) -> tuple[ClipWarning, ...]:
    """Signs of a model that guessed, looped or gave up."""
    total_s = segments[-1].t_end_s
    longest = max(segments, key=lambda segment: segment.t_end_s - segment.t_start_s)
    longest_share = (longest.t_end_s - longest.t_start_s) / total_s
    run = _longest_run([_description(segment) for segment in segments])
    pace_ms = _common_step(segments, flags)
    found = {
        "one_segment_covers_most": longest_share > MOST_SHARE
        and f"segment {longest.action_id} covers {longest_share:.0%} of the clip",
        "too_many_segments": len(segments) * SECONDS_PER_SEGMENT > total_s
        and f"{len(segments)} segments in {total_s:g} s, more than one per {SECONDS_PER_SEGMENT} s",
        "repeated_description": run >= SAME_IN_A_ROW and f"the same description {run} times in a row",
        "times_on_a_grid": pace_ms > NATURAL_STEPS * step_ms and f"all borders are multiples of {pace_ms / 1000:g} s",
        "low_coverage": coverage_before_repair < LOWEST_COVERAGE
        and f"the model's segments cover {coverage_before_repair:.0%} of the clip",
    }
    return tuple(ClipWarning(code=code, detail=detail) for code, detail in found.items() if detail)


def _description(segment: Segment) -> str:
    return label(segment.ecot.subtask) if segment.ecot else ""


def _longest_run(texts: Sequence[str]) -> int:
    """Most neighbours with the same text; an empty text ends a run."""
    best = run = 0
    previous = ""
    for text in texts:
        run = run + 1 if text and text == previous else int(bool(text))
        best, previous = max(best, run), text
    return best


def _common_step(segments: Sequence[Segment], flags: Mapping[int, SegmentFlags]) -> int:
    """Greatest common step, in milliseconds, of the inner borders that the model gave; 0: too few to judge."""
    borders = {
        to_ms(time_s)
        for segment in segments
        if not flags[segment.action_id].inferred
        for time_s in (segment.t_start_s, segment.t_end_s)
    } - {0, to_ms(segments[-1].t_end_s)}
    return math.gcd(*borders) if len(borders) >= BOUNDARIES_TO_JUDGE else 0
