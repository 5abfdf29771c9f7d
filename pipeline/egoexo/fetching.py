"""Fetching wanted files with the real client, and not believing its exit status: each file is looked at afterwards."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event

from pipeline.config_egoexo import StoreKnobs
from pipeline.egoexo.wanted import Wanted, WantedFile
from pipeline.errors import PipelineError
from pipeline.job import Progress
from pipeline.ops.s3.client import ClientRequest, ClientRun, Failure, remove_leftovers, run_client
from pipeline.ops.s3.errors import GONE_CODES, NETWORK_ERRORS, cut_connection, disk_full
from pipeline.ops.s3.store import Store
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_download import DownloadedFile, DownloadRecord
from pipeline.schema.manifest import Manifest

TRIES = 3
"""Runs of the client for files whose transfer broke off; what is whole is not fetched twice."""
NETWORK_KINDS = frozenset(kind.__name__ for kind in NETWORK_ERRORS) | {"RetriesExceededError"}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fetch(
    wanted: Wanted,
    store: Store,
    release: Path,
    name: str,
    knobs: StoreKnobs,
    *,
    what: str,
    stop: Event,
    report: Callable[[str], None],
    progress: Progress | None,
) -> DownloadRecord:
    """Bring all wanted files into the release folder.

    Args:
        name: of the record.
        what: what people call it, for the bar.

    Returns:
        The record; files that the store does not have, or in another size than its manifest says, are in `missing`.

    Raises:
        PipelineError: keys, network, disk, or stopped; whole files stay.
    """
    missing = dict(wanted.missing)
    places = [release / file.relative_path for file in wanted.files]
    to_fetch = wanted.to_fetch(release)
    if removed := remove_leftovers(places):
        report(f"{what}: {removed} partial files of an interrupted download removed")
    if progress and to_fetch:
        progress.start(sum(file.size_bytes for file in to_fetch), what, "B")
    for tries in range(1, TRIES + 1):
        if not to_fetch:
            break
        request = ClientRequest(
            base=store.base,
            release_version=store.release_version,
            profile=store.profile,
            parts=tuple(dict.fromkeys(file.part for file in to_fetch)),
            relative_paths=tuple(file.relative_path for file in to_fetch),
            folder=release,
            workers=knobs.num_workers,
        )
        try:
            run = run_client(request, progress.advance if progress else lambda number: None, stop)
        finally:
            remove_leftovers(places)
        for file in to_fetch:
            if why := _why_never(file, release, store, run):
                missing[file.relative_path] = why
        to_fetch = [file for file in wanted.to_fetch(release) if file.relative_path not in missing]
        if to_fetch and tries == TRIES:
            raise _gave_up(to_fetch, run)
    for relative_path, why in missing.items():
        report(f"{what}: {relative_path} is missing: {why}")
    files = [
        DownloadedFile(part=f.part, relative_path=f.relative_path, size_bytes=f.size_bytes, shared=f.shared)
        for f in wanted.files
        if f.relative_path not in missing
    ]
    return DownloadRecord(
        name=name,
        release_version=store.release_version,
        parts=wanted.parts,
        files=files,
        missing=missing,
        parts_without_files=wanted.parts_without_files,
    )


def _why_never(file: WantedFile, release: Path, store: Store, run: ClientRun) -> str:
    """Why no further try will bring this file; empty if it is here or may come yet.

    Raises:
        PipelineError: the reason is not the file's own: keys, network, disk.
    """
    place, failure = release / file.relative_path, run.failures.get(file.source_path)
    if file.is_here(release):
        return ""
    if place.is_file():
        got_bytes, stored_bytes = place.stat().st_size, store.sizes([file.source_path])[file.source_path]
        place.unlink()  # or somebody would take it for whole
        if got_bytes == stored_bytes:
            return f"wrong size: the manifest says {file.size_bytes} bytes, the store has {stored_bytes}"
        return ""
    if failure and failure.errno in FULL:
        raise disk_full(place)
    if failure and failure.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        raise PipelineError(f"{place} may not be written ({failure.text})", "mend its permissions, or set DATA=")
    if failure and _is_network(failure):
        return ""
    if store.sizes([file.source_path])[file.source_path] is None:  # raises for refused keys and a lost network
        return f"{file.source_path} is in the manifest, but not in the store"
    if failure and failure.code not in GONE_CODES and not failure.code.startswith("5"):
        store.check_readable(file.source_path)
    return ""


def _is_network(failure: Failure) -> bool:
    return not NETWORK_KINDS.isdisjoint(failure.kinds)


def _gave_up(files: Sequence[WantedFile], run: ClientRun) -> PipelineError:
    first = files[0]
    failure = run.failures.get(first.source_path)
    others = f" (and {len(files) - 1} other files)" if len(files) > 1 else ""
    if failure and _is_network(failure):
        return cut_connection(f"{first.relative_path}{others}", TRIES)
    said = failure.text if failure else run.output.strip().rpartition("\n")[2]
    return PipelineError(
        f"the egoexo client did not bring {first.relative_path}{others} in {TRIES} tries (exit status "
        f"{run.exit_status}): {said or 'it said nothing'}",
        "run again; if it stays so, try the client by hand: egoexo --help",
    )


def recorded_files(paths: Paths, name: str) -> dict[str, Path]:
    """Relative path → place of each file that a record names and that no other record shares; with the record itself.

    They are the products of the phases that fetch: known only when they are there.
    """
    file = paths.download_record(name)
    places = {"record": file}
    if file.exists():
        record = read_model(file, DownloadRecord, f"delete {file} and run again")
        places |= {here.relative_path: paths.release() / here.relative_path for here in record.files if not here.shared}
    return places


def drop_changed(manifest: Path, files: Iterable[Path]) -> list[str]:
    """Delete files that are no longer what an earlier run has noted, so that they are fetched again; their names.

    The client keeps whatever has the right size.
    """
    if not manifest.exists():
        return []
    before = read_model(manifest, Manifest, f"delete {manifest} and run again").products
    noted = {digest.path: digest.sha256 for digest in before.values()}
    changed: list[str] = []
    for file in files:
        if str(file) in noted and file.is_file():
            with file.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() == noted[str(file)]:
                    continue
            file.unlink()
            changed.append(file.name)
    return changed


@contextlib.contextmanager
def take_lock(file: Path, what: str, stop: Event) -> Iterator[None]:
    """Wait until no other run is fetching this take: two data sets may share it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stop.wait(0.2):
                    raise PipelineError(
                        f"another run was fetching {what} when this one was stopped", "run again"
                    ) from None
        yield
