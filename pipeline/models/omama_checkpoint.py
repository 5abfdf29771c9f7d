"""Checkpoints of O-MaMa: the project's own, the released state dict, and that of its derivative in its wrappings.

All are read as weights only and matched key by key: what differs is named, nothing is left out in silence.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.models.omama import VIEWS, Omama, OmamaConfig, View, Visibility
from pipeline.models.omama_released import (
    RELEASED_GRIDS,
    feature_projection,
    looks_released,
    own_name,
    released_config,
    released_name,
    trained_direction,
)
from pipeline.schema.egoexo_pairs import Setting

FORMAT = "egopipe-omama-1"
MODEL_WRAPPER = "model_state_dict"
PROJECTION_WRAPPER = "feature_proj_state_dict"
_KEYS_SHOWN = 5

Kind = Literal["egopipe", "released", "wrapped"]


@dataclass(frozen=True)
class LoadedOmama:
    """A network with its weights, in evaluation mode on the CPU."""

    network: Omama
    kind: Kind
    """egopipe: written by `save_omama`; released: a bare state dict; wrapped: the derivative's."""
    trained: Setting | None
    """The direction that it was trained for; None where the file does not say, or for both."""
    notes: tuple[str, ...]
    """What the user should know."""
    facts: dict[str, Any]
    """What was stored beside the weights of an own checkpoint."""


