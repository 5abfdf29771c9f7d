"""The wanted frames of one camera as pictures in a folder, and the size that they are kept at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import cv2
import numpy as np

from pipeline.ops.video.decode import Image
from pipeline.ops.video.frames import DecodeReport, iter_frames
from pipeline.schema.base import sweep_partials, write_whole

EGO_LONG_SIDE, EXO_LONG_SIDE = 704, 960
"""Half of 1408 and a quarter of 3840: the sizes that public work on this data set uses."""


@dataclass(frozen=True)
class CameraFrames:
    """What became of one camera's wanted frames.

    Attributes:
        written: frames that lie in the folder now, ascending, those of an earlier run included.
        missing: frame → why it is not there.
        video_size_wh: stored size of the video in pixels.
        video_frames: pictures that it shows.
    """

    written: list[int]
    missing: dict[int, str]
    video_size_wh: tuple[int, int]
    video_frames: int


def frame_size_wh(video_size_wh: tuple[int, int], is_ego: bool) -> tuple[int, int]:
    """Size at which the frames of a video are kept: 704 (ego) or 960 (exo) on the long side, but never enlarged.

    That is a half of 1408×1408 and a quarter of 3840×2160; videos of another size give frames of the same long side.
    """
    width, height = video_size_wh
    scale = min(1.0, (EGO_LONG_SIDE if is_ego else EXO_LONG_SIDE) / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def extract_camera(
    video: Path,
    indices: Sequence[int],
    size_wh: tuple[int, int],
    folder: Path,
    jpeg_quality: int,
    stop: Event,
    advance: Callable[[], None],
    *,
    workers: int = 1,
) -> CameraFrames:
    """Write the frames of one video as `{folder}/{index}.jpg`, never more than a few of them in memory.

    Each file appears whole or not at all, and one that is there already is kept: so a killed run is taken up where it
    ended. The caller sees to it that the folder holds only frames of this video and size.

    Args:
        video: a local file.
        indices: display-order numbers, ascending, each once.
        size_wh: size of the pictures in pixels.
        folder: is made if it is not there.
        jpeg_quality: 1 to 100.
        stop: when it is set from another thread, the work ends soon; what is not there yet is then in neither list.
        advance: called once for each index.
        workers: threads that decode; one is right where other cameras keep the other cores busy.

    Raises:
        PipelineError: the file is no readable video.
        OSError: the folder cannot be written, or the disk is full.
        ValueError: indices out of order, repeated or negative.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep_partials(folder)
    written = []
    for index in indices:
        if _is_whole(folder / f"{index}.jpg", size_wh):
            written.append(index)
            advance()
    there = set(written)
    wanted = [index for index in indices if index not in there]
    report = DecodeReport()
    frames = iter_frames(
        video, indices=wanted, size_wh=size_wh, scale_while_decoding=True, workers=workers, stop=stop, report=report
    )
    with closing(frames):
        for frame in frames:
            write_whole(folder / f"{frame.index}.jpg", _jpeg(frame.image, jpeg_quality))
            written.append(frame.index)
            advance()
    missing = {lost.index: lost.reason for lost in report.missing if lost.index is not None}
    for _ in missing:
        advance()
    assert report.video is not None
    return CameraFrames(sorted(written), missing, report.video.size_wh, report.video.frames)


def _is_whole(file: Path, size_wh: tuple[int, int]) -> bool:
    """Whether a frame of an earlier run can be opened and has the right size: a power cut may leave zeros behind."""
    try:
        content = np.fromfile(file, np.uint8)
    except OSError:
        return False
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    return picture is not None and picture.shape[1::-1] == size_wh


def _jpeg(image: Image, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, image.shape
    return data.tobytes()
