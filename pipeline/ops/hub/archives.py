"""Archives of one worker in data/raw: what they hold, which one holds a clip, and getting its members out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.ops.hub.tar_index import LocalFile, TarIndex, index_tar
from pipeline.paths import Paths
from pipeline.schema.archive import ArchiveIndex, ArchiveMember
from pipeline.schema.base import read_model
from pipeline.schema.egocentric import Layout, layout_of, layout_of_worker

SUFFIXES = (".mp4", ".json")
"""The two members of a clip."""
MAX_INFO_BYTES = 1 << 20
"""Facts of a clip are about 250 bytes."""
COPY_BYTES = 1 << 20


def local_archives(paths: Paths, clip: str) -> list[Path]:
    """Whole archives of the clip's worker that lie in data/raw, in order."""
    return local_archives_in(paths, layout_of(clip).worker_dir(clip))


def local_archives_in(paths: Paths, worker: str) -> list[Path]:
    """Whole archives of one worker's folder that lie in data/raw, in order."""
    pattern = layout_of_worker(worker).archive_pattern
    found = [path for path in paths.raw(worker).glob("*.tar") if pattern.fullmatch(f"{worker}/{path.name}")]
    return sorted(found, key=lambda path: numbers_in(path.name))


def find_local(paths: Paths, clip: str) -> ArchiveIndex | None:
    """Index of the archive in data/raw that holds the clip; None where none does. No network.

    The headers are read each time, since an archive may be replaced by hand; what is known about its origin is kept if
    it still fits.

    Raises:
        PipelineError: an archive is damaged.
    """
    for archive in local_archives(paths, clip):
        path = f"{layout_of(clip).worker_dir(clip)}/{archive.name}"
        index = index_local(paths, path)
        if holds(index, clip):
            return index
    return None


def index_local(paths: Paths, path: str) -> ArchiveIndex:
    """What one archive in data/raw holds, with its origin where that is known.

    Raises:
        PipelineError: the archive is damaged.
    """
    source = LocalFile(paths.raw(path))
    index = as_index(index_tar(source, str(source.path)), path, source.size_bytes)
    saved = saved_index(index_path(paths, path))
    if saved and (saved.size_bytes, saved.members) == (index.size_bytes, index.members):
        return saved
    return index


def cut(archive: Path, index: ArchiveIndex, name: str, target: Path) -> None:
    """Copy one member out of a whole archive; `target` is replaced.

    Raises:
        PipelineError: the archive ends before the member does.
    """
    member = index.members[name]
    source = LocalFile(archive)
    with target.open("wb") as file:
        for start, stop in _pieces(member):
            file.write(source.read_at(start, stop))


def _pieces(member: ArchiveMember) -> Iterator[tuple[int, int]]:
    end = member.offset_bytes + member.size_bytes
    for start in range(member.offset_bytes, end, COPY_BYTES):
        yield start, min(start + COPY_BYTES, end)


def holds(index: ArchiveIndex, clip: str) -> bool:
    """Whether the archive has both members of the clip.

    Raises:
        PipelineError: it has one of them only, refuses one, or the facts are absurdly long.
    """
    names = [f"{clip}{suffix}" for suffix in SUFFIXES]
    for name in names:
        if name in index.refused and name not in index.members:
            raise PipelineError(
                f"{name} in {index.path} is {index.refused[name]}: it is not taken", "choose another clip"
            )
    present = [name for name in names if name in index.members]
    if len(present) == 1:
        missing = next(name for name in names if name not in present)
        raise PipelineError(
            f"{index.path} holds {present[0]} but not {missing}", "choose another clip: this one is incomplete"
        )
    if present and index.members[f"{clip}.json"].size_bytes > MAX_INFO_BYTES:
        size = index.members[f"{clip}.json"].size_bytes
        raise PipelineError(f"{clip}.json has {size} bytes, expected at most {MAX_INFO_BYTES}", "choose another clip")
    return bool(present)


def clips_in(index: ArchiveIndex, layout: Layout) -> list[str]:
    """Names of the clips in one archive, in archive order."""
    stems = dict.fromkeys(name.rpartition(".")[0] for name in index.members if name.endswith(SUFFIXES))
    return [stem for stem in stems if layout.clip_pattern.fullmatch(stem)]


def no_such_clip(clip: str, names: Iterable[str], where: str) -> PipelineError:
    """The clip is nowhere; says which are near."""
    near = nearest(clip, list(names))
    fix = f"the nearest are {', '.join(near)}; list-clips shows all" if near else "its archives hold no clips at all"
    return PipelineError(f"there is no clip {clip} in {where}", fix)


def nearest(name: str, names: list[str], count: int = 3) -> list[str]:
    """The names whose numbers are closest, compared from left to right."""
    wanted = numbers_in(name)

    def distance(other: str) -> tuple[list[int], str]:
        return [abs(ours - theirs) for ours, theirs in zip(wanted, numbers_in(other), strict=False)], other

    return sorted(names, key=distance)[:count]


def index_path(paths: Paths, path: str) -> Path:
    """Place of an archive's index, given its path in the repository."""
    return paths.raw(f"{path.removesuffix('.tar')}.index.json")


def numbers_in(name: str) -> list[int]:
    """All whole numbers in a name, for sorting part2 before part10."""
    return [int(digits) for digits in re.findall(r"\d+", name)]


def as_index(found: TarIndex, path: str, size: int, repo: str = "", revision: str = "", etag: str = "") -> ArchiveIndex:
    """An index as it is saved; without origin when the archive was put there by hand."""
    members = {
        name: ArchiveMember(offset_bytes=start, size_bytes=length) for name, (start, length) in found.members.items()
    }
    return ArchiveIndex(
        repo=repo, path=path, revision=revision, etag=etag, size_bytes=size, members=members, refused=found.refused
    )


def saved_index(file: Path) -> ArchiveIndex | None:
    """A saved index, or None: it is a cache, so a missing or damaged one is just made again."""
    try:
        return read_model(file, ArchiveIndex, "")
    except PipelineError:
        return None
