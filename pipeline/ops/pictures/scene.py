"""A made-up workbench seen by a head camera, in motion, with what happens known exactly.

The scene is a plane at distance one before a pinhole camera, so its straight edges are straight in a rectified picture
and bent in a raw one. Scene coordinates are normalized: (x, y) for the ray (x, y, 1), y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ops.camera.fisheye import Camera
from pipeline.ops.camera.kannala_brandt import Floats
from pipeline.ops.pictures.scene_art import background, blend, hand_sprite, object_sprites

Image = NDArray[np.uint8]
Point = tuple[float, float]

HALF_EXTENT_XY = (3.4, 1.95)
"""The painted part of the plane: all that the published 100K camera sees of it, and room for the sway."""
FINEST_FOCAL_PX = 300.0
"""Canvas pixels per unit at most; larger cameras see a softer scene, at a bearable cost."""
SWAY_XY = (0.055, 0.035)
PLACES: tuple[Point, ...] = ((-1.12, 0.2), (-0.36, 0.12), (0.02, 0.42), (0.4, 0.1), (1.08, 0.22))
REST_XY: Point = (0.62, 1.2)


@dataclass(frozen=True)
class SceneObject:
    """Something that hands can carry; `size` is its width and height in scene units."""

    name: str
    rigid: bool
    size: tuple[float, float]


OBJECTS = (
    SceneObject("red box", True, (0.36, 0.27)),
    SceneObject("green bottle", True, (0.16, 0.42)),
    SceneObject("blue cloth", False, (0.4, 0.3)),
    SceneObject("yellow screwdriver", True, (0.44, 0.11)),
)


@dataclass(frozen=True)
class Event:
    """One stretch of the clip, from `start_s` up to `end_s`; an active one carries one object between two places."""

    start_s: float
    end_s: float
    active: bool
    description: str
    carried: int = -1
    from_xy: Point = REST_XY
    to_xy: Point = REST_XY


def make_events(duration_s: float, seed: int, fps: float) -> tuple[Event, ...]:
    """What happens in a clip: events in order, without gaps, borders on frame times; equal for equal arguments."""
    random = np.random.default_rng(seed)
    places = dict(enumerate(random.permutation(len(PLACES))[: len(OBJECTS)].tolist()))
    events: list[Event] = []
    time_s, last_carried = 0.0, -1
    while time_s < duration_s:
        active = not events or not events[-1].active or bool(random.random() < 0.7)
        end_s = round((time_s + random.uniform(2.0, 4.0) * (1.0 if active else 0.7)) * fps) / fps
        end_s = duration_s if duration_s - end_s < 1.5 else end_s
        if active:
            carried = int(random.choice([index for index in range(len(OBJECTS)) if index != last_carried]))
            last_carried = carried
            free = sorted(set(range(len(PLACES))) - set(places.values()))
            target = int(random.choice(free))
            text = f"one hand moves the {OBJECTS[carried].name} to the {'left' if PLACES[target][0] < 0 else 'right'}"
            events.append(Event(time_s, end_s, True, text, carried, PLACES[places[carried]], PLACES[target]))
            places[carried] = target
        else:
            events.append(Event(time_s, end_s, False, "the hands rest"))
        time_s = end_s
    return tuple(events)


def _ease(share: float) -> float:
    clipped = min(max(share, 0.0), 1.0)
    return clipped * clipped * (3 - 2 * clipped)


def _between(first: Point, last: Point, share: float) -> Point:
    return (first[0] + (last[0] - first[0]) * share, first[1] + (last[1] - first[1]) * share)


class Scene:
    """Renders one clip, any frame on its own.

    Args:
        camera: the fisheye camera that looks at it.
        events: what happens, as from `make_events`.
        seed: start phases of the head's sway.
    """

    def __init__(self, camera: Camera, events: tuple[Event, ...], seed: int) -> None:
        self.camera, self.events = camera, events
        self._phases = np.random.default_rng(seed + 1).uniform(0, 2 * np.pi, 4)
        self._focal_px = min(float(camera.K[0, 0]), FINEST_FOCAL_PX)
        self._centre = np.array(HALF_EXTENT_XY) * self._focal_px
        self._background = background(HALF_EXTENT_XY, self._focal_px, PLACES)
        self._sprites = object_sprites(tuple(item.size for item in OBJECTS), self._focal_px)
        self._hand = hand_sprite(0.3, self._focal_px)

    @cached_property
    def _seen_xy(self) -> Floats:
        """Scene point of every raw pixel, (H, W, 2), far outside where the lens sees nothing."""
        width, height = self.camera.size_wh
        pixels = np.stack(np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)), -1)
        return np.nan_to_num(self.camera.to_normalized(pixels), nan=-100.0)

    def sway(self, time_s: float) -> Floats:
        """Where the optical axis points, (2,) scene units."""
        a, b, c, d = self._phases
        x = np.sin(2 * np.pi * 0.11 * time_s + a) + 0.3 * np.sin(2 * np.pi * 0.37 * time_s + b)
        y = np.sin(2 * np.pi * 0.16 * time_s + c) + 0.25 * np.sin(2 * np.pi * 0.9 * time_s + d)
        return np.array([x * SWAY_XY[0] / 1.3, y * SWAY_XY[1] / 1.25])

    def event_at(self, time_s: float) -> Event:
        """The event that a moment belongs to."""
        return next((event for event in self.events if time_s < event.end_s), self.events[-1])

    def object_places(self, time_s: float) -> list[Point]:
        """Centre of each of `OBJECTS` in scene units; objects nobody has touched yet lie where they are first taken."""
        centres: list[Point | None] = [None] * len(OBJECTS)
        for event in self.events:
            if not event.active:
                continue
            if event.start_s <= time_s:
                share = _ease(((time_s - event.start_s) / (event.end_s - event.start_s) - 0.25) / 0.55)
                lift = -0.16 * np.sin(np.pi * share)
                x, y = _between(event.from_xy, event.to_xy, share)
                centres[event.carried] = (x, y + lift)
            elif centres[event.carried] is None:
                centres[event.carried] = event.from_xy
        taken = {event.from_xy for event in self.events} | {event.to_xy for event in self.events}
        spare = iter([place for place in PLACES if place not in taken])
        return [centre if centre is not None else next(spare) for centre in centres]

    def _hand_place(self, time_s: float) -> Point:
        event = self.event_at(time_s)
        if not event.active:
            return REST_XY
        share = (time_s - event.start_s) / (event.end_s - event.start_s)
        x, y = self.object_places(time_s)[event.carried]
        grip = (x + 0.05, y + OBJECTS[event.carried].size[1] * 0.42)
        if share < 0.25:
            return _between(REST_XY, grip, _ease(share / 0.25))
        return _between(grip, REST_XY, _ease((share - 0.8) / 0.2))

    def _canvas(self, time_s: float) -> Image:
        """The painted plane at one moment, HWC uint8."""
        canvas = self._background.copy()
        event = self.event_at(time_s)
        for index, place in enumerate(self.object_places(time_s)):
            sprite = self._sprites[index]
            if not OBJECTS[index].rigid and event.carried == index:
                wobble = np.sin(2 * np.pi * 1.3 * time_s)
                size_wh = (round(sprite.shape[1] * (1 + 0.12 * wobble)), round(sprite.shape[0] * (1 - 0.15 * wobble)))
                sprite = np.asarray(cv2.resize(sprite, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
            blend(canvas, sprite, self._px(place))
        hands = [self._hand_place(time_s), (-0.62, 1.2 + 0.02 * float(np.sin(1.7 * time_s)))]
        for side, hand in zip((1, -1), hands, strict=True):
            elbow = (side * 0.95, HALF_EXTENT_XY[1] + 0.3)
            width_px = max(2, round(0.15 * self._focal_px))
            cv2.line(canvas, self._px(elbow), self._px((hand[0], hand[1] + 0.1)), (72, 84, 112), width_px, cv2.LINE_AA)
            blend(canvas, self._hand if side > 0 else self._hand[:, ::-1], self._px(hand))
        return canvas

    def _px(self, point: Point) -> tuple[int, int]:
        x, y = np.rint(np.array(point) * self._focal_px + self._centre).astype(int).tolist()
        return x, y

    def fisheye_frame(self, time_s: float) -> Image:
        """The raw picture, HWC uint8 RGB at the camera's size; black where the lens sees nothing."""
        where = ((self._seen_xy + self.sway(time_s)) * self._focal_px + self._centre).astype(np.float32)
        return np.asarray(cv2.remap(self._canvas(time_s), where, None, cv2.INTER_LINEAR), np.uint8)  # type: ignore[call-overload]

    def pinhole_frame(self, time_s: float) -> Image:
        """What rectifying that picture with the camera's own matrix should give, HWC uint8 RGB, same size."""
        scale = self._focal_px / self.camera.K[[0, 1], [0, 1]]
        shift = self.sway(time_s) * self._focal_px + self._centre - self.camera.K[:2, 2] * scale
        affine = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(self._canvas(time_s), affine, self.camera.size_wh, flags=flags), np.uint8)

    def object_boxes(self, time_s: float) -> list[tuple[float, float, float, float]]:
        """Box of each of `OBJECTS` on the pinhole picture, pixels x1 y1 x2 y2, also beyond its edges."""
        boxes = []
        for item, place in zip(OBJECTS, self.object_places(time_s), strict=True):
            centre = np.array(place) - self.sway(time_s)
            half = np.array(item.size) / 2
            ends = np.concatenate([centre - half, centre + half]) * self.camera.K[[0, 1, 0, 1], [0, 1, 0, 1]]
            x1, y1, x2, y2 = (ends + self.camera.K[[0, 1, 0, 1], 2]).tolist()
            boxes.append((x1, y1, x2, y2))
        return boxes
