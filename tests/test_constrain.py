"""Constrained decoding on the published vocabulary size: valid documents from any logits, quickly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import torch
from llguidance import LLTokenizer

from benchmarks import bench_constrain
from benchmarks.synthetic_tokenizer import LOGIT_WIDTH, SPECIAL_TOKENS, synthetic_tokenizer
from pipeline.models.constrain import SchemaConstraint, grammar_tokenizer, with_short_numbers
from pipeline.models.tiny_tokenizer import tiny_tokenizer
from pipeline.schema.segment_schema import box_limits, segment_schema

WIDTH = 640
TOKENIZER = tiny_tokenizer()
END = TOKENIZER.convert_tokens_to_ids("<|im_end|>")
SCHEMA = segment_schema(30.0, (448, 252), max_segments=3, max_objects=2, name_chars=10, text_chars=12)


@pytest.fixture(scope="module")
def small() -> Iterator[LLTokenizer]:
    torch.set_num_threads(1)
    yield grammar_tokenizer(TOKENIZER, WIDTH, [END])


def write(constraint: SchemaConstraint, text: str) -> list[int]:
    """Feed a text token by token; returns the ids, or fails where one of them is forbidden."""
    ids = [1]
    for token in TOKENIZER(text)["input_ids"]:
        allowed = constraint(torch.tensor([ids]), torch.zeros(1, WIDTH))  # type: ignore[arg-type]
        assert allowed[0, token] == 0, f"{TOKENIZER.decode([token])!r} is forbidden after {TOKENIZER.decode(ids[1:])!r}"
        ids.append(token)
    return ids


def accepts(small: LLTokenizer, schema: dict[str, Any], text: str) -> bool:
    constraint = SchemaConstraint(small, schema)
    try:
        ids = write(constraint, text)
    except AssertionError:
        return False
    return bool(constraint(torch.tensor([ids]), torch.zeros(1, WIDTH))[0, END] == 0)  # type: ignore[arg-type]


IDLE = {"action_id": 1, "t_start_s": 0, "t_end_s": 30.0, "active": False, "objects": [], "ecot": None}
ITEM = {"object_name": None, "bbox": [0, 0, 448, 252], "rigid": True}
ECOT = {"scene": "a", "subtask": "b", "motion": "c", "prediction": "d"}
ACTIVE = IDLE | {"active": True, "objects": [ITEM], "ecot": ECOT}


@pytest.mark.parametrize(
    ("segments", "right"),
    [
        ([IDLE], True),
        ([ACTIVE, IDLE, ACTIVE], True),
        ([ACTIVE | {"objects": []}], True),
        ([ACTIVE | {"t_start_s": 12.34}], True),
        ([], False),
        ([IDLE] * 4, False),
        ([IDLE | {"t_end_s": 30.5}], False),
        ([IDLE | {"t_start_s": -1}], False),
        ([IDLE | {"objects": [ITEM]}], False),
        ([IDLE | {"ecot": ECOT}], False),
        ([ACTIVE | {"ecot": None}], False),
        ([ACTIVE | {"objects": [ITEM] * 3}], False),
        ([ACTIVE | {"objects": [ITEM | {"bbox": [0, 0, 449, 1]}]}], False),
        ([ACTIVE | {"objects": [ITEM | {"bbox": [0, 0, 1, 253]}]}], False),
        ([ACTIVE | {"objects": [ITEM | {"bbox": [0, 0, 1]}]}], False),
        ([ACTIVE | {"objects": [ITEM | {"bbox": [0, 0, 1, 1.5]}]}], False),
        ([ACTIVE | {"objects": [ITEM | {"object_name": "elevenchars"}]}], False),
        ([ACTIVE | {"ecot": ECOT | {"scene": "thirteen long"}}], False),
        ([ACTIVE | {"ecot": ECOT | {"more": "x"}}], False),
        ([{name: value for name, value in IDLE.items() if name != "ecot"}], False),
    ],
)
def test_grammar_and_schema_agree(small: LLTokenizer, segments: list[Any], right: bool) -> None:
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(segments) is right
    assert accepts(small, SCHEMA, json.dumps(segments, separators=(",", ":"))) is right


def test_what_only_the_grammar_forbids(small: LLTokenizer) -> None:
    assert not accepts(small, SCHEMA, json.dumps([IDLE]))  # blanks between tokens
    assert not accepts(small, SCHEMA, json.dumps([IDLE | {"t_start_s": 1.2345}], separators=(",", ":")))
    assert not accepts(small, SCHEMA, "```" + json.dumps([IDLE], separators=(",", ":")))


def test_only_the_end_is_allowed_after_the_document(small: LLTokenizer) -> None:
    constraint = SchemaConstraint(small, SCHEMA)
    ids = write(constraint, json.dumps([IDLE] * 3, separators=(",", ":")))
    for _ in range(3):  # and again, should the loop run on
        scores = constraint(torch.tensor([ids]), torch.zeros(1, WIDTH))  # type: ignore[arg-type]
        assert torch.nonzero(scores[0] == 0).flatten().tolist() == [END]
        ids.append(END)


def test_padding_and_special_tokens_are_never_allowed(small: LLTokenizer) -> None:
    constraint = SchemaConstraint(small, SCHEMA)
    scores = constraint(torch.tensor([[1]]), torch.zeros(1, WIDTH))  # type: ignore[arg-type]
    assert torch.isinf(scores[0, 512:]).logical_or(torch.tensor([i < len(TOKENIZER) for i in range(512, WIDTH)])).all()
    specials = TOKENIZER.convert_tokens_to_ids(["<|im_end|>", "<|video_pad|>", "<|endoftext|>"])
    assert torch.isinf(scores[0, specials]).all()
    allowed = [TOKENIZER.decode([token]) for token in torch.nonzero(scores[0] == 0).flatten().tolist()]
    assert allowed
    assert all('[{"action_id":'.startswith(piece) for piece in allowed)


def test_misuse_is_loud(small: LLTokenizer) -> None:
    constraint = SchemaConstraint(small, SCHEMA)
    with pytest.raises(ValueError, match=r"scores are \(1, 639\), expected \(1, 640\)"):
        constraint(torch.tensor([[1]]), torch.zeros(1, WIDTH - 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"scores are \(2, 640\)"):
        constraint(torch.tensor([[1], [1]]), torch.zeros(2, WIDTH))  # type: ignore[arg-type]
    constraint(torch.tensor([[1]]), torch.zeros(1, WIDTH))  # type: ignore[arg-type]
    forbidden = TOKENIZER("x")["input_ids"][0]
    with pytest.raises(RuntimeError, match="the grammar refused a token"):
        constraint(torch.tensor([[1, forbidden]]), torch.zeros(1, WIDTH))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be compiled"):
        SchemaConstraint(small, {"type": "no such type"})


def test_short_numbers_leave_the_schema_alone() -> None:
    schema = {"type": "array", "items": {"anyOf": [{"type": "number", "maximum": 3}, {"type": "integer"}]}}
    copy = with_short_numbers(schema)
    assert copy["items"]["anyOf"] == [{"type": "number", "maximum": 3, "multipleOf": 0.001}, {"type": "integer"}]
    assert "multipleOf" not in json.dumps(schema)


def test_a_stretch_in_the_middle(small: LLTokenizer) -> None:
    schema = segment_schema(42.5, (1000, 1000), start_s=12.5, max_segments=3)
    inside, before = IDLE | {"t_start_s": 12.5, "t_end_s": 42.5}, IDLE | {"t_start_s": 12.4, "t_end_s": 42.5}
    assert accepts(small, schema, json.dumps([inside], separators=(",", ":")))
    assert not accepts(small, schema, json.dumps([before], separators=(",", ":")))


@pytest.mark.parametrize(
    "arguments", [{"end_s": 0.0}, {"end_s": 3.0, "start_s": 3.0}, {"end_s": 3.0, "max_segments": 0}]
)
def test_no_schema_for_nothing(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no segment fits"):
        segment_schema(box_limits_xy=(10, 10), **arguments)


def test_box_limits() -> None:
    assert box_limits("model_px", (448, 252)) == (448, 252)
    assert box_limits("per_mille", (448, 256)) == (1000, 1000)


# The published size


def test_the_synthetic_tokenizer_has_the_published_ids() -> None:
    tokenizer = synthetic_tokenizer()
    assert len(tokenizer) == 151_665
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(151_643, 151_665))
    assert tokenizer.convert_tokens_to_ids("<|video_pad|>") == 151_656
    assert tokenizer.eos_token_id == 151_645
    assert LOGIT_WIDTH == 152_064


def test_documents_from_random_logits_at_the_published_size() -> None:
    made = bench_constrain.generate_documents(25, seed=1)
    assert all(map(bench_constrain.is_right, made.texts))
    assert made.seconds / made.tokens < 1e-3


@pytest.mark.slow
def test_every_one_of_500_documents_is_right_in_under_a_millisecond_a_token() -> None:
    assert all(row.ok is not False for row in bench_constrain.run())


def test_the_judge_of_documents_is_strict() -> None:
    good = [IDLE | {"t_end_s": 179.967}]
    assert bench_constrain.is_right(json.dumps(good))
    for bad in ([IDLE | {"t_end_s": 179.98}], [IDLE] * 5, [], good[0]):
        assert not bench_constrain.is_right(json.dumps(bad))
    assert not bench_constrain.is_right("")


@pytest.mark.parametrize("end_s", [180.0, 179.967, 52.692, 66.667, 0.5])
def test_the_end_that_the_prompt_asks_for_can_be_written(small: LLTokenizer, end_s: float) -> None:
    """Clips rarely last a whole number of hundredths; with coarser numbers their end could not be said."""
    answer = [IDLE | {"t_end_s": end_s}]
    assert accepts(small, segment_schema(end_s, (448, 252)), json.dumps(answer, separators=(",", ":")))
