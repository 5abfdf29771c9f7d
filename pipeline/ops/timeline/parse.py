"""From a clip's raw response to its annotations: salvage, place on the clip's time, join, repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.ops.timeline.answers import Answer
from pipeline.ops.timeline.boxes import BoxMapper
from pipeline.ops.timeline.drafts import Draft, RepairLog, Shown, read_drafts
from pipeline.ops.timeline.overlaps import order_and_trim
from pipeline.ops.timeline.repair import covered_ms, settle
from pipeline.ops.timeline.salvage import Salvage, salvage
from pipeline.ops.timeline.text_times import duration_to_ms, seconds_text, to_ms
from pipeline.ops.timeline.windows import Part, join_windows
from pipeline.schema.answers import AnswerRecord, RawResponse
from pipeline.schema.provenance import AnswerUse, Provenance
from pipeline.schema.segments import Annotations, ClipWarning

_TOLERANCE_S = 0.001


@dataclass(frozen=True)
class _Read:
    """One answer, read: what was salvaged, the usable segments in it in the model's order, and what reading changed."""

    answer: Answer
    found: Salvage
    drafts: tuple[Draft, ...]
    log: RepairLog


@dataclass(frozen=True)
class _Stretch:
    """All answers about one stretch: the first and its retries."""

    attempts: tuple[_Read, ...]

    @property
    def best(self) -> _Read:
        """The last one with a usable segment; the last one when none has."""
        return next((item for item in reversed(self.attempts) if item.drafts), self.attempts[-1])

    @property
    def continues(self) -> bool:
        return self.attempts[0].answer.kind == "continuation"


def annotations_from(answers: Sequence[Answer], record: RawResponse) -> Annotations:
    """Annotate one clip from what the model said. Pure: the same answers and record give the same annotations.

    Args:
        answers: in the order asked: each stretch followed by its retries and continuations.
        record: everything else there is to know about them, with one entry an answer.

    Raises:
        PipelineError: the record does not belong to the answers; a stretch has no usable segment in any of its
            answers; the duration is not at least one millisecond.
    """
    _check_belong_together(answers, record)
    step_s = 1 / record.sampling.fps
    step_ms = to_ms(step_s)
    stretches = _stretches(_read_all(answers, record))
    notices = [*_unseen(record), *_notices(stretches, step_ms)]
    log = RepairLog([repair for stretch in stretches for repair in stretch.best.log.repairs])
    said = [draft for stretch in stretches for draft in stretch.best.drafts]
    timeline = settle(
        join_windows([_part(stretch, step_ms, log) for stretch in stretches], step_ms, log),
        record.duration_s,
        sampling_step_s=step_s,
        coverage_before_repair=covered_ms(said) / duration_to_ms(record.duration_s),
        decode_errors=len(record.sampling.decode_gaps),
        log=log,
        notices=notices,
    )
    return Annotations(
        clip=record.clip,
        duration_s=timeline.duration_s,
        segments=timeline.segments,
        boxes=record.boxes,
        repairs=timeline.repairs,
        flags=timeline.flags,
        warnings=timeline.warnings,
        needs_review=timeline.needs_review,
        quality=timeline.quality,
        provenance=_provenance(record),
    )


def _check_belong_together(answers: Sequence[Answer], record: RawResponse) -> None:
    name = f"{record.clip}_raw_response"
    fix = f"keep {name}.txt and .json of one run together, or remove the .json to parse with defaults"
    if len(answers) != len(record.answers):
        problem = f"the raw response of {record.clip} holds {len(answers)} answers, its record {len(record.answers)}"
        raise PipelineError(problem, fix)
    for number, (answer, known) in enumerate(zip(answers, record.answers, strict=True), 1):
        apart_s = max(abs(answer.start_s - known.start_s), abs(answer.end_s - known.end_s))
        if answer.kind != known.kind or apart_s > _TOLERANCE_S or known.end_s > record.duration_s + _TOLERANCE_S:
            raise PipelineError(
                f"answer {number} in the raw response of {record.clip} is a {answer.kind} from {answer.start_s:g} to "
                f"{answer.end_s:g} s, in its record a {known.kind} from {known.start_s:g} to {known.end_s:g} s "
                f"of {record.duration_s:g} s",
                fix,
            )


