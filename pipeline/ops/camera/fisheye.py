"""Fisheye cameras: calibration, what they see, and the matrices of the pinhole pictures one can make of theirs.

Coordinates are OpenCV's: the centre of the first pixel is (0, 0), so a picture covers [−½, w−½] × [−½, h−½].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import PipelineError
from pipeline.ops.camera.kannala_brandt import (
    Floats,
    branch_top,
    distort_angle,
    distort_normalized,
    undistort_angle,
    undistort_normalized,
)
from pipeline.schema.intrinsics import Intrinsics

ASPECT_TOLERANCE = 0.01
"""Resizing rounds each side to whole (often even) pixels; anything beyond is another aspect ratio."""
LARGEST_COEFFICIENT = 1e6
SMALLEST_SIDE = 16
SMALLEST_VIEW_DEG = 5.0
SMALLEST_REACHABLE_SHARE = 0.25
"""A circular picture within a wide frame fills 0.44 of it."""
WIDEST_KEPT_ANGLE = np.radians(80.0)
"""A pinhole picture grows with tan θ: at 80° one source pixel already takes more than 30 times its area."""


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


def scaled_matrix(matrix: Floats, size_wh: tuple[int, int], new_size_wh: tuple[int, int]) -> Floats:
    """The matrix of the same view resized, (3, 3) float64: pixel areas are scaled, as `cv2.resize` does, so
    f' = f·s and c' = (c + ½)·s − ½ along each axis."""
    sx, sy = new_size_wh[0] / size_wh[0], new_size_wh[1] / size_wh[1]
    scaled = matrix.copy()
    scaled[0, 0], scaled[1, 1] = matrix[0, 0] * sx, matrix[1, 1] * sy
    scaled[0, 2], scaled[1, 2] = (matrix[0, 2] + 0.5) * sx - 0.5, (matrix[1, 2] + 0.5) * sy - 0.5
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
        object.__setattr__(self, "K", frozen(self.K))
        object.__setattr__(self, "D", frozen(self.D))
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
                "use the calibration that belongs to this video, or add --allow-aspect if its picture was squeezed",
            )
        matrix = np.array([[intr.fx, 0, intr.cx], [0, intr.fy, intr.cy], [0, 0, 1]], np.float64)
        own = cls(matrix, np.array([intr.k1, intr.k2, intr.k3, intr.k4], np.float64), own_wh)
        return own if size_wh == own_wh else cls(scaled_matrix(matrix, own_wh, size_wh), own.D, size_wh)

    @property
    def field_of_view_deg(self) -> FieldOfView:
        """What the raw picture sees, to its outer pixel edges or to where the lens function ends."""
        (left, up), (right, down) = sides_of(self.K, self.size_wh)
        theta_d = np.minimum(np.array([left, right, up, down]), distort_angle(np.array(branch_top(self.D)), self.D))
        return FieldOfView(*np.degrees(undistort_angle(theta_d, self.D)).tolist())

    def to_normalized(self, points_xy: Floats) -> Floats:
        """Raw pixels (…, 2) to normalized pinhole points (…, 2), NaN where there is none."""
        return undistort_normalized((points_xy - self.K[:2, 2]) / self.K[[0, 1], [0, 1]], self.D)

    def from_normalized(self, xy: Floats) -> Floats:
        """Normalized pinhole points (…, 2) to raw pixels (…, 2), NaN beyond the lens function's monotone branch."""
        return distort_normalized(xy, self.D) * self.K[[0, 1], [0, 1]] + self.K[:2, 2]


def frozen(array: Floats) -> Floats:
    """A read-only float64 copy."""
    copy = np.array(array, np.float64)
    copy.flags.writeable = False
    return copy


