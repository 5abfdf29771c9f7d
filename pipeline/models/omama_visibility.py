"""Whether the object is in the target view at all: O-MaMa's rule, and an output that is trained for it."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

_TEMPERATURE = 0.1
_FEATURES = 4


class ReleasedVisibility(nn.Module):
    """As the original: its layers are stored and never used; the best cosine stands for them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = (2 * width, 768, 256, 128, 2)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, sources: Tensor, candidates: Tensor, similarity: Tensor) -> Tensor:
        """[P, Q] best cosine; arguments as in `VisibilityHead`."""
        if not candidates.shape[1]:
            return sources.new_full(sources.shape[:2], -torch.inf)
        return similarity.amax(dim=-1)


class VisibilityHead(nn.Module):
    """Looks at how the object compares with the candidate that the similarities point at, and at how sure they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.compare = nn.Sequential(
            nn.Linear(2 * width + _FEATURES, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, sources: Tensor, candidates: Tensor, similarity: Tensor) -> Tensor:
        """[P, Q] logit; -inf where there is no candidate.

        Args:
            sources: [P, Q, D] unit vectors.
            candidates: [P, N, D] unit vectors.
            similarity: [P, Q, N] their cosines; -inf where a candidate does not count.
        """
        if not candidates.shape[1]:
            return sources.new_full(sources.shape[:2], -torch.inf)
        counted = similarity.isfinite()
        some = counted.any(dim=-1)
        cosines = similarity.masked_fill(~some[..., None], 0)
        shares = (cosines / _TEMPERATURE).softmax(dim=-1)
        chosen = shares @ candidates
        scale = sources.shape[-1] ** 0.5  # entries of unit vectors are small
        number = counted.sum(dim=-1).clamp(min=1)
        finite = cosines.masked_fill(~counted, 0)
        best = torch.where(counted, similarity, -1).topk(min(2, similarity.shape[-1]), dim=-1).values
        facts = torch.stack(
            [best[..., 0], best[..., -1], finite.sum(dim=-1) / number, (shares * finite).sum(dim=-1)], dim=-1
        )
        compared = torch.cat([scale**2 * sources * chosen, scale * (sources - chosen).abs(), facts], dim=-1)
        logit = self.compare(compared)[..., 0]
        return torch.as_tensor(logit.masked_fill(~some, -torch.inf))
