"""A ResNet's weights in the names of torchvision, as DINO published them, under the names of transformers."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import ResNetConfig

from pipeline.errors import PipelineError

HEADS = ("fc.", "head.")
"""Layers behind the features: of no use here."""
_FIX = "give a file of a ResNet with bottlenecks in the names of torchvision, such as dino_resnet50_pretrain.pth"
_STEM = {"conv1": "embedder.embedder.convolution", "bn1": "embedder.embedder.normalization"}
_BLOCK = re.compile(r"layer(\d+)\.(\d+)\.(?:(conv|bn)(\d)|downsample\.([01]))\.(\w+)$")

State = dict[str, torch.Tensor]


def read_state(file: Path) -> tuple[State, list[str]]:
    """A state dict, and the names of its head's tensors, which are left out.

    Bare, or as a training run saves it: under `teacher` or `state_dict`, keys with `module.` and `backbone.` before.

    Raises:
        PipelineError: the file cannot be read, or holds something else.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"{file} cannot be read: {reason}", "delete it and fetch it again") from None
    for wrapping in ("teacher", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapping), Mapping):
            content = content[wrapping]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise PipelineError(f"{file} holds no state dict of tensors", _FIX)
    state = {str(name).removeprefix("module.").removeprefix("backbone."): value for name, value in content.items()}
    heads = [name for name in state if name.startswith(HEADS)]
    return {name: value for name, value in state.items() if name not in heads}, heads


def config_of(state: State, file: Path) -> ResNetConfig:
    """Widths and depths, read from the tensors.

    Raises:
        PipelineError: these are not the tensors of a ResNet with bottlenecks.
    """
    blocks = {(int(found[1]), int(found[2])) for name in state if (found := _BLOCK.match(name))}
    stages = sorted({stage for stage, _ in blocks})
    outputs = [state.get(f"layer{stage}.0.conv3.weight") for stage in stages]
    if "conv1.weight" not in state or not outputs or any(output is None for output in outputs):
        shown = ", ".join(list(state)[:3])
        raise PipelineError(f"{file} holds no ResNet with bottlenecks: its tensors are {shown}, …", _FIX)
    options: dict[str, Any] = {
        "embedding_size": state["conv1.weight"].shape[0],
        "hidden_sizes": [output.shape[0] for output in outputs if output is not None],
        "depths": [sum(1 for stage, _ in blocks if stage == number) for number in stages],
    }
    return ResNetConfig(**options)


def renamed(state: State) -> State:
    """The same tensors under the names of transformers; names that it does not know stay as they are."""
    return {_new_name(name): value for name, value in state.items()}


def _new_name(name: str) -> str:
    layer, _, rest = name.partition(".")
    if layer in _STEM:
        return f"{_STEM[layer]}.{rest}"
    found = _BLOCK.match(name)
    if not found:
        return name
    stage, block, kind, number, shortcut, tensor = found.groups()
    part = f"layer.{int(number) - 1}" if number else "shortcut"
    is_convolution = kind == "conv" or shortcut == "0"
    what = "convolution" if is_convolution else "normalization"
    return f"encoder.stages.{int(stage) - 1}.layers.{block}.{part}.{what}.{tensor}"
