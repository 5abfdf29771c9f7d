"""Textures of a made-up room and of the things on its table. Labels name nobody's products."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ops.pictures.texture import Texture

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Floats = NDArray[np.float64]


def _noise(random: np.random.Generator, size_wh: tuple[int, int], cells_wh: tuple[int, int]) -> Floats:
    """Smooth random field of about ±1, (H, W)."""
    coarse = random.normal(0, 1, (cells_wh[1], cells_wh[0]))
    return np.asarray(cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC))


def _painted(colour: Colour, *fields: Floats) -> Image:
    """One colour, lighter and darker by the sum of fields (levels)."""
    return np.clip(np.array(colour, np.float64) + sum(fields)[..., None], 0, 255).astype(np.uint8)  # type: ignore[index]


def wood(random: np.random.Generator, size_wh: tuple[int, int], colour: Colour, boards: int) -> Image:
    """Boards along the picture's width, each with its own grain and tone."""
    width, height = size_wh
    grain = _noise(random, size_wh, (6, height // 5)) * 7 + _noise(random, size_wh, (14, height // 2)) * 4
    tone = np.repeat(random.normal(0, 9, boards), -(-height // boards))[:height, None]
    picture = _painted(colour, grain + tone)
    for number in range(1, boards):
        y = number * height // boards
        cv2.line(picture, (0, y), (width, y), tuple(int(value * 0.55) for value in colour), max(1, height // 500))
    return picture


def tiles(random: np.random.Generator, size_wh: tuple[int, int], colour: Colour, count_wh: tuple[int, int]) -> Image:
    """Square tiles with joints."""
    columns, rows = count_wh
    tone = np.repeat(
        np.repeat(random.normal(0, 5, (rows, columns)), -(-size_wh[1] // rows), 0), -(-size_wh[0] // columns), 1
    )
    picture = _painted(colour, tone[: size_wh[1], : size_wh[0]] + _noise(random, size_wh, (80, 80)) * 2.5)
    joint = tuple(int(value * 0.8) for value in colour)
    for column in range(columns + 1):
        x = column * size_wh[0] // columns
        cv2.line(picture, (x, 0), (x, size_wh[1]), joint, 3)
    for row in range(rows + 1):
        y = row * size_wh[1] // rows
        cv2.line(picture, (0, y), (size_wh[0], y), joint, 3)
    return picture


_WALL_WH = (1200, 625)
"""A wall's picture: 4 mm a pixel; the floor is its bottom edge, the table's height 200 above it."""


def wall(random: np.random.Generator, colour: Colour, kind: str) -> Image:
    """A painted wall, 4.8 m × 2.5 m: `window` over kitchen units, `shelves` of books, `cupboard` or `picture`."""
    width, height = _WALL_WH
    picture = _painted(colour, _noise(random, _WALL_WH, (12, 6)) * 3)
    picture[height - 24 :] = _painted((226, 222, 212), _noise(random, (width, 24), (40, 2)) * 3)
    if kind == "window":
        _window(random, picture, (420, 20, 800, 240))
        picture[290:398] = tiles(random, (width, 108), (206, 220, 220), (44, 4))
        _units(random, picture, (104, 132, 136))
    elif kind == "shelves":
        cv2.rectangle(picture, (190, 40), (1010, 620), (112, 80, 54), -1)
        for y in range(140, 640, 100):
            cv2.rectangle(picture, (204, y - 88), (996, y), (72, 52, 38), -1)
            x = 212
            while x < 960:
                thick, tall = int(random.integers(14, 36)), int(random.integers(48, 80))
                shade = tuple(int(value) for value in random.integers(60, 220, 3))
                cv2.rectangle(picture, (x, y - tall), (x + thick, y), shade, -1)
                cv2.line(picture, (x + thick, y - tall), (x + thick, y), (40, 34, 30), 2)
                x += thick + 2 + (int(random.integers(30, 90)) if random.random() < 0.12 else 0)
    elif kind == "cupboard":
        _units(random, picture, (196, 176, 146))
        for left in range(150, 1050, 225):
            cv2.rectangle(picture, (left, 10), (left + 215, 190), (228, 222, 208), -1)
            cv2.rectangle(picture, (left + 16, 26), (left + 199, 174), (204, 196, 180), 4)
    else:
        picture[420 : height - 24] = wood(random, (181, width), (150, 122, 96), 40).transpose(1, 0, 2)
        cv2.rectangle(picture, (0, 408), (width, 422), (112, 90, 70), -1)
        cv2.rectangle(picture, (450, 150), (750, 370), (62, 48, 40), -1)
        picture[164:356, 464:736] = _painted((196, 150, 110), _noise(random, (272, 192), (5, 4)) * 40)
        cv2.circle(picture, (650, 220), 34, (240, 214, 120), -1, cv2.LINE_AA)
    return picture


def _window(random: np.random.Generator, picture: Image, box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    cv2.rectangle(picture, (x0, y0), (x1, y1), (238, 238, 232), -1)
    pane = (x1 - x0) // 2 - 20
    for left in (x0 + 12, x0 + 12 + pane + 16):
        sky = np.linspace((150, 190, 228), (222, 232, 236), y1 - y0 - 24)[:, None].astype(np.uint8)
        picture[y0 + 12 : y1 - 12, left : left + pane] = sky
        for _ in range(7):
            middle = (left + int(random.integers(20, pane - 20)), y1 - 12 - int(random.integers(0, 20)))
            cv2.ellipse(picture, middle, (24, 30), 0, 180, 360, (96, 140, 92), -1, cv2.LINE_AA)


def _units(random: np.random.Generator, picture: Image, colour: Colour) -> None:
    """Kitchen units along a wall with a worktop on them."""
    width, height = _WALL_WH
    picture[398 : height - 24] = _painted(colour, _noise(random, (width, 203), (60, 4)) * 3)
    dark, light = (tuple(int(value * share) for value in colour) for share in (0.72, 1.14))
    for left in range(0, width, 150):
        cv2.rectangle(picture, (left + 6, 470), (left + 144, 588), light, 3)
        cv2.rectangle(picture, (left + 6, 424), (left + 144, 460), light, 3)
        cv2.line(picture, (left, 412), (left, height - 24), dark, 4)
        for y in (442, 486):
            cv2.line(picture, (left + 58, y), (left + 92, y), (216, 216, 220), 5)
    picture[height - 34 : height] = (52, 48, 46)
    picture[390:414] = _painted((92, 88, 90), _noise(random, (width, 24), (400, 12)) * 12)


def cloth(random: np.random.Generator, base: Colour, second: Colour) -> Image:
    """A woven cloth with bands along its border, 660 × 420."""
    width, height = 660, 420
    weave = 3 * ((np.arange(width) // 2 + np.arange(height)[:, None] // 2) % 2)
    picture = _painted(base, weave + _noise(random, (width, height), (30, 20)) * 3)
    for inset, thickness in ((14, 9), (30, 4), (42, 4)):
        cv2.rectangle(picture, (inset, inset), (width - inset, height - inset), second, thickness)
    return picture


def text_on(picture: Image, text: str, middle: tuple[int, int], height_px: int, colour: Colour) -> None:
    """Write one line centred at a pixel, in place."""
    scale = height_px / 21
    thickness = max(2, round(scale * 2.4))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thickness)
    place = (middle[0] - width // 2, middle[1] + height // 2)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, colour, thickness, cv2.LINE_AA)


def label(random: np.random.Generator, base: Colour, second: Colour, text: str, pattern: str) -> Image:
    """A printed surface, 384 × 256: pattern `dots`, `stripes`, `checks`, `waves` or `plain`, a word in the middle."""
    width, height = 384, 256
    picture = _painted(base, _noise(random, (width, height), (24, 16)) * 3)
    if pattern == "dots":
        for x in range(16, width, 48):
            for y in range(16, height, 44):
                cv2.circle(picture, (x + (y // 44 % 2) * 24, y), 11, second, -1, cv2.LINE_AA)
    elif pattern == "stripes":
        for x in range(-height, width, 44):
            cv2.line(picture, (x, height), (x + height, 0), second, 15, cv2.LINE_AA)
    elif pattern == "checks":
        for x in range(0, width, 32):
            for y in range((x // 32 % 2) * 32, height, 64):
                cv2.rectangle(picture, (x, y), (x + 31, y + 31), second, -1)
    elif pattern == "waves":
        across = np.arange(0, width + 8, 8)
        for y in range(0, height + 24, 30):
            line = np.stack([across, y + 9 * np.sin(across / 19)], -1).round().astype(np.int32)
            cv2.polylines(picture, [line], False, second, 9, cv2.LINE_AA)
    if text:
        cv2.rectangle(picture, (0, height // 2 - 44), (width, height // 2 + 44), (244, 240, 228), -1)
        cv2.rectangle(picture, (0, height // 2 - 44), (width, height // 2 + 44), second, 4)
        size = min(46, 520 // max(len(text), 1))
        text_on(picture, text, (width // 2, height // 2), size, (52, 44, 40))
    return picture


def plain(random: np.random.Generator, colour: Colour, roughness: float = 4.0) -> Texture:
    """One colour with a little unevenness."""
    return Texture(_painted(colour, _noise(random, (64, 64), (16, 16)) * roughness))


def shadow() -> Texture:
    """A soft dark spot for `Raster.shade`: 255 at the border."""
    axis = np.linspace(-1, 1, 64)
    distance = np.sqrt(axis**2 + axis[:, None] ** 2)
    level = 255 - 125 * np.clip((1 - distance) / 0.55, 0, 1) ** 1.2
    return Texture(np.repeat(level.astype(np.uint8)[..., None], 3, axis=2))
