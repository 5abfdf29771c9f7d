"""What a model needs in memory for one question about a video, as plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.ops.model.dims import ModelDims, language_layer_matrices, parameters

CUDA_OVERHEAD_BYTES = 700_000_000
"""CUDA's context, kernels' workspaces and what the allocator loses to fragmentation; a judgement, not measured."""


@dataclass(frozen=True)
class PlanRow:
    """One part of the memory, and how it comes about. `counted` is False for what only informs."""

    name: str
    bytes: int
    how: str
    counted: bool = True


@dataclass(frozen=True)
class MemoryPlan:
    """Rows, and the most that is needed at any moment.

    Vision and prefill do not overlap in time, so of their buffers only the larger counts for the peak.
    """

    rows: tuple[PlanRow, ...]
    frames: int
    visual_tokens: int
    prompt_tokens: int
    new_tokens: int
    peak_bytes: int
    free_bytes: int | None

    @property
    def weights_bytes(self) -> int:
        """The weights alone: what a download brings and what stays on the card."""
        return self.rows[0].bytes

    @property
    def fits(self) -> bool | None:
        """Whether the peak fits the free memory; None where that is unknown."""
        return None if self.free_bytes is None else self.peak_bytes <= self.free_bytes


def memory_plan(
    dims: ModelDims,
    frames: int,
    size_wh: tuple[int, int],
    text_tokens: int,
    new_tokens: int,
    bytes_per_number: int = 2,
    free_bytes: int | None = None,
) -> MemoryPlan:
    """Add up the memory of one question.

    Args:
        frames: frames shown, of the model's picture size `size_wh`.
        text_tokens: tokens of the prompt beside the visual ones.
        new_tokens: most tokens of the answer.
        bytes_per_number: 2 for bfloat16, 4 for float32.
        free_bytes: free memory of the device before anything is loaded.
    """
    vision, text = dims.vision, dims.text
    steps = -(-frames // vision.temporal_patch)
    patches = steps * (size_wh[0] // vision.patch) * (size_wh[1] // vision.patch)
    visual_tokens = patches // vision.merge**2
    prompt_tokens = visual_tokens + text_tokens
    total_tokens = prompt_tokens + new_tokens
    weights = weight_bytes(dims, bytes_per_number)
    each = key_value_bytes_per_token(dims, bytes_per_number)
    pixels = patches * vision.patch_numbers * 4
    gated = 3 if dims.model_type == "qwen2_5_vl" else 2
    seeing = gated * patches * vision.intermediate * bytes_per_number
    reading = 3 * prompt_tokens * text.intermediate * bytes_per_number
    logits, all_logits = (count * text.vocabulary * bytes_per_number for count in (1, prompt_tokens))
    rows = (
        PlanRow("weights", weights, f"{parameters(dims) / 1e9:.3f} billion numbers"),
        PlanRow("keys and values", total_tokens * each, f"{total_tokens} tokens of {each} bytes"),
        PlanRow("pixel values", pixels, f"{patches} patches of {vision.patch_numbers} numbers, float32"),
        PlanRow("vision, widest layer", seeing, f"{gated} × {patches} × {vision.intermediate} numbers"),
        PlanRow("prefill, widest layer", reading, f"3 × {prompt_tokens} × {text.intermediate} numbers"),
        PlanRow("logits", logits, "of the last position only"),
        PlanRow("CUDA", CUDA_OVERHEAD_BYTES, "context and workspaces, by experience"),
        PlanRow("logits of all positions", all_logits, "not needed, since only the last is kept", counted=False),
    )
    peak = weights + total_tokens * each + pixels + max(seeing, reading) + logits + CUDA_OVERHEAD_BYTES
    return MemoryPlan(rows, frames, visual_tokens, prompt_tokens, new_tokens, peak, free_bytes)


def weight_bytes(dims: ModelDims, bytes_per_number: int = 2) -> int:
    """Bytes of all weights. In a quantized build the language layers' matrices take `bits` a number, and each group
    of numbers a 16-bit scale and a zero point; everything else stays at 16 bits."""
    total = parameters(dims)
    if dims.bits == 16:
        return total * bytes_per_number
    quantized = dims.text.layers * language_layer_matrices(dims.text)
    return round(quantized * (dims.bits + (16 + dims.bits) / dims.group) / 8) + (total - quantized) * 2


def key_value_bytes_per_token(dims: ModelDims, bytes_per_number: int = 2) -> int:
    """Bytes that one token leaves in the cache: a key and a value for every layer and key-value head."""
    return 2 * dims.text.layers * dims.text.key_value_heads * dims.text.head_dim * bytes_per_number
