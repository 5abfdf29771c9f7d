"""Base classes of everything read from or written to disk, and the two functions that do it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import PipelineError

Model = TypeVar("Model", bound=BaseModel)


class OwnModel(BaseModel):
    """A file of ours: unknown fields are refused, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ForeignModel(BaseModel):
    """A file of somebody else's: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


def read_model(path: Path, model: type[Model], fix: str) -> Model:
    """Read and validate one JSON file.

    Raises:
        PipelineError: the file is missing, unreadable, not JSON or not of this shape; `fix` is the advice shown.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise PipelineError(f"{path} does not exist", fix) from None
    except OSError as error:
        raise PipelineError(f"{path} cannot be read: {error.strerror}", fix) from None
    except ValidationError as error:
        details = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)[:5]
        )
        raise PipelineError(f"{path} is not a valid {model.__name__}: {details}", fix) from None


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees all of it or none: temporary sibling, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_model(path: Path, value: BaseModel) -> None:
    """Write one model as indented JSON, whole or not at all; the same value always gives the same bytes."""
    write_whole(path, value.model_dump_json(indent=2) + "\n")


def sweep_partials(folder: Path) -> None:
    """Remove what writers that were killed have left in this folder; those of living processes stay."""
    for file in folder.glob(".*.partial"):
        owner = file.name.removesuffix(".partial").rpartition(".")[2]
        if not owner.isdecimal() or file.is_dir():
            continue
        if not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            file.unlink(missing_ok=True)
