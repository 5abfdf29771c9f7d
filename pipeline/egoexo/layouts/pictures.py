"""Pictures of foreign trees: found by their numbers, measured by their headers, linked or made into JPEGs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
from PIL import Image, UnidentifiedImageError

from pipeline.errors import PipelineError
from pipeline.ops.files import link_or_copy
from pipeline.schema.base import write_whole

PICTURE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".jp2", ".ppm", ".pgm", ".avif",
))  # fmt: skip
UNREADABLE_SUFFIXES = frozenset((".heic", ".heif", ".dng", ".cr2", ".nef", ".arw"))
VIDEO_SUFFIXES = frozenset((".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mts", ".ts", ".mpg", ".mpeg"))
JPEG_QUALITY = 95
ORIENTATION = 0x0112
"""EXIF tag; 1: as stored."""
NUMBER_AT_THE_END = re.compile(r"(?:.*\D)?(\d{1,9})", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class PictureFacts:
    """What a picture's header says."""

    size_wh: tuple[int, int]
    """Width, height in pixels as it is to be seen, after any rotation that its EXIF data ask for."""
    is_plain_jpeg: bool
    """A JPEG that every reader sees the same way, so that it may stay as it is."""


def number_of(stem: str) -> int | None:
    """The number at the end of a file's name without suffix: 30 of `30`, `000030` and `IMG_0030`."""
    match = NUMBER_AT_THE_END.fullmatch(stem)
    return int(match[1]) if match else None


def visible_files(folder: Path) -> list[Path]:
    """Files of a folder by name, without hidden ones and those that systems leave behind."""
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(".") and file.name.lower() not in ("thumbs.db", "desktop.ini")
    )


def visible_folders(folder: Path) -> list[Path]:
    """Folders of a folder by name, without hidden ones."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.is_dir() and not file.name.startswith("."))


def read_facts(picture: Path) -> PictureFacts:
    """Size and kind of a picture, from its header.

    Raises:
        PipelineError: no picture, or one that cannot be read.
    """
    try:
        with Image.open(picture) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
            width, height = image.size
            is_jpeg = image.format in ("JPEG", "MPO")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise PipelineError(
            f"{picture} cannot be read as a picture: {_in_short(error)}", "save it anew as JPEG or PNG, or remove it"
        ) from None
    return PictureFacts(
        (height, width) if orientation in range(5, 9) else (width, height), is_jpeg and orientation in (0, 1)
    )


def put_picture(picture: Path, facts: PictureFacts, place: Path) -> None:
    """Put a picture where a frame belongs: a plain JPEG as it is, anything else upright as an 8-bit JPEG.

    Raises:
        PipelineError: its pixels cannot be read.
    """
    if facts.is_plain_jpeg:
        link_or_copy(picture, place)
        return
    pixels = cv2.imread(str(picture), cv2.IMREAD_COLOR)
    if pixels is None:
        raise PipelineError(f"{picture} cannot be decoded", "save it anew as JPEG or PNG, or remove it")
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    write_whole(place, encoded.tobytes())


def _in_short(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "unknown format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
