"""The lens function of a fisheye camera: the Kannala–Brandt model as OpenCV's `cv2.fisheye` writes it, and its exact inverse.

A ray at angle θ from the optical axis lands at θ_d = θ(1 + k1·θ² + k2·θ⁴ + k3·θ⁶ + k4·θ⁸) from the centre, in units of
the focal length. Source: Kannala and Brandt, "A generic camera model and calibration method for conventional, wide-angle,
and fish-eye lenses", TPAMI 2006, in the four-coefficient form of OpenCV.

`D` is always (4,) float64: k1, k2, k3, k4. Angles are radians. "Normalized" points lie on the plane one focal length before
the camera: (x, y) for the ray (x, y, 1), or (a, b) = θ_d·(x, y)/r for what the lens makes of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HALVINGS = 60
"""π·2⁻⁶⁰ is below what a float64 angle resolves, so the bisection ends at the last digit."""

WIDEST_ANGLE = np.pi
"""No ray comes from behind the axis twice."""


def distort_angle(theta: Floats, D: Floats) -> Floats:
    """θ_d of each angle θ, same shape; not masked: above `branch_top` the result belongs to no lens."""
    t2 = theta * theta
    return np.asarray(theta * (1 + t2 * (D[0] + t2 * (D[1] + t2 * (D[2] + t2 * D[3])))))


def branch_top(D: Floats) -> float:
    """The largest θ up to which θ_d grows without a stop, at most π.

    dθ_d/dθ is a polynomial in θ²; its smallest positive root is where the function turns back and angles stop being
    distinguishable.
    """
    with np.errstate(over="ignore"):
        roots = np.roots([9 * D[3], 7 * D[2], 5 * D[1], 3 * D[0], 1.0])
    real = roots.real[(np.abs(roots.imag) <= 1e-9 * np.abs(roots)) & (roots.real > 0)]
    return min(float(np.sqrt(real.min())), WIDEST_ANGLE) if real.size else WIDEST_ANGLE


def undistort_angle(theta_d: Floats, D: Floats) -> Floats:
    """θ of each θ_d ≥ 0, same shape, by bisection on the monotone branch; NaN where no angle reaches θ_d.

    `cv2.fisheye.undistortPoints` clamps θ_d to π/2 and is off by up to 28 pixels on lenses that go beyond; this is not.
    """
    top = branch_top(D)
    low = np.zeros_like(theta_d)
    high = np.full_like(theta_d, top)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = distort_angle(middle, D) < theta_d
        low = np.where(below, middle, low)
        high = np.where(below, high, middle)
    reachable = theta_d <= distort_angle(np.array(top), D)
    return np.where(reachable, (low + high) / 2, np.nan)


def distort_normalized(xy: Floats, D: Floats) -> Floats:
    """Pinhole points (…, 2) to lens points (…, 2), both normalized; NaN beyond the monotone branch."""
    r = np.hypot(xy[..., 0], xy[..., 1])
    theta = np.arctan(r)
    scale = np.divide(distort_angle(theta, D), r, out=np.ones_like(r), where=r > 0)
    scale = np.where(theta <= branch_top(D), scale, np.nan)
    return np.asarray(xy * scale[..., None])


def undistort_normalized(ab: Floats, D: Floats) -> Floats:
    """Lens points (…, 2) to pinhole points (…, 2), both normalized; NaN where no ray lands or the ray has θ ≥ π/2."""
    theta_d = np.hypot(ab[..., 0], ab[..., 1])
    theta = undistort_angle(theta_d, D)
    theta = np.where(theta < np.pi / 2, theta, np.nan)
    scale = np.divide(np.tan(theta), theta_d, out=np.ones_like(theta_d), where=theta_d > 0)
    return np.asarray(ab * scale[..., None])
