"""From a raw response to annotations, whole clips, windows, continuations and retries."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.timeline.answers import Answer, format_answers, parse_answers, pts_digest
from pipeline.ops.timeline.parse import annotations_from
from pipeline.schema.answers import AnswerRecord, RawResponse
from pipeline.schema.provenance import DecodeGap, Decoding, ModelSource, Sampling
from pipeline.schema.segments import Annotations, BoxSpace

DURATION_S = 59.9996
PTS_S = tuple(index * 1.001 for index in range(60))


def said(start: float, end: float, text: str | None = "turn the bolt", **more: object) -> dict[str, object]:
    ecot = {"scene": "bench", "subtask": text, "motion": "clockwise", "prediction": "next"} if text else None
    objects = [{"object_name": "bolt", "bbox": [112, 63, 224, 126], "rigid": True}] if text else []
    return {"t_start_s": start, "t_end_s": end, "active": bool(text), "objects": objects, "ecot": ecot, **more}


def text_of(*segments: dict[str, object], cut: bool = False) -> str:
    numbered = [{"action_id": number, **segment} for number, segment in enumerate(segments, 1)]
    text = json.dumps(numbered, separators=(",", ":"))
    return text[:-1] + ',{"action_id":' if cut else text


def record_of(answers: Sequence[Answer], gaps: tuple[DecodeGap, ...] = ()) -> RawResponse:
    return RawResponse(
        clip="factory_001_worker_001_0000",
        duration_s=DURATION_S,
        source_sha256="5" * 64,
        boxes=BoxSpace(
            space="rectified_px",
            size_wh=(456, 256),
            rectified_K=((138.0, 0.0, 232.0), (0.0, 138.0, 125.0), (0.0, 0.0, 1.0)),
            map_digest="d" * 64,
            balance=None,
        ),
        box_convention="model_px",
        model_size_wh=(448, 252),
        sampling=Sampling(fps=1.0, frames=len(PTS_S), pts_digest=pts_digest(PTS_S), decode_gaps=gaps),
        model=ModelSource(id="Qwen/Qwen2.5-VL-7B-Instruct", revision="abc", family="qwen2_5_vl", dtype="bfloat16"),
        libraries={"transformers": "5.23.0", "av": "18.1.0"},
        prompt_sha256="a" * 64,
        decoding=Decoding(max_new_tokens=2048, constrained=True, tries=3),
        answers=tuple(
            AnswerRecord(
                kind=answer.kind,
                start_s=answer.start_s,
                end_s=answer.end_s,
                finished=answer.finished,
                new_tokens=100,
                sampled_pts_s=tuple(time_s for time_s in PTS_S if answer.start_s <= time_s < answer.end_s),
            )
            for answer in answers
        ),
    )


def annotate(*answers: Answer) -> Annotations:
    return annotations_from(answers, record_of(answers))


def spans(annotations: Annotations) -> list[tuple[float, float, str]]:
    return [
        (segment.t_start_s, segment.t_end_s, (segment.ecot.subtask if segment.ecot else None) or "")
        for segment in annotations.segments
    ]


def codes(annotations: Annotations) -> list[str]:
    return [warning.code for warning in annotations.warnings]


WHOLE = Answer(0.0, DURATION_S, text_of(said(0, 20), said(20, 33, None), said(33, 59.999, "cut")))


def test_one_answer_about_the_whole_clip() -> None:
    annotations = annotate(WHOLE)
    assert spans(annotations) == [(0, 20, "turn the bolt"), (20, 33, ""), (33, 59.999, "cut")]
    assert annotations.repairs == ()
    assert not annotations.needs_review
    assert annotations.duration_s == 59.999
    assert annotations.segments[0].objects[0].bbox == (114, 64, 228, 128)
    assert annotations.flags[1].model_boxes == ((112, 63, 224, 126),)
    assert annotations.flags[1].bbox_t_s == PTS_S[10]
    assert list(annotations.provenance.libraries) == ["av", "transformers"]
    assert annotations.provenance.answers[0].new_tokens == 100


def test_segments_hold_exactly_the_agreed_keys_in_order() -> None:
    written = json.loads(annotate(WHOLE).model_dump_json())
    assert list(written["segments"][0]) == ["action_id", "t_start_s", "t_end_s", "active", "objects", "ecot"]
    assert list(written["segments"][0]["objects"][0]) == ["object_name", "bbox", "rigid"]
    assert list(written["segments"][0]["ecot"]) == ["scene", "subtask", "motion", "prediction"]
    assert written["segments"][1]["objects"] == []
    assert written["segments"][1]["ecot"] is None
    assert list(written) == [
        "clip", "duration_s", "segments", "boxes", "repairs", "flags", "warnings", "needs_review", "quality",
        "provenance",
    ]  # fmt: skip


WINDOWS = (
    Answer(0.0, 35.0, "```json\n" + text_of(said(0, 20), said(20, 35, "cut")) + "\n```", kind="window"),
    Answer(25.0, DURATION_S, text_of(said(0, 15, "Cut!"), said(15, 34.999, None)), kind="window"),
)


def test_windows_are_placed_on_the_clips_time_and_joined() -> None:
    annotations = annotate(*WINDOWS)
    assert spans(annotations) == [(0, 20, "turn the bolt"), (20, 40, "cut"), (40, 59.999, "")]
    assert [entry.rule for entry in annotations.repairs] == [
        "trimmed_at_border", "trimmed_at_border", "merged_across_border", "renumbered",
    ]  # fmt: skip
    assert annotations.repairs[-1].segment == 4
    assert annotations.flags[3].source == 4


def test_times_beyond_a_window_are_not_the_models_to_judge() -> None:
    beyond = Answer(0.0, 35.0, text_of(said(0, 20), said(20, 50, "cut")), kind="window")
    rules = [(entry.rule, entry.before, entry.after) for entry in annotate(beyond, WINDOWS[1]).repairs]
    assert ("clamped_end", 50.0, 35.0) in rules


CUT = Answer(0.0, DURATION_S, text_of(said(0, 20), said(20, 33, None), cut=True), finished=False)


def test_a_cut_off_answer_and_its_continuation() -> None:
    annotations = annotate(CUT, Answer(33.0, DURATION_S, text_of(said(0, 26.999, "cut")), kind="continuation"))
    assert spans(annotations) == spans(annotate(WHOLE))
    assert codes(annotations) == []


def test_a_cut_off_answer_alone_says_so() -> None:
    annotations = annotate(CUT)
    assert spans(annotations)[-1] == (33, 59.999, "")
    assert annotations.flags[3].inferred
    assert codes(annotations) == ["answer_cut_off"]
    assert annotations.needs_review


def test_a_cut_off_answer_that_reaches_the_end_needs_no_warning() -> None:
    assert codes(annotate(Answer(0.0, DURATION_S, text_of(said(0, 20), said(20, 59.5, "cut"), cut=True), False))) == []


def test_a_useless_continuation_leaves_what_there_was() -> None:
    annotations = annotate(CUT, Answer(33.0, DURATION_S, "sorry", kind="continuation"))
    assert spans(annotations) == spans(annotate(CUT))
    assert codes(annotations) == ["answer_cut_off"]


def test_a_retry_takes_the_place_of_what_it_repeats() -> None:
    retry = Answer(0.0, DURATION_S, WHOLE.text, kind="retry")
    annotations = annotate(Answer(0.0, DURATION_S, "I cannot."), retry)
    assert spans(annotations) == spans(annotate(WHOLE))
    assert codes(annotations) == []
    replaced = annotate(Answer(0.0, DURATION_S, text_of(said(20, 0), cut=True), False), retry)
    assert {entry.rule for entry in replaced.repairs} == set()
    assert spans(replaced) == spans(annotate(WHOLE))
    assert codes(replaced) == ["answer_replaced"]
    assert codes(annotate(WHOLE, Answer(0.0, DURATION_S, "no", kind="retry"))) == []


def test_a_retried_continuation() -> None:
    late = [
        Answer(33.0, DURATION_S, "no", kind="continuation"),
        Answer(33.0, DURATION_S, text_of(said(0, 26.999, "cut")), kind="retry"),
    ]
    assert spans(annotate(CUT, *late)) == spans(annotate(WHOLE))


@pytest.mark.parametrize("text", ["", "no idea", "[]", "[{}]", '[{"t_start_s":1,"t_end_s":1}]'])
def test_an_answer_without_a_usable_segment_fails_the_clip(text: str) -> None:
    with pytest.raises(PipelineError, match="no usable segment"):
        annotate(Answer(0.0, DURATION_S, text))
    with pytest.raises(PipelineError, match="on 25 to 60 s"):
        annotate(WINDOWS[0], Answer(25.0, DURATION_S, text, kind="window"))


def test_text_after_the_segments_is_noticed() -> None:
    assert codes(annotate(Answer(0.0, DURATION_S, WHOLE.text + WHOLE.text))) == ["text_after_segments"]


def test_keys_that_stand_twice_are_recorded() -> None:
    doubled = WHOLE.text.replace('"t_end_s":20', '"t_end_s":18,"t_end_s":20')
    repairs = annotate(Answer(0.0, DURATION_S, doubled)).repairs
    assert [(entry.segment, entry.rule, entry.before) for entry in repairs] == [(1, "duplicate_key", {"t_end_s": 18})]


def test_decode_gaps_are_counted() -> None:
    gaps = (DecodeGap(t_start_s=3.0, t_end_s=4.0, reason="corrupt packet"),)
    assert annotations_from([WHOLE], record_of([WHOLE], gaps)).quality.decode_errors == 1


def test_answers_of_another_run_are_refused() -> None:
    for others in ([WHOLE, WHOLE], list(WINDOWS), [Answer(0.0, 30.0, "")], [Answer(0.0, DURATION_S, "", kind="retry")]):
        with pytest.raises(PipelineError, match="record"):
            annotations_from(others, record_of([WHOLE]))


@pytest.mark.parametrize("answers", [[WHOLE], list(WINDOWS), [CUT]])
def test_saved_and_parsed_again_gives_the_same_bytes(answers: list[Answer]) -> None:
    record = record_of(answers)
    first = annotations_from(answers, record).model_dump_json(indent=2)
    saved_text, saved_record = format_answers(answers, DURATION_S), record.model_dump_json()
    again = annotations_from(
        parse_answers(saved_text, DURATION_S), RawResponse.model_validate_json(saved_record)
    ).model_dump_json(indent=2)
    assert again == first
    assert Annotations.model_validate_json(first).model_dump_json(indent=2) == first


fragments = st.sampled_from(
    [
        WHOLE.text,
        CUT.text,
        text_of(said(5, 2), said(-4, 90, "\ud800"), said(5, 2)),
        '[{"t_start_s":0,"t_end_s":1e999,"objects":[[[]]]}]',
        '{"t_start_s":1,"t_end_s":"00:09"},',
        *("[", "{", "]", "\ud800", "NaN", "```", '"', ",", "\n"),
    ]
)


@given(st.lists(st.lists(fragments | st.text(max_size=5), max_size=5).map("".join), min_size=1, max_size=3))
def test_any_text_gives_annotations_or_a_clear_error(texts: list[str]) -> None:
    answers = [
        Answer(index * 15.0, min(index * 15.0 + 30, DURATION_S), text, kind="window")
        for index, text in enumerate(texts)
    ]
    try:
        annotations = annotate(*answers)
    except PipelineError as error:
        assert "no usable segment" in str(error)
        return
    assert Annotations.model_validate_json(annotations.model_dump_json()) == annotations
