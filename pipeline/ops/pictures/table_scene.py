"""A made-up table with things on it, what two hands do to them, and how head and room cameras see it.

Time is a share of the whole take, 0 to 1. One thing is carried across the table, one is brought in early, one is taken
away later, and the head looks aside around the middle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.ops.pictures.raster import Image, Raster, Surface
from pipeline.ops.pictures.table_art import shadow
from pipeline.ops.pictures.table_room import Person, room_surfaces
from pipeline.ops.pictures.table_things import DESIGNS, Thing, rectangle
from pipeline.ops.pictures.viewpoint import Floats, Viewpoint

THINGS = 5
_SLOTS = np.array([[-0.46, 0.2], [0.03, 0.36], [0.4, 0.16], [-0.2, 0.02], [0.16, 0.05]])
"""Where things stand, x and y in metres."""
_FREE_SLOT = np.array([-0.27, 0.35])
_OFF_TABLE = np.array([0.3, -0.75, -0.35])
_LIFT_M = 0.14
_REACH = 0.07
"""Share of the take that a hand takes to reach out, and to come back."""
_FINE_BELOW_PX = 1000
"""Pictures up to this size are drawn in pixels half as large and reduced, which makes their edges smooth."""


@dataclass(frozen=True)
class Carry:
    """One hand carries one thing; None: from or to beside the person, below the table's edge."""

    thing: int
    side: int
    start: float
    end: float
    from_xy: Floats | None
    to_xy: Floats | None


