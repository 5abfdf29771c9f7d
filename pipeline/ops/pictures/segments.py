"""A clip's segments as one picture: the timeline, and each segment's middle frame with its boxes and words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from pipeline.ops.pictures.drawing import INK, PAPER, Colour, Image, resized
from pipeline.schema.segments import Annotations, Segment

ACTIVE: Colour = (86, 180, 233)
IDLE: Colour = (120, 122, 128)
INFERRED: Colour = (230, 159, 0)
BOX_COLOURS: tuple[Colour, ...] = ((240, 228, 66), (0, 158, 115), (204, 121, 167), (213, 94, 0))
"""Okabe and Ito's palette, which colour-blind people can tell apart."""
COLUMNS = 4
MAX_TILES = 60
"""Segments shown below the timeline; a JPEG cannot be taller than 65,535 pixels, and nobody reads that far."""
TILE_WIDTH = 320
TEXT_LINES = 4
FONT_SIZE = 14
LINE = 19
BAR_HEIGHT = 34
MARGIN = 10


def segments_picture(annotations: Annotations, frames: Mapping[int, Image]) -> Image:
    """Draw the sheet.

    Args:
        annotations: of one clip.
        frames: action_id → the picture in the middle of that segment, HWC uint8 RGB, of the size in
            `annotations.boxes`; a segment without one gets an empty tile.

    Returns:
        HWC uint8 RGB.
    """
    width = COLUMNS * TILE_WIDTH + (COLUMNS + 1) * MARGIN
    frame_width, frame_height = annotations.boxes.size_wh
    tile_height = round(frame_height * TILE_WIDTH / frame_width) + TEXT_LINES * LINE + MARGIN
    shown = annotations.segments[:MAX_TILES]
    rows = -(-len(shown) // COLUMNS)
    head = 3 * LINE + BAR_HEIGHT + 2 * MARGIN
    sheet = PillowImage.new("RGB", (width, head + rows * (tile_height + MARGIN) + MARGIN), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    _draw_head(pen, font, annotations, width)
    for number, segment in enumerate(shown):
        left = MARGIN + number % COLUMNS * (TILE_WIDTH + MARGIN)
        top = head + number // COLUMNS * (tile_height + MARGIN)
        frame = frames.get(segment.action_id)
        if frame is not None:
            sheet.paste(PillowImage.fromarray(_with_boxes(frame, segment)), (left, top))
        colour = _colour(annotations, segment)
        text_top = top + tile_height - TEXT_LINES * LINE - MARGIN + 3
        pen.rectangle((left, text_top, left + 4, top + tile_height), fill=colour)
        for line_number, line in enumerate(_words(segment)):
            pen.text((left + 10, text_top + line_number * LINE), line, fill=INK, font=font)
    return np.asarray(sheet, np.uint8)


def _colour(annotations: Annotations, segment: Segment) -> Colour:
    if annotations.flags[segment.action_id].inferred:
        return INFERRED
    return ACTIVE if segment.active else IDLE


def _draw_head(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    annotations: Annotations,
    width: int,
) -> None:
    quality = annotations.quality
    text = (
        f"{annotations.clip}: {annotations.duration_s:g} s, {len(annotations.segments)} segments, "
        f"{quality.active_share:.0%} active, {quality.fixes} repairs"
    )
    text += f", the first {MAX_TILES} shown" if len(annotations.segments) > MAX_TILES else ""
    pen.text((MARGIN, MARGIN), text + (", needs review" if annotations.needs_review else ""), fill=INK, font=font)
    left = MARGIN
    for name, colour in (("active", ACTIVE), ("idle", IDLE), ("filled in, not said by the model", INFERRED)):
        pen.rectangle((left, MARGIN + LINE + 4, left + 12, MARGIN + LINE + 15), fill=colour)
        pen.text((left + 18, MARGIN + LINE), name, fill=INK, font=font)
        left += 40 + round(font.getlength(name))
    top, scale = MARGIN + 2 * LINE + 4, (width - 2 * MARGIN) / annotations.duration_s
    for segment in annotations.segments:
        start, end = MARGIN + segment.t_start_s * scale, MARGIN + segment.t_end_s * scale
        pen.rectangle((start, top, max(end - 2, start), top + BAR_HEIGHT), fill=_colour(annotations, segment))
        if end - start > font.getlength(f"{segment.action_id}") + 4:
            pen.text((start + 3, top + 8), str(segment.action_id), fill=PAPER, font=font)


def _with_boxes(frame: Image, segment: Segment) -> Image:
    zoom = TILE_WIDTH / frame.shape[1]
    picture = PillowImage.fromarray(resized(frame, TILE_WIDTH))
    pen = ImageDraw.Draw(picture)
    for number, item in enumerate(segment.objects):
        if item.bbox is not None:
            colour = BOX_COLOURS[number % len(BOX_COLOURS)]
            pen.rectangle([value * zoom for value in item.bbox], outline=colour, width=2)
    return np.asarray(picture, np.uint8)


def _words(segment: Segment) -> list[str]:
    """At most TEXT_LINES lines that fit a tile."""
    title = (
        f"{segment.action_id}  {segment.t_start_s:.1f} to {segment.t_end_s:.1f} s  {'' if segment.active else 'idle'}"
    )
    names = ", ".join(_printable(item.object_name or "?") for item in segment.objects)
    said = _printable((segment.ecot.subtask or "") if segment.ecot else "")
    lines = [title, *textwrap.wrap(said, 44)[: TEXT_LINES - 2], *textwrap.wrap(names, 44)[:1]]
    return [line[:48] for line in lines[:TEXT_LINES]]


def _printable(text: str) -> str:
    """Without control characters and lone surrogates, which a font cannot draw."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
