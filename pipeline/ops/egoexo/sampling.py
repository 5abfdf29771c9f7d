"""Draw some of many, always the same ones for a seed, and keep their order."""

from __future__ import annotations

import random

from pipeline.errors import PipelineError


def wanted_number(total: int, asked: float) -> int:
    """How many of `total` things to keep: 1 or less is a ratio (so 1 is all), 2 or more an exact number.

    Never more than there are. Exactly one pair cannot be asked for.

    Raises:
        PipelineError: below 0, or above 1 and not whole.
    """
    if asked < 0 or (asked > 1 and asked != int(asked)):
        raise PipelineError(
            f"{asked:g} says neither a share nor a number of pairs",
            "expected a ratio from 0 to 1 (1 keeps all), or a whole number of 2 or more pairs",
        )
    return int(total * asked + 0.5) if asked <= 1 else min(total, int(asked))


def sample_indices(total: int, wanted: int, seed: str) -> list[int]:
    """Positions 0 … total - 1 to keep, ascending.

    The same for a seed on any machine, in any process and with any Python: the generator's `random` is the only method
    that the language guarantees for ever, so each position draws a number and the lowest ones stay. Of one seed a
    smaller sample lies within each larger one.
    """
    if wanted >= total:
        return list(range(total))
    generator = random.Random(seed)
    draws = [generator.random() for _ in range(total)]
    return sorted(sorted(range(total), key=draws.__getitem__)[:wanted])
