"""The GPU benchmark's code, on a CPU with tiny dimensions; and itself where there is a card."""

from __future__ import annotations

import copy

import pytest
import torch

from benchmarks import gpu_annotate
from pipeline.ops.model.dims import QWEN2_5_VL_7B, dims_of_config


def test_the_dimensions_are_those_of_the_7b_model() -> None:
    from transformers import Qwen2_5_VLConfig

    assert dims_of_config(Qwen2_5_VLConfig(**gpu_annotate.DIMS_7B).to_dict()) == QWEN2_5_VL_7B  # type: ignore[arg-type]


def test_the_whole_run_with_tiny_dimensions() -> None:
    dims = copy.deepcopy(gpu_annotate.DIMS_7B)
    dims["text_config"] |= {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    dims["text_config"]["rope_parameters"]["mrope_section"] = [2, 3, 3]
    dims["vision_config"] |= {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 32,
        "fullatt_block_indexes": [1],
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    measured = gpu_annotate.measure(dims, "cpu", frames=5, new_tokens=24)
    torch.set_num_threads(threads)
    assert measured.constrained.visual_tokens == 3 * 144
    assert measured.constrained.new_tokens == 24
    assert measured.constrained.text.startswith('[{"action_id":')
    rows = gpu_annotate.rows_of(measured)
    assert [row.ok for row in rows] == [None]
    assert "432 visual + 24 new tokens" in rows[0].claim


def test_rows_of_a_run_on_a_card() -> None:
    from dataclasses import replace

    from pipeline.models.generation import Answer
    from pipeline.ops.model.memory_plan import memory_plan

    answer = Answer("[", False, 13_500, 2048, 12_960, 70.0, 8.0, 21 * gpu_annotate.GIB)
    plan = memory_plan(QWEN2_5_VL_7B, 180, (448, 252), 540, 2048)
    rows = gpu_annotate.rows_of(gpu_annotate.Measured(answer, replace(answer, seconds=69.0), plan))
    assert [row.ok for row in rows] == [True, None, None]
    over = replace(answer, peak_gpu_bytes=24 * gpu_annotate.GIB)
    assert gpu_annotate.rows_of(gpu_annotate.Measured(over, over, plan))[0].ok is False


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_three_minutes_fit_a_24_gb_card() -> None:
    assert all(row.ok is not False for row in gpu_annotate.run())
