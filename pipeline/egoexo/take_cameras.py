"""The frames of one take: its cameras decoded side by side, each going on where a killed run has left it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import Any, TypeVar

from pipeline.egoexo.frames import extract_camera, frame_size_wh
from pipeline.egoexo.take_work import CameraFolder, Video
from pipeline.errors import PipelineError
from pipeline.job import Progress
from pipeline.ops.cores import cores
from pipeline.ops.video.probe import VideoProbe, probe
from pipeline.schema.egoexo_work import CameraWork, ExtractedCamera

Value = TypeVar("Value")
NO_VIDEO = "there is no video of it"
GONE = "its video was there and is gone"


@dataclass(frozen=True)
class Camera:
    """One camera of a take, and the frames that annotations and pairs need of it, ascending."""

    name: str
    is_ego: bool
    wanted: tuple[int, ...]


@dataclass(frozen=True)
class Recipe:
    """How frames are made.

    Attributes:
        settings: all knobs that shape the product.
        every: also every so many-th frame of the video; 0: no more than the wanted ones.
    """

    settings: Mapping[str, Any]
    jpeg_quality: int
    every: int


class TakeCameras:
    """All cameras of one take, and a folder that survives a kill.

    A camera that is done needs its video no more: the frames and what is to be told of them lie in the folder.

    Args:
        folder: each camera gets `{camera}/camera.json` and `{camera}/frames/{frame}.jpg` in it.
        stop: ends the work early; it is also set here when what one camera meets ends it for all.
    """

    def __init__(self, cameras: Sequence[Camera], recipe: Recipe, folder: Path, stop: Event) -> None:
        self._recipe, self._folder, self._stop = recipe, folder, stop
        self._cameras = {camera.name: camera for camera in cameras}
        self._opened: dict[str, tuple[Video, VideoProbe]] = {}
        self.done: dict[str, tuple[CameraWork, ExtractedCamera]] = {}
        """Camera → what its frames were made of, and its frames: at least one."""
        self.failed: dict[str, str] = {}
        """Camera → why it has none."""

    def frame(self, camera: str, frame: int) -> Path:
        """Where a frame lies until the take is published."""
        return self._folder_of(camera).frame(frame)

    def need_videos(self) -> bool:
        """Whether an earlier run has left anything to do."""
        return any(self._folder_of(name).finished(None) is None for name in self._cameras)

    def look(self, videos: Mapping[str, Video], why_none: Mapping[str, str]) -> None:
        """Take over what is done, and open the videos of the other cameras without decoding.

        Args:
            videos: camera → video, for those that have one.
            why_none: camera → reason, where one is known.
        """
        to_open: dict[str, Video] = {}
        for name in self._cameras:
            try:
                finished = self._folder_of(name).finished(videos.get(name))
            except FileNotFoundError:  # another run has deleted it since it was found
                self.failed[name] = GONE
                continue
            if finished:
                self._settle(name, *finished)
            elif name in videos:
                to_open[name] = videos[name]
            else:
                self.failed[name] = why_none.get(name, NO_VIDEO)
        opened = self._side_by_side({name: partial(probe, video.path) for name, video in to_open.items()})
        for name, facts in opened.items():
            if isinstance(facts, PipelineError):
                self.failed[name] = facts.problem
            else:
                self._opened[name] = to_open[name], facts

    def kinds(self) -> set[bool]:
        """`is_ego` of the cameras that have frames, or may have: with both an object can be seen from two sides."""
        return {self._cameras[name].is_ego for name in (*self.done, *self._opened)}

    def extract(self, what: str, progress: Progress) -> None:
        """Make the frames of all cameras that `look` has opened.

        Raises:
            OSError: the disk is full, or cannot be written; what is written stays for the next run.
            PipelineError: the run is being stopped.
        """
        by_work = sorted(self._opened, key=lambda name: _pixels(self._opened[name][1]), reverse=True)
        indices = {name: self._indices(name, self._opened[name][1]) for name in by_work}
        progress.start(sum(map(len, indices.values())), what, "frames")
        advance = _one_at_a_time(progress.advance)
        works = self._side_by_side({name: partial(self._extract, name, indices[name], advance) for name in indices})
        self._opened.clear()
        for name, work in works.items():
            if isinstance(work, PipelineError):
                self.failed[name] = work.problem
            elif work.done is not None:
                self._settle(name, work, work.done)
        self.done = {name: self.done[name] for name in self._cameras if name in self.done}
        if self._stop.is_set():
            raise PipelineError(f"{what} was stopped", "run again: it goes on from here")

    def _settle(self, name: str, work: CameraWork, frames: ExtractedCamera) -> None:
        if frames.frames:
            self.done[name] = work, frames
        else:
            reason = next(iter(frames.missing.values()), "none is wanted")
            self.failed[name] = f"it has none of the {len(work.wanted)} frames that are wanted: {reason}"

    def _indices(self, name: str, facts: VideoProbe) -> list[int]:
        more = range(0, facts.frames, self._recipe.every) if self._recipe.every else ()
        return sorted({*self._cameras[name].wanted, *more})

    def _extract(self, name: str, indices: list[int], advance: Callable[[], None]) -> CameraWork:
        """One camera's frames.

        Raises:
            PipelineError: its video cannot be read, or is gone since it was opened: that costs no other camera.
            OSError: the disk is full, or cannot be written.
        """
        video = self._opened[name][0]
        try:
            return self._extract_there(name, indices, advance)
        except FileNotFoundError:
            if video.path.exists():
                raise
            raise PipelineError(f"{GONE} ({video.name})", "run again, which fetches it again") from None

    def _extract_there(self, name: str, indices: list[int], advance: Callable[[], None]) -> CameraWork:
        folder, (video, facts) = self._folder_of(name), self._opened[name]
        size_wh = frame_size_wh(facts.size_wh, self._cameras[name].is_ego)
        work = folder.begin(video)
        quality = self._recipe.jpeg_quality
        workers = max(1, cores() // len(self._opened))  # cores that no other camera uses decode further stretches of it
        result = extract_camera(
            video.path, indices, size_wh, folder.frames, quality, self._stop, advance, workers=workers
        )
        if self._stop.is_set():
            return work
        done = ExtractedCamera(
            video_size_wh=facts.size_wh,
            video_frames=facts.frames,
            frame_size_wh=size_wh,
            frames=sorted(result.written),
            missing={str(frame): reason for frame, reason in sorted(result.missing.items())},
        )
        return folder.finish(work, done)

    def _folder_of(self, name: str) -> CameraFolder:
        return CameraFolder(self._folder / name, self._recipe.settings, self._cameras[name].wanted)

    def _side_by_side(self, tasks: Mapping[str, Callable[[], Value]]) -> dict[str, Value | PipelineError]:
        """Each camera's task in a thread, as many as there are cores; what is wrong with one ends only that one.

        Whatever else goes wrong, such as a full disk or Ctrl-C, ends them all.
        """
        if not tasks:
            return {}
        results: dict[str, Value | PipelineError] = {}
        with ThreadPoolExecutor(min(cores(), len(tasks)), thread_name_prefix="camera") as pool:
            names = {pool.submit(task): name for name, task in tasks.items()}
            try:
                for future in as_completed(names):
                    error = future.exception()
                    results[names[future]] = error if isinstance(error, PipelineError) else future.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return {name: results[name] for name in tasks}


def _pixels(facts: VideoProbe) -> int:
    """What decoding costs: the longest work is begun first, so that no core waits for it in the end."""
    return facts.width * facts.height * facts.frames


def _one_at_a_time(advance: Callable[[], None]) -> Callable[[], None]:
    """The bar is moved by one thread at a time."""
    lock = Lock()

    def advance_alone() -> None:
        with lock:
            advance()

    return advance_alone
