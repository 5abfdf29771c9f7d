"""The arithmetic of the memory plan, against the real classes on the meta device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from pipeline.errors import PipelineError
from pipeline.ops.model.dims import KNOWN, QWEN2_5_VL_3B, QWEN2_5_VL_7B, dims_of_config, parameters
from pipeline.ops.model.memory_plan import key_value_bytes_per_token, memory_plan, weight_bytes

ROPE = {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [16, 24, 24]}


def text(vocabulary: int, hidden: int, wide: int, layers: int, heads: int, key_values: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_values,
        "rope_parameters": ROPE,
    }


def vision(out: int, **more: Any) -> dict[str, Any]:
    return {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": out} | more


MODELS: dict[str, tuple[Any, Any]] = {
    "7B": (
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLConfig(text_config=text(152_064, 3584, 18_944, 28, 28, 4), vision_config=vision(3584)),
    ),
    "3B": (
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLConfig(
            text_config=text(151_936, 2048, 11_008, 36, 16, 2), vision_config=vision(2048), tie_word_embeddings=True
        ),
    ),
    "Qwen3 4B": (
        Qwen3VLForConditionalGeneration,
        Qwen3VLConfig(
            text_config=text(151_936, 2560, 9728, 36, 32, 8) | {"head_dim": 128},
            vision_config={
                "depth": 24,
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "out_hidden_size": 2560,
                "deepstack_visual_indexes": [5, 11, 17],
            },
            tie_word_embeddings=True,
        ),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_real_class(name: str) -> None:
    model_class, config = MODELS[name]
    with torch.device("meta"):
        model = model_class(config)
    assert parameters(dims_of_config(config.to_dict())) == sum(weight.numel() for weight in model.parameters())


def test_dimensions_known_by_heart_are_those_of_the_configs() -> None:
    assert dims_of_config(MODELS["7B"][1].to_dict()) == QWEN2_5_VL_7B
    assert dims_of_config(MODELS["3B"][1].to_dict()) == QWEN2_5_VL_3B


def test_three_minutes_at_one_frame_a_second_on_the_7b_model() -> None:
    """The published figures: 8.292 billion numbers, 57,344 bytes a token, 12,960 visual tokens, 51,840 patches."""
    plan = memory_plan(QWEN2_5_VL_7B, 180, (448, 252), text_tokens=540, new_tokens=4096, free_bytes=24 * 10**9)
    size = {row.name: row.bytes for row in plan.rows}
    assert (plan.visual_tokens, plan.prompt_tokens) == (12_960, 13_500)
    assert parameters(QWEN2_5_VL_7B) == 8_292_166_656
    assert size["weights"] / 1e9 == pytest.approx(16.58, abs=0.005)
    assert key_value_bytes_per_token(QWEN2_5_VL_7B) == 57_344
    assert size["keys and values"] / 1e9 == pytest.approx(1.01, abs=0.005)
    assert size["pixel values"] == 51_840 * 1176 * 4
    assert size["vision, widest layer"] / 1e9 == pytest.approx(1.06, abs=0.005)
    assert size["logits of all positions"] / 1e9 == pytest.approx(4.1, abs=0.01)
    assert 19e9 < plan.peak_bytes < 20.5e9
    assert plan.fits


def test_the_peak_is_the_sum_of_what_is_there_at_once() -> None:
    plan = memory_plan(QWEN2_5_VL_3B, 11, (448, 252), 100, 50)
    size = {row.name: row.bytes for row in plan.rows if row.counted}
    both = ("vision, widest layer", "prefill, widest layer")
    assert plan.peak_bytes == sum(size.values()) - min(size[name] for name in both)
    assert plan.fits is None
    assert plan.visual_tokens == 6 * 144  # the last frame is doubled


@pytest.mark.parametrize(("free_gb", "fits"), [(19.0, False), (22.0, True)])
def test_whether_it_fits(free_gb: float, fits: bool) -> None:
    assert memory_plan(QWEN2_5_VL_7B, 180, (448, 252), 540, 4096, free_bytes=int(free_gb * 1e9)).fits is fits


def test_an_awq_build_takes_about_seven_gigabytes() -> None:
    assert weight_bytes(KNOWN["Qwen/Qwen2.5-VL-7B-Instruct-AWQ"]) / 1e9 == pytest.approx(6.9, abs=0.1)
    config = MODELS["7B"][1].to_dict() | {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
    assert dims_of_config(config) == KNOWN["Qwen/Qwen2.5-VL-7B-Instruct-AWQ"]


def test_float32_takes_twice_as_much() -> None:
    assert weight_bytes(QWEN2_5_VL_3B, 4) == 2 * weight_bytes(QWEN2_5_VL_3B)


def test_configs_that_cannot_be_planned() -> None:
    with pytest.raises(PipelineError, match="no plan for model type 'llava'"):
        dims_of_config({"model_type": "llava", "text_config": {}, "vision_config": {}})
    with pytest.raises(PipelineError, match="config has no 'vocab_size'"):
        dims_of_config({"model_type": "qwen3_vl", "text_config": {}, "vision_config": {}})
