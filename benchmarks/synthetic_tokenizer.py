"""A byte-level BPE tokenizer of the published models' size, with their special tokens at their ids."""

from __future__ import annotations

from transformers import Qwen2Tokenizer

from pipeline.models.tiny_tokenizer import CHAT_TEMPLATE, LETTER_OF, letters_of

ORDINARY_TOKENS = 151_643
LOGIT_WIDTH = 152_064
# In the order of their ids, from 151,643 to 151,664.
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
FREQUENT = letters_of(' etaoinshrdlucmfwypvbgkjqxz0123456789_."{}[],:-ETAOINSHRDLU')


def synthetic_tokenizer() -> Qwen2Tokenizer:
    """All bytes, then the shortest strings of frequent characters, then the special tokens: 151,665 in all."""
    pieces = [LETTER_OF[byte] for byte in range(256)]
    merges: list[tuple[str, str]] = []
    longer = list(FREQUENT)
    for stem in longer:  # grows while it is walked through
        for letter in FREQUENT[: ORDINARY_TOKENS - len(pieces)]:
            longer.append(stem + letter)
            pieces.append(stem + letter)
            merges.append((stem, letter))
        if len(pieces) == ORDINARY_TOKENS:
            break
    tokenizer = Qwen2Tokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=merges,  # type: ignore[arg-type]
        unk_token=None,  # type: ignore[arg-type]
        pad_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS[1:])})
    tokenizer.eos_token = "<|im_end|>"
    return tokenizer
