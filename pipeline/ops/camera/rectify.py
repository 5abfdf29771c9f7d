"""Rectification: a fisheye camera's pictures, points and boxes as those of a pinhole camera, and back.

Coordinates are OpenCV's: the centre of the first pixel is (0, 0). Nothing is written to disk.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.ops.camera.fisheye import Camera, FieldOfView, balanced_matrix, frozen, scaled_matrix, sides_of
from pipeline.ops.camera.kannala_brandt import Floats, branch_top, distort_angle

Box = tuple[float, float, float, float]

OUTLINE_POINTS = 129
STEEPEST_ANGLE = np.pi / 2 - 1e-6
"""From here on a ray no longer meets the picture plane anywhere near."""
OUTSIDE = -8.0
"""A map entry far enough from the picture that interpolation finds only the black border."""


class Rectifier:
    """Turns pictures, points and boxes of one fisheye camera into those of a pinhole camera, and back.

    Built once and then only read, so threads may share it. Frames go from the raw picture to `size_wh` in one
    interpolation. Pixels without a source are black and False in `valid_mask`.

    Args:
        camera: the camera of the raw pictures.
        size_wh: size of the rectified picture, default that of the raw one.
        balance: None keeps the camera's own matrix; 0 is the largest picture of the same pixel aspect with only valid
            pixels, 1 the smallest that shows every source pixel up to 80° from the axis, between them interpolated.

    Attributes:
        K: (3, 3) float64, matrix of the rectified picture at `size_wh`.
        map_digest: SHA-256 (hex) over the size and the maps, which decide every rectified pixel.
        valid_mask: (H, W) bool.
    """

    def __init__(self, camera: Camera, *, size_wh: tuple[int, int] | None = None, balance: float | None = None) -> None:
        if balance is not None and not 0 <= balance <= 1:
            raise PipelineError(f"balance is {balance}, expected 0 to 1", "choose 0 (only valid pixels) to 1 (all)")
        self.camera = camera
        self.balance = balance
        self.size_wh = size_wh or camera.size_wh
        self._matrix_at_source_size = camera.K if balance is None else balanced_matrix(camera, balance)
        self.K: Floats = frozen(scaled_matrix(self._matrix_at_source_size, camera.size_wh, self.size_wh))
        width, height = self.size_wh
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
        source_xy = self.to_fisheye(np.stack([columns, rows], -1))
        limit = np.array(camera.size_wh, np.float64) - 1
        self.valid_mask: NDArray[np.bool_] = np.all((source_xy >= -0.5) & (source_xy <= limit + 0.5), axis=-1)
        self.valid_mask.flags.writeable = False
        source_xy = np.where(self.valid_mask[..., None], np.clip(source_xy, 0, limit), OUTSIDE).astype(np.float32)
        self._maps = cv2.convertMaps(source_xy, None, cv2.CV_16SC2)  # type: ignore[call-overload]
        digest = hashlib.sha256(f"{width}x{height}".encode())
        for part in self._maps:
            digest.update(np.ascontiguousarray(part).tobytes())
        self.map_digest = digest.hexdigest()

    def rectify(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The rectified picture, HWC uint8 at `size_wh`, of a raw one, HWC uint8 at the camera's size."""
        if image.shape[1::-1] != self.camera.size_wh:
            width, height = self.camera.size_wh
            raise PipelineError(
                f"a frame is {image.shape[1]}×{image.shape[0]}, expected {width}×{height} as the video began",
                "cut the video where its size changes and run the parts one by one",
            )
        rectified = cv2.remap(image, self._maps[0], self._maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(rectified, np.uint8)

    def to_fisheye(self, points_xy: Floats) -> Floats:
        """Rectified pixels (…, 2) to raw pixels (…, 2), also outside the pictures; NaN for rays it never sees."""
        points_xy = np.asarray(points_xy, np.float64)
        return self.camera.from_normalized((points_xy - self.K[:2, 2]) / self.K[[0, 1], [0, 1]])

    def to_rectified(self, points_xy: Floats) -> Floats:
        """Raw pixels (…, 2) to rectified pixels (…, 2), also outside the pictures; NaN without a pinhole point."""
        normalized = self.camera.to_normalized(np.asarray(points_xy, np.float64))
        return normalized * self.K[[0, 1], [0, 1]] + self.K[:2, 2]

    def box_to_fisheye(self, box_xyxy: Box) -> Box | None:
        """The raw box around a rectified one (pixels, x1 y1 x2 y2), clipped to the picture; None if nothing is left."""
        widest = min(branch_top(self.camera.D), STEEPEST_ANGLE)
        outline = box_outline(box_xyxy, self.K, float(np.tan(widest)))
        return _clipped_hull(self.to_fisheye(outline), self.camera.size_wh)

    def box_to_rectified(self, box_xyxy: Box) -> Box | None:
        """The rectified box around a raw one (pixels, x1 y1 x2 y2), clipped to the picture; None if nothing is left."""
        widest = np.array(min(branch_top(self.camera.D), STEEPEST_ANGLE))
        outline = box_outline(box_xyxy, self.camera.K, float(distort_angle(widest, self.camera.D)))
        return _clipped_hull(self.to_rectified(outline), self.size_wh)

    @property
    def field_of_view_deg(self) -> FieldOfView:
        """What the rectified picture shows, to its outer pixel edges."""
        (left, up), (right, down) = sides_of(self.K, self.size_wh)
        return FieldOfView(*np.degrees(np.arctan([left, right, up, down])).tolist())

    @cached_property
    def pixels_kept(self) -> float:
        """Share of the source pixels (0–1) whose centre lies within the rectified picture's pixel centres.

        The same for every output size. No inverse is needed: along its own direction a pixel is inside when θ_d is at
        most that of the angle at which the ray leaves the rectangle.
        """
        width, height = self.camera.size_wh
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
        ab = (np.stack([columns, rows], -1) - self.camera.K[:2, 2]) / self.camera.K[[0, 1], [0, 1]]
        theta_d = np.hypot(ab[..., 0], ab[..., 1])
        matrix = self._matrix_at_source_size
        first = -matrix[:2, 2] / matrix[[0, 1], [0, 1]]
        last = (np.array([width, height]) - 1 - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]
        with np.errstate(divide="ignore", invalid="ignore"):
            leaves = np.where(ab > 0, last, first) / (ab / theta_d[..., None])
        leaves_at = np.arctan(np.where(ab == 0, np.inf, leaves).min(-1))
        widest = np.minimum(leaves_at, branch_top(self.camera.D))
        return float((theta_d <= distort_angle(widest, self.camera.D) * (1 + 1e-12)).mean())

    def describe(self) -> dict[str, Any]:
        """What anything made from rectified pictures must carry, JSON-ready."""
        return {
            "rectified_K": self.K.tolist(),
            "size_wh": list(self.size_wh),
            "balance": self.balance,
            "map_digest": self.map_digest,
        }


def box_outline(box_xyxy: Box, matrix: Floats, reach: float) -> Floats:
    """Points (N, 2) around the part of a box within `reach` focal lengths of the optical axis, and some beyond it.

    Both mappings are continuous, so the outline's extremes are those of the whole box. On each edge 129 points, and the
    one nearest to the axis, where an edge bends most: what lies between them stands out by less than 0.001 pixel. Where
    the box leaves the circle of view, the circle is the outline: 1024 points of it and its crossings with the edges.
    """
    x1, y1, x2, y2 = box_xyxy
    f, axis = matrix[[0, 1], [0, 1]], matrix[:2, 2]
    x = np.append(np.linspace(x1, x2, OUTLINE_POINTS), np.clip(axis[0], x1, x2))
    y = np.append(np.linspace(y1, y2, OUTLINE_POINTS), np.clip(axis[1], y1, y2))
    edges = [(x, np.full_like(x, y1)), (x, np.full_like(x, y2)), (np.full_like(y, x1), y), (np.full_like(y, x2), y)]
    around = np.linspace(0, 2 * np.pi, 1024, endpoint=False)
    cosines = [(np.array([x1, x2]) - axis[0]) / (f[0] * reach), (np.array([y1, y2]) - axis[1]) / (f[1] * reach)]
    across, along = (np.arccos(np.clip(values, -1, 1)) for values in cosines)
    around = np.concatenate([around, across, -across, np.pi / 2 + along, np.pi / 2 - along])
    circle = np.stack([np.cos(around), np.sin(around)], -1) * reach * (1 - 1e-9)
    slack = 1e-6 * f * reach
    inside = (
        (circle * f + axis >= np.array([x1, y1]) - slack) & (circle * f + axis <= np.array([x2, y2]) + slack)
    ).all(-1)
    return np.concatenate([*(np.stack(edge, -1) for edge in edges), circle[inside] * f + axis])


def _clipped_hull(points_xy: Floats, size_wh: tuple[int, int]) -> Box | None:
    """The box around all finite points, clipped to [0, w] × [0, h]; None if that has no area."""
    points_xy = points_xy[np.isfinite(points_xy).all(-1)]
    if not len(points_xy):
        return None
    limit = np.array(size_wh, np.float64)
    (x1, y1), (x2, y2) = np.clip(points_xy.min(0), 0, limit).tolist(), np.clip(points_xy.max(0), 0, limit).tolist()
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
