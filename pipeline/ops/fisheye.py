"""Fisheye cameras and their rectification to a pinhole picture, in memory, in one interpolation.

Coordinates are OpenCV's: the centre of the first pixel is (0, 0), so a picture covers [−½, w−½] × [−½, h−½].
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.ops.kannala_brandt import (
    Floats,
    branch_top,
    distort_angle,
    distort_normalized,
    undistort_angle,
    undistort_normalized,
)
from pipeline.schema.intrinsics import Intrinsics

Box = tuple[float, float, float, float]

ASPECT_TOLERANCE = 0.01
"""Resizing rounds each side to whole (often even) pixels; anything beyond is another aspect ratio."""
LARGEST_COEFFICIENT = 1e6
SMALLEST_VIEW_DEG = 10.0
SMALLEST_REACHABLE_SHARE = 0.5
WIDEST_KEPT_ANGLE = np.radians(80.0)
"""A pinhole picture grows with tan θ: at 80° one source pixel already takes more than 30 times its area."""
OUTLINE_POINTS = 33
OUTSIDE = -8.0
"""A map entry far enough from the picture that interpolation finds only the black border."""


@dataclass(frozen=True)
class FieldOfView:
    """Angles in degrees between the optical axis and the picture's four sides, along its principal row and column."""

    left: float
    right: float
    up: float
    down: float

    @property
    def horizontal(self) -> float:
        """Left to right, degrees."""
        return self.left + self.right

    @property
    def vertical(self) -> float:
        """Top to bottom, degrees."""
        return self.up + self.down


def scaled_K(K: Floats, size_wh: tuple[int, int], new_size_wh: tuple[int, int]) -> Floats:
    """The matrix of the same view resized, (3, 3) float64: pixel areas are scaled, as `cv2.resize` does, so
    f' = f·s and c' = (c + ½)·s − ½ along each axis."""
    sx, sy = new_size_wh[0] / size_wh[0], new_size_wh[1] / size_wh[1]
    scaled = K.copy()
    scaled[0, 0], scaled[1, 1] = K[0, 0] * sx, K[1, 1] * sy
    scaled[0, 2], scaled[1, 2] = (K[0, 2] + 0.5) * sx - 0.5, (K[1, 2] + 0.5) * sy - 0.5
    return scaled


