"""Textured flat and round surfaces drawn by true perspective into a picture with depth, hiding each other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ops.pictures.round_kernel import draw_round
from pipeline.ops.pictures.texture import Texture
from pipeline.ops.pictures.viewpoint import NEAREST_M, Floats, Viewpoint, cross

Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, half-open."""

_TOWARDS_LIGHT = np.array([0.3, -0.25, 0.92]) / np.linalg.norm([0.3, -0.25, 0.92])
_AMBIENT = 0.6
_POLYGON_BITS = 4
"""Binary places of a polygon's corners below the pixel."""


@dataclass(frozen=True)
class Flat:
    """A convex part of a textured plane. The texture spans origin (its top left corner), origin + across, + down."""

    corners: Floats
    """(N, 3) metres, seen from outside in one turn or the other."""
    origin: Floats
    across: Floats
    down: Floats
    texture: Texture


@dataclass(frozen=True)
class Round:
    """The side of a cone cut off at both ends; the texture goes around it once, its top edge at the end.

    Attributes:
        start: (3,) middle of the first end, metres.
        axes: (3, 3) rows: two directions across, and the one from start to end; unit lengths.
        radii_m: at the start and at the end.
    """

    start: Floats
    axes: Floats
    length_m: float
    radii_m: tuple[float, float]
    texture: Texture


@dataclass(frozen=True)
class Ball:
    """A ball of one texture, wrapped like a globe about the vertical."""

    middle: Floats
    radius_m: float
    texture: Texture


Surface = Flat | Round | Ball


class Raster:
    """A picture being drawn.

    Attributes:
        picture: HWC uint8 RGB.
        nearness: HW float32, one over the depth in metres; 0 where nothing is drawn.
        owners: HW uint8, number of what is seen at each pixel.
    """

    def __init__(self, size_wh: tuple[int, int]) -> None:
        width, height = size_wh
        self.picture: Image = np.zeros((height, width, 3), np.uint8)
        self.nearness = np.zeros((height, width), np.float32)
        self.owners: Image = np.zeros((height, width), np.uint8)
        self._touched: list[Box] = []

    def clear(self) -> None:
        """Forget what is drawn."""
        self.nearness[:] = 0
        self.owners[:] = 0

    def copy(self) -> Raster:
        """A backdrop for `restore`; from here on this picture keeps account of where it is drawn into."""
        other = Raster((self.picture.shape[1], self.picture.shape[0]))
        other.picture[:], other.nearness[:], other.owners[:] = self.picture, self.nearness, self.owners
        self._touched.clear()
        return other

    def restore(self, backdrop: Raster) -> None:
        """Back to the state at `copy`, touching only what was drawn over since."""
        for x0, y0, x1, y1 in self._touched:
            part = (slice(y0, y1), slice(x0, x1))
            self.picture[part] = backdrop.picture[part]
            self.nearness[part] = backdrop.nearness[part]
            self.owners[part] = backdrop.owners[part]
        self._touched.clear()

    def draw(self, surface: Surface, view: Viewpoint, owner: int) -> None:
        """Draw one surface where nothing nearer is."""
        if isinstance(surface, Flat):
            self._draw_flat(surface, view, owner)
        else:
            self._draw_curved(surface, view, owner)

    def shade(self, surface: Flat, view: Viewpoint) -> None:
        """Darken what lies right below a flat by its texture's first channel (255: left as it is)."""
        placed = _place_flat(surface, view)
        if placed is None:
            return
        box, inside, nearness, homography = placed
        x0, y0, x1, y1 = box
        part = (slice(y0, y1), slice(x0, x1))
        level, to_picture = surface.texture.level_for(homography, inside)
        light = cv2.warpPerspective(level, to_picture, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE)
        # A shadow lies on the surface itself: what is nearer than it by more than a hair is not in it.
        light[(inside == 0) | (nearness * 1.01 < self.nearness[part])] = 255
        self.picture[part] = cv2.multiply(self.picture[part], light, scale=1 / 255)
        self._touched.append(box)

    def _draw_flat(self, surface: Flat, view: Viewpoint, owner: int) -> None:
        placed = _place_flat(surface, view)
        if placed is None:
            return
        box, inside, nearness, homography = placed
        x0, y0, x1, y1 = box
        level, to_picture = surface.texture.level_for(homography, inside)
        colours = cv2.warpPerspective(level, to_picture, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE)
        normal = cross(surface.across, surface.down)
        normal /= np.sqrt(normal @ normal) * np.sign(normal @ (view.centre - surface.origin))
        cv2.convertScaleAbs(colours, colours, alpha=_brightness(float(normal @ _TOWARDS_LIGHT)))
        self._put(box, np.asarray(inside) > 0, nearness, np.asarray(colours, np.uint8), owner)

    def _draw_curved(self, surface: Round | Ball, view: Viewpoint, owner: int) -> None:
        box = _box_of(_outer_corners(surface), view)
        if box is None:
            return
        if isinstance(surface, Round):
            axes, start, width_m = surface.axes, surface.start, 2 * np.pi * max(surface.radii_m)
            slope = (surface.radii_m[1] - surface.radii_m[0]) / surface.length_m
            radii, span = (surface.radii_m[0], slope, 0.0), (0.0, surface.length_m)
        else:
            axes, start, width_m = np.eye(3), surface.middle, 2 * np.pi * surface.radius_m
            radii, span = (surface.radius_m, 0.0, 1.0), (-surface.radius_m, surface.radius_m)
        depth_m = max(float(view.rotation[2] @ (start - view.centre)), NEAREST_M)
        x0, y0, x1, y1 = box
        part = (slice(y0, y1), slice(x0, x1))
        draw_round(
            self.picture[part],
            self.nearness[part],
            self.owners[part],
            (x0, y0),
            axes @ view.ray_matrix,
            axes @ (view.centre - start),
            radii,
            span,
            surface.texture.level_across(width_m * view.focal_px / depth_m),
            axes @ _TOWARDS_LIGHT,
            _AMBIENT,
            NEAREST_M,
            owner,
        )
        self._touched.append(box)

    def _put(
        self, box: Box, inside: NDArray[np.bool_], nearness: NDArray[np.float32], colours: Image, own: int
    ) -> None:
        x0, y0, x1, y1 = box
        part = (slice(y0, y1), slice(x0, x1))
        shown = (inside & (nearness > self.nearness[part])).view(np.uint8)
        cv2.copyTo(colours, shown, self.picture[part])
        cv2.copyTo(nearness, shown, self.nearness[part])
        self.owners[part][shown.view(np.bool_)] = own
        self._touched.append(box)


