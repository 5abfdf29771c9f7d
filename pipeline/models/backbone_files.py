"""Where a backbone's weights are: a folder or file of one's own, or fetched; and their digest."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch

from pipeline.errors import PipelineError
from pipeline.models.backbones import BackboneRow
from pipeline.models.model_files import Advice, find_model, is_folder_name

STATE_SUFFIXES = (".pth", ".pt", ".tar")
KNOB = "BACKBONE_WEIGHTS"
Report = Callable[[str], None]


@dataclass(frozen=True)
class BackboneFiles:
    """A backbone's files on this disk.

    Attributes:
        place: a folder as save_pretrained makes it, or a file with a state dict.
        name: name on the hub, or of the file or folder.
        revision: commit on the hub; None for files of one's own.
        sha256: of the weights file, or over those of all weights files in the order of their names.
    """

    place: Path
    name: str
    revision: str | None
    sha256: str


def find_backbone(
    row: BackboneRow,
    weights: str = "",
    revision: str = "main",
    sha256: str = "",
    token: str | None = None,
    report: Report | None = None,
) -> BackboneFiles:
    """Find the weights, fetch them if need be, and take their digest.

    Args:
        weights: folder, file, or another name on the hub; empty: what the row says.
        revision: branch, tag or commit; for the hub only.
        sha256: what the digest has to be; empty: anything.
        token: for gated models.
        report: says what is fetched, and the digest of a file that comes with none.

    Raises:
        PipelineError: they are not there, cannot be had, or are others than expected.
    """
    if weights and Path(weights).expanduser().is_file():
        files = _file_of_ones_own(row, Path(weights).expanduser())
    elif weights or row.hub:
        if weights.endswith((*STATE_SUFFIXES, ".safetensors")) and is_folder_name(weights):
            raise PipelineError(f"there is no file {weights}", _ways(row).choose)
        files = _on_the_hub(row, weights or row.hub, revision, token, report)
    else:
        file = _fetched(row, sha256, report)
        files = BackboneFiles(file, file.name, None, _sha256(file))
    if sha256 and files.sha256 != sha256.lower():
        raise PipelineError(
            f"the weights of {row.name} in {files.place} have SHA-256 {files.sha256}, expected {sha256.lower()}",
            "it is another file, or it was damaged on its way: delete it and fetch it again, or mend BACKBONE_SHA256=",
        )
    if report and not sha256 and files.place.is_file():
        report(
            f"{files.name}: SHA-256 {files.sha256}, recorded with the features; no checksum of its publisher is known "
            "here to compare it with: BACKBONE_SHA256= makes sure that it stays the same"
        )
    return files


def _ways(row: BackboneRow) -> Advice:
    other = "take BACKBONE=dinov2-b, whose weights ask for no terms" if row.is_gated else ""
    return Advice(KNOB, row.hub, other, row.file_url.rpartition("/")[2])


def _file_of_ones_own(row: BackboneRow, file: Path) -> BackboneFiles:
    """A state dict of a ResNet as it is, a transformer's `.safetensors` by the folder that it lies in."""
    if row.model_type == "resnet" and file.suffix in STATE_SUFFIXES:
        return BackboneFiles(file, file.name, None, _sha256(file))
    if file.suffix == ".safetensors" and (file.parent / "config.json").is_file():
        return _on_the_hub(row, str(file.parent.absolute()), "", None, None)
    raise PipelineError(
        f"{file} alone does not make a {row.name}: a .safetensors needs its config.json beside it"
        + (", and other files must be state dicts (.pth)" if row.model_type == "resnet" else ""),
        _ways(row).choose,
    )


def _on_the_hub(row: BackboneRow, name: str, revision: str, token: str | None, report: Report | None) -> BackboneFiles:
    found = find_model(name, revision, token, report, _ways(row))
    if found.config.model_type != row.model_type:
        raise PipelineError(
            f"{name} is of model type {found.config.model_type!r}, but {row.name} is a {row.model_type!r}",
            f"choose another BACKBONE=, or {_ways(row).choose}",
        )
    digests = [_sha256(file) for file in sorted(found.folder.glob("*.safetensors"))]
    digest = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    return BackboneFiles(found.folder, name if found.revision else found.folder.name, found.revision, digest)


def _fetched(row: BackboneRow, sha256: str, report: Report | None) -> Path:
    """The published file, in the cache of torch.hub, whose own check of the digest works while it fetches.

    Raises:
        PipelineError: it cannot be fetched.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / row.file_url.rpartition("/")[2]
    if file.is_file():
        return file
    if report:
        report(f"fetching {row.file_url}")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(row.file_url, str(file), hash_prefix=sha256.lower() or None, progress=False)
    except (URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise PipelineError(
            f"the weights of {row.name} cannot be fetched from {row.file_url} ({reason})",
            f"check the network and the proxy variables; or fetch the file elsewhere and give it as {KNOB}=FILE",
        ) from None
    except RuntimeError as error:
        if "hash" not in str(error):
            raise
        raise PipelineError(
            f"what {row.file_url} sent is not the expected file: {error}", "run again, or mend BACKBONE_SHA256="
        ) from None
    return file


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
