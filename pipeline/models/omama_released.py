"""The released state dict's names and shapes, and what they say about the network.

Its position tables are called by role: T is the target view's, Q the source's. Here tables belong to views, so which
is which follows from the direction that it was trained for, and that from the tables' sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.models.omama import VIEWS, Omama, OmamaConfig, View
from pipeline.schema.egoexo_pairs import SETTINGS, Setting

RELEASED_GRIDS: Final[dict[View, tuple[int, int]]] = {"ego": (50, 50), "exo": (38, 68)}
_TARGET_TABLE, _SOURCE_TABLE = "pos_embed_T", "pos_embed_Q"
_PREFIXES = (  # released, own
    ("CROSS_context_attn.project.0.", "attention.project."),
    ("CROSS_context_attn.", "attention."),
    ("mlp_visible.", "visibility.layers."),
    ("mlp.mlp.", "head."),
)


def looks_released(state: Mapping[str, Tensor]) -> bool:
    """Whether any key is one of the release's: enough to name what is missing."""
    return any(name in (_TARGET_TABLE, _SOURCE_TABLE) or _renamed(name) != name for name in state)


def own_name(name: str, trained: Setting) -> str:
    """Name in this project; an unknown one stays as it is."""
    source, target = VIEWS[trained]
    tables = {_TARGET_TABLE: f"positions.{target}.table", _SOURCE_TABLE: f"positions.{source}.table"}
    return tables.get(name) or _renamed(name)


def released_name(name: str, trained: Setting) -> str:
    """The other way: the release's name of a tensor; one that it does not have stays as it is."""
    source, target = VIEWS[trained]
    tables = {f"positions.{target}.table": _TARGET_TABLE, f"positions.{source}.table": _SOURCE_TABLE}
    if name in tables:
        return tables[name]
    theirs, own = next(((theirs, own) for theirs, own in _PREFIXES if name.startswith(own)), ("", ""))
    return theirs + name.removeprefix(own)


def released_state(network: Omama, direction: Setting) -> dict[str, Tensor]:
    """The network's tensors by the release's names and shapes, for one direction.

    Raises:
        ValueError: a network with parts that the release does not have.
    """
    if network.config.visibility != "similarity" or network.config.projected:
        raise ValueError("Got a network with a visibility head or a projection, which the release does not have")
    state = {}
    for name, tensor in network.state_dict().items():
        is_table = name.startswith("positions.")
        state[released_name(name, direction)] = tensor.flatten(0, 1)[None] if is_table else tensor
    return state


def trained_direction(
    path: Path, state: Mapping[str, Tensor], direction: Setting, grids_hw: Mapping[View, tuple[int, int]]
) -> Setting:
    """The direction that the tables were trained for, told by their sizes; the wanted one where both views have one.

    Raises:
        PipelineError: a table is missing or fits neither view's grid.
    """
    missing = [name for name in (_TARGET_TABLE, _SOURCE_TABLE) if name not in state]
    if missing:
        raise PipelineError(
            f"{path} does not fit the network: missing: {', '.join(missing)}", "take a whole checkpoint"
        )
    found = {"target": state[_TARGET_TABLE], "source": state[_SOURCE_TABLE]}
    for setting in (direction, *(other for other in SETTINGS if other != direction)):
        source, target = VIEWS[setting]
        sizes = {"target": grids_hw[target], "source": grids_hw[source]}
        if all(found[role].ndim == 3 and found[role].shape[1] == y * x for role, (y, x) in sizes.items()):
            return setting
    shapes = ", ".join(f"{name} {tuple(state[name].shape)}" for name in (_TARGET_TABLE, _SOURCE_TABLE))
    known = ", ".join(f"{view} {y}×{x} = {y * x}" for view, (y, x) in grids_hw.items())
    raise PipelineError(
        f"{path} has position tables of unknown grids: {shapes}; expected tokens of {known}",
        "say which grids it was trained with",
    )


def released_config(
    path: Path,
    state: Mapping[str, Tensor],
    trained: Setting,
    grids_hw: Mapping[View, tuple[int, int]],
    projection: Mapping[str, Tensor],
) -> OmamaConfig:
    """The network that the tensors belong to.

    Raises:
        PipelineError: the projection does not lead to the network's width.
    """
    width = state[_TARGET_TABLE].shape[-1]
    feature_dim = width
    if projection:
        out, feature_dim = projection["projection.weight"].shape
        if out != width:
            raise PipelineError(f"the projection beside {path} leads to {out} channels, not {width}", "take its own")
    return OmamaConfig(
        feature_dim=feature_dim,
        width=width,
        ego_grid_hw=grids_hw["ego"],
        exo_grid_hw=grids_hw["exo"],
        projected=bool(projection),
        visibility="similarity",
    )


def feature_projection(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The derivative's 1×1 convolution as a matrix.

    Raises:
        PipelineError: other keys or shapes.
    """
    weight, bias = state.get("weight"), state.get("bias")
    if (
        set(state) != {"weight", "bias"}
        or weight is None
        or bias is None
        or weight.ndim != 4
        or weight.shape[2:] != (1, 1)
        or bias.shape != weight.shape[:1]
    ):
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())
        raise PipelineError(
            f"{path} has a projection of {shapes}; expected weight (width, channels, 1, 1) and bias (width,)",
            "take another copy of it",
        )
    return {"projection.weight": weight[:, :, 0, 0], "projection.bias": bias}


def _renamed(name: str) -> str:
    for theirs, own in _PREFIXES:
        if name.startswith(theirs):
            return own + name.removeprefix(theirs)
    return name
