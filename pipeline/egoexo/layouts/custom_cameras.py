"""Cameras of one's own data: numbered photos or one video in a folder, and the frames made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pipeline.egoexo.frames import extract_camera, frame_size_wh
from pipeline.egoexo.layouts.pictures import (
    JPEG_QUALITY,
    PICTURE_SUFFIXES,
    UNREADABLE_SUFFIXES,
    VIDEO_SUFFIXES,
    PictureFacts,
    number_of,
    put_picture,
    read_facts,
    visible_files,
    visible_folders,
)
from pipeline.egoexo.layouts.tree import Problems, listed
from pipeline.errors import PipelineError
from pipeline.ops.video.packets import open_video
from pipeline.ops.video.probe import probe
from pipeline.schema.egoexo_take import TakeCamera

UPRIGHT = "write the video upright: ffmpeg -i IN -crf 16 OUT.mp4 turns it"


@dataclass(frozen=True)
class CustomCamera:
    """One camera folder.

    Attributes:
        size_wh: width, height of its pictures in pixels, upright.
        pictures: number → photo; empty where there is a video.
        video: the video; None where there are photos.
        frames: how many pictures there are.
        rate_fps: of the video; 0 for photos.
    """

    name: str
    size_wh: tuple[int, int]
    pictures: Mapping[int, tuple[Path, PictureFacts]]
    video: Path | None
    frames: int
    rate_fps: float

    def why_no_picture(self, frame: int) -> str:
        """Empty when there is a picture of this number."""
        if self.video is not None:
            return "" if frame < self.frames else f"{self.video.name} ends after frame {self.frames - 1}"
        return "" if frame in self.pictures else f"{self.name} has no photo {frame}"

    @property
    def size_text(self) -> str:
        """`1920×1080`."""
        return f"{self.size_wh[0]}×{self.size_wh[1]}"


def read_cameras(take: Path, masks_name: str, problems: Problems, dropped: Counter[str]) -> dict[str, CustomCamera]:
    """Look through all camera folders of a take; what is wrong goes into `problems`."""
    cameras = {
        folder.name: camera
        for folder in visible_folders(take)
        if folder.name != masks_name and (camera := _read_camera(folder, problems, dropped)) is not None
    }
    if not problems and len(cameras) < 2:
        problems.add(f"has {len(cameras)} cameras", "a take needs two folders or more with photos or a video in each")
    return cameras


def _read_camera(folder: Path, problems: Problems, dropped: Counter[str]) -> CustomCamera | None:
    photos, videos = list[Path](), list[Path]()
    for file in visible_files(folder):
        suffix = file.suffix.lower()
        if suffix in PICTURE_SUFFIXES:
            photos.append(file)
        elif suffix in VIDEO_SUFFIXES:
            videos.append(file)
        elif suffix in UNREADABLE_SUFFIXES:
            problems.add(f"{folder.name}/{file.name} is of a format that is not read", "export the photos as JPEG")
            return None
        else:
            dropped["files_that_are_neither_picture_nor_video"] += 1
    if len(videos) + bool(photos) != 1:
        found = f"{len(photos)} photos and {len(videos)} videos"
        problems.add(f"{folder.name} has {found}", "expected numbered photos or one video in each camera folder")
        return None
    return _of_video(folder.name, videos[0], problems) if videos else _of_photos(folder.name, photos, problems)


def _of_video(name: str, video: Path, problems: Problems) -> CustomCamera | None:
    try:
        facts = probe(video)
        with open_video(video) as container:
            turned = next((frame.rotation for frame in container.decode(video=0)), 0) % 360
    except PipelineError as error:
        problems.add(error.problem, error.fix)
        return None
    if turned:
        problems.add(f"{name}/{video.name} is stored turned by {turned}°", UPRIGHT)
        return None
    return CustomCamera(name, facts.size_wh, {}, video, facts.frames, facts.average_fps)


def _of_photos(name: str, photos: Sequence[Path], problems: Problems) -> CustomCamera | None:
    pictures: dict[int, tuple[Path, PictureFacts]] = {}
    for photo in photos:
        number = number_of(photo.stem)
        if number is None:
            problems.add(f"{name}/{photo.name} has no number", "let each photo's name end in its number: 30.jpg")
        elif number in pictures:
            problems.add(
                f"{name}/{photo.name} and {name}/{pictures[number][0].name} both have number {number}",
                "give each photo of a camera a number of its own",
            )
        else:
            try:
                pictures[number] = (photo, read_facts(photo))
            except PipelineError as error:
                problems.add(error.problem, error.fix)
    sizes_wh = Counter(facts.size_wh for _, facts in pictures.values())
    if not sizes_wh:
        return None
    size_wh = sizes_wh.most_common(1)[0][0]
    others = [
        f"{name}/{photo.name} is {facts.size_wh[0]}×{facts.size_wh[1]}"
        for photo, facts in pictures.values()
        if facts.size_wh != size_wh
    ]
    if others:
        problems.add(
            f"{listed(others)}, the other photos of {name} are {size_wh[0]}×{size_wh[1]}",
            "all photos of a camera must have one size",
        )
    return CustomCamera(name, size_wh, dict(sorted(pictures.items())), None, len(pictures), 0.0)


def put_frames(camera: CustomCamera, is_ego: bool, wanted: Sequence[int], folder: Path, stop: Event) -> TakeCamera:
    """Write the frames of one camera: all photos at their own size, of a video the wanted ones at the usual size.

    Raises:
        PipelineError: a photo or the video cannot be decoded, or the run is being stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size_wh = camera.size_wh
    frames, missing = list[int](), dict[int, str]()
    if camera.video is not None:
        size_wh = frame_size_wh(camera.size_wh, is_ego)
        there = [frame for frame in wanted if frame < camera.frames]
        if there:
            made = extract_camera(camera.video, there, size_wh, folder, JPEG_QUALITY, stop, lambda: None)
            frames, missing = made.written, made.missing
    for number, (photo, facts) in camera.pictures.items():
        if stop.is_set():
            break
        put_picture(photo, facts, folder / f"{number}.jpg")
        frames.append(number)
    if stop.is_set():
        raise PipelineError("the import was stopped", "run it again: it goes on from here")
    return TakeCamera(
        is_ego=is_ego,
        video=f"{camera.video.parent.parent.name}/{camera.name}/{camera.video.name}" if camera.video else "",
        video_size_wh=camera.size_wh,
        video_frames=camera.frames,
        native_size_wh=camera.size_wh,
        frame_size_wh=size_wh,
        scale=max(size_wh) / max(camera.size_wh),
        frames=frames,
        missing={str(frame): reason for frame, reason in sorted(missing.items())},
    )