def sides_of(matrix: Floats, size_wh: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Distances (left, up), (right, down) from the principal point to the outer pixel edges, in focal lengths."""
    left, up = (matrix[0, 2] + 0.5) / matrix[0, 0], (matrix[1, 2] + 0.5) / matrix[1, 1]
    right, down = (size_wh[0] - 0.5 - matrix[0, 2]) / matrix[0, 0], (size_wh[1] - 0.5 - matrix[1, 2]) / matrix[1, 1]
    return (float(left), float(up)), (float(right), float(down))


def _refuse_nonsense(camera: Camera) -> None:
    """Raise a PipelineError that says what is wrong with these numbers, if anything is."""
    if problem := _nonsense_in_numbers(camera) or _nonsense_in_view(camera):
        raise PipelineError(
            f"the calibration makes no sense: {problem}",
            "use the intrinsics.json that was published with this video, focal lengths and centre in pixels",
        )


def _nonsense_in_numbers(camera: Camera) -> str:
    matrix, (width, height) = camera.K, camera.size_wh
    assert matrix.shape == (3, 3) and camera.D.shape == (4,), f"{matrix.shape}, {camera.D.shape}"
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    if not (np.isfinite(matrix).all() and np.isfinite(camera.D).all()):
        return "it holds numbers that are not finite"
    if width < SMALLEST_SIDE or height < SMALLEST_SIDE:
        return f"its picture is {width}×{height}"
    if min(fx, fy) <= 0 or not np.array_equal(matrix, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]):
        return "its matrix is not [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive focal lengths"
    if not (1 <= cx <= width - 2 and 1 <= cy <= height - 2):
        return f"its centre ({cx:g}, {cy:g}) lies outside the {width}×{height} picture"
    if np.abs(camera.D).max() > LARGEST_COEFFICIENT:
        return f"a distortion coefficient is {np.abs(camera.D).max():g}"
    return ""


def _nonsense_in_view(camera: Camera) -> str:
    reachable, view_deg = _reachable_share(camera), camera.field_of_view_deg
    if reachable < SMALLEST_REACHABLE_SHARE:
        ends_deg = np.degrees(branch_top(camera.D))
        return f"its lens function ends at {ends_deg:.1f}°, so only {reachable:.0%} of the picture has a direction"
    if min(view_deg.horizontal, view_deg.vertical) < SMALLEST_VIEW_DEG:
        return f"it sees only {view_deg.horizontal:.3g}° × {view_deg.vertical:.3g}°"
    return ""


def _reachable_share(camera: Camera) -> float:
    """Share of the picture (0–1, on a grid) on which some ray lands."""
    (left, up), (right, down) = sides_of(camera.K, camera.size_wh)
    a, b = np.meshgrid(np.linspace(-left, right, 65), np.linspace(-up, down, 65))
    return float((np.hypot(a, b) <= distort_angle(np.array(branch_top(camera.D)), camera.D)).mean())


def balanced_matrix(camera: Camera, balance: float) -> Floats:
    """Matrix (3, 3) of a pinhole picture at the camera's size, between only valid (0) and all source pixels (1).

    Both ends come from the outline of the raw picture on the pinhole plane: 0 fits the picture into the rectangle
    within it, 1 around the rectangle about it. Where the outline cannot be reached, or lies beyond 80°, the rim of what
    can takes its place. The pixel aspect stays the camera's, so nothing is squeezed.
    """
    top, bottom, left, right = (_outline_on_plane(camera, side) for side in ("top", "bottom", "left", "right"))
    around = np.concatenate([top, bottom, left, right])
    outer = _fitted_matrix(camera, around.min(0), around.max(0), inside=False)
    corner = np.array([left[:, 0].max(), top[:, 1].max()])
    opposite = np.array([right[:, 0].min(), bottom[:, 1].min()])
    inner = _fitted_matrix(camera, corner, opposite, inside=True)
    return np.asarray(inner * (1 - balance) + outer * balance)


def _outline_on_plane(camera: Camera, side: str) -> Floats:
    """One side of the raw picture as normalized pinhole points (257, 2), in the direction of its pixels."""
    width, height = camera.size_wh
    along = np.linspace(0, 1, 257)
    x = {"left": np.zeros(257), "right": np.full(257, width - 1.0)}.get(side, along * (width - 1))
    y = {"top": np.zeros(257), "bottom": np.full(257, height - 1.0)}.get(side, along * (height - 1))
    ab = (np.stack([x, y], -1) - camera.K[:2, 2]) / camera.K[[0, 1], [0, 1]]
    theta_d = np.hypot(ab[:, 0], ab[:, 1])
    widest = min(branch_top(camera.D), WIDEST_KEPT_ANGLE)
    theta = np.minimum(np.nan_to_num(undistort_angle(theta_d, camera.D), nan=widest), widest)
    return np.asarray(ab * (np.tan(theta) / theta_d)[:, None])


def _fitted_matrix(camera: Camera, first: Floats, last: Floats, inside: bool) -> Floats:
    """Matrix whose picture, of the camera's size and pixel aspect, is centred on the rectangle from `first` to `last`
    (normalized) and lies inside it, or else contains it."""
    span_px = np.array(camera.size_wh, np.float64) - 1
    own_f = camera.K[[0, 1], [0, 1]]
    scales = span_px / (last - first) / own_f
    f = own_f * (scales.max() if inside else scales.min())
    centre = (span_px - f * (first + last)) / 2
    return np.array([[f[0], 0, centre[0]], [0, f[1], centre[1]], [0, 0, 1]])
