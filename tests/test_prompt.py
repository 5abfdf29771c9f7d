"""Prompt files and their placeholders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.timeline.boxes import BoxMapper
from pipeline.ops.timeline.prompt import PLACEHOLDERS, fill, load_prompt, part_note, prompt_values
from pipeline.ops.timeline.repair import repair
from pipeline.ops.timeline.salvage import salvage

PROMPTS = Path(__file__).resolve().parents[1] / "prompts"
VALUES = prompt_values(
    times_s=[float(second) for second in range(180)],
    duration_s=179.993,
    fps=1.0,
    size_wh=(448, 252),
    box_convention="model_px",
    part=part_note(0, 179.993, 400),
)


def test_every_placeholder_has_a_value() -> None:
    assert tuple(VALUES) == PLACEHOLDERS


@pytest.mark.parametrize("name", ["segments.txt", "segments_retry.txt"])
def test_our_prompts_can_be_filled(name: str) -> None:
    text = fill(load_prompt(PROMPTS / name).text, VALUES)
    assert not [placeholder for placeholder in PLACEHOLDERS if "{" + placeholder + "}" in text]
    assert "179.993" in text


def test_the_request_carries_what_the_model_must_know() -> None:
    text = fill(load_prompt(PROMPTS / "segments.txt").text, VALUES)
    for needed in (
        "head of a factory worker", "180 frames, 1 per second", "0.0, 1.0, ... 179.0", "JSON array", "No gaps",
        "idle time included", "one manipulation", "Never merge", "at rest, walking or only looking", "null if you can",
        "cloth, rope, film and cable", "middle frame of the segment", "448x252", "prediction",
    ):  # fmt: skip
        assert needed in text
    assert len(text) < 3500  # a 7B model follows few rules; each costs tokens for every clip


def test_the_example_is_a_perfect_answer() -> None:
    text = load_prompt(PROMPTS / "segments.txt").text
    found = salvage(text[text.index("The form,") :])
    compact = json.dumps(found.objects, separators=(",", ":"))
    assert compact in text
    assert [list(item) for item in found.objects] == [  # type: ignore[call-overload]
        ["action_id", "t_start_s", "t_end_s", "active", "objects", "ecot"]
    ] * 2
    boxes = BoxMapper("model_px", (448, 252), (456, 256))
    assert repair(list(found.objects), 9.0, sampling_step_s=1.0, boxes=boxes).repairs == ()


def test_the_readme_lists_the_placeholders() -> None:
    readme = (PROMPTS / "README.md").read_text()
    assert not [name for name in PLACEHOLDERS if "{" + name + "}" not in readme]


def test_braces_of_json_stay() -> None:
    template = '{"a":{"b":[{}]},"c":{ }} {duration_s} {{duration_s}} { duration_s }'
    assert fill(template, {"duration_s": "{fps}"}) == '{"a":{"b":[{}]},"c":{ }} {fps} {duration_s} {fps}'


@pytest.mark.parametrize("template", ["{duration}", "a { Fps } b", '{"a": {unknown}}'])
def test_unknown_placeholders_are_refused(template: str, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="placeholder"):
        fill(template, VALUES)
    path = tmp_path / "mine.txt"
    path.write_text(template)
    with pytest.raises(PipelineError, match="placeholder"):
        load_prompt(path)


def test_a_slip_gets_a_hint(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        fill("{frame_time}", VALUES)
    assert "{frame_times}" in caught.value.fix


def test_unusable_files(tmp_path: Path) -> None:
    contents = {"empty.txt": b" \n", "binary.txt": b"\xff\xfe\x00", "large.txt": b"a" * 200_000}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "missing.txt", "."):
        with pytest.raises(PipelineError):
            load_prompt(tmp_path / name)


def test_digest_is_of_the_words_not_of_the_line_ends(tmp_path: Path) -> None:
    for name, content in (
        ("a", b"one\ntwo\n"),
        ("b", b"one\r\ntwo\r\n"),
        ("c", b"\xef\xbb\xbfone\ntwo\n"),
        ("d", b"one two\n"),
    ):
        (tmp_path / name).write_bytes(content)
    digests = [load_prompt(tmp_path / name).sha256 for name in "abcd"]
    assert len(set(digests[:3])) == 1
    assert digests[3] != digests[0]


@given(st.text(), st.text())
def test_values_are_never_read_as_templates(before: str, value: str) -> None:
    template = before.replace("{", "").replace("}", "") + "{part}"
    assert fill(template, {"part": value}) == template[: -len("{part}")] + value


def test_frame_times() -> None:
    def text(times_s: list[float]) -> str:
        return prompt_values(times_s=times_s, duration_s=9, fps=2, size_wh=(448, 256), box_convention="per_mille")[
            "frame_times"
        ]

    assert text([]) == ""
    assert text([0.0, 1.0, 2.0]) == "0.0, 1.0, 2.0"
    assert text([0.0, 0.5, 1.0, 1.5333, 2.0]) == "0.0, 0.5, ... 2.0 (one frame every 0.5 s)"
    assert text([0.0, 1.0, 2.4, 3.0]) == "0.0, 1.0, 2.4, 3.0"
    assert text([0.0, 0.033, 2.4, 3.0]) == "0, 0.033, 2.4, 3"


def test_conventions_and_part() -> None:
    values = prompt_values(times_s=[0.0], duration_s=9, fps=2, size_wh=(448, 256), box_convention="per_mille")
    assert "1000" in values["box_convention"]
    assert values["part"] == ""
    note = part_note(60, 120, 180.5, "turn the bolt")
    assert all(
        needed in note for needed in ("60 to 120 s", "180.5 s", "from the start of this part", '"turn the bolt"')
    )


def test_times_around_a_hole_are_written_as_two_runs() -> None:
    times_s = [float(number) for number in [*range(60), *range(64, 180)]]
    text = prompt_values(times_s=times_s, duration_s=180, fps=1, size_wh=(448, 252), box_convention="model_px")[
        "frame_times"
    ]
    assert text == "0.0, 1.0, ... 59.0, 64.0, 65.0, ... 179.0 (one frame every 1 s)"
