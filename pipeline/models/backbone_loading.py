"""Bring a backbone into memory: every key matched, on one device; or say why not."""

from __future__ import annotations

from typing import Any, Literal

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, ResNetModel

from pipeline.errors import PipelineError
from pipeline.models.backbone_files import BackboneFiles, Report, find_backbone
from pipeline.models.backbones import BACKBONES, Backbone, BackboneRow, ComputedIn, backbone_named, shape_of
from pipeline.models.dino_resnet import config_of, read_state, renamed
from pipeline.models.loading import free_memory, is_out_of_memory
from pipeline.models.quiet import progress_bars_off
from pipeline.models.weights import DeviceChoice, check_keys, choose_device, damaged

ComputedInChoice = Literal["auto", "float16", "float32"]


def load_backbone(
    name: str,
    weights: str = "",
    revision: str = "main",
    sha256: str = "",
    device: DeviceChoice = "auto",
    computed_in: ComputedInChoice = "auto",
    token: str | None = None,
    report: Report | None = None,
) -> tuple[Backbone, BackboneFiles]:
    """Find and load a backbone; for `weights`, `revision`, `sha256` and `token` see `find_backbone`.

    Args:
        computed_in: `auto` is half precision on CUDA, single precision on a CPU.

    Raises:
        PipelineError: the weights cannot be had, do not match their config, are those of another backbone, or do not
            fit the device's memory.
    """
    row = backbone_named(name)
    chosen = choose_device(device)
    files = find_backbone(row, weights, revision, sha256, token, report)
    network = _from_state(files, report) if files.place.is_file() else _from_folder(row, files)
    _check_width(row, network.config, files, report)
    too_small = ""
    try:
        network = network.to(chosen).eval()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        too_small = str(error).splitlines()[0]
    if too_small:
        free_memory()
        raise PipelineError(
            f"too little memory for {row.name}: {too_small}", "take a smaller BACKBONE=, or --device cpu"
        )
    precision: ComputedIn = (
        ("float16" if chosen.type == "cuda" else "float32") if computed_in == "auto" else computed_in
    )
    return Backbone(network, row, chosen, precision), files


def _from_folder(row: BackboneRow, files: BackboneFiles) -> Any:
    model_class: Any = getattr(transformers, row.model_class)
    try:
        config = AutoConfig.from_pretrained(files.place, local_files_only=True)
    except (OSError, ValueError, TypeError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise PipelineError(f"the config of {files.name} cannot be used: {reason}", "fetch the model again") from None
    try:
        with progress_bars_off():
            network, info = model_class.from_pretrained(
                files.place,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # so that they are named below, with all other differences
                output_loading_info=True,
            )
    except (SafetensorError, OSError) as error:
        raise damaged(files.name, error) from None
    check_keys(info, files.name)
    return network


def _from_state(files: BackboneFiles, report: Report | None) -> nn.Module:
    state, heads = read_state(files.place)
    if heads and report:
        report(f"{files.name}: left aside {', '.join(heads)}, which lie behind the features")
    network = ResNetModel(config_of(state, files.place))
    wanted, given = network.state_dict(), renamed(state)
    # A counter of training steps that older files lack; evaluation does not use it.
    given |= {key: value for key, value in wanted.items() if key.endswith("num_batches_tracked") and key not in given}
    shared = wanted.keys() & given.keys()
    other = {(key, given[key].shape, wanted[key].shape) for key in shared if given[key].shape != wanted[key].shape}
    missing, unexpected = wanted.keys() - given.keys(), given.keys() - wanted.keys()
    check_keys({"missing_keys": missing, "unexpected_keys": unexpected, "mismatched_keys": other}, files.name)
    network.load_state_dict(given)
    return network


def _check_width(row: BackboneRow, config: Any, files: BackboneFiles, report: Report | None) -> None:
    """Weights that are plainly those of another row are refused; those of one's own are only named."""
    dim = shape_of(config).dim
    if dim == row.published.dim:
        return
    for other in BACKBONES:
        if (other.model_type, other.published.dim) == (row.model_type, dim):
            raise PipelineError(
                f"{files.name} has {dim} features a token: these are weights of {other.name}, not of {row.name} "
                f"({row.published.dim})",
                f"use BACKBONE={other.name}, or other weights",
            )
    if report:
        report(f"{files.name} has {dim} features a token; the published {row.name} has {row.published.dim}")
