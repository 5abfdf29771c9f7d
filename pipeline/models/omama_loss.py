"""What O-MaMa's network is trained for. Shapes: P frame pairs, Q queries and N candidates a pair."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.models.omama import Matches

TEMPERATURE = 0.07


class Losses(NamedTuple):
    """Terms of a batch, each a scalar."""

    matching: Tensor
    visibility: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.matching + self.visibility


def omama_loss(
    matches: Matches,
    targets: Tensor,
    *,
    visible: Tensor | None = None,
    temperature: float = TEMPERATURE,
    visibility_weight: float = 0.0,
) -> Losses:
    """Cross entropy over the candidates, averaged over all queries, seen or not; and whether the object is seen.

    Args:
        matches: of Q queries a pair.
        targets: [P, Q, N] share of each candidate in being right: rows sum to 1, or to 0 where nothing is to be
            matched.
        visible: [P, Q] whether the object is annotated in the target view; None: where a row of targets has a share.
        temperature: of the softmax.
        visibility_weight: of the second term; 0 as in the paper, whose output for it is never trained.
    """
    targets = targets.to(matches.similarity.dtype)
    asked = targets.any(dim=-1)
    # Rows without any candidate are all -inf: they leave before the softmax, which would make NaN of them.
    logits = matches.similarity / temperature
    logits = logits.masked_fill(~asked[..., None], 0)
    surprise = torch.where(targets > 0, -targets * logits.log_softmax(dim=-1), 0)
    matching = surprise.sum() / max(1, asked.numel())
    known = matches.visibility.isfinite()
    if not visibility_weight or not known.any():
        return Losses(matching, matching.new_zeros(()))
    truth = (asked if visible is None else visible).to(matches.visibility.dtype)
    second = functional.binary_cross_entropy_with_logits(matches.visibility[known], truth[known])
    return Losses(matching, visibility_weight * second)
