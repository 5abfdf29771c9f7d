"""O-MaMa's network: an object's descriptor and its proposals', each attending to the other view, compared by cosine.

Source: "O-MaMa: Learning Object Mask Matching between Egocentric and Exocentric Views" (ICCV 2025 workshop). Position
tables belong to the kind of view, not to its role, so that one network serves both directions.

Shapes: P frame pairs, Q queries and N candidates a pair, T = h·w tokens of a view, C feature channels, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.omama_layers import CrossAttention, KeysValues, PositionTable
from pipeline.models.omama_visibility import ReleasedVisibility, VisibilityHead
from pipeline.schema.egoexo_pairs import Setting

View = Literal["ego", "exo"]
VIEWS: dict[Setting, tuple[View, View]] = {"exoego": ("exo", "ego"), "egoexo": ("ego", "exo")}
"""Source and target view of a direction."""
Visibility = Literal["similarity", "head"]


@dataclass(frozen=True, kw_only=True)
class OmamaConfig:
    """What a checkpoint must say for its network to be made again."""

    feature_dim: int = 768
    """Channels of the features."""
    width: int = 768
    """Channels of the network; a multiple of `heads`."""
    heads: int = 4
    ego_grid_hw: tuple[int, int] = (50, 50)
    """Rows and columns of the ego position table; other grids get it interpolated."""
    exo_grid_hw: tuple[int, int] = (38, 68)
    projected: bool = False
    """Whether a learnt projection brings features to the width; needed where the two differ."""
    visibility: Visibility = "head"
    """head: a trained output says whether the object is there; similarity: as the original, from the best cosine."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"Got {self.width = }, expected a multiple of {self.heads = }")
        if self.feature_dim != self.width and not self.projected:
            raise ValueError(f"Got {self.feature_dim = } and {self.width = }; they may differ only when projected")


class Embedded(NamedTuple):
    """Descriptors after the attention and the head."""

    attended: Tensor
    """[P, N, D] what each found in the other view."""
    embedding: Tensor
    """[P, N, D] what is compared."""


class Matches(NamedTuple):
    """Outcome for every query of every pair."""

    sources: Embedded
    candidates: Embedded
    similarity: Tensor
    """[P, Q, N] cosines; -inf where there is no candidate."""
    visibility: Tensor
    """[P, Q] logit that the object is in the target view; -inf where there is no candidate at all."""

    @property
    def best(self) -> Tensor:
        """[P, Q] number of the chosen candidate; -1 where there is none."""
        if not self.similarity.shape[-1]:
            return torch.full_like(self.visibility, -1, dtype=torch.int64)
        value, index = self.similarity.max(dim=-1)
        return torch.where(value.isneginf(), -1, index)

    @property
    def confidence(self) -> Tensor:
        """[P, Q] from 0 to 1 that the object is there; 0 where there is no candidate."""
        return self.visibility.sigmoid()


class Omama(nn.Module):
    """The whole network. Tokens and descriptors come from `ops.matching.pooling` and the features' files."""

    def __init__(self, config: OmamaConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.projection = nn.Linear(config.feature_dim, width) if config.projected else None
        self.positions = nn.ModuleDict(
            {"ego": PositionTable(config.ego_grid_hw, width), "exo": PositionTable(config.exo_grid_hw, width)}
        )
        self.attention = CrossAttention(width, config.heads)
        self.head = nn.Sequential(
            nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.visibility = VisibilityHead(width) if config.visibility == "head" else ReleasedVisibility(width)

    def view(self, tokens: Tensor, kind: View) -> KeysValues:
        """Keys and values of views, once for all that is asked of them.

        Args:
            tokens: [P, h, w, C] features of one kind of view and one grid.
            kind: whose position table.
        """
        rows = self._projected(tokens.to(self.attention.key.weight.dtype).flatten(1, 2))
        return self.attention.keys_values(rows + self.positions[kind](tuple(tokens.shape[1:3])))

    def embed(self, descriptors: Tensor, other: KeysValues) -> Embedded:
        """Descriptors [P, N, 2·C] of objects, embedded with what they find in the other view."""
        descriptors = descriptors.to(self.attention.key.weight.dtype)
        if self.projection is not None:
            # Pooled first, projected after: the same but for the bias, which a mask without cells must not get.
            parts = descriptors.reshape(*descriptors.shape[:2], 2, self.config.feature_dim)
            seen = (parts != 0).any(dim=-1, keepdim=True)
            descriptors = torch.where(seen, self.projection(parts), 0).flatten(-2)
        attended = self.attention(descriptors[..., : self.config.width], other)
        return Embedded(attended, self.head(torch.cat([attended, descriptors], dim=-1)))

    def match(self, sources: Embedded, candidates: Embedded, valid: Tensor | None = None) -> Matches:
        """Compare queries with candidates.

        Args:
            sources: [P, Q, …].
            candidates: [P, N, …].
            valid: [P, N] False where a candidate only fills the batch up; None: all count.
        """
        z_source, z_candidate = (functional.normalize(part.embedding, dim=-1) for part in (sources, candidates))
        similarity = z_source @ z_candidate.transpose(1, 2)
        if valid is not None:
            similarity = similarity.masked_fill(~valid[:, None], -torch.inf)
        visibility = self.visibility(z_source, z_candidate, similarity)
        return Matches(sources, candidates, similarity, visibility)

    def forward(
        self,
        source_tokens: Tensor,
        target_tokens: Tensor,
        sources: Tensor,
        candidates: Tensor,
        direction: Setting,
        valid: Tensor | None = None,
    ) -> Matches:
        """Match queries of the source views with candidates of the target views.

        Args:
            source_tokens: [P, h, w, C] features.
            target_tokens: [P, h', w', C] features.
            sources: [P, Q, 2·C] descriptors of the queries.
            candidates: [P, N, 2·C] descriptors of the candidates.
            direction: which view is which.
            valid: [P, N] False where a candidate only fills the batch up; None: all count.
        """
        source_kind, target_kind = VIEWS[direction]
        asked = self.embed(sources, self.view(target_tokens, target_kind))
        offered = self.embed(candidates, self.view(source_tokens, source_kind))
        return self.match(asked, offered, valid)

    def _projected(self, rows: Tensor) -> Tensor:
        return rows if self.projection is None else self.projection(rows)
