from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoProcessor

from pipeline.errors import PipelineError
from pipeline.models.qwen_vl import load_annotator
from pipeline.models.tiny import write_tiny_model
from pipeline.models.tiny_tokenizer import SPECIAL_TOKENS, WORDS, tiny_tokenizer
from tests.tiny_models import FAMILIES

TOKENIZER = tiny_tokenizer()


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, family: str) -> None:
    torch.manual_seed(1)
    first = write_tiny_model(tmp_path / "first", family)
    torch.manual_seed(2)
    assert digests(write_tiny_model(tmp_path / "second", family)) == digests(first)
    other = digests(write_tiny_model(tmp_path / "other", family, seed=1))
    assert {name for name, digest in digests(first).items() if digest != other[name]} == {"model.safetensors"}


def test_the_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.rand(3)
    torch.manual_seed(5)
    write_tiny_model(tmp_path)
    assert torch.equal(torch.rand(3), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_small_and_known_to_the_auto_classes(tmp_path: Path, family: str) -> None:
    folder = write_tiny_model(tmp_path / "deep" / "down", family)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3_000_000
    config, processors = AutoConfig.from_pretrained(folder), AutoProcessor
    assert config.model_type == family.replace("-", "_")
    processor = processors.from_pretrained(folder)  # type: ignore[no-untyped-call]
    assert processor.chat_template
    assert type(processor).__name__.startswith("Qwen2_5_VL" if family == "qwen2_5-vl" else "Qwen3VL")


@pytest.mark.parametrize("family", FAMILIES)
def test_its_logits_are_wider_than_its_tokenizer(tmp_path: Path, family: str) -> None:
    annotator = load_annotator(str(write_tiny_model(tmp_path, family)), device="cpu")
    assert annotator.logit_width > len(annotator.processor.tokenizer)
    assert annotator.eos_token_ids == (TOKENIZER.convert_tokens_to_ids("<|im_end|>"),)
    assert annotator.revision is None


def test_an_unknown_family(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="'qwen4' is no model family"):
        write_tiny_model(tmp_path, "qwen4")


def test_special_tokens_are_single_and_known() -> None:
    for token in SPECIAL_TOKENS:
        assert TOKENIZER(token)["input_ids"] == [TOKENIZER.convert_tokens_to_ids(token)]
    assert TOKENIZER.eos_token == "<|im_end|>"
    assert TOKENIZER.pad_token == "<|endoftext|>"


def test_words_are_single_tokens() -> None:
    assert all(len(TOKENIZER(word)["input_ids"]) == 1 for word in WORDS)


@given(st.text())
def test_any_text_survives_the_tokenizer(text: str) -> None:
    import unicodedata

    plain = unicodedata.normalize("NFC", text)
    assert TOKENIZER.decode(TOKENIZER(plain, split_special_tokens=True)["input_ids"]) == plain
