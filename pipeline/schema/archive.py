"""What lies where in one archive of the data set, kept so that a later clip costs one range read."""

from __future__ import annotations

from pydantic import Field

from pipeline.schema.base import OwnModel


class ArchiveMember(OwnModel):
    """One file inside the archive."""

    offset_bytes: int = Field(ge=0)
    """Where its body begins."""
    size_bytes: int = Field(ge=0)


class ArchiveIndex(OwnModel):
    """Members of one archive, in archive order; lies beside the archive's place as `{name without .tar}.index.json`."""

    repo: str
    """Empty when the archive was put there by hand."""
    path: str
    """In the repository, and below data/raw."""
    revision: str
    """Commit at which it was read; empty when the archive was put there by hand."""
    etag: str
    """The hub's name for exactly these bytes (their SHA-256 for large files); empty when not from the hub."""
    size_bytes: int = Field(ge=0)
    members: dict[str, ArchiveMember]
    refused: dict[str, str]
    """Member left out → why."""
