"""The videos of the take whose turn comes next: fetched while the one before is processed, if both fit on the disk."""

from __future__ import annotations

from threading import Event

from pipeline.egoexo.videos import fetch_take, room_for, video_paths
from pipeline.egoexo.wanted import VIDEO_PARTS, expand_parts
from pipeline.errors import PipelineError
from pipeline.job import Job, Progress
from pipeline.schema.egoexo_download import DownloadRecord
from pipeline.schema.egoexo_index import TakeIndex

WAIT_S = 0.2


def bring_videos(job: Job, index: TakeIndex) -> DownloadRecord | None:
    """Fetch the take's videos, at once if there is room, else when the takes before this one are over.

    Returns:
        What there is now; None when somebody else has put all videos there.

    Raises:
        PipelineError: they cannot be had, do not fit even alone, or the run is being stopped.
    """
    if _are_here_by_hand(job, index):
        return None
    if not room_for(job.paths, index, job.knobs):
        while not job.turn.wait(WAIT_S):
            if job.stop.is_set():
                raise PipelineError(f"{index.take_name} was stopped", "run again: it goes on from here")
    bar = BarInTurn(job.progress, job.turn)
    return fetch_take(job.paths, index, job.knobs, report=job.report, stop=job.stop, progress=bar)


def _are_here_by_hand(job: Job, index: TakeIndex) -> bool:
    """Whether all that is asked for are videos, and all of them lie there without our having fetched them."""
    parts = expand_parts(job.knobs.parts_wanted)
    if job.paths.download_record(index.take_uid).exists() or not set(parts) <= set(VIDEO_PARTS):
        return False
    wanted = [path for part in parts for path in video_paths(index, part).values()]
    return all((job.paths.release() / path).is_file() for path in wanted)


class BarInTurn:
    """A bar that is drawn only from the moment on when no other take's bar is on the screen."""

    def __init__(self, progress: Progress, turn: Event) -> None:
        self._progress, self._turn = progress, turn
        self._begun: tuple[float | None, str, str] | None = None
        self._is_shown = False
        self._done = 0.0

    def start(self, total: float | None, what: str, unit: str = "") -> None:
        """Begin a bar of `total` units (None: unknown); replaces the one before."""
        self._begun, self._done, self._is_shown = (total, what, unit), 0.0, False
        self.advance(0)

    def advance(self, amount: float = 1) -> None:
        """Move the bar on."""
        self._done += amount
        if self._begun is None or not self._turn.is_set():
            return
        if self._is_shown:
            self._progress.advance(amount)
            return
        self._is_shown = True
        self._progress.start(*self._begun)
        self._progress.advance(self._done)
