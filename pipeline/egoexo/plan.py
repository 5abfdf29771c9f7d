"""What a run will fetch, whether it fits, and what the choice costs: said before anything is fetched."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.config_egoexo import DownloadVideosKnobs, ProcessKnobs
from pipeline.egoexo.release import read_index
from pipeline.egoexo.room import SPARE_BYTES, free_disk_bytes, videos_bytes
from pipeline.egoexo.videos import is_whole
from pipeline.egoexo.wanted import DOWNSCALED, NATIVE, NotReleasedError, WantedFile, expand_parts, wanted_of_take
from pipeline.errors import PipelineError
from pipeline.ops.s3.store import open_store
from pipeline.paths import Paths

DOWNSCALED_COSTS = (
    "448-pixel videos cost about 10 IoU points (O-MaMa) against full-size ones: PARTS=takes is the best quality, at "
    "about 28 times the bytes"
)
"""Of the whole release: 12,553.5 GB against 438.6 GB."""


@dataclass(frozen=True)
class TakePlan:
    """What one take is to have on the disk."""

    take_name: str
    files: tuple[WantedFile, ...]
    to_fetch: tuple[WantedFile, ...]

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.size_bytes for file in self.files)


def show_plan(paths: Paths, units: Sequence[str], knobs: DownloadVideosKnobs, report: Callable[[str], None]) -> bool:
    """Say files, gigabytes and free disk of these takes (`dataset/take_uid`).

    With ProcessKnobs two takes lie on the disk at once, or one where only one fits; else, and with `keep_videos`, all.

    Returns:
        False for a dry run: nothing is to be made.

    Raises:
        PipelineError: it does not fit the disk or MAX_VIDEOS_GB; an unknown part; trouble with keys or network.
    """
    if knobs.release:
        report(f"plan: {len(units)} takes out of RELEASE={knobs.release}; nothing to fetch")
        return not knobs.dry_run
    plans = _plans(paths, units, knobs, report)
    _say_parts(plans, knobs, report)
    if DOWNSCALED in expand_parts(knobs.parts) and NATIVE not in expand_parts(knobs.parts):
        report(f"  {DOWNSCALED_COSTS}")
    one_by_one = isinstance(knobs, ProcessKnobs) and not knobs.keep_videos
    _refuse_or_say(paths, plans, knobs, one_by_one, report)
    if knobs.dry_run:
        report("  dry run: nothing is fetched")
    return not knobs.dry_run


def _plans(
    paths: Paths, units: Sequence[str], knobs: DownloadVideosKnobs, report: Callable[[str], None]
) -> list[TakePlan]:
    """One plan a take that can be had; others are said now and fail by themselves later."""
    store = open_store(knobs.s3_profile, knobs.release_version)
    read_part = functools.cache(store.part)
    plans: list[TakePlan] = []
    for unit in units:
        index = read_index(paths, unit.partition("/")[2])
        record = is_whole(paths, index, knobs)
        if record:
            known = tuple(WantedFile(f.part, f.relative_path, "", f.size_bytes, f.shared) for f in record.files)
            plans.append(TakePlan(index.take_name, known, ()))
            continue
        try:
            wanted = wanted_of_take(store, index, knobs.parts, read_part)
        except NotReleasedError as error:
            report(f"  cannot be had: {error.problem}")
            continue
        for relative_path, why in wanted.missing.items():
            report(f"  cannot be had: {relative_path}: {why}")
        plans.append(TakePlan(index.take_name, tuple(wanted.files), tuple(wanted.to_fetch(paths.release()))))
    return plans


def _say_parts(plans: Sequence[TakePlan], knobs: DownloadVideosKnobs, report: Callable[[str], None]) -> None:
    files = _distinct(file for plan in plans for file in plan.files)
    to_fetch = _distinct(file for plan in plans for file in plan.to_fetch)
    report(f"plan: {len(plans)} takes, {len(files)} files, {_gigabytes(to_fetch)} GB to fetch")
    for part in expand_parts(knobs.parts):
        here = [file for file in files if file.part == part]
        lacking = [file for file in to_fetch if file.part == part]
        report(f"  {part}: {len(here)} files, {_gigabytes(here)} GB; {len(lacking)} to fetch")


def _refuse_or_say(
    paths: Paths,
    plans: Sequence[TakePlan],
    knobs: DownloadVideosKnobs,
    one_by_one: bool,
    report: Callable[[str], None],
) -> None:
    """Compare what lies on the disk at most at once with what may lie there."""
    release = paths.release()
    largest = sorted(plans, key=lambda plan: plan.size_bytes, reverse=True)
    all_bytes = sum(file.size_bytes for file in _distinct(file for plan in plans for file in plan.files))
    fetch_bytes = sum(file.size_bytes for file in _distinct(file for plan in plans for file in plan.to_fetch))
    if not fetch_bytes:
        report("  nothing to fetch")
        return
    here_bytes = all_bytes - fetch_bytes
    free_bytes = free_disk_bytes(release)
    room_bytes = free_bytes + here_bytes - SPARE_BYTES
    limit = f"{free_bytes / 1e9:.3g} GB are free on the disk of {release}, {SPARE_BYTES / 1e9:g} GB of them to spare"
    if knobs.max_videos_gb:
        others_bytes = max(videos_bytes(release) - here_bytes, 0)
        if knobs.max_videos_gb * 1e9 - others_bytes < room_bytes:
            room_bytes = int(knobs.max_videos_gb * 1e9 - others_bytes)
            limit = f"MAX_VIDEOS_GB={knobs.max_videos_gb:g}, {others_bytes / 1e9:.3g} GB of it taken by other videos"
    at_once = [all_bytes]
    if one_by_one:
        at_once = [sum(plan.size_bytes for plan in largest[:number]) for number in (2, 1)]
    fitting = next((number for number in at_once if number <= room_bytes), None)
    if fitting is None:
        what = f"the largest take, {largest[0].take_name}, needs" if one_by_one else f"{len(plans)} takes need"
        raise PipelineError(
            f"{what} {at_once[-1] / 1e9:.3g} GB at once; {limit}",
            "free some space, move DATA= to another disk, raise MAX_VIDEOS_GB=, or take PARTS=downscaled_takes/448"
            + ("" if one_by_one else "; egoexo-process alone fetches take by take"),
        )
    how = "all takes"
    if one_by_one:
        how = "one take after the other, as two do not fit" if fitting != at_once[0] else "two takes"
    report(f"  at most {fitting / 1e9:.3g} GB on the disk at once ({how}); {limit}")


def _distinct(files: Iterable[WantedFile]) -> list[WantedFile]:
    """Files that several takes share count once."""
    return list({file.relative_path: file for file in files}.values())


def _gigabytes(files: Sequence[WantedFile]) -> str:
    return f"{sum(file.size_bytes for file in files) / 1e9:.3g}"
