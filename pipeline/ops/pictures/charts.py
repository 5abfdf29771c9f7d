"""Plain charts of a few numbers: bars and lines on axes from 0 to 1. All images are HWC uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from pipeline.ops.pictures.drawing import Colour, Image

SIZE_WH = (760, 480)
FINER = 3
"""Charts are drawn this much larger and made smaller, so that slanted lines are smooth."""
INK: Colour = (40, 42, 46)
FAINT: Colour = (222, 224, 228)
PAPER: Colour = (255, 255, 255)
COLOUR: Colour = (0, 114, 178)
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 72, 66
"""Room around the axes, in pixels."""
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class ChartBar:
    """One bar. The value lies between 0 and 1; None: nothing to show."""

    label: str
    note: str
    value: float | None


class _Canvas:
    """Axes and text; places in pixels of the finished chart."""

    def __init__(self, title: str, y_label: str) -> None:
        self._picture = PillowImage.new("RGB", (SIZE_WH[0] * FINER, SIZE_WH[1] * FINER), PAPER)
        self._pen = ImageDraw.Draw(self._picture)
        self.text(LEFT, 12, title, 18, "la")
        self.text(LEFT, TOP - 28, y_label, 13, "la")
        for tick in TICKS:
            self.line([(LEFT, self.y(tick)), (SIZE_WH[0] - RIGHT, self.y(tick))], FAINT if tick else INK, 1)
            self.text(LEFT - 8, self.y(tick), f"{tick:.1f}", 13, "rm")

    def x(self, share: float) -> float:
        """From 0 … 1 along the axis."""
        return LEFT + share * (SIZE_WH[0] - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """From 0 … 1 up the axis."""
        return SIZE_WH[1] - BOTTOM - min(max(value, 0.0), 1.0) * (SIZE_WH[1] - TOP - BOTTOM)

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: int) -> None:
        self._pen.line([(x * FINER, y * FINER) for x, y in points], colour, width * FINER, joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self._pen.rectangle((left * FINER, top * FINER, right * FINER, bottom * FINER), fill=colour)

    def text(self, x: float, y: float, words: str, size: int, anchor: str) -> None:
        font = ImageFont.load_default(size * FINER)
        self._pen.text((x * FINER, y * FINER), words, fill=INK, font=font, anchor=anchor)

    def finish(self) -> Image:
        return np.asarray(self._picture.resize(SIZE_WH, PillowImage.Resampling.BOX), np.uint8)


def bar_chart(title: str, y_label: str, bars: Sequence[ChartBar]) -> Image:
    """A bar each with its value above, label and note below."""
    canvas = _Canvas(title, y_label)
    for number, bar in enumerate(bars):
        centre, half = canvas.x((number + 0.5) / len(bars)), 0.3 * (canvas.x(1) - canvas.x(0)) / len(bars)
        base = canvas.y(0)
        canvas.text(centre, base + 10, bar.label, 14, "ma")
        canvas.text(centre, base + 31, bar.note, 12, "ma")
        if bar.value is None:
            canvas.text(centre, base - 8, "none", 13, "mb")
            continue
        canvas.box(centre - half, canvas.y(bar.value), centre + half, base, COLOUR)
        canvas.text(centre, canvas.y(bar.value) - 6, f"{bar.value:.3f}", 14, "mb")
    return canvas.finish()


def line_chart(title: str, x_label: str, y_label: str, points: Sequence[tuple[float, float]]) -> Image:
    """One line over both axes from 0 to 1, on white."""
    canvas = _Canvas(title, y_label)
    for tick in TICKS:
        canvas.line([(canvas.x(tick), canvas.y(0)), (canvas.x(tick), canvas.y(1))], FAINT if tick else INK, 1)
        canvas.text(canvas.x(tick), canvas.y(0) + 8, f"{tick:.1f}", 13, "ma")
    canvas.line([(canvas.x(0), canvas.y(0)), (canvas.x(1), canvas.y(0))], INK, 1)
    canvas.text(canvas.x(0.5), canvas.y(0) + 34, x_label, 14, "ma")
    canvas.line([(canvas.x(x), canvas.y(y)) for x, y in points], COLOUR, 3)
    return canvas.finish()


def png(image: Image) -> bytes:
    """The picture as a PNG file."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    assert done, image.shape
    return data.tobytes()