def _read_all(answers: Sequence[Answer], record: RawResponse) -> list[_Read]:
    """Every answer salvaged and read; objects are counted through all of them."""
    boxes = BoxMapper(record.box_convention, record.model_size_wh, record.boxes.size_wh)
    end_ms = duration_to_ms(record.duration_s)
    read: list[_Read] = []
    first_number = 1
    for answer, known in zip(answers, record.answers, strict=True):
        found, log = salvage(answer.text), RepairLog()
        for twice in found.duplicates:
            log.add(first_number + twice.item, "duplicate_key", {twice.key: twice.first}, {twice.key: twice.kept})
        shown = Shown(to_ms(answer.start_s), min(to_ms(answer.end_s), end_ms), known.sampled_pts_s)
        drafts = read_drafts(found.objects, shown, boxes, log, first_number)
        read.append(_Read(answer, found, tuple(drafts), log))
        first_number += len(found.objects)
    return read


def _stretches(read: Sequence[_Read]) -> list[_Stretch]:
    """Answers grouped by what they were asked about: retries go with the answer that they repeat."""
    grouped: list[list[_Read]] = []
    for item in read:
        before = grouped[-1][0].answer if grouped else None
        if before and item.answer.kind == "retry" and (item.answer.start_s, item.answer.end_s) == before.span_s:
            grouped[-1].append(item)
        else:
            grouped.append([item])
    return [_Stretch(tuple(attempts)) for attempts in grouped]


def _unseen(record: RawResponse) -> list[ClipWarning]:
    """What the model could not be shown."""
    gaps = record.sampling.decode_gaps
    if not gaps:
        return []
    seconds = sum(gap.t_end_s - gap.t_start_s for gap in gaps)
    where = ", ".join(f"{seconds_text(gap.t_start_s)} to {seconds_text(gap.t_end_s)} s" for gap in gaps[:10])
    detail = f"{seconds / record.duration_s:.0%} of the clip could not be decoded and was not seen: {where}"
    return [ClipWarning(code="footage_missing", detail=detail)]


def _notices(stretches: Sequence[_Stretch], step_ms: int) -> list[ClipWarning]:
    """What the answers themselves give reason to doubt.

    Raises:
        PipelineError: a stretch has no usable segment. A continuation may have none: its time is then filled as idle.
    """
    notices: list[ClipWarning] = []
    for stretch, following in zip(stretches, [*stretches[1:], None], strict=True):
        best = stretch.best
        on = f"on {seconds_text(best.answer.start_s)} to {seconds_text(best.answer.end_s)} s"
        if not best.drafts and not stretch.continues:
            raise PipelineError(
                f"the answer {on} holds no usable segment; it begins {best.answer.text[:80]!r}",
                "read the raw response; try another PROMPT or MODEL with REDO=annotate",
            )
        if any(item.drafts for item in stretch.attempts if item is not best):
            notices.append(ClipWarning(code="answer_replaced", detail=f"a retry replaces a usable answer {on}"))
        if best.found.trailing_chars:
            unused = f"{best.found.trailing_chars} characters after the segments of the answer {on} were not used"
            notices.append(ClipWarning(code="text_after_segments", detail=unused))
        reached_ms = max((draft.end_ms for draft in best.drafts), default=0)
        to_the_end = reached_ms + step_ms >= to_ms(best.answer.end_s)
        continued = following is not None and following.continues
        if best.found.state != "complete" and not to_the_end and not continued:
            notices.append(ClipWarning(code="answer_cut_off", detail=f"the answer {on} broke off before its end"))
    return notices


def _part(stretch: _Stretch, step_ms: int, log: RepairLog) -> Part:
    answer = stretch.best.answer
    trimmed = order_and_trim(stretch.best.drafts, step_ms, log)
    return Part(to_ms(answer.start_s), to_ms(answer.end_s), tuple(trimmed), stretch.continues)


def _provenance(record: RawResponse) -> Provenance:
    return Provenance(
        source_sha256=record.source_sha256,
        sampling=record.sampling,
        model=record.model,
        libraries=record.libraries,
        prompt_sha256=record.prompt_sha256,
        decoding=record.decoding,
        answers=tuple(_use(answer) for answer in record.answers),
    )


def _use(answer: AnswerRecord) -> AnswerUse:
    return AnswerUse(
        kind=answer.kind,
        start_s=answer.start_s,
        end_s=answer.end_s,
        finished=answer.finished,
        prompt_tokens=answer.prompt_tokens,
        new_tokens=answer.new_tokens,
    )
