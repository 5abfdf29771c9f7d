"""Dimensions of a Qwen-VL model and the exact number of its parameters, from its config alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import PipelineError


@dataclass(frozen=True)
class TextDims:
    """The language model. `heads`·`head_dim` may differ from `hidden`."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    tied: bool


@dataclass(frozen=True)
class VisionDims:
    """The vision transformer. `positions` is the size of a learned position table (0: none), `deepstack` the number of
    extra mergers."""

    hidden: int
    intermediate: int
    layers: int
    patch: int
    merge: int
    temporal_patch: int
    out: int
    positions: int = 0
    deepstack: int = 0

    @property
    def patch_numbers(self) -> int:
        """Numbers in one patch: 3 colours × frames × side²."""
        return 3 * self.temporal_patch * self.patch**2


@dataclass(frozen=True)
class ModelDims:
    """A whole model. `bits` is 4 for an AWQ build, whose language layers are quantized in groups of `group`."""

    model_type: str
    text: TextDims
    vision: VisionDims
    bits: int = 16
    group: int = 128


QWEN2_5_VL_7B = ModelDims(
    "qwen2_5_vl",
    TextDims(152_064, 3584, 18_944, 28, 28, 4, 128, tied=False),
    VisionDims(1280, 3420, 32, 14, 2, 2, 3584),
)
QWEN2_5_VL_3B = ModelDims(
    "qwen2_5_vl",
    TextDims(151_936, 2048, 11_008, 36, 16, 2, 128, tied=True),
    VisionDims(1280, 3420, 32, 14, 2, 2, 2048),
)
KNOWN = {
    "Qwen/Qwen2.5-VL-7B-Instruct": QWEN2_5_VL_7B,
    "Qwen/Qwen2.5-VL-3B-Instruct": QWEN2_5_VL_3B,
    "Qwen/Qwen2.5-VL-7B-Instruct-AWQ": ModelDims("qwen2_5_vl", QWEN2_5_VL_7B.text, QWEN2_5_VL_7B.vision, bits=4),
}
"""So that a plan needs neither files nor network for these."""


def dims_of_config(config: Mapping[str, Any]) -> ModelDims:
    """Read the dimensions out of a complete config: `transformers` config's `to_dict()`.

    Raises:
        PipelineError: a field is missing, or the model type is not known here.
    """
    try:
        text, vision = config["text_config"], config["vision_config"]
        quantization = config.get("quantization_config") or {}
        if config["model_type"] not in ("qwen2_5_vl", "qwen3_vl"):
            raise PipelineError(f"no plan for model type {config['model_type']!r}", "plan for a Qwen2.5-VL or Qwen3-VL")
        return ModelDims(
            config["model_type"],
            TextDims(
                vocabulary=text["vocab_size"],
                hidden=text["hidden_size"],
                intermediate=text["intermediate_size"],
                layers=text["num_hidden_layers"],
                heads=text["num_attention_heads"],
                key_value_heads=text["num_key_value_heads"],
                head_dim=text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"],
                tied=bool(config.get("tie_word_embeddings")),
            ),
            VisionDims(
                hidden=vision["hidden_size"],
                intermediate=vision["intermediate_size"],
                layers=vision["depth"],
                patch=vision["patch_size"],
                merge=vision["spatial_merge_size"],
                temporal_patch=vision["temporal_patch_size"],
                out=vision["out_hidden_size"],
                positions=vision.get("num_position_embeddings", 0),
                deepstack=len(vision.get("deepstack_visual_indexes", ())),
            ),
            bits=quantization.get("bits", 16),
            group=quantization.get("group_size", 128),
        )
    except KeyError as error:
        raise PipelineError(f"the model's config has no {error}", "take a complete config.json") from None


def language_layer_matrices(text: TextDims) -> int:
    """Numbers in the weight matrices of one language layer: what an AWQ build quantizes."""
    queries, keys = text.heads * text.head_dim, text.key_value_heads * text.head_dim
    return text.hidden * (2 * queries + 2 * keys) + 3 * text.hidden * text.intermediate


def parameters(dims: ModelDims) -> int:
    """Exact number of parameters; a tied output layer counts once."""
    return _text_parameters(dims) + _vision_parameters(dims)


def _text_parameters(dims: ModelDims) -> int:
    text = dims.text
    queries, keys = text.heads * text.head_dim, text.key_value_heads * text.head_dim
    # Qwen2.5 has biases on query, key and value; Qwen3 norms query and key instead.
    extra = queries + 2 * keys if dims.model_type == "qwen2_5_vl" else 2 * text.head_dim
    layer = language_layer_matrices(text) + extra + 2 * text.hidden
    tables = text.vocabulary * text.hidden * (1 if text.tied else 2)
    return tables + text.layers * layer + text.hidden


def _vision_parameters(dims: ModelDims) -> int:
    vision = dims.vision
    hidden, wide = vision.hidden, vision.hidden * vision.merge**2
    old = dims.model_type == "qwen2_5_vl"
    attention = 4 * hidden**2 + 4 * hidden
    # Qwen2.5: gated, three matrices, root-mean-square norms (one vector). Qwen3: two matrices, layer norms (two).
    matrices, norm_vectors = (3, 1) if old else (2, 2)
    mlp = matrices * hidden * vision.intermediate + (matrices - 1) * vision.intermediate + hidden
    block = attention + mlp + 2 * norm_vectors * hidden
    merge_mlp = wide**2 + wide + wide * vision.out + vision.out
    merger = norm_vectors * hidden + merge_mlp
    embed = vision.patch_numbers * hidden + (0 if old else hidden) + vision.positions * hidden
    return embed + vision.layers * block + merger + vision.deepstack * (2 * wide + merge_mlp)
