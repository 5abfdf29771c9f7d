"""The archives of one worker on the hub: which one holds a clip, and what of them already lies on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.job import Progress
from pipeline.ops.hub.archives import (
    as_index,
    clips_in,
    holds,
    index_path,
    nearest,
    no_such_clip,
    numbers_in,
    saved_index,
)
from pipeline.ops.hub.dataset import Entry, Hub
from pipeline.ops.hub.remote_file import RangeRefused, RemoteFile, partial_name
from pipeline.ops.hub.tar_index import LocalFile, RandomAccess, index_tar
from pipeline.paths import Paths
from pipeline.schema.archive import ArchiveIndex
from pipeline.schema.base import write_model
from pipeline.schema.egocentric import Layout, layout_of_worker


@dataclass(frozen=True)
class Shelf:
    """One worker's archives.

    Args:
        folder: the worker's, like `factory001/worker001`.
        say: shows one line to the person at the terminal.
    """

    hub: Hub
    paths: Paths
    folder: str
    say: Callable[[str], None]
    meter: Progress

    @property
    def layout(self) -> Layout:
        """How this data set names things."""
        return layout_of_worker(self.folder)

    def archives(self) -> list[Entry]:
        """The worker's archives as the hub lists them, in order.

        Raises:
            PipelineError: unknown worker, or a worker without archives; the hub cannot be reached or refuses.
        """
        try:
            entries = self.hub.list_folder(self.folder)
        except FileNotFoundError:
            entries = []
        found = [item for item in entries if item.type == "file" and self.layout.archive_pattern.fullmatch(item.path)]
        if entries and not found:
            raise PipelineError(
                f"{self.folder} of {self.hub.repo} holds no archive", f"look at {self.hub.page}/tree/main"
            )
        if not found:
            raise self._unknown_worker()
        return sorted(found, key=lambda entry: numbers_in(entry.path))

    def _unknown_worker(self) -> PipelineError:
        parent, problem = self.folder, f"{self.hub.repo} has no {self.folder}"
        while parent:
            parent = parent.rpartition("/")[0]
            try:
                entries = self.hub.list_folder(parent)
            except FileNotFoundError:
                continue
            names = nearest(self.folder, [entry.path for entry in entries if entry.type == "directory"])
            if names:
                return PipelineError(
                    problem, f"the nearest are {', '.join(names)}; all are on {self.hub.page}/tree/main"
                )
        return PipelineError(f"{problem}, nor anything like it", f"look at {self.hub.page}/tree/main")

    def find(self, clip: str) -> ArchiveIndex:
        """Index of the archive that holds both members of the clip.

        Raises:
            PipelineError: no archive of this worker holds it; unknown worker; the hub cannot be reached or refuses.
        """
        for file in sorted(self.paths.raw(self.folder).glob("*.index.json")):
            saved = saved_index(file)
            if saved and (saved.repo, saved.revision) == (self.hub.repo, self.hub.commit) and holds(saved, clip):
                return saved
        names: list[str] = []
        for entry in self.archives():
            index = self.index(entry)
            if holds(index, clip):
                return index
            names += clips_in(index, self.layout)
        raise no_such_clip(clip, names, f"{self.folder} of {self.hub.repo}")

    def index(self, entry: Entry) -> ArchiveIndex:
        """What one archive holds: as saved if its bytes are still the same, else by reading its headers.

        Raises:
            PipelineError: damaged archive; the hub cannot be reached or refuses.
        """
        if saved := self._saved(entry):
            return saved
        self.say(f"reading what {entry.path} holds ({entry.size / 1e6:.0f} MB, headers only)")
        try:
            return self._save(entry, RemoteFile(self.hub, entry.path, entry.size))
        except RangeRefused:
            self.say(f"the server does not send parts of a file: fetching all of {entry.path}")
            self.fetch_archive(entry)
            return self._saved(entry) or self._save(entry, LocalFile(self.paths.raw(entry.path)))

    def _saved(self, entry: Entry) -> ArchiveIndex | None:
        saved = saved_index(index_path(self.paths, entry.path))
        known = saved is not None and (saved.repo, saved.path, saved.etag) == (self.hub.repo, entry.path, entry.etag)
        return saved if known else None

    def _save(self, entry: Entry, source: RandomAccess) -> ArchiveIndex:
        found = index_tar(source, f"{self.hub.repo}: {entry.path}")
        index = as_index(found, entry.path, entry.size, self.hub.repo, self.hub.commit, entry.etag)
        write_model(index_path(self.paths, entry.path), index)
        return index

    def fetch_archive(self, entry: Entry) -> None:
        """The whole archive into its place below data/raw, checked by size and, where the hub tells it, SHA-256.

        Its index is written first, so that an archive from the hub is never taken for one put there by hand.

        Raises:
            PipelineError: see RemoteFile.fetch; the bytes are not those that the hub announces; or another archive, put
                there by hand, lies in its place.
        """
        place = self.paths.raw(entry.path)
        partial = place.with_name(partial_name(place.name, entry.etag))
        with _alone_in(place.parent):  # two clips may want the same archive at once: the second finds it done
            if place.exists():
                if _is_sound(place, entry):
                    if not self._saved(entry):
                        self._save(entry, LocalFile(place))
                    return
                self._refuse_to_replace(place)
            self.meter.start(entry.size, entry.path, "B")
            RemoteFile(self.hub, entry.path, entry.size).fetch(0, entry.size, partial, self.meter.advance)
            if not _is_sound(partial, entry):
                partial.unlink()
                raise PipelineError(
                    f"{entry.path} came with another SHA-256 than the hub announces ({entry.sha256})",
                    "run again; what came is thrown away",
                )
            if not self._saved(entry):
                self._save(entry, LocalFile(partial))
            partial.replace(place)
            for left in place.parent.glob(f".{place.name}.0-*.partial"):  # of revisions that nobody asks for any more
                left.unlink(missing_ok=True)

    def _refuse_to_replace(self, place: Path) -> None:
        saved = saved_index(index_path(self.paths, str(place.relative_to(self.paths.raw("")))))
        if saved is None or not saved.etag or saved.size_bytes != place.stat().st_size:
            raise PipelineError(
                f"{place} is another archive than the one of {self.hub.repo}, and was not downloaded by this project",
                "move it away and run again",
            )

    def is_here(self, index: ArchiveIndex) -> bool:
        """Whether this very archive lies in data/raw, as the index beside it tells."""
        saved = saved_index(index_path(self.paths, index.path))
        place = self.paths.raw(index.path)
        known = saved is not None and (saved.repo, saved.etag) == (index.repo, index.etag)
        return known and place.exists() and place.stat().st_size == index.size_bytes


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process fetches archives into this folder; the lock goes with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_sound(archive: Path, entry: Entry) -> bool:
    """Whether the file has the size and, where the hub tells it, the SHA-256 of the listing."""
    if archive.stat().st_size != entry.size:
        return False
    if entry.sha256 is None:
        return True
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
