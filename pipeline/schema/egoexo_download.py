"""What the client of Ego-Exo4D has fetched for one take, or for the whole release."""

from __future__ import annotations

from pydantic import Field

from pipeline.schema.base import OwnModel


class DownloadedFile(OwnModel):
    """One file that lies in the release folder with the size that the store gives it."""

    part: str
    """Part of the release: `takes`, `downscaled_takes/448`, …"""
    relative_path: str
    """Below the release folder."""
    size_bytes: int = Field(gt=0)
    shared: bool = False
    """Belongs to no single take: other records list it too."""


class DownloadRecord(OwnModel):
    """data/egoexo/downloads/{take_uid}.json, or metadata.json; written when all files are there and checked."""

    name: str
    """Take uid, or `metadata`."""
    release_version: str
    parts: tuple[str, ...]
    """What was asked for."""
    files: list[DownloadedFile]
    missing: dict[str, str] = Field(default_factory=dict)
    """Wanted file (relative path) that the release does not have → why."""
    parts_without_files: list[str] = Field(default_factory=list)
    """Parts that have nothing for this take."""

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files)


class OwnVideos(OwnModel):
    """data/egoexo/downloads/.{take_uid}.own.json: written before the first video is fetched."""

    kept: dict[str, bool]
    """Video that we have fetched (relative path) → whether `--keep-videos` was asked for; else it is deleted when its
    take is published. A video that is not in here was put there by hand, and stays."""