class TableScene:
    """One take's scene, any moment on its own.

    Args:
        kind: a key of `DESIGNS`.
        seed: which things, where, and small differences of everything.
    """

    def __init__(self, kind: str, seed: int) -> None:
        random = np.random.default_rng([seed, sorted(DESIGNS).index(kind)])
        chosen = random.permutation(len(DESIGNS[kind]))[:THINGS]
        numbers = [int(random.random() < 0.2) for _ in chosen]
        self.things = [
            Thing(DESIGNS[kind][int(which)], number, random) for which, number in zip(chosen, numbers, strict=True)
        ]
        tall = max(range(THINGS), key=lambda thing: self.things[thing].height_m)
        # The tallest keeps to the far edge: in front it would hide the others from the head for the whole take.
        slots = random.permutation(THINGS)
        place = int(np.flatnonzero(slots == 1)[0])
        slots[place], slots[tall] = slots[tall], slots[place]
        self._slots = _SLOTS[slots] + random.uniform(-0.02, 0.02, (THINGS, 2))
        self._yaws = random.uniform(-0.5, 0.5, THINGS)
        moving = [int(thing) for thing in random.permutation(THINGS) if thing != tall]
        self.carries = (
            Carry(moving[0], 1, 0.24, 0.42, self._slots[moving[0]], _FREE_SLOT),
            Carry(moving[1], -1, 0.12, 0.24, None, self._slots[moving[1]]),
            Carry(moving[2], 1, 0.52, 0.63, self._slots[moving[2]], None),
        )
        self._room = room_surfaces(random)
        self._person = Person(random)
        self._shadow = shadow()
        self._phases = random.uniform(0, 2 * np.pi, 4)
        self._aside = float(random.choice([-1, 1]))

    def pose(self, thing: int, share: float) -> Floats | None:
        """Where the middle of a thing's bottom is, (3,) metres; None while it is not in the room."""
        here: Floats | None = np.append(self._slots[thing], 0.0)
        for carry in self.carries:
            if carry.thing != thing:
                continue
            if share < carry.start:
                return None if carry.from_xy is None else np.append(carry.from_xy, 0.0)
            begin = _OFF_TABLE * (-carry.side, 1, 1) if carry.from_xy is None else np.append(carry.from_xy, 0.0)
            finish = _OFF_TABLE * (carry.side, 1, 1) if carry.to_xy is None else np.append(carry.to_xy, 0.0)
            if share >= carry.end:
                return None if carry.to_xy is None else finish
            progress = _ease((share - carry.start) / (carry.end - carry.start))
            here = begin + (finish - begin) * progress + np.array([0, 0, _LIFT_M * np.sin(np.pi * progress)])
        return here

    def hand(self, side: int, share: float) -> Floats:
        """Where a hand is, (3,); side is -1 left, 1 right."""
        idle = 0.012 * np.sin(2 * np.pi * 3 * share + self._phases[0] + side)
        rest: Floats = np.array([side * 0.2 + idle, -0.27 + idle, 0.02])
        for carry in self.carries:
            if carry.side != side or not carry.start - _REACH <= share <= carry.end + _REACH:
                continue
            held = min(max(share, carry.start), carry.end - 1e-6)
            grip = self.pose(carry.thing, held)
            assert grip is not None
            grip = grip + np.array([0, 0, self.things[carry.thing].height_m])
            away = max(carry.start - share, share - carry.end, 0.0) / _REACH
            above = np.array([0, 0, 0.06 * np.sin(np.pi * away)])
            return np.asarray(grip + (rest - grip) * _ease(away) + above)
        return rest

    def eyes(self, share: float) -> Floats:
        """Where the head camera is, (3,)."""
        a, b, c, _ = self._phases
        sway = np.array([np.sin(9 * share + a), np.sin(7 * share + b), np.sin(13 * share + c)])
        return np.array([0.0, -0.47, 0.54]) + sway * (0.04, 0.03, 0.015)

    def ego_view(self, share: float, size_wh: tuple[int, int]) -> Viewpoint:
        """What the head camera sees from."""
        _, b, c, d = self._phases
        aside = 0.95 * self._aside * np.exp(-(((share - 0.5) / 0.06) ** 4))
        turn = aside + 0.07 * np.sin(11 * share + d)
        reach = 0.62 + 0.04 * np.sin(8 * share + c)
        eyes = self.eyes(share)
        target = np.array(
            [eyes[0] + reach * np.sin(turn), eyes[1] + reach * np.cos(turn), 0.02 * np.sin(5 * share + b)]
        )
        return Viewpoint.looking_at(eyes, target, 0.68 * size_wh[0], size_wh)

    def exo_view(self, number: int, size_wh: tuple[int, int]) -> Viewpoint:
        """One of the cameras around the table, counted from 0."""
        angle = (2.5, 0.45, 1.5, -0.25, 3.4, 4.0)[number % 6] + 0.3 * (number // 6)
        centre = np.array([1.32 * np.cos(angle), 0.1 + 1.2 * np.sin(angle), 0.66 + 0.06 * number])
        return Viewpoint.looking_at(centre, np.array([0.0, 0.0, 0.1]), 0.84 * size_wh[0], size_wh)

    def _moves(self, thing: int) -> bool:
        return any(carry.thing == thing for carry in self.carries)

    def draw_still(self, raster: Raster, view: Viewpoint, with_body: bool) -> None:
        """Everything that never moves; the person's own view has no body in it."""
        for surface in self._room:
            raster.draw(surface, view, 0)
        for part in self._person.body() if with_body else ():
            raster.draw(part, view, 0)
        self._draw_things(raster, view, 0.0, [thing for thing in range(THINGS) if not self._moves(thing)])

    def draw_moving(self, raster: Raster, view: Viewpoint, share: float, with_head: bool) -> None:
        """What moves, on top of what does not; the head is left out when the view is its own."""
        parts: list[Surface] = [*self._person.arm(self.hand(-1, share), -1), *self._person.arm(self.hand(1, share), 1)]
        if with_head:
            parts += self._person.head(self.eyes(share))
        self._draw_things(raster, view, share, [thing for thing in range(THINGS) if self._moves(thing)])
        for surface in parts:
            raster.draw(surface, view, 0)

    def _draw_things(self, raster: Raster, view: Viewpoint, share: float, which: Sequence[int]) -> None:
        places = {thing: place for thing in which if (place := self.pose(thing, share)) is not None}
        for thing, place in places.items():
            if place[2] >= 0:
                width, depth = np.array(self.things[thing].footprint_m) * 1.5 + 0.02 + place[2] * 0.4
                corner = np.array([place[0] - width / 2 - 0.015, place[1] + depth / 2 - 0.01, 0.0005])
                spot = rectangle(corner, np.array([width, 0, 0]), np.array([0, -depth, 0]), self._shadow)
                raster.shade(spot, view)
        for thing, place in places.items():
            for surface in self.things[thing].surfaces(place, float(self._yaws[thing])):
                raster.draw(surface, view, thing + 1)


@dataclass(frozen=True)
class Shot:
    """One frame: HWC uint8 RGB, and at each pixel the number of the thing seen there (HW uint8; 0: none)."""

    picture: Image
    owners: Image


def film(scene: TableScene, exo: int | None, size_wh: tuple[int, int], shares: Sequence[float]) -> Iterator[Shot]:
    """Frames of one camera, one at a time; `exo` counts the cameras around the table, None is the head's.

    A shot is valid until the next one is asked for.
    """
    finer = 2 if max(size_wh) <= _FINE_BELOW_PX else 1
    raster = Raster((size_wh[0] * finer, size_wh[1] * finer))
    backdrop: Raster | None = None
    for share in shares:
        view = (scene.ego_view(share, size_wh) if exo is None else scene.exo_view(exo, size_wh)).enlarged(finer)
        if exo is None:
            raster.clear()
            scene.draw_still(raster, view, with_body=False)
        elif backdrop is None:
            scene.draw_still(raster, view, with_body=True)
            backdrop = raster.copy()
        else:
            raster.restore(backdrop)
        scene.draw_moving(raster, view, share, with_head=exo is not None)
        if finer == 1:
            yield Shot(raster.picture, raster.owners)
        else:
            picture = cv2.resize(raster.picture, size_wh, interpolation=cv2.INTER_AREA)
            yield Shot(np.asarray(picture, np.uint8), raster.owners[::finer, ::finer])


def _ease(share: float) -> float:
    clipped = min(max(share, 0.0), 1.0)
    return clipped * clipped * (3 - 2 * clipped)
