"""Pictures for people: enlarged, captioned, put side by side. All images are HWC uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

INK: Colour = (238, 238, 238)
PAPER: Colour = (28, 30, 34)
JPEG_QUALITY = 92


def jpeg(image: Image) -> bytes:
    """The picture as a JPEG file, with full colour resolution so that thin coloured lines stay sharp."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), settings)
    assert done, image.shape
    return data.tobytes()


def resized(image: Image, width: int) -> Image:
    """The picture at that width, aspect kept."""
    size_wh = (width, max(1, round(image.shape[0] * width / image.shape[1])))
    smaller = width < image.shape[1]
    return np.asarray(
        cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC), np.uint8
    )


def draw_lines(
    image: Image,
    lines: Sequence[NDArray[np.float64]],
    zoom: float,
    colour: Colour,
    width: int = 1,
    opacity: float = 1.0,
) -> Image:
    """A copy with polylines on it.

    Args:
        image: the picture, already enlarged.
        lines: points (N, 2) each, in pixels of the picture before it was enlarged `zoom` times; a line breaks where
            its points are NaN.
        zoom: size now over size before.
        colour: RGB.
        width: of the line, in pixels of the enlarged picture.
        opacity: 0–1.
    """
    drawn = image.copy()
    limit = 4 * max(image.shape)
    for line in lines:
        points = (np.asarray(line) + 0.5) * zoom - 0.5
        points = np.where((np.abs(points) < limit).all(-1, keepdims=True), points, np.nan)
        gaps = np.flatnonzero(np.isnan(points).any(-1))
        for part in np.split(points, gaps):
            whole = part[~np.isnan(part).any(-1)]
            if len(whole) > 1:
                fixed = np.rint(whole * 16).astype(np.int32)
                cv2.polylines(drawn, [fixed], False, colour, width, cv2.LINE_AA, 4)
    return np.asarray(cv2.addWeighted(drawn, opacity, image, 1 - opacity, 0), np.uint8)


def beside(pictures: Sequence[Image], gap: int = 8) -> Image:
    """Pictures of any height in one row, tops aligned."""
    height = max(picture.shape[0] for picture in pictures)
    row: list[Image] = []
    for picture in pictures:
        column = np.full((height, picture.shape[1], 3), PAPER, np.uint8)
        column[: picture.shape[0]] = picture
        row += [column, np.full((height, gap, 3), PAPER, np.uint8)]
    return np.concatenate(row[:-1], axis=1)


def captioned(image: Image, lines: Sequence[str], size: int = 17) -> Image:
    """The picture under a bar with lines of text; the text shrinks where it would not fit."""
    font = ImageFont.load_default(size)
    while size > 8 and max(font.getlength(line) for line in lines) > image.shape[1] - 20:
        size -= 1
        font = ImageFont.load_default(size)
    pitch = round(size * 1.45)
    bar = PillowImage.new("RGB", (image.shape[1], pitch * len(lines) + 12), PAPER)
    pen = ImageDraw.Draw(bar)
    for number, line in enumerate(lines):
        pen.text((10, 6 + number * pitch), line, fill=INK, font=font)
    return np.concatenate([np.asarray(bar, np.uint8), image])