@dataclass(frozen=True, eq=False)
class Camera:
    """A fisheye camera whose pictures have size `size_wh`.

    Attributes:
        K: (3, 3) float64 without skew, pixels of `size_wh`.
        D: (4,) float64, k1 … k4 of the lens function in `kannala_brandt`.
        size_wh: width and height of the picture in pixels.

    Raises:
        PipelineError: the numbers describe no usable camera.
    """

    K: Floats
    D: Floats
    size_wh: tuple[int, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "K", _frozen(self.K))
        object.__setattr__(self, "D", _frozen(self.D))
        _refuse_nonsense(self)

    @classmethod
    def from_intrinsics(
        cls, intr: Intrinsics, size_wh: tuple[int, int] | None = None, allow_aspect: bool = False
    ) -> Camera:
        """The camera of a published calibration, scaled to pictures of `size_wh` (default: the calibration's own size).

        Raises:
            PipelineError: the aspect ratio differs and `allow_aspect` is not set, or the calibration makes no sense.
        """
        own_wh = (intr.image_width, intr.image_height)
        size_wh = size_wh or own_wh
        sx, sy = size_wh[0] / own_wh[0], size_wh[1] / own_wh[1]
        if abs(sx / sy - 1) > ASPECT_TOLERANCE and not allow_aspect:
            raise PipelineError(
                f"the video is {size_wh[0]}×{size_wh[1]} but its calibration is for {own_wh[0]}×{own_wh[1]}, "
                "another aspect ratio",
                "use the calibration that belongs to this video; if the picture was squeezed on purpose, allow it",
            )
        K = np.array([[intr.fx, 0, intr.cx], [0, intr.fy, intr.cy], [0, 0, 1]], np.float64)
        own = cls(K, np.array([intr.k1, intr.k2, intr.k3, intr.k4], np.float64), own_wh)
        return own if size_wh == own_wh else cls(scaled_K(K, own_wh, size_wh), own.D, size_wh)

    @property
    def field_of_view_deg(self) -> FieldOfView:
        """What the raw picture sees, to its outer pixel edges or to where the lens function ends."""
        (left, up), (right, down) = _sides(self.K, self.size_wh)
        theta_d = np.minimum(np.array([left, right, up, down]), distort_angle(np.array(branch_top(self.D)), self.D))
        return FieldOfView(*np.degrees(undistort_angle(theta_d, self.D)).tolist())

    def to_normalized(self, points_xy: Floats) -> Floats:
        """Raw pixels (…, 2) to normalized pinhole points (…, 2), NaN where there is none."""
        return undistort_normalized((points_xy - self.K[:2, 2]) / self.K[[0, 1], [0, 1]], self.D)

    def from_normalized(self, xy: Floats) -> Floats:
        """Normalized pinhole points (…, 2) to raw pixels (…, 2), NaN beyond the lens function's monotone branch."""
        return distort_normalized(xy, self.D) * self.K[[0, 1], [0, 1]] + self.K[:2, 2]


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

    def __init__(
        self, camera: Camera, *, size_wh: tuple[int, int] | None = None, balance: float | None = None
    ) -> None:
        if balance is not None and not 0 <= balance <= 1:
            raise PipelineError(f"balance is {balance}, expected 0 to 1", "choose 0 (only valid pixels) to 1 (all)")
        self.camera = camera
        self.balance = balance
        self.size_wh = size_wh or camera.size_wh
        self._K_at_source_size = camera.K if balance is None else balanced_K(camera, balance)
        self.K: Floats = _frozen(scaled_K(self._K_at_source_size, camera.size_wh, self.size_wh))
        width, height = self.size_wh
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
        source_xy = self.to_fisheye(np.stack([columns, rows], -1))
        limit = np.array(camera.size_wh, np.float64) - 1
        with np.errstate(invalid="ignore"):
            self.valid_mask = ((source_xy >= -0.5) & (source_xy <= limit + 0.5)).all(-1)
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
        """Rectified pixels (…, 2) to raw pixels (…, 2), also outside the pictures; NaN where the lens sees no such ray."""
        points_xy = np.asarray(points_xy, np.float64)
        return self.camera.from_normalized((points_xy - self.K[:2, 2]) / self.K[[0, 1], [0, 1]])

    def to_rectified(self, points_xy: Floats) -> Floats:
        """Raw pixels (…, 2) to rectified pixels (…, 2), also outside the pictures; NaN where there is no pinhole point."""
        normalized = self.camera.to_normalized(np.asarray(points_xy, np.float64))
        return normalized * self.K[[0, 1], [0, 1]] + self.K[:2, 2]

    def box_to_fisheye(self, box_xyxy: Box) -> Box | None:
        """The raw box around a rectified one (pixels, x1 y1 x2 y2), clipped to the picture; None if nothing is left."""
        outline = box_outline(box_xyxy, (self.K[0, 2], self.K[1, 2]))
        return _clipped_hull(self.to_fisheye(outline), self.camera.size_wh)

    def box_to_rectified(self, box_xyxy: Box) -> Box | None:
        """The rectified box around a raw one (pixels, x1 y1 x2 y2), clipped to the picture; None if nothing is left."""
        outline = box_outline(box_xyxy, (self.camera.K[0, 2], self.camera.K[1, 2]))
        # Where the box leaves what the lens can see, the edge of that is part of the outline.
        rim = self._rim_of_view
        x1, y1, x2, y2 = box_xyxy
        inside = (rim[:, 0] >= x1) & (rim[:, 0] <= x2) & (rim[:, 1] >= y1) & (rim[:, 1] <= y2)
        return _clipped_hull(self.to_rectified(np.concatenate([outline, rim[inside]])), self.size_wh)

    @cached_property
    def _rim_of_view(self) -> Floats:
        """Raw pixels (1024, 2) just within the widest angle that has a pinhole point."""
        theta = np.array(min(branch_top(self.camera.D), np.pi / 2)) * (1 - 1e-9)
        around = np.linspace(0, 2 * np.pi, 1024, endpoint=False)
        circle = np.stack([np.cos(around), np.sin(around)], -1) * distort_angle(theta, self.camera.D)
        return np.asarray(circle * self.camera.K[[0, 1], [0, 1]] + self.camera.K[:2, 2])

    @property
    def field_of_view_deg(self) -> FieldOfView:
        """What the rectified picture shows, to its outer pixel edges."""
        (left, up), (right, down) = _sides(self.K, self.size_wh)
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
        K = self._K_at_source_size
        first = -K[:2, 2] / K[[0, 1], [0, 1]]
        last = (np.array([width, height]) - 1 - K[:2, 2]) / K[[0, 1], [0, 1]]
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
