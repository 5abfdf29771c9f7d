"""The matcher that needs no training: mean features compared by cosine. Shapes as in `omama`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nearest_neighbour(sources: Tensor, candidates: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The baseline without training: cosine of the objects' mean features.

    Args:
        sources: [P, Q, 2·C] descriptors; their context is not used.
        candidates: [P, N, 2·C].
        valid: [P, N] False where a candidate only fills the batch up.

    Returns:
        [P, Q, N] cosines, 0 with a mask that vanished and -inf where there is no candidate; [P, Q] confidence from 0
        to 1: the best cosine, 0 where there is none.
    """
    half = sources.shape[-1] // 2
    asked, offered = (functional.normalize(part[..., :half].float(), dim=-1) for part in (sources, candidates))
    similarity = asked @ offered.transpose(1, 2)
    if valid is not None:
        similarity = similarity.masked_fill(~valid[:, None], -torch.inf)
    best = similarity.amax(dim=-1) if similarity.shape[-1] else similarity.new_zeros(similarity.shape[:-1])
    return similarity, best.clamp(0, 1)
