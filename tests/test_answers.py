"""The raw response file keeps every answer word for word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.timeline.answers import MARK, Answer, format_answers, parse_answers, pts_digest

DURATION_S = 59.993333

lines = st.sampled_from(
    [
        "",
        MARK,
        MARK + '{"kind": "window", "start_s": 0.0, "end_s": 5.0, "finished": true}',
        "\\" + MARK + "x",
        "\\\\" + MARK,
        " " + MARK,
        "#% answer",
        "\\",
        "[{}]",
        "a\r",
        "\u2028\x0b\x0c",
    ]
) | st.text(max_size=10)
texts = st.lists(lines, max_size=6).map("\n".join)
times = st.floats(0, DURATION_S, allow_subnormal=False)


@st.composite
def answer(draw: st.DrawFn) -> Answer:
    start_s, end_s = draw(st.tuples(times, times).filter(lambda pair: pair[0] < pair[1]))
    kind = draw(st.sampled_from(["whole", "window", "continuation", "retry"]))
    return Answer(start_s, end_s, draw(texts), draw(st.booleans()), kind)  # type: ignore[arg-type]


@given(st.lists(answer() | texts.map(lambda text: Answer(0.0, DURATION_S, text)), min_size=1, max_size=4))
def test_round_trip(answers: list[Answer]) -> None:
    assert parse_answers(format_answers(answers, DURATION_S), DURATION_S) == answers


def test_one_answer_about_the_whole_clip_is_bare() -> None:
    text = '[{"action_id":1}]\r\n\n'
    assert format_answers([Answer(0.0, DURATION_S, text)], DURATION_S) == text
    assert parse_answers(text, DURATION_S) == [Answer(0.0, DURATION_S, text)]
    assert parse_answers("", DURATION_S) == [Answer(0.0, DURATION_S, "")]


def test_an_answer_that_was_cut_off_says_so() -> None:
    content = format_answers([Answer(0.0, DURATION_S, "[{", finished=False)], DURATION_S)
    assert content.startswith(MARK)
    assert parse_answers(content, DURATION_S)[0].finished is False


def test_the_file_can_be_read_by_a_person() -> None:
    answers = [Answer(0.0, 30.0, "[1]", kind="window"), Answer(25.0, 59.0, "[2]\n", False, "window")]
    assert format_answers(answers, DURATION_S) == (
        '#% answer {"kind": "window", "start_s": 0.0, "end_s": 30.0, "finished": true}\n[1]\n'
        '#% answer {"kind": "window", "start_s": 25.0, "end_s": 59.0, "finished": false}\n[2]\n\n'
    )


def test_missing_last_line_feed_is_forgiven() -> None:
    content = format_answers([Answer(0.0, 30.0, "[1]", kind="window")], DURATION_S)
    assert parse_answers(content.rstrip("\n"), DURATION_S)[0].text == "[1]"


@pytest.mark.parametrize(
    "content",
    [
        MARK + "nonsense\n[1]\n",
        MARK + '{"kind": "window", "start_s": 0, "end_s": 5}\n[1]\n',
        MARK + '{"kind": "other", "start_s": 0, "end_s": 5, "finished": true}\n[1]\n',
        MARK + '{"kind": "window", "start_s": 5, "end_s": 5, "finished": true}\n[1]\n',
        MARK + '{"kind": "window", "start_s": -1, "end_s": 5, "finished": true}\n[1]\n',
        MARK + '{"kind": "window", "start_s": 0, "end_s": 500, "finished": true}\n[1]\n',
        MARK + '{"kind": "window", "start_s": NaN, "end_s": 5, "finished": true}\n[1]\n',
        "text\n" + MARK + '{"kind": "window", "start_s": 0, "end_s": 5, "finished": true}\n[1]\n',
    ],
)
def test_damaged_headers_are_named(content: str) -> None:
    with pytest.raises(PipelineError, match=r"line [12] of the raw response"):
        parse_answers(content, DURATION_S)


@given(texts)
def test_any_file(content: str) -> None:
    try:
        parse_answers(content, DURATION_S)
    except PipelineError:
        assert MARK in content


def test_no_answer_is_a_bug() -> None:
    with pytest.raises(ValueError, match="at least one"):
        format_answers([], DURATION_S)


def test_pts_digest_tells_times_apart() -> None:
    assert pts_digest([0.0, 1.0]) == pts_digest((0, 1.0000001))
    assert len({pts_digest(times_s) for times_s in ([], [0.0], [0.0, 1.0], [0.0, 1.00001], [1.0, 0.0])}) == 5
