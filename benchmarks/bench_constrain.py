"""Constrained decoding: its cost per token at the published vocabulary, and whether its output is always right."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import jsonschema
import llguidance.numpy
import numpy as np
import torch

from benchmarks.synthetic_tokenizer import LOGIT_WIDTH, synthetic_tokenizer
from benchmarks.table import Row
from pipeline.models.constrain import SchemaConstraint, grammar_tokenizer
from pipeline.schema.segment_schema import segment_schema

DOCUMENTS = 500
DURATION_S = 179.967
MOST_TOKENS = 5000
MOST_MS_PER_TOKEN = 1.0


@dataclass
class Generated:
    """Documents from random logits, and the processor time spent in the constraint."""

    texts: list[str]
    tokens: int
    seconds: float


def generate_documents(documents: int, seed: int = 0) -> Generated:
    """Let random logits write; a document that finds no end counts as an empty text."""
    tokenizer = synthetic_tokenizer()
    for_grammar = grammar_tokenizer(tokenizer, LOGIT_WIDTH, [tokenizer.eos_token_id])
    schema = segment_schema(DURATION_S, (448, 252), max_segments=4, name_chars=40, text_chars=40)
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, LOGIT_WIDTH, generator=random)
    result = Generated([], 0, 0.0)
    for _ in range(documents):
        constraint = SchemaConstraint(for_grammar, schema)
        last, ids = torch.zeros(1, 1, dtype=torch.long), list[int]()
        while len(ids) < MOST_TOKENS:
            # Fresh noise for every token costs more than the constraint; a random rotation is as random to it.
            scores = noise.roll(int(torch.randint(LOGIT_WIDTH, (1,), generator=random)), 1)
            before = time.process_time()
            scores = constraint(last, scores)  # type: ignore[arg-type]
            result.seconds += time.process_time() - before
            result.tokens += 1
            token = int(scores.argmax())
            if token == tokenizer.eos_token_id:
                break
            ids.append(token)
            last = torch.tensor([[token]])
        result.texts.append(tokenizer.decode(ids) if len(ids) < MOST_TOKENS else "")
    return result


def is_right(text: str) -> bool:
    """One array of at most four segments, valid for the schema, with all times within the clip."""
    schema = segment_schema(DURATION_S, (448, 252), max_segments=4, name_chars=40, text_chars=40)
    try:
        segments = json.loads(text)
        jsonschema.validate(segments, schema)
    except (ValueError, jsonschema.ValidationError):
        return False
    return all(0 <= segment[key] <= DURATION_S for segment in segments for key in ("t_start_s", "t_end_s"))


def mask_seconds(repeats: int = 50) -> tuple[float, float]:
    """Processor time of applying one mask: with the library's numpy function, and as the constraint does it."""
    random = np.random.default_rng(0)
    packed = random.integers(-(2**31), 2**31, (1, LOGIT_WIDTH // 32), dtype=np.int32)
    scores = torch.from_numpy(random.standard_normal((1, LOGIT_WIDTH), dtype=np.float32))
    before = time.process_time()
    for _ in range(repeats):
        llguidance.numpy.apply_token_bitmask_inplace(scores.numpy(), packed)
    plain = time.process_time() - before
    before = time.process_time()
    for _ in range(repeats):
        forbidden = np.unpackbits((~packed).view(np.uint8), bitorder="little").view(bool)
        scores.masked_fill_(torch.from_numpy(forbidden), float("-inf"))
    return plain / repeats, (time.process_time() - before) / repeats


def run(documents: int = DOCUMENTS) -> list[Row]:
    """The promised bounds, and the share of the work that applying the mask takes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made = generate_documents(documents)
        plain, ours = mask_seconds()
    finally:
        torch.set_num_threads(threads)
    right = sum(map(is_right, made.texts))
    each_ms = made.seconds / made.tokens * 1000
    return [
        Row(
            "constrained decoding, one core, 151,665 tokens padded to 152,064",
            f"{MOST_MS_PER_TOKEN:g} ms a token",
            f"{each_ms:.3f} ms a token over {made.tokens} tokens",
            each_ms / MOST_MS_PER_TOKEN,
            required=1.0,
            at_most=True,
        ),
        Row(
            "documents from random logits that are valid and within the clip's times",
            f"{documents} documents",
            f"{right} right",
            right / documents,
            required=1.0,
        ),
        Row(
            "applying one mask, against llguidance's numpy function",
            f"{plain * 1000:.3f} ms",
            f"{ours * 1000:.3f} ms",
            plain / ours,
        ),
    ]
