"""Constrained decoding: a logits processor that lets a model write only what a JSON schema allows (llguidance)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import llguidance.hf
import llguidance.numpy
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from transformers import LogitsProcessor


def grammar_tokenizer(tokenizer: Any, logit_width: int, eos_token_ids: Sequence[int]) -> LLTokenizer:
    """The tokenizer as the grammar needs it. Takes seconds for a large vocabulary: make it once per model.

    Args:
        tokenizer: a fast transformers tokenizer.
        logit_width: number of the model's logits. Models pad their vocabulary (152,064 for 151,665 tokens), and a mask
            as wide as the tokenizer would not fit.
        eos_token_ids: every token that ends an answer.
    """
    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=logit_width, eos_token=list(eos_token_ids))


NUMBER_STEP = 0.001
"""Numbers that are no integers are written with three decimals at most; without a step one could go on for ever."""


def with_short_numbers(schema: Any) -> Any:
    """A copy of a JSON schema in which every `number` is a multiple of NUMBER_STEP.

    Only the grammar gets this. In the schema itself it would make validators, which divide in floating point, refuse
    0.3 and many others.
    """
    if isinstance(schema, list):
        return [with_short_numbers(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: with_short_numbers(value) for key, value in schema.items()}
    return copy | {"multipleOf": NUMBER_STEP} if copy.get("type") == "number" else copy


class SchemaConstraint(LogitsProcessor):
    """Masks, at every step, each token after which no document of the schema could follow. One answer, batch of 1.

    Once the document is complete only the end of the answer is allowed. Whitespace between JSON tokens is not, or a
    model could write it for ever.
    """

    def __init__(self, tokenizer: LLTokenizer, schema: dict[str, Any]) -> None:
        """Compile the schema (milliseconds).

        Raises:
            ValueError: the schema cannot be turned into a grammar.
        """
        grammar = LLMatcher.grammar_from_json_schema(
            json.dumps(with_short_numbers(schema)), defaults={"whitespace_flexible": False}
        )
        self._matcher = LLMatcher(tokenizer, grammar)
        if self._matcher.is_error():
            raise ValueError(f"the schema cannot be compiled: {self._matcher.get_error()}")
        self._width = tokenizer.vocab_size
        self._packed = llguidance.numpy.allocate_token_bitmask(1, self._width)
        self._only_end = np.ones(self._width, bool)
        self._only_end[tokenizer.eos_tokens] = False
        self._prompt_tokens: int | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Set the forbidden tokens of `scores` (1, V) to -inf, in place.

        Raises:
            ValueError: `scores` is not one row of the tokenizer's width.
            RuntimeError: the last token was not one that the previous call had allowed.
        """
        if scores.shape != (1, self._width):
            raise ValueError(f"scores are {tuple(scores.shape)}, expected (1, {self._width})")
        if self._prompt_tokens is None:
            self._prompt_tokens = input_ids.shape[1]
        elif not self._matcher.is_stopped():
            self._matcher.consume_token(int(input_ids[0, -1]))
        if self._matcher.is_error():
            raise RuntimeError(f"the grammar refused a token: {self._matcher.get_error()}")
        forbidden = torch.from_numpy(self.forbidden()).to(scores.device, non_blocking=True)
        return scores.masked_fill_(forbidden, float("-inf"))  # type: ignore[return-value]

    def forbidden(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(V,) which tokens may not come next."""
        if self._matcher.is_stopped():
            return self._only_end
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._packed)
        np.invert(self._packed, out=self._packed)
        return np.unpackbits(self._packed.view(np.uint8), bitorder="little", count=self._width).view(bool)
