"""Which proposals lie next to each other: a Delaunay triangulation of their centroids."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Adjacency = NDArray[np.bool_]
"""[N, N] whether two proposals are neighbours."""

NEAREST = 2
"""Neighbours of each centroid where no triangle can be made of them."""
_FRAME = 10_000_000
"""Distance of the library's outermost triangle: far enough that it takes no edge of the hull away."""
_FLAT = 1e-6
"""Breadth over length of points that count as lying on one line."""


def neighbours(centroids_xy: NDArray[np.float64], order: int = 2) -> Adjacency:
    """Neighbours up to a number of steps.

    Args:
        centroids_xy: [N, 2] pixels; NaN for an empty proposal, which has no neighbours.
        order: steps: 1 to 3.

    Returns:
        [N, N] by the proposals' own numbers. From order 2 on, a proposal with neighbours is its own second neighbour,
        as powers of the matrix have it.

    Raises:
        ValueError: another order.
    """
    if order not in (1, 2, 3):
        raise ValueError(f"Got {order = }, expected 1, 2 or 3")
    kept = np.flatnonzero(np.isfinite(centroids_xy).all(axis=1))
    result = np.zeros((len(centroids_xy),) * 2, np.bool_)
    one = _first_order(np.asarray(centroids_xy[kept], np.float64)).astype(np.float32)
    reached, power = one > 0, one
    for _ in range(order - 1):
        power = ((power @ one) > 0).astype(np.float32)
        reached |= power > 0
    result[np.ix_(kept, kept)] = reached
    return result


def _first_order(points: NDArray[np.float64]) -> Adjacency:
    """Edges between distinct places; proposals of one place share its edges and are each other's neighbours."""
    if not len(points):
        return np.zeros((0, 0), np.bool_)
    # As the library will see them: in 32 bits, around 0 for the sake of precision.
    places, place_of = np.unique((points - points.mean(axis=0)).astype(np.float32), axis=0, return_inverse=True)
    joined = np.zeros((len(places),) * 2, np.bool_)
    if len(places) >= 3:
        spread = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
        joined = _nearest(places) if spread[1] <= _FLAT * spread[0] else _triangulated(places)
    shared = joined[np.ix_(place_of, place_of)] | (place_of[:, None] == place_of[None])
    np.fill_diagonal(shared, False)
    return np.asarray(shared, np.bool_)


def _triangulated(places: NDArray[np.float32]) -> Adjacency:
    number = {(x, y): index for index, (x, y) in enumerate(places.tolist())}
    reach = int(np.abs(places).max()) + _FRAME
    division = cv2.Subdiv2D((-reach, -reach, 2 * reach, 2 * reach))
    for place in number:
        division.insert(place)
    joined = np.zeros((len(places),) * 2, np.bool_)
    for x0, y0, x1, y1 in np.asarray(division.getEdgeList()).tolist():
        if (x0, y0) in number and (x1, y1) in number:  # the outermost triangle's corners are no proposals
            joined[number[x0, y0], number[x1, y1]] = True
    return joined | joined.T


def _nearest(places: NDArray[np.float32]) -> Adjacency:
    """Each place joined with those nearest to it, for places on one line."""
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    joined = np.zeros(distance.shape, np.bool_)
    np.put_along_axis(joined, np.argsort(distance, axis=1, kind="stable")[:, :NEAREST], True, axis=1)
    return joined | joined.T
