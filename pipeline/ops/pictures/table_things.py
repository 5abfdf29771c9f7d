"""Things that stand on the made-up table: boxes, tins, bottles and flat ones, told apart by their looks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.ops.pictures.raster import Flat, Round, Surface
from pipeline.ops.pictures.table_art import Colour, label, plain
from pipeline.ops.pictures.texture import Texture
from pipeline.ops.pictures.viewpoint import Floats

_CORNERS_OF_A_DISC = 32


@dataclass(frozen=True)
class Design:
    """What a kind of thing looks like.

    Attributes:
        name: as in the annotations, without the number behind it.
        form: `box`, or the outline of something turned: (radius, height) in metres from the bottom up.
        size_m: width, depth, height of a box.
    """

    name: str
    base: Colour
    second: Colour
    text: str
    pattern: str
    size_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    outline: tuple[tuple[float, float], ...] = ()
    cap: Colour | None = None
    """Colour of the topmost part."""


def _tin(radius: float, height: float) -> tuple[tuple[float, float], ...]:
    return ((radius, 0.0), (radius, height))


DESIGNS: dict[str, tuple[Design, ...]] = {
    "kitchen": (
        Design("Cereal box", (206, 60, 44), (248, 206, 72), "CRUNCHY", "dots", (0.17, 0.065, 0.24)),
        Design("salt/pepper shaker", (74, 96, 178), (232, 232, 240), "S & P", "plain",
               outline=((0.034, 0.0), (0.034, 0.075), (0.026, 0.115), (0.012, 0.125)), cap=(190, 192, 198)),
        Design("tomato can", (196, 40, 34), (246, 226, 190), "TOMATO", "waves", outline=_tin(0.05, 0.12)),
        Design("oil bottle", (190, 160, 40), (112, 128, 30), "OIL", "plain",
               outline=((0.042, 0.0), (0.042, 0.15), (0.016, 0.2), (0.016, 0.245)), cap=(60, 76, 40)),
        Design("cutting board ", (206, 164, 104), (160, 116, 66), "", "stripes", (0.3, 0.2, 0.018)),
        Design("blue mug", (44, 122, 190), (240, 244, 246), "MORNING", "checks", outline=_tin(0.045, 0.1)),
        Design("sponge", (238, 204, 54), (90, 150, 70), "", "dots", (0.12, 0.08, 0.04)),
    ),
    "clinic": (
        Design("Kit box", (60, 150, 176), (250, 250, 250), "RAPID TEST", "stripes", (0.2, 0.1, 0.12)),
        Design("swab/stick holder", (150, 84, 168), (242, 226, 120), "SWABS", "dots", outline=_tin(0.045, 0.13)),
        Design("instruction leaflet ", (238, 238, 230), (90, 110, 170), "READ ME", "waves", (0.21, 0.15, 0.012)),
        Design("hand sanitizer", (120, 200, 190), (34, 110, 150), "CLEAN", "plain",
               outline=((0.04, 0.0), (0.04, 0.13), (0.014, 0.155), (0.014, 0.19)), cap=(240, 240, 244)),
        Design("test device package ", (236, 130, 44), (120, 40, 30), "DEVICE", "checks", (0.15, 0.1, 0.035)),
        Design("tissue pack", (224, 120, 160), (250, 232, 240), "SOFT", "waves", (0.16, 0.11, 0.07)),
        Design("thermometer case", (70, 74, 86), (236, 196, 60), "36.6", "stripes", (0.17, 0.05, 0.045)),
    ),
}  # fmt: skip
"""Kind of room → what lies in it. Names hold a slash, a blank before the number, and capitals, as real ones do."""


class Thing:
    """One thing, ready to be put anywhere.

    Args:
        design: its looks.
        number: behind its name, which is `{design.name}_{number}`.
        random: small differences of colour.
    """

    def __init__(self, design: Design, number: int, random: np.random.Generator) -> None:
        self.name = f"{design.name}_{number}"
        self.design = design
        tint = random.integers(-10, 11, 3)
        base, second = (
            (int(a), int(b), int(c)) for a, b, c in np.clip([design.base + tint, design.second + tint], 0, 255)
        )
        side = label(random, base, second, design.text, design.pattern)
        # Around something turned it stands twice, so that one of the two faces each camera.
        self._side = Texture(np.hstack([side, side]) if design.outline else side)
        self._top = Texture(label(random, base, second, "", design.pattern))
        self._cap = plain(random, design.cap) if design.cap else self._top

    @property
    def height_m(self) -> float:
        """From the table to where a hand takes it."""
        return self.design.outline[-1][1] if self.design.outline else self.design.size_m[2]

    @property
    def footprint_m(self) -> tuple[float, float]:
        """Width and depth of what it covers."""
        if self.design.outline:
            return (2 * self.design.outline[0][0],) * 2
        return self.design.size_m[:2]

    def surfaces(self, place: Floats, yaw: float) -> list[Surface]:
        """Its surfaces when the middle of its bottom is at `place` (3,), turned about the vertical by `yaw` radians."""
        across = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        away, up = np.array([-np.sin(yaw), np.cos(yaw), 0.0]), np.array([0.0, 0.0, 1.0])
        if self.design.outline:
            return self._turned(place, np.stack([across, away, up]))
        width, depth, height = self.design.size_m
        half_w, half_d, rise = across * width / 2, away * depth / 2, up * height
        left, right = place - half_w, place + half_w
        front, back = place - half_d, place + half_d
        return [
            rectangle(left - half_d + rise, across * width, -rise, self._side),
            rectangle(right + half_d + rise, -across * width, -rise, self._side),
            rectangle(right - half_d + rise, away * depth, -rise, self._top),
            rectangle(left + half_d + rise, -away * depth, -rise, self._top),
            rectangle(back - half_w + rise, across * width, (front - back), self._top if height > 0.06 else self._side),
        ]

    def _turned(self, place: Floats, axes: Floats) -> list[Surface]:
        found: list[Surface] = []
        outline = self.design.outline
        for number, ((radius, low), (radius_above, high)) in enumerate(pairwise(outline)):
            texture = self._side if number == 0 else self._cap if number == len(outline) - 2 else self._top
            found.append(Round(place + axes[2] * low, axes, high - low, (radius, radius_above), texture))
        radius, height = outline[-1]
        found.append(disc(place + axes[2] * height, radius, self._cap))
        return found


def rectangle(origin: Floats, across: Floats, down: Floats, texture: Texture) -> Flat:
    """A whole texture from its top left corner on."""
    corners = np.stack([origin, origin + across, origin + across + down, origin + down])
    return Flat(corners, origin, across, down, texture)


def disc(middle: Floats, radius_m: float, texture: Texture) -> Flat:
    """A level disc."""
    around = np.linspace(0, 2 * np.pi, _CORNERS_OF_A_DISC, endpoint=False)
    corners = middle + radius_m * np.stack([np.cos(around), np.sin(around), np.zeros_like(around)], -1)
    side = 2 * radius_m
    across, down = np.array([side, 0.0, 0.0]), np.array([0.0, -side, 0.0])
    return Flat(corners, middle - across / 2 - down / 2, across, down, texture)
