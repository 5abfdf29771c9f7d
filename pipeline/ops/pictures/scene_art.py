"""The painting of the made-up workbench: background and sprites, drawn once per clip."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

FINER = 3
"""Everything is drawn this many times larger and reduced, so that edges are smooth."""


class _Painter:
    """Draws in scene units on an enlarged picture; `pixels` reduces it."""

    def __init__(self, half_extent_xy: tuple[float, float], focal_px: float, channels: int) -> None:
        self.scale = focal_px * FINER
        self._half = np.array(half_extent_xy)
        self.size_wh = (round(2 * half_extent_xy[0] * focal_px), round(2 * half_extent_xy[1] * focal_px))
        self.image = np.zeros((self.size_wh[1] * FINER, self.size_wh[0] * FINER, channels), np.uint8)

    def px(self, points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
        where = np.rint((np.array(points, np.float64) + self._half) * self.scale)
        return np.asarray(where, np.int32)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Sequence[int]) -> None:
        cv2.fillPoly(self.image, [self.px(points)], tuple(colour))

    def rectangle(self, x1: float, y1: float, x2: float, y2: float, colour: Sequence[int]) -> None:
        self.polygon([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], colour)

    def line(self, first: tuple[float, float], last: tuple[float, float], colour: Sequence[int], width: float) -> None:
        start, end = self.px([first, last]).tolist()
        cv2.line(self.image, start, end, tuple(colour), max(1, round(width * self.scale)))

    def ellipse(
        self, centre: tuple[float, float], half: tuple[float, float], angle_deg: float, colour: Sequence[int]
    ) -> None:
        axes = (round(half[0] * self.scale), round(half[1] * self.scale))
        cv2.ellipse(self.image, self.px([centre])[0].tolist(), axes, angle_deg, 0, 360, tuple(colour), -1)

    def pixels(self) -> Image:
        return np.asarray(cv2.resize(self.image, self.size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def background(half_extent_xy: tuple[float, float], focal_px: float, places: Sequence[tuple[float, float]]) -> Image:
    """The still part of the scene, HWC uint8: wall, shelf, bench of planks, and a cutting mat with a straight grid."""
    art = _Painter(half_extent_xy, focal_px, 3)
    right, bottom = half_extent_xy
    art.rectangle(-right, -bottom, right, bottom, (176, 178, 172))
    _draw_wall(art, right, bottom)
    _draw_bench(art, right, bottom)
    _draw_mat(art)
    for x, y in (places[0], places[-1]):
        art.rectangle(x - 0.27, y - 0.24, x + 0.27, y + 0.26, (92, 98, 106))
        art.rectangle(x - 0.24, y - 0.21, x + 0.24, y + 0.23, (206, 208, 204))
    noise = np.random.default_rng(0).normal(0, 1, art.size_wh[::-1]).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), 4.0, sigmaY=1.2)
    shaded = art.pixels().astype(np.float32) + (grain / grain.std() * 4.0)[..., None]
    return np.asarray(np.clip(np.rint(shaded), 0, 255), np.uint8)


def _draw_wall(art: _Painter, right: float, bottom: float) -> None:
    for column in np.arange(-3.3, 3.35, 0.66).tolist():
        art.line((column, -bottom), (column, -0.36), (150, 152, 148), 0.02)
    for x in np.arange(-1.15, 1.2, 0.1).tolist():
        for y in np.arange(-1.85, -0.98, 0.1).tolist():
            art.ellipse((x, y), (0.016, 0.016), 0, (110, 112, 110))
    for board in (-0.92, -0.48):
        art.rectangle(-right, board, right, board + 0.05, (120, 82, 48))
        art.line((-right, board + 0.055), (right, board + 0.055), (70, 48, 30), 0.012)
    bins: tuple[Colour, ...] = ((64, 96, 150), (168, 70, 58), (70, 128, 84), (200, 158, 60))
    for number, x in enumerate(np.arange(-2.9, 2.95, 0.48).tolist()):
        colour = bins[number % len(bins)]
        art.rectangle(x, -0.76, x + 0.4, -0.48, colour)
        art.rectangle(x + 0.1, -0.67, x + 0.3, -0.57, (236, 234, 224))
        art.line((x + 0.14, -0.62), (x + 0.26, -0.62), (60, 60, 60), 0.012)
    for x in (-1.5, 1.42):
        art.rectangle(x, -bottom, x + 0.08, -0.36, (62, 66, 74))


def _draw_bench(art: _Painter, right: float, bottom: float) -> None:
    """Planks that run away from the viewer to one vanishing point, and cross joints."""
    art.rectangle(-right, -0.36, right, bottom, (186, 146, 98))
    apex, far, near = (0.0, -2.2), -0.36, bottom
    borders = np.linspace(-9, 9, 37)
    for number, border in enumerate(borders[:-1].tolist()):
        step = float(borders[1] - borders[0])
        spread = [(y - apex[1]) / (near - apex[1]) for y in (far, near)]
        quad = [
            (border * spread[0], far), ((border + step) * spread[0], far),
            ((border + step) * spread[1], near), (border * spread[1], near),
        ]  # fmt: skip
        shade = (number * 37) % 23 - 11
        art.polygon(quad, (186 + shade, 146 + shade, 98 + shade))
        art.line(quad[0], quad[3], (122, 90, 56), 0.012)
    for y in (0.02, 0.78, 1.4):
        art.line((-right, y), (right, y), (134, 100, 64), 0.01)
    art.rectangle(-right, -0.38, right, -0.34, (96, 70, 44))


def _draw_mat(art: _Painter) -> None:
    art.rectangle(-0.8, -0.16, 0.8, 0.74, (36, 82, 74))
    for x in np.linspace(-0.72, 0.72, 13).tolist():
        art.line((x, -0.12), (x, 0.7), (150, 190, 176), 0.008)
    for y in np.linspace(-0.1, 0.68, 8).tolist():
        art.line((-0.76, y), (0.76, y), (150, 190, 176), 0.008)


def object_sprites(sizes: Sequence[tuple[float, float]], focal_px: float) -> list[Image]:
    """Box, bottle, cloth and screwdriver, each HWC uint8 RGBA of about its size times `focal_px`."""
    return [draw(width, height, focal_px) for draw, (width, height) in zip(_SPRITES, sizes, strict=True)]


def _box(width: float, height: float, focal_px: float) -> Image:
    art, x, y = _Painter((width / 2, height / 2), focal_px, 4), width / 2, height / 2
    art.rectangle(-x, -y, x, y, (190, 44, 40, 255))
    art.rectangle(-x, -y, x, -y * 0.55, (222, 84, 70, 255))
    art.rectangle(-0.03, -y, 0.03, y, (236, 206, 150, 255))
    art.rectangle(-x * 0.8, 0.0, -x * 0.3, y * 0.7, (244, 240, 230, 255))
    for row in (0.2, 0.4, 0.6):
        art.line((-x * 0.75, y * row), (-x * 0.35, y * row), (60, 50, 50, 255), 0.008)
    return art.pixels()


def _bottle(width: float, height: float, focal_px: float) -> Image:
    art, x, y = _Painter((width / 2, height / 2), focal_px, 4), width / 2, height / 2
    art.polygon(
        [(-x, y), (-x, -y * 0.2), (-x * 0.4, -y * 0.6), (x * 0.4, -y * 0.6), (x, -y * 0.2), (x, y)], (34, 130, 70, 255)
    )
    art.rectangle(-x * 0.4, -y, x * 0.4, -y * 0.6, (230, 230, 226, 255))
    art.rectangle(-x, y * 0.1, x, y * 0.65, (240, 236, 214, 255))
    art.ellipse((0, y * 0.37), (x * 0.45, x * 0.45), 0, (208, 120, 40, 255))
    art.line((-x * 0.6, -y * 0.15), (-x * 0.6, y * 0.05), (150, 214, 170, 255), 0.02)
    return art.pixels()


def _cloth(width: float, height: float, focal_px: float) -> Image:
    art, x, y = _Painter((width / 2, height / 2), focal_px, 4), width / 2, height / 2
    around = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    wave = 0.84 + 0.14 * np.sin(5 * around)
    art.polygon(
        list(zip((x * wave * np.cos(around)).tolist(), (y * wave * np.sin(around)).tolist(), strict=True)),
        (48, 88, 186, 255),
    )
    for turn in np.linspace(0.2, 2.9, 6).tolist():
        art.line((0, 0), (x * 0.7 * np.cos(turn), y * 0.7 * np.sin(turn)), (92, 134, 226, 255), 0.02)
    return art.pixels()


def _screwdriver(width: float, height: float, focal_px: float) -> Image:
    art, x, y = _Painter((width / 2, height / 2), focal_px, 4), width / 2, height / 2
    art.rectangle(0, -y * 0.22, x, y * 0.22, (150, 154, 160, 255))
    art.ellipse((-x * 0.45, 0), (x * 0.53, y), 0, (232, 186, 32, 255))
    art.line((-x * 0.85, 0), (-x * 0.1, 0), (60, 56, 40, 255), 0.025)
    return art.pixels()


_SPRITES = (_box, _bottle, _cloth, _screwdriver)


def hand_sprite(size: float, focal_px: float) -> Image:
    """A gloved right hand from above, fingers up, HWC uint8 RGBA."""
    art, half = _Painter((size / 2, size / 2), focal_px, 4), size / 2
    glove, shade = (226, 190, 160, 255), (196, 156, 128, 255)
    art.ellipse((0, half * 0.35), (half * 0.5, half * 0.6), 0, glove)
    for offset, reach in ((-0.42, 0.62), (-0.15, 0.86), (0.13, 0.84), (0.4, 0.66)):
        art.line((half * offset, half * 0.1), (half * offset * 1.15, -half * reach), glove, 0.045)
        art.line((half * (offset + 0.13), 0.0), (half * (offset + 0.14), -half * reach * 0.6), shade, 0.008)
    art.line((-half * 0.3, half * 0.5), (-half * 0.82, -half * 0.05), glove, 0.05)
    return art.pixels()


def blend(canvas: Image, sprite: Image, centre_px: tuple[int, int]) -> None:
    """Paint an RGBA sprite onto an RGB canvas in place, centred there; what lies outside is left out."""
    height, width = sprite.shape[:2]
    left, top = centre_px[0] - width // 2, centre_px[1] - height // 2
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + width, canvas.shape[1]), min(top + height, canvas.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    part = sprite[y1 - top : y2 - top, x1 - left : x2 - left].astype(np.int32)
    below = canvas[y1:y2, x1:x2]
    # Reducing the drawing averaged its colours with the black around it, so they carry their opacity already.
    below[:] = part[..., :3] + below * (255 - part[..., 3:]) // 255
