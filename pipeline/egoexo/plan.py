"""What a run will fetch, whether it fits, and what the choice costs: said before anything is fetched."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.config_egoexo import DownloadVideosKnobs, ProcessKnobs
from pipeline.egoexo.output_size import output_bytes
from pipeline.egoexo.plan_release import DOWNSCALED_COSTS, say_release
from pipeline.egoexo.release import read_index
from pipeline.egoexo.room import SPARE_BYTES, free_disk_bytes, videos_bytes
from pipeline.egoexo.videos import is_whole
from pipeline.egoexo.wanted import (
    DOWNSCALED,
    NATIVE,
    VIDEO_PARTS,
    NotReleasedError,
    WantedFile,
    expand_parts,
    wanted_of_take,
)
from pipeline.errors import PipelineError
from pipeline.ops.s3.store import open_store
from pipeline.paths import Paths


@dataclass(frozen=True)
class TakePlan:
    """What one take is to have on the disk."""

    take_name: str
    files: tuple[WantedFile, ...]
    to_fetch: tuple[WantedFile, ...]
    output_bytes: int
    """Of what is made of it, about; 0 where nothing is."""

    @property
    def videos_bytes(self) -> int:
        """Of its videos, which go when its frames are out; files of other parts stay."""
        return sum(file.size_bytes for file in self.files if file.part in VIDEO_PARTS)


def show_plan(paths: Paths, units: Sequence[str], knobs: DownloadVideosKnobs, report: Callable[[str], None]) -> bool:
    """Say files, gigabytes and free disk of these takes (`dataset/take_uid`).

    With ProcessKnobs the videos of two takes lie on the disk at once, or of one where only one fits; else, and with
    `keep_videos`, of all. Files of parts that hold no videos stay, and so do the frames that are made.

    Returns:
        False for a dry run: nothing is to be made.

    Raises:
        PipelineError: it does not fit the disk or MAX_VIDEOS_GB; an unknown part; trouble with keys or network.
    """
    if knobs.release:
        say_release(paths, units, knobs, report)
        return not knobs.dry_run
    plans = _plans(paths, units, knobs, report)
    _say_parts(plans, knobs, report)
    parts = expand_parts(knobs.parts_wanted)
    if DOWNSCALED in parts and NATIVE not in parts:
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
        output = output_bytes(index, knobs.every) if isinstance(knobs, ProcessKnobs) else 0
        record = is_whole(paths, index, knobs)
        if record:
            known = tuple(WantedFile(f.part, f.relative_path, "", f.size_bytes, f.shared) for f in record.files)
            plans.append(TakePlan(index.take_name, known, (), output))
            continue
        try:
            wanted = wanted_of_take(store, index, knobs.parts_wanted, read_part)
        except NotReleasedError as error:
            report(f"  cannot be had: {error.problem}")
            continue
        for relative_path, why in wanted.missing.items():
            report(f"  cannot be had: {relative_path}: {why}")
        to_fetch = tuple(wanted.to_fetch(paths.release()))
        plans.append(TakePlan(index.take_name, tuple(wanted.files), to_fetch, output))
    return plans


def _say_parts(plans: Sequence[TakePlan], knobs: DownloadVideosKnobs, report: Callable[[str], None]) -> None:
    files = _distinct(file for plan in plans for file in plan.files)
    to_fetch = _distinct(file for plan in plans for file in plan.to_fetch)
    report(f"plan: {len(plans)} takes, {len(files)} files, {_gigabytes(to_fetch)} GB to fetch")
    for part in expand_parts(knobs.parts_wanted):
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
    """Compare what lies on the disk at most at once with what may lie there.

    Raises:
        PipelineError: it does not fit.
    """
    release = paths.release()
    largest = sorted(plans, key=lambda plan: plan.videos_bytes, reverse=True)
    files = _distinct(file for plan in plans for file in plan.files)
    fetch_bytes = sum(file.size_bytes for file in _distinct(file for plan in plans for file in plan.to_fetch))
    here_bytes = sum(file.size_bytes for file in files) - fetch_bytes
    others_bytes = sum(file.size_bytes for file in files if file.part not in VIDEO_PARTS)
    made_bytes = sum(plan.output_bytes for plan in plans)
    room_bytes = free_disk_bytes(release) + here_bytes - SPARE_BYTES
    limit = f"{free_disk_bytes(release) / 1e9:.3g} GB are free on the disk of {release}, "
    limit += f"{SPARE_BYTES / 1e9:g} GB of them to spare"
    if not fetch_bytes:
        report("  nothing to fetch")
    if not fetch_bytes and not made_bytes:
        return
    at_once = [largest]
    if one_by_one:
        at_once = [largest[:number] for number in (2, 1)]
    videos_at_once = [sum(plan.videos_bytes for plan in some) for some in at_once]
    video_room_bytes = room_bytes
    if knobs.max_videos_gb and fetch_bytes:
        here_videos_bytes = sum(plan.videos_bytes - _videos_to_fetch_bytes(plan) for plan in plans)
        foreign_bytes = max(videos_bytes(release) - here_videos_bytes, 0)
        video_room_bytes = int(knobs.max_videos_gb * 1e9) - foreign_bytes
        limit += f"; MAX_VIDEOS_GB={knobs.max_videos_gb:g}, {foreign_bytes / 1e9:.3g} GB of it taken by other videos"
    fitting = next(
        (
            some_bytes
            for some_bytes in videos_at_once
            if some_bytes <= video_room_bytes and some_bytes + others_bytes + made_bytes <= room_bytes
        ),
        None,
    )
    beside = [f"{others_bytes / 1e9:.3g} GB of other parts, which stay"] if others_bytes else []
    beside += [f"about {made_bytes / 1e9:.3g} GB of frames and annotations"] if made_bytes else []
    with_it = f", with {' and '.join(beside)}," if beside else ""
    if fitting is None:
        what = f"the largest take, {largest[0].take_name}, needs" if one_by_one else f"{len(plans)} takes need"
        raise PipelineError(
            f"{what} {videos_at_once[-1] / 1e9:.3g} GB at once{with_it or ';'} {limit}",
            "free some space, move DATA= to another disk, raise MAX_VIDEOS_GB=, or take PARTS=downscaled_takes/448"
            + ("" if one_by_one else "; egoexo-process alone fetches take by take"),
        )
    how = "all takes"
    if one_by_one:
        how = "one take after the other, as two do not fit" if fitting != videos_at_once[0] else "two takes"
    whole_bytes = fitting + others_bytes + made_bytes
    report(f"  at most {whole_bytes / 1e9:.3g} GB on the disk at once ({how}){with_it.rstrip(',')}; {limit}")


def _videos_to_fetch_bytes(plan: TakePlan) -> int:
    return sum(file.size_bytes for file in plan.to_fetch if file.part in VIDEO_PARTS)


def _distinct(files: Iterable[WantedFile]) -> list[WantedFile]:
    """Files that several takes share count once."""
    return list({file.relative_path: file for file in files}.values())


def _gigabytes(files: Sequence[WantedFile]) -> str:
    return f"{sum(file.size_bytes for file in files) / 1e9:.3g}"
