"""The 7B architecture with random weights on a card limited to what 24 GB cards leave, through the project's own path.

Needs CUDA; `make bench-gpu`. The tests run it on a CPU with tiny dimensions, so that the code is known to work.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from benchmarks.synthetic_tokenizer import LOGIT_WIDTH, synthetic_tokenizer
from benchmarks.table import Row, print_table
from pipeline.models.families import family_named, vision_of
from pipeline.models.generation import Answer, generate
from pipeline.models.loading import lend
from pipeline.models.qwen_vl import Annotator, plain_generation_config
from pipeline.models.tiny import tiny_processor
from pipeline.models.video_inputs import SampledVideo
from pipeline.ops.model.dims import dims_of_config
from pipeline.ops.model.memory_plan import MemoryPlan, memory_plan
from pipeline.schema.segment_schema import segment_schema

GIB = 2**30
ALLOWED_GIB = 23.0
DIMS_7B: dict[str, dict[str, Any]] = {
    "text_config": {
        "vocab_size": LOGIT_WIDTH,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "max_position_embeddings": 128_000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [16, 24, 24]},
    },
    "vision_config": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": 3584,
        "tokens_per_second": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
    },
}


@dataclass(frozen=True)
class Measured:
    """Two answers to the same question, and what the plan had foretold."""

    constrained: Answer
    free: Answer
    plan: MemoryPlan


def random_annotator(dims: dict[str, dict[str, Any]], device: torch.device, dtype: torch.dtype) -> Annotator:
    """The real class with random weights, made on the device in their final format: never a copy on the CPU."""
    family = family_named("qwen2_5-vl")
    processor = tiny_processor(family, synthetic_tokenizer())
    processor.video_processor.cap_pixels_per_frame = False
    parts: dict[str, Any] = dims
    config = Qwen2_5_VLConfig(**parts)
    model_class: Any = Qwen2_5_VLForConditionalGeneration
    with device, default_dtype(dtype):
        model = model_class._from_config(config, attn_implementation="sdpa", dtype=dtype)
    model.eval().requires_grad_(False)
    model.generation_config = plain_generation_config(model, processor)
    return Annotator("random weights", None, family, vision_of(family, config, processor, "random"), model, processor)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New tensors are of this type inside."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def measure(
    dims: dict[str, dict[str, Any]] = DIMS_7B,
    device: str = "cuda",
    frames: int = 180,
    new_tokens: int = 2048,
    allowed_gib: float = ALLOWED_GIB,
) -> Measured:
    """Ask one question about `frames` frames of noise at 1 fps, with and without constraint.

    Raises:
        PipelineError: out of memory: the claim does not hold.
    """
    place = torch.device(device)
    if place.type == "cuda":
        total = torch.cuda.get_device_properties(place).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, allowed_gib * GIB / total), place)
    dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    with lend("random 7B", lambda: random_annotator(dims, place, dtype)) as annotator:
        size = annotator.size_wh((456, 256))
        noise = np.random.default_rng(0).integers(0, 256, (frames, size[1], size[0], 3), dtype=np.uint8)
        inputs = annotator.inputs(
            SampledVideo(noise, tuple(map(float, range(frames))), 1.0), "Describe what the hands do. " * 40
        )
        schema = segment_schema(float(frames), size, max_segments=200)
        schema["minItems"] = schema["maxItems"]  # random weights would end early
        constrained = generate(annotator, inputs, new_tokens, constraint=annotator.constraint(schema))
        free = generate(annotator, inputs, new_tokens)
        text_tokens = inputs.prompt_tokens - inputs.visual_tokens
        model_dims = dims_of_config(annotator.model.config.to_dict())
        plan = memory_plan(model_dims, frames, size, text_tokens, new_tokens, dtype.itemsize)
    return Measured(constrained, free, plan)


def rows_of(measured: Measured, allowed_gib: float = ALLOWED_GIB) -> list[Row]:
    """Memory against the card and the plan, speed against free text. No memory rows without a GPU."""
    answer, free = measured.constrained, measured.free
    question = f"{answer.visual_tokens} visual + {answer.new_tokens} new tokens"
    rows = [
        Row(
            f"speed under the schema, against free text ({question})",
            f"{free.tokens_per_second:.1f} tokens/s",
            f"{answer.tokens_per_second:.1f} tokens/s, first after {answer.prefill_seconds:.1f} s",
            answer.tokens_per_second / free.tokens_per_second if free.tokens_per_second else 0.0,
        )
    ]
    if answer.peak_gpu_bytes is None or free.peak_gpu_bytes is None:
        return rows
    peak = max(answer.peak_gpu_bytes, free.peak_gpu_bytes)
    return [
        Row(
            f"peak memory of the 7B model ({question})",
            f"{allowed_gib:g} GiB allowed",
            f"{peak / GIB:.2f} GiB",
            peak / (allowed_gib * GIB),
            required=1.0,
            at_most=True,
        ),
        Row(
            "peak memory against the plan",
            f"{measured.plan.peak_bytes / GIB:.2f} GiB planned",
            f"{peak / GIB:.2f} GiB",
            peak / measured.plan.peak_bytes,
        ),
        *rows,
    ]


def run() -> list[Row]:
    """All rows, on this machine's GPU."""
    return rows_of(measure())


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("this benchmark needs a CUDA card, and torch sees none")
    rows = run()
    print_table(rows)
    sys.exit(any(row.ok is False for row in rows))
