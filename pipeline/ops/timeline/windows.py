"""Clips that do not fit one answer: which stretches to ask for, where to go on, how to join what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Literal

from pipeline.errors import PipelineError
from pipeline.ops.timeline.drafts import Draft, RepairLog
from pipeline.ops.timeline.quality import label
from pipeline.ops.timeline.salvage import Salvage
from pipeline.ops.timeline.text_times import (
    END_KEYS,
    START_KEYS,
    duration_to_ms,
    first_key,
    parse_time,
    to_ms,
    to_seconds,
)

LOOP_LENGTH = 3


@dataclass(frozen=True)
class Window:
    """A stretch of the clip, seconds from its start."""

    start_s: float
    end_s: float


def split_windows(duration_s: float, window_s: float, overlap_s: float) -> list[Window]:
    """The fewest windows of at most `window_s` that cover the clip, all of one length, neighbours sharing `overlap_s`.

    Equal lengths leave no sliver at the end and show no more frames than the overlaps need. A clip that fits one
    window is one window, however short.

    Raises:
        PipelineError: the window is not longer than the overlap, or the overlap is negative.
    """
    total_ms, window_ms, overlap_ms = duration_to_ms(duration_s), to_ms(window_s), to_ms(overlap_s)
    if not 0 <= overlap_ms < window_ms:
        raise PipelineError(
            f"windows of {window_s:g} s overlap by {overlap_s:g} s; at least 0 and less than the window was expected",
            "choose a longer window or a shorter overlap",
        )
    if total_ms <= window_ms:
        return [Window(0.0, to_seconds(total_ms))]
    count = ceil((total_ms - overlap_ms) / (window_ms - overlap_ms))
    starts_ms = [round(index * (total_ms - overlap_ms) / count) for index in range(count + 1)]
    return [Window(to_seconds(start_ms), to_seconds(next_ms + overlap_ms)) for start_ms, next_ms in pairwise(starts_ms)]


@dataclass(frozen=True)
class Followup:
    """What to do after an answer.

    Attributes:
        action: `accept` it; `continue`: ask about the stretch from `from_s` on; `retry`: ask again for the same one.
        from_s: seconds from the start of the stretch that was shown; None unless the action is `continue`.
        reason: why, for the log.
    """

    action: Literal["accept", "continue", "retry"]
    from_s: float | None
    reason: str


def follow_up(answer: Salvage, *, length_s: float, step_s: float) -> Followup:
    """Judge an answer about a stretch of `length_s` seconds, sampled every `step_s`.

    Whole segments count as long as their starts strictly increase; a model that loops says the same one again and
    again. A broken off answer, or one that ends in a loop, is continued from the last good end, provided that this
    is at least one step ahead and leaves more than one step to ask about. Each continuation so starts at least one
    step later than the one before; how many there may be is the caller's to bound.
    """
    spans = [span for item in answer.objects if (span := _span(item)) is not None]
    if not spans:
        return Followup("retry", None, "the answer holds no whole segment")
    good_end_s, latest_start_s, stale = 0.0, -1.0, 0
    for start_s, end_s in spans:
        if start_s > latest_start_s:
            good_end_s, latest_start_s, stale = max(good_end_s, end_s), start_s, 0
        else:
            stale += 1
    looped = stale >= LOOP_LENGTH
    if answer.state == "complete" and not looped:
        return Followup("accept", None, "the answer is complete")
    why = "the answer repeats itself" if looped else "the answer broke off"
    if length_s - good_end_s <= step_s:
        return Followup("accept", None, f"{why}, but what it holds reaches the end")
    if good_end_s < step_s:
        return Followup("retry", None, f"{why} before it got anywhere")
    return Followup("continue", to_seconds(to_ms(good_end_s)), f"{why} after {good_end_s:g} s")


def _span(item: object) -> tuple[float, float] | None:
    """Start and end of a raw segment in seconds, if it has both, in order and apart."""
    if not isinstance(item, dict):
        return None
    start_key, end_key = first_key(item, START_KEYS), first_key(item, END_KEYS)
    start_s = parse_time(item[start_key]) if start_key else None
    end_s = parse_time(item[end_key]) if end_key else None
    if start_s is None or end_s is None or to_ms(start_s) == to_ms(end_s):
        return None
    return max(min(start_s, end_s), 0.0), max(start_s, end_s)


@dataclass(frozen=True)
class Part:
    """What one answer said about the stretch `[start_ms, end_ms]` of the clip: drafts in order, not overlapping.

    `continues`: it takes up where the answer before broke off, so it alone speaks for the time from its start.
    """

    start_ms: int
    end_ms: int
    drafts: tuple[Draft, ...]
    continues: bool = False


def join_windows(parts: Sequence[Part], step_ms: int, log: RepairLog) -> list[Draft]:
    """One sequence of drafts out of the answers about overlapping stretches, given in order of their starts.

    In an overlap the earlier part speaks up to a border and the later from there: the border is where either has an
    end of a segment, nearest to the middle of the overlap, or the middle itself. Where one part says nothing the
    other keeps the word. Segments across the border are cut (`trimmed_at_border`), those beyond it dropped
    (`dropped_in_overlap`), and one that was cut by the border or by the edge of its window is merged with an equal one
    on the other side, equal in `active` and in the words of its subtask (`merged_across_border`); the earlier one's
    reasoning and boxes stay.
    """
    joined: list[Draft] = []
    reached_ms = 0
    for part in parts:
        if not part.drafts:
            continue
        border_ms = _border(joined, reached_ms, part) if joined else part.start_ms
        earlier = _kept(joined, 0, border_ms, log)
        later = _kept(part.drafts, border_ms, part.end_ms, log)
        if earlier and later and not part.continues:
            open_ended = _was_cut(earlier[-1], joined) or earlier[-1].end_ms == reached_ms
            open_started = _was_cut(later[0], part.drafts) or later[0].start_ms == part.start_ms
            near = max(abs(earlier[-1].end_ms - border_ms), abs(later[0].start_ms - border_ms)) <= step_ms
            if near and (open_ended or open_started) and _same_action(earlier[-1], later[0]):
                earlier[-1:] = [_merged(earlier[-1], later.pop(0), log)]
        joined = earlier + later
        reached_ms = max(reached_ms, part.end_ms)
    return joined


def _border(joined: Sequence[Draft], reached_ms: int, part: Part) -> int:
    """Where the later part takes over."""
    if part.continues or part.start_ms >= reached_ms:
        return part.start_ms
    overlap = (part.start_ms, min(reached_ms, part.end_ms))
    middle = (overlap[0] + overlap[1]) // 2
    ends = {time_ms for draft in (*joined, *part.drafts) for time_ms in (draft.start_ms, draft.end_ms)}
    inside = sorted(time_ms for time_ms in ends if overlap[0] < time_ms < overlap[1])
    border = min(inside, key=lambda time_ms: abs(time_ms - middle), default=middle)
    border = max(border, min(part.drafts[0].start_ms, overlap[1]))
    last_end = max((draft.end_ms for draft in joined), default=0)
    return min(border, max(last_end, overlap[0]))


def _kept(drafts: Sequence[Draft], start_ms: int, end_ms: int, log: RepairLog) -> list[Draft]:
    """The drafts as far as they lie between two times."""
    kept = []
    for draft in drafts:
        inside = replace(draft, start_ms=max(draft.start_ms, start_ms), end_ms=min(draft.end_ms, end_ms))
        if inside.start_ms >= inside.end_ms:
            log.add(draft.number, "dropped_in_overlap", draft.summary, None)
            continue
        if inside != draft:
            log.add(draft.number, "trimmed_at_border", draft.span_s, inside.span_s)
        kept.append(inside)
    return kept


def _was_cut(draft: Draft, before: Sequence[Draft]) -> bool:
    return draft not in before


def _same_action(earlier: Draft, later: Draft) -> bool:
    if earlier.active != later.active:
        return False
    return not earlier.active or ("" != _label(earlier) == _label(later))


def _label(draft: Draft) -> str:
    return label(draft.ecot.subtask) if draft.ecot else ""


def _merged(earlier: Draft, later: Draft, log: RepairLog) -> Draft:
    whole = replace(earlier, end_ms=later.end_ms)
    log.add(later.number, "merged_across_border", later.summary, {"segment": earlier.number, "span": whole.span_s})
    return whole
