"""What made a unit's products, written beside them when they are whole."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.schema.base import OwnModel


class FileDigest(OwnModel):
    """One file at the moment it was used or made."""

    path: str
    size_bytes: int = Field(ge=0)
    modified_ns: int
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(OwnModel):
    """One phase on one unit: its presence means that the products are whole."""

    phase: str
    unit: str
    knobs: dict[str, Any]
    """Only those that shape the product; a file's knob holds the digest of its content."""
    inputs: dict[str, FileDigest]
    products: dict[str, FileDigest]
    code_sha256: str
    libraries: dict[str, str]
    python: str
    engine: str
    made: dict[str, int | float | str]
    dropped: dict[str, int]
    details: dict[str, Any]
    started_utc: str
    seconds: float = Field(ge=0)
    peak_memory_bytes: int = Field(ge=0)
