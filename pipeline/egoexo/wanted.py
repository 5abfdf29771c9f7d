"""Which files of the release a take needs: the annotated cameras' videos, and what else was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.errors import PipelineError
from pipeline.ops.s3.part import Part
from pipeline.ops.s3.store import ALL_PARTS, DEFAULT_PARTS, Store
from pipeline.schema.egoexo_index import TakeIndex
from pipeline.schema.egoexo_release import ManifestPath

NATIVE = "takes"
DOWNSCALED = "downscaled_takes/448"
VIDEO_PARTS = (NATIVE, DOWNSCALED)
"""Parts of which only the annotated cameras are fetched."""
RELATIONS = re.compile(r"^annotations/relations_(train|val|test)\.json$")
METADATA_FILES = ("takes.json", "captures.json")


class NotReleasedError(PipelineError):
    """No part that was asked for has anything of a take."""


@dataclass(frozen=True)
class WantedFile:
    """One file of the release with the size that it must have."""

    part: str
    relative_path: str
    source_path: str
    size_bytes: int
    shared: bool = False
    """Belongs to no single take."""

    def is_here(self, release: Path) -> bool:
        """Whether a file of this name and size lies in the release folder."""
        place = release / self.relative_path
        return place.is_file() and place.stat().st_size == self.size_bytes


@dataclass
class Wanted:
    """All that is wanted for one take or for the metadata, and what the release does not have of it."""

    parts: tuple[str, ...]
    files: list[WantedFile] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Relative path → why there is no such file."""
    parts_without_files: list[str] = field(default_factory=list)

    def to_fetch(self, release: Path) -> list[WantedFile]:
        """Files that are not in the release folder in their full size."""
        return [file for file in self.files if not file.is_here(release)]


def expand_parts(parts: Sequence[str]) -> tuple[str, ...]:
    """Parts by their own names: `default` and `all` stand for several, as in the client."""
    groups = {"default": DEFAULT_PARTS, "all": ALL_PARTS}
    return tuple(dict.fromkeys(name for part in parts for name in groups.get(part, (part.strip("/"),))))


def video_paths(index: TakeIndex, part: str) -> dict[str, str]:
    """Annotated camera → path of its video below the release folder; nothing for a part that holds no videos."""
    paths: dict[str, str] = {}
    for camera, facts in index.cameras.items():
        video = PurePosixPath(index.root_dir) / facts.video
        if part == NATIVE:
            paths[camera] = str(video)
        elif part == DOWNSCALED:
            paths[camera] = str(video.parent / "downscaled" / "448" / video.name)
    return paths


def wanted_of_take(
    store: Store, index: TakeIndex, parts: Sequence[str], read_part: Callable[[str], Part] | None = None
) -> Wanted:
    """The files of one take in these parts, by the parts' manifests.

    Args:
        read_part: gives a part by its name; where many takes are looked at, one that does not ask the store each time.

    Raises:
        NotReleasedError: no part knows the take.
        PipelineError: an unknown part; trouble with keys or network.
    """
    read_part = read_part or store.part
    wanted = Wanted(expand_parts(parts))
    chosen: list[tuple[str, ManifestPath, bool]] = []
    for part in wanted.parts:
        files = _of_take(read_part(part), index, part in VIDEO_PARTS)
        if part in VIDEO_PARTS:
            by_path = {path.relative_path: path for path, _ in files}
            for camera, relative_path in video_paths(index, part).items():
                if relative_path in by_path:
                    chosen.append((part, by_path[relative_path], False))
                elif files:
                    wanted.missing[relative_path] = f"part {part} has no video of {camera}"
        else:
            chosen += [(part, path, shared) for path, shared in files]
        if not files:
            wanted.parts_without_files.append(part)
    if wanted.parts_without_files == list(wanted.parts):
        raise NotReleasedError(
            f"release {store.release_version} has no take {index.take_uid} ({index.take_name}) in "
            f"{', '.join(wanted.parts)}",
            "not all annotated takes were released: leave it out with TAKES=, or try another part with PARTS=",
        )
    _add(wanted, store, chosen)
    return wanted


def wanted_of_release(store: Store) -> Wanted:
    """takes.json, captures.json, the object masks of each split that the release has, and its split.

    Raises:
        PipelineError: the release lists no takes or no masks; trouble with keys or network.
    """
    wanted = Wanted(("metadata", "annotations"))
    chosen: list[tuple[str, ManifestPath, bool]] = []
    for part in wanted.parts:
        for path in store.part(part).files:
            name = path.relative_path
            if name in METADATA_FILES or name == "annotations/splits.json" or RELATIONS.match(name):
                chosen.append((part, path, False))
    names = {path.relative_path for _, path, _ in chosen}
    lacking = [name for name in METADATA_FILES if name not in names]
    if not any(RELATIONS.match(name) for name in names):
        lacking.append("annotations/relations_*.json")
    if lacking:
        raise PipelineError(
            f"release {store.release_version} at {store.place} does not list {', '.join(lacking)}",
            "check --release-version (v2) and AWS_ENDPOINT_URL",
        )
    _add(wanted, store, chosen)
    return wanted


def _of_take(part: Part, index: TakeIndex, is_video: bool) -> list[tuple[ManifestPath, bool]]:
    """Files that belong to this take or its capture, and those that belong to nobody (shared)."""
    own = [path for owner in (index.take_uid, index.capture_uid) if owner for path in part.of.get(owner, [])]
    shared = [] if is_video else part.shared
    return [(path, False) for path in own] + [(path, True) for path in shared]


def _add(wanted: Wanted, store: Store, chosen: Sequence[tuple[str, ManifestPath, bool]]) -> None:
    """Put the chosen files into `wanted`, with sizes out of the manifest or, where it has none, from the store."""
    asked = store.sizes([path.source_path for _, path, _ in chosen if path.size is None])
    for part, path, shared in chosen:
        size = path.size if path.size is not None else asked[path.source_path]
        if size is None:
            wanted.missing[path.relative_path] = f"{path.source_path} is in the manifest, but not in the store"
        elif size == 0:  # the client leaves these out without a word
            wanted.missing[path.relative_path] = f"{path.source_path} has no bytes"
        else:
            wanted.files.append(WantedFile(part, path.relative_path, path.source_path, size, shared))
