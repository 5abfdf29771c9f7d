"""Objects outlined on a picture: one colour an object, its name beside it. All images are HWC uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from pipeline.ops.pictures.drawing import INK, PAPER, Colour, Image, draw_lines, resized

COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178),
)  # fmt: skip
"""Okabe and Ito's palette, which colour-blind people can tell apart."""
DASH = 14
"""Points of a line that are drawn, and then left out, where the colours come round again."""
HALO: Colour = (0, 0, 0)
LABEL_SIZE = 15


@dataclass(frozen=True)
class Pen:
    """How one object is drawn, in each view and at each moment."""

    colour: Colour
    is_dashed: bool


@dataclass(frozen=True)
class Outline:
    """One object in one picture."""

    name: str
    pen: Pen
    mask: NDArray[np.uint8]
    """(height, width), 0 or 1, of the picture's shape at any size."""


def pen_of(number: int) -> Pen:
    """The pen of the object of that number; colours repeat after seven, with dashes."""
    return Pen(COLOURS[number % len(COLOURS)], number // len(COLOURS) % 2 == 1)


def outlined(image: Image, outlines: Sequence[Outline], width: int) -> Image:
    """The picture at that width with each object's border and name."""
    picture = resized(image, width)
    for outline in outlines:
        zoom = width / outline.mask.shape[1]
        lines = borders(outline.mask)
        picture = draw_lines(picture, lines, zoom, HALO, width=5, opacity=0.6)
        dashes = [_dashed(line) for line in lines] if outline.pen.is_dashed else lines
        picture = draw_lines(picture, dashes, zoom, outline.pen.colour, width=2)
    return _labelled(picture, outlines)


def borders(mask: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """The borders of a mask and of its holes, closed, points (N, 2) x, y each; none of an empty mask."""
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [np.concatenate([line[:, 0], line[:1, 0]]).astype(np.float64) for line in contours]


def _dashed(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """The line with gaps, as `draw_lines` wants them."""
    length = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
    period = max(length[-1] / 60, DASH)
    return np.where((length // period % 2 == 0)[:, None], line, np.nan)


def _labelled(picture: Image, outlines: Sequence[Outline]) -> Image:
    """Names at the upper left of each object, moved down where another name is."""
    canvas = PillowImage.fromarray(picture)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(LABEL_SIZE)
    taken: list[tuple[float, float, float, float]] = []
    for outline in outlines:
        rows, columns = np.flatnonzero(outline.mask.any(1)), np.flatnonzero(outline.mask.any(0))
        if not len(rows):
            continue
        zoom, text = picture.shape[1] / outline.mask.shape[1], shown_name(outline.name)
        high, wide = LABEL_SIZE + 5, font.getlength(text) + 8
        left = float(np.clip(columns[0] * zoom, 0, max(0, canvas.width - wide)))
        top = float(np.clip(rows[0] * zoom - high - 2, 0, max(0, canvas.height - high)))
        while any(left < r and x < left + wide and top < b and y < top + high for x, y, r, b in taken):
            top += high
        taken.append((left, top, left + wide, top + high))
        pen.rectangle(taken[-1], fill=outline.pen.colour, outline=PAPER)
        pen.text((left + 4, top + 1), text, fill=ink_on(outline.pen.colour), font=font)
    return np.asarray(canvas, np.uint8)


def ink_on(colour: Colour) -> Colour:
    """Dark letters on a light colour, light ones on a dark one."""
    return PAPER if sum(colour) > 330 or colour[1] > 140 else INK


def shown_name(name: str) -> str:
    """A name as a font can draw it; in quotes when it begins or ends in a blank."""
    text = "".join(letter if letter.isprintable() else " " for letter in name)
    return text if text == text.strip() and text else f'"{text}"'