def _brightness(towards_light: float) -> float:
    return _AMBIENT + (1 - _AMBIENT) * max(towards_light, 0.0)


def _place_flat(surface: Flat, view: Viewpoint) -> tuple[Box, Image, NDArray[np.float32], Floats] | None:
    """Box in the picture, and within it: mask 0/1, nearness, homography from the texture's unit square."""
    outline = view.visible_outline(surface.corners)
    if not len(outline):
        return None
    box = _clipped_box(outline, view.size_wh)
    normal = cross(surface.across, surface.down)
    distance = normal @ (surface.origin - view.centre)
    if box is None or abs(distance) < 1e-9:
        return None
    x0, y0, x1, y1 = box
    inside = np.zeros((y1 - y0, x1 - x0), np.uint8)
    corners = np.round((outline - (x0, y0)) * (1 << _POLYGON_BITS)).astype(np.int32)
    cv2.fillConvexPoly(inside, corners, (1,), cv2.LINE_8, _POLYGON_BITS)
    per_x, per_y, rest = (normal @ view.ray_matrix) / distance
    columns, rows = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    nearness = np.float32(per_x) * columns + (np.float32(per_y) * rows + np.float32(rest))
    plane = np.stack([surface.across, surface.down, surface.origin - view.centre], axis=1)
    shift = np.array([[1.0, 0, -x0], [0, 1, -y0], [0, 0, 1]])
    return box, inside, nearness, shift @ view.calibration @ view.rotation @ plane


def _outer_corners(surface: Round | Ball) -> Floats:
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    if isinstance(surface, Ball):
        return surface.middle + signs * surface.radius_m
    radius_m = max(surface.radii_m)
    local = np.stack([signs[:, 0] * radius_m, signs[:, 1] * radius_m, (signs[:, 2] + 1) / 2 * surface.length_m], -1)
    return np.asarray(surface.start + local @ surface.axes)


def _box_of(corners: Floats, view: Viewpoint) -> Box | None:
    """The part of the picture that may show what these corners enclose."""
    depths = view.to_camera(corners)[:, 2]
    if (depths <= NEAREST_M).all():
        return None
    if (depths <= NEAREST_M).any():
        return (0, 0, *view.size_wh)
    return _clipped_box(view.project(corners), view.size_wh)


def _clipped_box(pixels: Floats, size_wh: tuple[int, int]) -> Box | None:
    low, high = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int) + 1
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), size_wh[0]), min(int(high[1]), size_wh[1])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
