from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import transformers

from pipeline.errors import PipelineError
from pipeline.models.families import FAMILIES, Family, family_named, family_of, vision_of
from pipeline.models.qwen_vl import load_annotator
from pipeline.models.tiny import write_tiny_model


@pytest.mark.parametrize("family", FAMILIES, ids=lambda row: row.name)
def test_every_row_names_a_class_of_its_type(family: Family) -> None:
    model_class = getattr(transformers, family.model_class)
    assert model_class.config_class.model_type == family.model_type


def test_rows_of_the_two_families() -> None:
    old, new = family_of("qwen2_5_vl", ""), family_of("qwen3_vl", "")
    assert (old.box_convention, old.time_mode, old.context_tokens) == ("model_px", "seconds_per_grid", 32_768)
    assert (new.box_convention, new.time_mode) == ("per_mille", "textual")


def test_an_unknown_type_is_refused_with_the_supported_ones() -> None:
    with pytest.raises(PipelineError, match=r"'llava'.*qwen2_5_vl.*qwen3_vl"):
        family_of("llava", "some/model")


def test_names_may_be_written_with_either_dash() -> None:
    assert family_named("qwen2_5_vl") is family_named("qwen2_5-vl") is family_of("qwen2_5_vl", "")
    with pytest.raises(PipelineError, match="no model family"):
        family_named("qwen")


@pytest.mark.parametrize(("name", "factor"), [("qwen2_5-vl", 28), ("qwen3-vl", 32)])
def test_numbers_come_from_the_models_own_files(tmp_path: Path, name: str, factor: int) -> None:
    annotator = load_annotator(str(write_tiny_model(tmp_path, name)), device="cpu")
    assert annotator.vision.factor == factor
    assert annotator.vision.temporal_patch == 2
    tokenizer = annotator.processor.tokenizer
    assert annotator.vision.video_token_id == tokenizer.convert_tokens_to_ids("<|video_pad|>")
    assert annotator.vision.vision_start_id == tokenizer.convert_tokens_to_ids("<|vision_start|>")


def test_config_and_processor_that_disagree_are_refused(tmp_path: Path) -> None:
    annotator = load_annotator(str(write_tiny_model(tmp_path)), device="cpu")
    processor = SimpleNamespace(
        video_processor=SimpleNamespace(patch_size=16, merge_size=2, temporal_patch_size=2, size={}),
        video_token_id=annotator.vision.video_token_id,
    )
    with pytest.raises(PipelineError, match=r"patch size is 14 in config\.json but 16"):
        vision_of(annotator.family, annotator.model.config, processor, "mixed")
