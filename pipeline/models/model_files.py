"""Where a model's files are: a local folder, or fetched whole from the hub; and what its config says about it."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    XetDownloadError,
)
from pydantic import Field

from pipeline.errors import PipelineError
from pipeline.schema.base import ForeignModel, read_model

PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.jinja")
HUB_ERRORS = (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, XetDownloadError)


@dataclass(frozen=True)
class Advice:
    """How the user says which model to take; for the way out in errors."""

    knob: str
    example: str
    """A name on the hub that works there."""
    without_terms: str = ""
    """What to do instead of accepting a gated model's terms."""
    file: str = ""
    """Name of the published file, for models that are none of the hub's."""

    @property
    def choose(self) -> str:
        """What can be given."""
        known = f"the file {self.file}" if self.file else f"a name on the hub such as {self.example}"
        return f"set {self.knob}= to {known}, or to a folder made by save_pretrained"


VISION_LANGUAGE = Advice("MODEL", "Qwen/Qwen2.5-VL-7B-Instruct")


class Quantization(ForeignModel):
    """How weights were quantized."""

    quant_method: str
    bits: int = Field(default=4, gt=0)


class ModelConfig(ForeignModel):
    """The few fields of a config.json that decide how a model is loaded."""

    model_type: str
    quantization_config: Quantization | None = None


@dataclass(frozen=True)
class ModelFiles:
    """A model on this disk. `revision` is the commit on the hub; None for a folder of one's own."""

    model_id: str
    folder: Path
    revision: str | None
    config: ModelConfig
    weight_bytes: int


def find_model(
    model_id: str,
    revision: str = "main",
    token: str | None = None,
    report: Callable[[str], None] | None = None,
    advice: Advice = VISION_LANGUAGE,
) -> ModelFiles:
    """Find a model in a local folder, else fetch it from the hub into the hub's cache.

    Args:
        model_id: folder, or owner/name.
        revision: branch, tag or commit; for the hub only.
        token: for gated models.
        report: says one line before a download begins.
        advice: how the user chooses, for errors.

    Raises:
        PipelineError: there is no such folder or model, it is no model, access is refused, there is no network and no
            copy, or the disk is too small.
    """
    folder, commit = model_folder(model_id, revision, token, report, advice=advice)
    config = read_config(model_id, folder, advice)
    weights = [file.stat().st_size for file in folder.glob("*.safetensors")]
    if not weights:
        raise PipelineError(f"{model_id} holds no weights: there is no .safetensors file in {folder}", advice.choose)
    return ModelFiles(model_id, folder, commit, config, sum(weights))


def is_folder_name(model_id: str) -> bool:
    """Whether this can only mean a folder: it exists, or it is written like a path and not like owner/name."""
    return model_id.startswith((".", "/", "~")) or model_id.count("/") != 1 or Path(model_id).is_dir()


def model_folder(
    model_id: str,
    revision: str,
    token: str | None,
    report: Callable[[str], None] | None = None,
    patterns: Sequence[str] = PATTERNS,
    advice: Advice = VISION_LANGUAGE,
) -> tuple[Path, str | None]:
    """Where the files lie, fetched if need be, and the commit on the hub; for the errors see `find_model`."""
    if not is_folder_name(model_id):
        folder = fetch_model(model_id, revision, token, report, patterns, advice)
        return folder, folder.name
    folder = Path(model_id).expanduser()
    if not folder.is_dir():
        raise PipelineError(f"there is no folder {folder}", advice.choose)
    return folder, None


def read_config(model_id: str, folder: Path, advice: Advice = VISION_LANGUAGE) -> ModelConfig:
    """The config.json of a model's folder.

    Raises:
        PipelineError: there is none, or it is none of a model.
    """
    if not (folder / "config.json").is_file():
        raise PipelineError(f"{model_id} holds no model: there is no config.json in {folder}", advice.choose)
    return read_model(folder / "config.json", ModelConfig, advice.choose)


def fetch_model(
    model_id: str,
    revision: str,
    token: str | None,
    report: Callable[[str], None] | None = None,
    patterns: Sequence[str] = PATTERNS,
    advice: Advice = VISION_LANGUAGE,
) -> Path:
    """The hub's cache folder of one revision, all its files of these patterns present. See `find_model`."""
    fetch = functools.partial(
        snapshot_download, model_id, revision=revision, token=token or False, allow_patterns=list(patterns)
    )
    try:
        missing_bytes = missing_on_disk(fetch)
        if missing_bytes:
            check_disk(model_id, missing_bytes, advice)
            if report:
                report(f"fetching {model_id}: {missing_bytes / 1e9:.1f} GB")
        return Path(fetch())
    except (*HUB_ERRORS, httpx2.TransportError) as error:
        raise explain(error, model_id, revision, token, advice) from None


def missing_on_disk(fetch: Callable[..., Any]) -> int:
    """Bytes that a download would bring; 0 where the hub cannot be asked, since then only the cache is left."""
    try:
        return sum(file.file_size for file in fetch(dry_run=True) if file.will_download)
    except DryRunError:
        return 0


def check_disk(model_id: str, missing_bytes: int, advice: Advice) -> None:
    """Refuse a download that the disk of the hub's cache cannot take."""
    place = Path(constants.HF_HUB_CACHE)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < missing_bytes:
        raise PipelineError(
            f"{model_id} needs {missing_bytes / 1e9:.1f} GB more, but the disk of {place} has {free / 1e9:.1f} GB free",
            f"free some space, set HF_HOME to a folder on another disk, or take a smaller model with {advice.knob}=",
        )


def explain(error: Exception, model_id: str, revision: str, token: str | None, advice: Advice) -> PipelineError:
    """What a failed look-up means and what to do; never shows the token."""
    page = f"https://huggingface.co/{model_id}"
    if isinstance(error, HFValidationError):
        return PipelineError(f"{model_id!r} is neither a folder nor a name on the hub", advice.choose)
    if isinstance(error, RevisionNotFoundError):
        return PipelineError(f"{model_id} has no revision {revision!r}", f"use main, or a commit listed on {page}")
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError) or status == 403:
        return PipelineError(
            f"access to {model_id} is refused" + ("" if token else ", and no token was given"),
            f"accept its terms on {page} and give a token of that account as HF_TOKEN=…"
            + (f"; or {advice.without_terms}" if advice.without_terms else ""),
        )
    if status == 401 and not isinstance(error, RepositoryNotFoundError):
        return PipelineError("the hub does not know this token", "make a new one and give it as HF_TOKEN=…")
    if isinstance(error, RepositoryNotFoundError):
        return PipelineError(f"the hub has no model {model_id}, or this token may not see it", advice.choose)
    if status is not None:
        return PipelineError(f"the hub answered {status} when {model_id} was asked for", "run again later")
    if isinstance(error.__cause__, HfHubHTTPError):
        return explain(error.__cause__, model_id, revision, token, advice)
    what = "only a part of it is" if isinstance(error, IncompleteSnapshotError) else "it is not"
    return PipelineError(
        f"the hub cannot be reached ({type(error).__name__}), and {model_id} is needed: {what} in the cache "
        f"{constants.HF_HUB_CACHE}",
        "check the network, HF_ENDPOINT and "
        + ("unset HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "the proxy variables")
        + f", or set {advice.knob}= to a local folder",
    )
