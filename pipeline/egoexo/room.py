"""How much the disk still takes, by its free space and by the limit that the user set for videos."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from pipeline.config_egoexo import DownloadVideosKnobs
from pipeline.egoexo.wanted import VIDEO_PARTS, Wanted

SPARE_BYTES = 500_000_000
"""Left free on the disk beside all that is reckoned with."""


def videos_bytes(release: Path) -> int:
    """Bytes of all videos, whole or partial, that lie in the release folder now."""
    total_bytes = 0
    for video in (release / "takes").rglob("*.mp4*"):
        with contextlib.suppress(FileNotFoundError):  # another take's videos may be deleted meanwhile
            total_bytes += video.stat().st_size
    return total_bytes


def free_disk_bytes(folder: Path) -> int:
    """Free space where a folder is or will be."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


def lack_of_room(release: Path, knobs: DownloadVideosKnobs, wanted: Wanted) -> tuple[str, str] | None:
    """What stands against fetching now, and what to do about it; None: there is room."""
    to_fetch = wanted.to_fetch(release)
    to_fetch_bytes = sum(file.size_bytes for file in to_fetch)
    to_come_bytes = sum(file.size_bytes for file in to_fetch if file.part in VIDEO_PARTS)
    if not to_fetch_bytes:
        return None
    limit_bytes = knobs.max_videos_gb * 1e9
    lying_bytes = videos_bytes(release) if limit_bytes else 0
    if limit_bytes and to_come_bytes and lying_bytes + to_come_bytes > limit_bytes:
        return (
            f"it takes {to_come_bytes / 1e9:.3g} GB, and {lying_bytes / 1e9:.3g} of the {knobs.max_videos_gb:g} GB "
            "allowed are taken",
            f"raise MAX_VIDEOS_GB=, or delete videos in {release / 'takes'} that are not needed",
        )
    free_bytes = free_disk_bytes(release)
    if to_fetch_bytes + SPARE_BYTES > free_bytes:
        return (
            f"it takes {to_fetch_bytes / 1e9:.3g} GB and {SPARE_BYTES / 1e9:g} GB to spare; {free_bytes / 1e9:.3g} GB "
            f"are free on the disk of {release}",
            "free some space, move DATA= to another disk, or take PARTS=downscaled_takes/448",
        )
    return None
