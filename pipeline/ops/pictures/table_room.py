"""The made-up room around the table, and the person at it: what the cameras see beside the things."""

from __future__ import annotations

import numpy as np

from pipeline.ops.pictures.raster import Ball, Flat, Round, Surface
from pipeline.ops.pictures.table_art import cloth, plain, tiles, wall, wood
from pipeline.ops.pictures.table_things import rectangle
from pipeline.ops.pictures.texture import Texture
from pipeline.ops.pictures.viewpoint import Floats, cross

HALF_ROOM_M = (2.4, 2.2)
FLOOR_M, CEILING_M = -0.8, 1.7
TABLE_HALF_M = (0.72, 0.44)
TABLE_MIDDLE = np.array([0.0, 0.1, 0.0])
_EDGE_M = 0.04


def room_surfaces(random: np.random.Generator) -> list[Flat]:
    """Floor, walls, ceiling and table, back to front enough for any order of drawing."""
    right, away, up = np.eye(3)
    half_x, half_y = HALF_ROOM_M
    width, depth, height = 2 * half_x, 2 * half_y, CEILING_M - FLOOR_M
    colour = ((222, 212, 196), (196, 212, 206), (214, 206, 218))[int(random.integers(3))]
    walls = [Texture(wall(random, colour, kind)) for kind in ("window", "shelves", "cupboard", "picture")]
    top = up * CEILING_M
    down = -up * height
    west, east, south, north = -right * half_x, right * half_x, -away * half_y, away * half_y
    floor = Texture(tiles(random, (720, 660), (176, 164, 150), (12, 11)))
    surfaces = [
        rectangle(west + north + up * FLOOR_M, right * width, -away * depth, floor),
        rectangle(west + south + top, right * width, away * depth, plain(random, (236, 234, 228), 2)),
        rectangle(west + north + top, right * width, down, walls[0]),
        rectangle(east + north + top, -away * depth, down, walls[1]),
        rectangle(west + south + top, away * depth, down, walls[2]),
        rectangle(east + south + top, -right * width, down, walls[3]),
    ]
    return [*surfaces, *_table(random), _cloth(random)]


def _cloth(random: np.random.Generator) -> Flat:
    """A cloth that lies on the table, a hair above it."""
    base, second = (
        ((226, 220, 206), (178, 70, 62)),
        ((214, 222, 228), (70, 104, 150)),
        ((222, 226, 208), (92, 136, 84)),
    )[int(random.integers(3))]
    turn = random.uniform(-0.2, 0.2)
    across, away = np.array([np.cos(turn), np.sin(turn), 0]), np.array([-np.sin(turn), np.cos(turn), 0])
    middle = TABLE_MIDDLE + np.array([0.02, 0.1, 0.0004])
    return rectangle(
        middle - across * 0.33 + away * 0.21, across * 0.66, -away * 0.42, Texture(cloth(random, base, second))
    )


def _table(random: np.random.Generator) -> list[Flat]:
    right, away, up = np.eye(3)
    half_x, half_y = TABLE_HALF_M
    colour = ((164, 116, 72), (188, 150, 106), (132, 94, 66))[int(random.integers(3))]
    board, edge = Texture(wood(random, (1024, 640), colour, 7)), Texture(wood(random, (512, 24), colour, 1))
    leg = plain(random, (90, 84, 80))
    corner = TABLE_MIDDLE - right * half_x + away * half_y
    near, far = TABLE_MIDDLE - away * half_y, TABLE_MIDDLE + away * half_y
    found = [
        rectangle(corner, right * 2 * half_x, -away * 2 * half_y, board),
        rectangle(near - right * half_x, right * 2 * half_x, -up * _EDGE_M, edge),
        rectangle(far + right * half_x, -right * 2 * half_x, -up * _EDGE_M, edge),
        rectangle(near + right * half_x, away * 2 * half_y, -up * _EDGE_M, edge),
        rectangle(corner, -away * 2 * half_y, -up * _EDGE_M, edge),
    ]
    for x in (-half_x + 0.06, half_x - 0.06):
        for y in (-half_y + 0.06, half_y - 0.06):
            place = TABLE_MIDDLE + right * x + away * y - up * _EDGE_M
            for direction in (right, away):
                found.append(rectangle(place - direction * 0.03, direction * 0.06, up * (FLOOR_M + _EDGE_M), leg))
    return found


