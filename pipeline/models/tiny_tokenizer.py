"""A small byte-level BPE tokenizer with the special tokens and a chat template like the Qwen-VL models'."""

from __future__ import annotations

from transformers import Qwen2Tokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
# Pieces of an answer's JSON; each is one token, so that a tiny model's answer is a few hundred tokens long.
FRAME = (
    '[{"', '"action_id":', '"t_start_s":', '"t_end_s":', '"active":', '"objects":', '"object_name":', '"bbox":',
    '"rigid":', '"ecot":', '"scene":', '"subtask":', '"motion":', '"prediction":', "true", "false", "null", ',"',
    '":"', '":', '},{"', '"},{"', '}]', '"}}', "action_id", "t_start_s", "t_end_s", "active", "objects",
    "object_name", "bbox", "rigid", "ecot", "scene", "subtask", "motion", "prediction",
)  # fmt: skip
# What a tiny model prefers to write between them.
WORDS = (
    " left", " right", " hand", " hands", " moves", " takes", " puts", " turns", " holds", " down", " up", " the",
    " a", " part", " tool", " box", " table", " belt", " machine", " cloth", " screw", " next", " then", " to", " from",
)  # fmt: skip
# One user turn with a video part before a text part is all that is asked of it.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LETTER_OF: dict[int, str] = bytes_to_unicode()  # type: ignore[no-untyped-call]


def letters_of(text: str) -> str:
    """The text as byte-level BPE writes it: one printable letter a byte."""
    return "".join(LETTER_OF[byte] for byte in text.encode())


def tiny_tokenizer() -> Qwen2Tokenizer:
    """All 256 bytes, the words of an answer, the special tokens. The same vocabulary every time."""
    pieces = [LETTER_OF[byte] for byte in range(256)]
    merges: dict[tuple[str, str], None] = {}
    for word in (*WORDS, *FRAME):
        letters = letters_of(word)
        for end in range(1, len(letters)):
            merges[letters[:end], letters[end]] = None
    for left, right in merges:
        if left + right not in pieces:
            pieces.append(left + right)
    return Qwen2Tokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=list(merges),  # type: ignore[arg-type]  # pairs are what the library itself reads from files
        unk_token=None,  # type: ignore[arg-type]
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS),
        chat_template=CHAT_TEMPLATE,
        model_max_length=32_768,
    )
