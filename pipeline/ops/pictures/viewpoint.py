"""Pinhole cameras in a world of metres: x right, y away, z up; the camera's own axes are right, down, forward."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEAREST_M = 0.03
"""What is nearer to the camera is cut away."""


@dataclass(frozen=True)
class Viewpoint:
    """One picture's camera.

    Attributes:
        centre: (3,) metres.
        rotation: (3, 3) world to camera.
        focal_px: of both axes; the principal point is the picture's middle.
        size_wh: pixels.
    """

    centre: Floats
    rotation: Floats
    focal_px: float
    size_wh: tuple[int, int]

    @classmethod
    def looking_at(cls, centre: Floats, target: Floats, focal_px: float, size_wh: tuple[int, int]) -> Viewpoint:
        """A camera held upright at `centre`, with `target` in the middle of its picture; not straight up or down."""
        forward = (target - centre) / np.linalg.norm(target - centre)
        right = cross(forward, np.array([0.0, 0.0, 1.0]))
        right /= np.linalg.norm(right)
        return cls(centre, np.stack([right, cross(forward, right), forward]), focal_px, size_wh)

    def enlarged(self, times: int) -> Viewpoint:
        """The same view in finer pixels."""
        width, height = self.size_wh
        return Viewpoint(self.centre, self.rotation, self.focal_px * times, (width * times, height * times))

    @cached_property
    def calibration(self) -> Floats:
        """(3, 3) camera coordinates to pixels; pixel centres have whole numbers."""
        width, height = self.size_wh
        return np.array([[self.focal_px, 0, (width - 1) / 2], [0, self.focal_px, (height - 1) / 2], [0, 0, 1]])

    @cached_property
    def ray_matrix(self) -> Floats:
        """(3, 3) pixel (x, y, 1) to a world direction whose length is one unit of depth."""
        return self.rotation.T @ np.linalg.inv(self.calibration)

    def to_camera(self, points: Floats) -> Floats:
        """(N, 3) world to camera coordinates."""
        return (points - self.centre) @ self.rotation.T

    def project(self, points: Floats) -> Floats:
        """(N, 3) world points to (N, 2) pixels; only for points before the camera."""
        return self._to_pixels(self.to_camera(points))

    def visible_outline(self, corners: Floats) -> Floats:
        """Pixels (M, 2) of the part of a convex polygon (N, 3) that the picture can show; M is 0 when there is none."""
        outline = self.to_camera(corners)
        outside = outline @ self._sides[:, :3].T + self._sides[:, 3] < 0
        if outside.all(axis=0).any():
            return np.empty((0, 2))
        for side in self._sides[outside.any(axis=0)]:
            outline = _clip(outline, side)
            if len(outline) < 3:
                return np.empty((0, 2))
        return self._to_pixels(outline)

    def _to_pixels(self, seen: Floats) -> Floats:
        pixels = seen @ self.calibration.T
        return np.asarray(pixels[:, :2] / pixels[:, 2:])

    @cached_property
    def _sides(self) -> Floats:
        """(5, 4) half-spaces in camera coordinates, value ≥ 0 inside: near plane and the picture's borders."""
        width, height = self.size_wh
        across, down = width / 2 + 1, height / 2 + 1
        focal = self.focal_px
        return np.array(
            [[0, 0, 1, -NEAREST_M], [focal, 0, across, 0], [-focal, 0, across, 0], [0, focal, down, 0],
             [0, -focal, down, 0]]
        )  # fmt: skip


def _clip(polygon: Floats, side: Floats) -> Floats:
    """The part of a convex polygon (N, 3) in a half-space (Sutherland and Hodgman, 1974)."""
    values = polygon @ side[:3] + side[3]
    kept: list[Floats] = []
    for place in range(len(polygon)):
        value, value_before = values[place], values[place - 1]
        if (value >= 0) != (value_before >= 0):
            share = value_before / (value_before - value)
            kept.append(polygon[place - 1] + share * (polygon[place] - polygon[place - 1]))
        if value >= 0:
            kept.append(polygon[place])
    return np.array(kept).reshape(-1, 3)


def cross(first: Floats, second: Floats) -> Floats:
    """Of two (3,): numpy's own spends most of its time on other shapes."""
    (a, b, c), (d, e, f) = first.tolist(), second.tolist()
    return np.array([b * f - c * e, c * d - a * f, a * e - b * d])
