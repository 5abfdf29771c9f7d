"""From whatever a model said to segments that cover the clip in order; every change is recorded.

Times are worked out in whole milliseconds. The rules, in their order:

1. Objects without two readable times are dropped (`dropped_bad_segment`); other spellings are read (`parsed_time`,
   `renamed_key`), finer times than milliseconds rounded (`rounded_time`; less than a microsecond is noise, not a fix).
2. Reversed times are `swapped`; times outside what was shown clamped (`clamped_start`, `clamped_end`); what has no
   length then is dropped (`dropped_empty`).
3. Sorted by start (`reordered`); the same span with the same content again is dropped (`dropped_duplicate`). Where
   segments overlap, the later start wins and the earlier is cut (`trimmed_overlap`). One that goes on after a segment
   inside it is split, and goes on after it as a segment of its own (`split_contained`), unless that rest is no
   longer than one sampling step. Of two with the same start the shorter keeps its span and the longer follows; of
   two with the same span the first said stays. What is covered entirely by others is dropped (`dropped_overlap`).
4. A gap of at most one sampling step is closed by extending the earlier segment, at the clip's start the first
   (`closed_gap`); a longer one becomes an idle segment, marked as inferred (`filled_gap`).
5. Idle with objects and active without are kept and flagged; idle with reasoning loses it (`idle_with_ecot`).
6. Boxes: see `boxes.BoxMapper.map`. A box outside its segment after cutting is kept and flagged; the rest of a split
   segment gets the boxes only if they were seen within it (`moved_boxes`).
7. `action_id` counts from 1 (`renumbered`).

Rules 1, 2, 5 and 6 look at one segment and are applied while it is read (`drafts`). Nothing the model said is dropped
for being short: shorter than a sampling step is flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.ops.timeline.boxes import BoxMapper
from pipeline.ops.timeline.drafts import Draft, RepairLog, Shown, read_drafts
from pipeline.ops.timeline.overlaps import order_and_trim
from pipeline.ops.timeline.quality import measure, warn
from pipeline.ops.timeline.text_times import duration_to_ms, to_ms, to_seconds
from pipeline.schema.segments import ClipWarning, Quality, Repair, Segment, SegmentFlags


@dataclass(frozen=True)
class Timeline:
    """A clip's repaired segments. `said` counts the segments that came from the model.

    With `said` 0 nothing usable was said: the one segment is inferred idle, and a caller should treat the answer as
    failed instead of keeping it.
    """

    duration_s: float
    segments: tuple[Segment, ...]
    repairs: tuple[Repair, ...]
    flags: dict[int, SegmentFlags]
    warnings: tuple[ClipWarning, ...]
    needs_review: bool
    quality: Quality
    said: int


def repair(
    raw_segments: Sequence[object],
    duration_s: float,
    *,
    sampling_step_s: float,
    boxes: BoxMapper,
    sampled_pts_s: Sequence[float] = (),
    decode_errors: int = 0,
) -> Timeline:
    """Repair the segments of one answer about a whole clip. Any input gives a cover of [0, duration].

    Raises:
        PipelineError: the duration is not at least one millisecond.
    """
    log = RepairLog()
    shown = Shown(0, duration_to_ms(duration_s), sampled_pts_s)
    drafts = read_drafts(raw_segments, shown, boxes, log)
    coverage = covered_ms(drafts) / shown.end_ms
    trimmed = order_and_trim(drafts, to_ms(sampling_step_s), log)
    return settle(
        trimmed,
        duration_s,
        sampling_step_s=sampling_step_s,
        coverage_before_repair=coverage,
        decode_errors=decode_errors,
        log=log,
    )


def settle(
    drafts: Sequence[Draft],
    duration_s: float,
    *,
    sampling_step_s: float,
    coverage_before_repair: float,
    decode_errors: int,
    log: RepairLog,
    notices: Sequence[ClipWarning] = (),
) -> Timeline:
    """Rules 4 and 7, flags and figures, for drafts in order and without overlaps.

    `notices` are warnings found earlier, about the answers; like any warning they ask for review.
    """
    end_ms, step_ms = duration_to_ms(duration_s), to_ms(sampling_step_s)
    said = len({draft.number for draft in drafts})
    whole = _fill_gaps(drafts, end_ms, step_ms, log)
    segments, flags = [], {}
    for action_id, draft in enumerate(whole, 1):
        if draft.number is not None and not (draft.model_id == action_id and type(draft.model_id) is int):
            log.add(draft.number, "renumbered", draft.model_id, action_id)
        segments.append(_segment(action_id, draft))
        flags[action_id] = _flags(draft, step_ms)
    warnings = (*notices, *warn(segments, flags, step_ms, coverage_before_repair))
    return Timeline(
        duration_s=to_seconds(end_ms),
        segments=tuple(segments),
        repairs=tuple(log.repairs),
        flags=flags,
        warnings=warnings,
        needs_review=bool(warnings),
        quality=measure(segments, flags, log.repairs, coverage_before_repair, decode_errors),
        said=said,
    )


def covered_ms(drafts: Sequence[Draft]) -> int:
    """Milliseconds of the clip that at least one draft covers."""
    total = reached = 0
    for draft in sorted(drafts, key=lambda draft: draft.start_ms):
        total += max(0, draft.end_ms - max(draft.start_ms, reached))
        reached = max(reached, draft.end_ms)
    return total


def _fill_gaps(drafts: Sequence[Draft], end_ms: int, step_ms: int, log: RepairLog) -> list[Draft]:
    """Rule 4: no time between 0 and `end_ms` without a segment."""
    whole: list[Draft] = []
    reached = 0
    for draft in drafts:
        if draft.start_ms > reached:
            if draft.start_ms - reached > step_ms:
                whole.append(_inferred_idle(reached, draft.start_ms, log))
            elif whole:
                whole[-1] = _stretched(whole[-1], whole[-1].start_ms, draft.start_ms, log)
            else:
                draft = _stretched(draft, 0, draft.end_ms, log)
        whole.append(draft)
        reached = draft.end_ms
    if reached < end_ms:
        if whole and end_ms - reached <= step_ms:
            whole[-1] = _stretched(whole[-1], whole[-1].start_ms, end_ms, log)
        else:
            whole.append(_inferred_idle(reached, end_ms, log))
    return whole


def _stretched(draft: Draft, start_ms: int, end_ms: int, log: RepairLog) -> Draft:
    longer = replace(draft, start_ms=start_ms, end_ms=end_ms)
    log.add(draft.number, "closed_gap", draft.span_s, longer.span_s)
    return longer


def _inferred_idle(start_ms: int, end_ms: int, log: RepairLog) -> Draft:
    idle = Draft(number=None, start_ms=start_ms, end_ms=end_ms, active=False, inferred=True)
    log.add(None, "filled_gap", None, idle.span_s)
    return idle


def _segment(action_id: int, draft: Draft) -> Segment:
    return Segment(
        action_id=action_id,
        t_start_s=to_seconds(draft.start_ms),
        t_end_s=to_seconds(draft.end_ms),
        active=draft.active,
        objects=draft.objects,
        ecot=draft.ecot,
    )


def _flags(draft: Draft, step_ms: int) -> SegmentFlags:
    review = {
        "idle_with_objects": not draft.active and bool(draft.objects),
        "active_without_objects": draft.active and not draft.objects,
        "active_without_ecot": draft.active and draft.ecot is None,
        "shorter_than_step": draft.end_ms - draft.start_ms < step_ms,
        "box_time_outside_segment": draft.bbox_t_s is not None
        and not draft.start_ms - step_ms <= draft.bbox_t_s * 1000 <= draft.end_ms + step_ms,
    }
    return SegmentFlags(
        source=draft.number,
        bbox_t_s=draft.bbox_t_s,
        model_boxes=draft.model_boxes,
        inferred=draft.inferred,
        inferred_fields=draft.inferred_fields,
        review=tuple(reason for reason, applies in review.items() if applies),
    )
