"""Layers of O-MaMa's network. Shapes: P views, N queries, T = h·w tokens, D width."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class KeysValues(NamedTuple):
    """A view as the attention sees it; both [P, heads, T, D / heads]."""

    keys: Tensor
    values: Tensor


class PositionTable(nn.Module):
    """A learnt vector for every token of a grid; other grids get it interpolated as a map."""

    def __init__(self, grid_hw: tuple[int, int], width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(*grid_hw, width))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, grid_hw: tuple[int, int]) -> Tensor:
        """[h·w, D] row by row."""
        table: Tensor = self.table
        if table.shape[:2] != grid_hw:
            size = list(grid_hw)
            table = functional.interpolate(table.permute(2, 0, 1)[None], size, mode="bilinear")[0].permute(1, 2, 0)
        return table.flatten(0, 1)


class CrossAttention(nn.Module):
    """Objects attend to the tokens of the other view; nothing of the query itself is added to what they find."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_input = nn.LayerNorm(width)  # of queries and of tokens alike
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)
        self.norm_output = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def keys_values(self, tokens: Tensor) -> KeysValues:
        """Keys and values of a view's tokens [P, T, D]: once a view, whatever asks it."""
        tokens = self.norm_input(tokens)
        return KeysValues(self._split(self.key(tokens)), self._split(self.value(tokens)))

    def forward(self, queries: Tensor, view: KeysValues) -> Tensor:
        """[P, N, D] what queries [P, N, D] find in the view."""
        asked = self._split(self.query(self.norm_input(queries)))
        found = functional.scaled_dot_product_attention(asked, view.keys, view.values)
        found = self.project(found.transpose(1, 2).flatten(2))
        return torch.as_tensor(found + self.mlp(self.norm_output(found)))

    def _split(self, rows: Tensor) -> Tensor:
        return rows.reshape(*rows.shape[:2], self.heads, rows.shape[-1] // self.heads).transpose(1, 2)
