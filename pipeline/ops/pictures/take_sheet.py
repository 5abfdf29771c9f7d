"""One take as a picture: a row a moment, the views side by side, the same object in the same colour everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from pipeline.ops.pictures.drawing import INK, PAPER, Colour, Image, beside
from pipeline.ops.pictures.outlines import Outline, Pen, ink_on, outlined, shown_name

VIEW_HEIGHT = 480
GAP = 10
FONT_SIZE = 16
LINE = 22
NO_PICTURE: Colour = (58, 60, 66)

Words = Sequence[tuple[str, Colour]]
"""Pieces of text, each in its colour."""


@dataclass(frozen=True)
class View:
    """What one camera sees at one moment."""

    title: str
    image: Image | None
    """None: there is no picture, and `title` says why."""
    size_wh: tuple[int, int]
    """Of the picture, also of one that is not there."""
    outlines: Sequence[Outline]
    unseen: Sequence[tuple[str, Pen, str]]
    """Objects without a mask: name, pen, and absent or not annotated."""


def take_sheet(head: Sequence[str], objects: Sequence[tuple[str, Pen]], rows: Sequence[Sequence[View]]) -> Image:
    """Draw the sheet.

    Args:
        head: lines of text above all.
        objects: the legend.
        rows: the views at each moment.

    Returns:
        HWC uint8 RGB.
    """
    pictures = [_row(views) for views in rows]
    width = max((picture.shape[1] for picture in pictures), default=4 * VIEW_HEIGHT)
    legend = [(_mark(name, pen), pen.colour) for name, pen in objects]
    parts = [_text([[(line, INK)] for line in head], width), _text(_wrapped(legend, width), width)]
    gap = np.full((GAP, width, 3), PAPER, np.uint8)
    for picture in pictures:
        padded = np.full((picture.shape[0], width, 3), PAPER, np.uint8)
        padded[:, : picture.shape[1]] = picture
        parts += [gap, padded]
    return np.concatenate(parts)


def _mark(name: str, pen: Pen) -> str:
    return shown_name(name) + (" (dashed)" if pen.is_dashed else "")


def _row(views: Sequence[View]) -> Image:
    """Views of one height; the words above them take as many lines as the longest needs."""
    widths = [max(1, round(view.size_wh[0] * VIEW_HEIGHT / view.size_wh[1])) for view in views]
    words = [_view_words(view, width) for view, width in zip(views, widths, strict=True)]
    lines = max(map(len, words))
    tiles = []
    for view, width, said in zip(views, widths, words, strict=True):
        text = _text([*said, *[[("", INK)]] * (lines - len(said))], width)
        picture = np.full((VIEW_HEIGHT, width, 3), NO_PICTURE, np.uint8)
        if view.image is not None:
            drawn = outlined(view.image, view.outlines, width)[:VIEW_HEIGHT]
            picture[: drawn.shape[0]] = drawn
        tiles.append(np.concatenate([text, picture]))
    return beside(tiles, GAP)


def _view_words(view: View, width: int) -> list[Words]:
    unseen: Words = [(f"{shown_name(name)}: {state}", pen.colour) for name, pen, state in view.unseen]
    return [[(view.title, INK)], *_wrapped(unseen, width)]


def _wrapped(words: Words, width: int) -> list[Words]:
    """Pieces of text in lines that fit; a piece is never broken."""
    font = ImageFont.load_default(FONT_SIZE)
    lines: list[list[tuple[str, Colour]]] = []
    room = 0.0
    for text, colour in words:
        length = font.getlength(text) + 2 * GAP
        if not lines or length > room:
            lines.append([])
            room = width - GAP
        lines[-1].append((text, colour))
        room -= length
    return list(lines)


def _text(lines: Sequence[Words], width: int) -> Image:
    canvas = PillowImage.new("RGB", (width, LINE * len(lines) + 8), PAPER)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(FONT_SIZE)
    for number, words in enumerate(lines):
        left = float(GAP)
        for text, colour in words:
            top = 4 + number * LINE
            if colour != INK:  # a name in its object's colour
                pen.rectangle((left - 4, top, left + font.getlength(text) + 4, top + LINE - 3), fill=colour)
            pen.text((left, top), text, fill=INK if colour == INK else ink_on(colour), font=font)
            left += font.getlength(text) + 2 * GAP
    return np.asarray(canvas, np.uint8)
