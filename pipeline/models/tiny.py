"""Tiny random Qwen-VL models: real classes, real processors, a few megabytes; what the demo and the tests run on.

They load through exactly the same code as the published models, from a folder that `MODEL=` accepts anywhere. What they
write is noise, held to the schema by constrained decoding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from pipeline.models.families import Family, family_named
from pipeline.models.quiet import progress_bars_off
from pipeline.models.tiny_tokenizer import CHAT_TEMPLATE, WORDS, letters_of, tiny_tokenizer

# The published models pad their vocabulary too: logits are wider than the tokenizer.
VOCABULARY_MULTIPLE = 128
TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    # Large enough that an answer depends on what was shown; the published 0.02 makes so small a model repeat itself.
    "initializer_range": 0.8,
}
VISION: dict[str, Any] = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "out_hidden_size": TEXT["hidden_size"],
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "initializer_range": 0.1,
}
MROPE_SECTION = [2, 3, 3]  # half of the 16 numbers of a head


USABLE_SEED = 2
"""Noise all the same, but both families' answers to the demo hold segments with a length."""


def write_tiny_model(folder: Path, family: str = "qwen2_5_vl", seed: int = USABLE_SEED) -> Path:
    """Write config, weights, tokenizer and processor of one tiny random model; the same bytes for the same seed.

    Args:
        folder: created if need be; files of the same names are overwritten.
        family: name or model type of a family.

    Returns:
        The folder.

    Raises:
        PipelineError: no such family.
    """
    row = family_named(family)
    tokenizer = tiny_tokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    tiny_processor(row, tokenizer).save_pretrained(folder)
    with progress_bars_off():
        tiny_model(row, tokenizer, seed).save_pretrained(folder)
    return folder


def tiny_processor(family: Family, tokenizer: Qwen2Tokenizer) -> Any:
    """The family's own processor around a given tokenizer, with the published pixel limits."""
    if family.model_type == "qwen2_5_vl":
        limits = {"shortest_edge": 3136, "longest_edge": 12_845_056}
        return Qwen2_5_VLProcessor(  # type: ignore[no-untyped-call]
            image_processor=Qwen2VLImageProcessor(size=limits),
            tokenizer=tokenizer,
            video_processor=Qwen2VLVideoProcessor(size=limits),
            chat_template=CHAT_TEMPLATE,
        )
    return Qwen3VLProcessor(  # type: ignore[no-untyped-call]
        image_processor=Qwen2VLImageProcessor(
            size={"shortest_edge": 65_536, "longest_edge": 16_777_216}, patch_size=16
        ),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(size={"shortest_edge": 4096, "longest_edge": 25_165_824}),
        chat_template=CHAT_TEMPLATE,
    )


def tiny_model(family: Family, tokenizer: Qwen2Tokenizer, seed: int) -> PreTrainedModel:
    """The family's own class with random float32 weights; the global random state is left as it was."""
    config = tiny_config(family, tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if family.model_type == "qwen2_5_vl":
            model: PreTrainedModel = Qwen2_5_VLForConditionalGeneration(config)
        else:
            model = Qwen3VLForConditionalGeneration(config)
    prefer_words(model, tokenizer)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def prefer_words(model: Any, tokenizer: Qwen2Tokenizer) -> None:
    """Shrink the output weights of all but words, digits and punctuation, so that the noise can be looked at."""
    scale = torch.zeros(model.lm_head.weight.shape[0], 1)
    scale[tokenizer.convert_tokens_to_ids(list('0123456789.,:"[]{}tfn'))] = 0.3
    scale[tokenizer.convert_tokens_to_ids([letters_of(word) for word in WORDS])] = 1.0
    with torch.no_grad():
        model.lm_head.weight.mul_(scale)


def tiny_config(family: Family, tokenizer: Qwen2Tokenizer) -> Any:
    """The family's own config with tiny dimensions and the token ids of this tokenizer."""
    ids: dict[str, Any] = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in {
            "image": "image_pad",
            "video": "video_pad",
            "vision_start": "vision_start",
            "vision_end": "vision_end",
        }.items()
    }
    text = TEXT | {
        "vocab_size": -(-len(tokenizer) // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
    }
    rope = {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": MROPE_SECTION}
    if family.model_type == "qwen2_5_vl":
        vision = VISION | {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1], "tokens_per_second": 2}
        return Qwen2_5_VLConfig(text_config=text | {"rope_parameters": rope}, vision_config=vision, **ids)
    text |= {"head_dim": 16, "rope_parameters": rope | {"mrope_interleaved": True}}
    vision = VISION | {"patch_size": 16, "num_position_embeddings": 2304, "deepstack_visual_indexes": [0]}
    return Qwen3VLConfig(text_config=text, vision_config=vision, **ids)