def save_omama(path: Path, network: Omama, facts: Mapping[str, Any] | None = None) -> None:
    """Write an own checkpoint, whole or not at all.

    Args:
        path: of the file.
        network: on any device.
        facts: plain values to keep beside the weights.
    """
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    content = {
        "format": FORMAT,
        "config": dataclasses.asdict(network.config),
        "state": state,
        "facts": dict(facts or {}),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        torch.save(content, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_omama(
    path: Path,
    direction: Setting,
    *,
    projection: Path | None = None,
    visibility: Visibility | None = None,
    grids_hw: Mapping[View, tuple[int, int]] | None = None,
) -> LoadedOmama:
    """Load any of the known kinds.

    Args:
        path: of the checkpoint.
        direction: for which it is to be used; position tables follow the view, so that either direction works.
        projection: the derivative's file with the projection of its features; None: the one of the same name in
            `projection_weights` beside `model_weights`, where there is one.
        visibility: what says whether the object is there; None: as the checkpoint has it. `head` on a foreign
            checkpoint starts with an untrained one.
        grids_hw: of a foreign checkpoint's position tables, where they are not those of the release.

    Raises:
        PipelineError: no file, damaged, of another kind, or keys, shapes or numbers that are not those of the network.
    """
    content = _read(path)
    if content.get("format") == FORMAT:
        return _own(path, content, visibility)
    if PROJECTION_WRAPPER in content and MODEL_WRAPPER not in content:
        raise PipelineError(
            f"{path} holds only the projection of features ({PROJECTION_WRAPPER})",
            "name the file below model_weights/ that belongs to it",
        )
    kind: Kind = "wrapped" if MODEL_WRAPPER in content else "released"
    state = _tensors(path, content[MODEL_WRAPPER] if kind == "wrapped" else content)
    if not looks_released(state):
        raise PipelineError(
            f"{path} is no checkpoint of O-MaMa: its keys are {_some(sorted(state)) or 'none'}",
            "give the released state dict, one of the derivative, or one that training here has written",
        )
    trained = trained_direction(path, state, direction, grids_hw or RELEASED_GRIDS)
    notes = []
    if trained != direction:
        notes.append(f"{path.name} was trained {arrow(trained)}; used {arrow(direction)}, its position tables swapped")
    beside = projection or _projection_beside(path)
    projected = _projection(path, content, beside)
    if projected and beside and not projection:
        notes.append(f"features are projected by {beside}, which belongs to it by its name")

    config = released_config(path, state, trained, grids_hw or RELEASED_GRIDS, projected)
    own = {own_name(name, trained): tensor for name, tensor in state.items()} | projected
    own = {name: _as_stored(name, tensor, config) for name, tensor in own.items()}
    network = Omama(config)
    _load_strictly(path, network, own, lambda name: released_name(name, trained))
    if visibility == "head":
        notes.append(f"{path.name} has no trained visibility output; a new one starts untrained")
        network = with_visibility(network, "head")
    return LoadedOmama(network.eval(), kind, trained, tuple(notes), {})


def with_visibility(network: Omama, visibility: Visibility) -> Omama:
    """The same weights with the other output for visibility, which is new."""
    if network.config.visibility == visibility:
        return network
    made = Omama(dataclasses.replace(network.config, visibility=visibility))
    made.load_state_dict(
        {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("visibility.")}
        | {name: tensor for name, tensor in made.state_dict().items() if name.startswith("visibility.")}
    )
    return made.train(network.training)


def check_feature_dim(network: Omama, channels: int, features: str) -> None:
    """Refuse features that the network was not trained on.

    Raises:
        PipelineError: another number of channels.
    """
    expected = network.config.feature_dim
    if channels != expected:
        raise PipelineError(
            f"{features} have {channels} channels, and the checkpoint expects {expected}",
            "set BACKBONE= to the one that it was trained with, or train anew",
        )


def arrow(direction: Setting) -> str:
    """`exo→ego` for exoego."""
    return "→".join(VIEWS[direction])


def _own(path: Path, content: Mapping[str, Any], visibility: Visibility | None) -> LoadedOmama:
    try:
        fields = dict(content["config"])
        for name in ("ego_grid_hw", "exo_grid_hw"):
            fields[name] = tuple(fields[name])
        config = OmamaConfig(**fields)
        facts = dict(content["facts"])
    except (KeyError, TypeError, ValueError) as error:
        raise PipelineError(f"{path} has no usable config: {error}", "train again, or take another copy") from None
    network = Omama(config)
    _load_strictly(path, network, _tensors(path, content.get("state")))
    notes = []
    if visibility and visibility != config.visibility:
        network = with_visibility(network, visibility)
        if visibility == "head":
            notes.append(f"{path.name} has no trained visibility output; a new one starts untrained")
    return LoadedOmama(network.eval(), "egopipe", None, tuple(notes), facts)


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise PipelineError(f"there is no checkpoint {path}", "set CHECKPOINT= to a file with weights")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, AttributeError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise PipelineError(
            f"{path} cannot be read as weights only: {reason}",
            "fetch it again; a file that holds code instead of tensors is never run",
        ) from None
    if not isinstance(content, Mapping):
        raise PipelineError(f"{path} holds a {type(content).__name__}, expected a state dict", "take another file")
    return content


def _tensors(path: Path, state: object) -> dict[str, Tensor]:
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise PipelineError(f"{path} holds more or other things than tensors by name", "give a state dict")
    broken = sorted(name for name, tensor in state.items() if not tensor.isfinite().all())
    if broken:
        raise PipelineError(f"{path} has values that are no numbers in {_some(broken)}", "take an earlier checkpoint")
    return dict(state)


def _projection_beside(path: Path) -> Path | None:
    found = path.resolve().parent.parent / "projection_weights" / path.name
    return found if path.resolve().parent.name == "model_weights" and found.is_file() else None


def _projection(path: Path, content: Mapping[str, Any], beside: Path | None) -> dict[str, Tensor]:
    """The projection's tensors by their own names; none where the checkpoint has no projection."""
    source = path
    if beside is not None:
        source, content = beside, _read(beside)
        if PROJECTION_WRAPPER not in content:
            raise PipelineError(
                f"{source} has no {PROJECTION_WRAPPER}; its keys are {_some(sorted(map(str, content)))}",
                "name the derivative's file below projection_weights/",
            )
    if PROJECTION_WRAPPER not in content:
        return {}
    return feature_projection(source, _tensors(source, content[PROJECTION_WRAPPER]))


def _as_stored(name: str, tensor: Tensor, config: OmamaConfig) -> Tensor:
    """A position table as a map; everything else as it is."""
    for view, grid_hw in (("ego", config.ego_grid_hw), ("exo", config.exo_grid_hw)):
        if name == f"positions.{view}.table":
            return tensor.reshape(*grid_hw, -1)
    return tensor


def _load_strictly(
    path: Path, network: Omama, state: Mapping[str, Tensor], in_file: Callable[[str], str] = str
) -> None:
    """Load, or name all that differs; `in_file` tells what the file calls a tensor."""
    expected = network.state_dict()
    differences = {
        "missing": sorted(map(in_file, expected.keys() - state.keys())),
        "unexpected": sorted(map(in_file, state.keys() - expected.keys())),
        "of another shape": [
            f"{in_file(name)} {tuple(state[name].shape)} for {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in state and state[name].shape != tensor.shape
        ],
    }
    lines = [f"{len(names)} {what}: {_some(names)}" for what, names in differences.items() if names]
    if lines:
        raise PipelineError(
            f"{path} does not fit the network: {'; '.join(lines)}", "take a whole checkpoint of the same network"
        )
    network.load_state_dict(dict(state), strict=True)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_KEYS_SHOWN]) + (", …" if len(names) > _KEYS_SHOWN else "")