class Person:
    """Who sits at the table: body, head and two arms."""

    def __init__(self, random: np.random.Generator) -> None:
        shirts = ((70, 98, 140), (150, 62, 70), (84, 120, 88), (104, 88, 130))
        skins = ((224, 178, 148), (176, 126, 94), (124, 84, 62))
        self._shirt = plain(random, shirts[int(random.integers(4))], 6)
        self._skin = plain(random, skins[int(random.integers(3))], 3)
        self._hair = plain(random, (58, 44, 36), 8)

    def body(self) -> list[Surface]:
        """Trunk and shoulders, which stay where they are."""
        hip, neck = np.array([0.0, -0.68, -0.45]), np.array([0.0, -0.66, 0.24])
        return [
            limb(hip, neck, (0.19, 0.15), self._shirt),
            Ball(neck, 0.15, self._shirt),
            limb(neck, neck + np.array([0.0, 0.01, 0.2]), (0.06, 0.055), self._skin),
        ]

    def head(self, eyes: Floats) -> list[Surface]:
        """The head around its eyes (3,)."""
        middle = eyes + np.array([0.0, -0.09, 0.01])
        return [Ball(middle, 0.105, self._skin), Ball(middle + np.array([0.0, -0.022, 0.025]), 0.108, self._hair)]

    def arm(self, hand: Floats, side: int) -> list[Surface]:
        """From the shoulder to a hand (3,) that reaches down to what it holds; side is -1 left, 1 right."""
        shoulder = np.array([side * 0.19, -0.64, 0.24])
        wrist = hand + np.array([side * 0.01, -0.075, 0.045])
        elbow = (shoulder + wrist) / 2 + np.array([side * 0.13, -0.06, -0.1])
        found: list[Surface] = [
            Ball(shoulder, 0.068, self._shirt),
            limb(shoulder, elbow, (0.066, 0.052), self._shirt),
            Ball(elbow, 0.052, self._shirt),
            limb(elbow, wrist, (0.048, 0.036), self._shirt),
            limb(wrist + (elbow - wrist) * 0.05, hand + np.array([0.0, -0.03, 0.025]), (0.028, 0.03), self._skin),
            Ball(hand + np.array([0.0, -0.028, 0.024]), 0.036, self._skin),
        ]
        for reach, spread in zip((0.05, 0.06, 0.062, 0.052), (-0.033, -0.011, 0.011, 0.033), strict=True):
            knuckle = hand + np.array([spread * 0.8, 0.0, 0.03])
            tip = hand + np.array([spread * 1.15, reach * 0.75, 0.002])
            found += [limb(knuckle, tip, (0.0105, 0.0085), self._skin), Ball(tip, 0.0085, self._skin)]
        thumb = hand + np.array([-side * 0.045, 0.02, 0.0])
        return [*found, limb(hand + np.array([-side * 0.02, -0.03, 0.02]), thumb, (0.013, 0.01), self._skin)]


def limb(start: Floats, end: Floats, radii_m: tuple[float, float], texture: Texture) -> Round:
    """Something round between two points."""
    length_m = float(np.linalg.norm(end - start))
    along = (end - start) / length_m
    helper = np.array([1.0, 0.0, 0.0]) if abs(along[0]) < 0.8 else np.array([0.0, 1.0, 0.0])
    first = cross(along, helper)
    first /= np.linalg.norm(first)
    return Round(start, np.stack([first, cross(along, first), along]), length_m, radii_m, texture)
