"""The lens function of a fisheye camera, the Kannala–Brandt model as `cv2.fisheye` writes it, and its exact inverse.

A ray at angle θ from the optical axis lands at θ_d = θ(1 + k1·θ² + k2·θ⁴ + k3·θ⁶ + k4·θ⁸) from the centre, in units of
the focal length. Source: Kannala and Brandt, "A generic camera model and calibration method for conventional,
wide-angle, and fish-eye lenses", TPAMI 2006, in the four-coefficient form of OpenCV.

`coefficients` are always (4,) float64: k1, k2, k3, k4. Angles are radians. "Normalized" points are in focal lengths:
(x, y) where the ray (x, y, 1) meets the plane z = 1, or (a, b) = θ_d·(x, y)/r where the lens puts it.
"""

from __future__ import annotations

import math
from functools import lru_cache, reduce
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HALVINGS = 60
"""2·2⁻⁶⁰ is below what a float64 angle resolves, so the bisection ends at the last digit."""

WIDEST_ANGLE = 0.65 * np.pi
"""117°: wider than any lens on the market; what the polynomial says beyond describes nothing."""


def distort_angle(theta: Floats, coefficients: Floats) -> Floats:
    """θ_d of each angle θ, same shape; not masked: above `branch_top` the result belongs to no lens."""
    k, t2 = coefficients, theta * theta
    return np.asarray(theta * (1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3])))))


def branch_top(coefficients: Floats) -> float:
    """The largest θ up to which θ_d grows without a stop, at most `WIDEST_ANGLE`.

    dθ_d/dθ is a polynomial in θ²; its smallest positive root is where the function turns back and angles stop being
    distinguishable.
    """
    return _branch_top(*coefficients.tolist())


@lru_cache(maxsize=64)
def _branch_top(k1: float, k2: float, k3: float, k4: float) -> float:
    widest = WIDEST_ANGLE**2
    roots = _unit_roots([1.0, 3 * k1 * widest, 5 * k2 * widest**2, 7 * k3 * widest**3, 9 * k4 * widest**4])
    return math.sqrt(min([*roots, 1.0])) * WIDEST_ANGLE


def _unit_roots(ascending: list[float]) -> list[float]:
    """Where a polynomial changes sign within (0, 1), in order.

    Between the roots of its derivative it is monotone, so halving finds each; unlike eigenvalue methods this stays
    exact when the leading coefficient is tiny.
    """
    if len(ascending) == 1:
        return []
    turns = _unit_roots([power * value for power, value in enumerate(ascending)][1:])
    roots = []
    for low, high in pairwise([0.0, *turns, 1.0]):
        falls = _value(ascending, low) > 0
        if falls == (_value(ascending, high) > 0):
            continue
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if (_value(ascending, middle) > 0) == falls else (low, middle)
        roots.append(low)
    return roots


def _value(ascending: list[float], at: float) -> float:
    return reduce(lambda total, value: total * at + value, reversed(ascending), 0.0)


def undistort_angle(theta_d: Floats, coefficients: Floats) -> Floats:
    """θ of each θ_d ≥ 0, same shape, by bisection on the monotone branch; NaN where no angle reaches θ_d.

    `cv2.fisheye.undistortPoints` clamps θ_d to π/2 and is off by up to 28 pixels on lenses that go beyond; this is not.
    """
    top = branch_top(coefficients)
    low = np.zeros_like(theta_d)
    high = np.full_like(theta_d, top)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = distort_angle(middle, coefficients) < theta_d
        low = np.where(below, middle, low)
        high = np.where(below, high, middle)
    reachable = theta_d <= distort_angle(np.array(top), coefficients)
    return np.where(reachable, (low + high) / 2, np.nan)


def distort_normalized(xy: Floats, coefficients: Floats) -> Floats:
    """Pinhole points (…, 2) to lens points (…, 2), both normalized; NaN beyond the monotone branch."""
    r = np.hypot(xy[..., 0], xy[..., 1])
    theta = np.arctan(r)
    scale = np.divide(distort_angle(theta, coefficients), r, out=np.ones_like(r), where=r > 0)
    scale = np.where(theta <= branch_top(coefficients), scale, np.nan)
    return np.asarray(xy * scale[..., None])


def undistort_normalized(ab: Floats, coefficients: Floats) -> Floats:
    """Lens points (…, 2) to pinhole points (…, 2), both normalized; NaN where no ray lands or the ray has θ ≥ π/2."""
    theta_d = np.hypot(ab[..., 0], ab[..., 1])
    theta = undistort_angle(theta_d, coefficients)
    theta = np.where(theta < np.pi / 2, theta, np.nan)
    scale = np.divide(np.tan(theta), theta_d, out=np.ones_like(theta_d), where=theta_d > 0)
    return np.asarray(ab * scale[..., None])
