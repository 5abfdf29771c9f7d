"""A picture cut into small regions of one colour, and those joined step by step into a tree of larger ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ops.segmentation.kernels import boundaries, connect, merge

Lab = NDArray[np.float32]
"""(height, width, 3), CIE Lab, each channel 0 … 255."""

Number = TypeVar("Number", np.float32, np.int32)

COLOUR_BINS = 16
DIRECTIONS = 8
SLOPES = (4.0, 12.0, 30.0)
"""Steps between no, weak, middling and strong texture: change of lightness a pixel."""


@dataclass(frozen=True)
class Base:
    """How finely a picture is cut.

    Attributes:
        blur: sigma of the Gaussian before cutting, pixels.
        tolerance: of Felzenszwalb and Huttenlocher's predicate.
        least_pixels: of a region.
    """

    blur: float
    tolerance: float
    least_pixels: int


@dataclass(frozen=True)
class Leaves:
    """The regions of one cut, and all that joining them needs. N regions, numbered from 0.

    Attributes:
        labels: (height, width) int32.
        lengths, strengths: [N, N], border between two regions in pixels, and the sum of edge strength along it.
        colours, textures: [N, bins] histograms, each row sums to 1.
        sizes: [N] pixels.
        boxes: [N, 4] x0, y0, x1, y1 half-open.
        hulls: corners of each region's convex hull, int32 [points, 2] x, y.
    """

    labels: NDArray[np.int32]
    lengths: NDArray[np.float32]
    strengths: NDArray[np.float32]
    colours: NDArray[np.float32]
    textures: NDArray[np.float32]
    sizes: NDArray[np.float32]
    boxes: NDArray[np.int32]
    hulls: list[NDArray[np.int32]]


@dataclass(frozen=True)
class Tree:
    """All regions of a tree, 2 N - 1 rows: its N leaves, then what they were joined to, the whole picture last.

    Attributes:
        ranks: (height, width) int32, place of the pixel's leaf in the tree's own order.
        spans: first and behind the last place of the region's leaves: a region is the pixels whose rank lies in it.
        boxes: x0, y0, x1, y1 half-open.
        areas: pixels.
        solidity: area over that of the convex hull, up to 1.
        contrast: mean edge strength along the border with others; 0 for the whole picture.
        persistence: how much less alike its own two parts were than itself and what it was joined with, at least 0.
    """

    ranks: NDArray[np.int32]
    spans: NDArray[np.int32]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]
    solidity: NDArray[np.float64]
    contrast: NDArray[np.float64]
    persistence: NDArray[np.float64]


def to_lab(rgb: NDArray[np.uint8]) -> Lab:
    """A picture HWC uint8 RGB in a space whose distances are about those that eyes see."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


def edge_strength(lab: Lab) -> NDArray[np.float32]:
    """(height, width), change of the most changing channel, a pixel."""
    slopes = [_slopes(np.ascontiguousarray(lab[..., channel])) for channel in range(3)]
    return np.asarray(np.maximum.reduce([np.hypot(dx, dy) for dx, dy in slopes]), np.float32)


def cut(lab: Lab, edges: NDArray[np.float32], base: Base) -> Leaves:
    """Cut a picture into regions."""
    height, width = lab.shape[:2]
    first, second, weights = _pixel_graph(np.asarray(cv2.GaussianBlur(lab, (0, 0), base.blur), np.float32))
    flat = connect(first, second, weights, height * width, base.tolerance, base.least_pixels)
    labels, count = flat.reshape(height, width), int(flat.max()) + 1
    lengths, strengths = boundaries(labels, edges, count)
    colours = np.concatenate(
        [_histogram(flat, count, _steps(lab[..., channel], COLOUR_BINS), COLOUR_BINS) for channel in range(3)], axis=1
    )
    textures = _histogram(flat, count, _texture(lab), 1 + len(SLOPES) * DIRECTIONS)
    of_region = np.split(np.argsort(flat, kind="stable"), np.cumsum(np.bincount(flat, minlength=count))[:-1])
    points = [np.stack([pixels % width, pixels // width], axis=1).astype(np.int32) for pixels in of_region]
    boxes = np.stack([np.concatenate([of.min(axis=0), of.max(axis=0) + 1]) for of in points])
    return Leaves(
        labels,
        lengths,
        strengths,
        (colours / 3).astype(np.float32),
        textures,
        np.bincount(flat, minlength=count).astype(np.float32),
        boxes.astype(np.int32),
        [_hull_of_pixels(of) for of in points],
    )


def grow(leaves: Leaves, weights: tuple[float, ...]) -> Tree:
    """Join the two most alike neighbours until one region is left.

    Args:
        weights: what counts as unlike: colour, texture, size, gaps in the joint box, edge strength, how little the two
            touch.
    """
    count = len(leaves.sizes)
    total = 2 * count - 1
    pixels = leaves.labels.size
    sizes, boxes = _longer(leaves.sizes, total), _longer(leaves.boxes, total)
    lengths, strengths = (_longer(_longer(of.T, total).T, total) for of in (leaves.lengths, leaves.strengths))
    borders = np.stack([lengths.sum(axis=1), strengths.sum(axis=1)], axis=1)
    children, costs = merge(
        lengths, strengths, _longer(leaves.colours, total), _longer(leaves.textures, total), sizes, boxes,
        np.array(weights, np.float32), borders, float(pixels),
    )  # fmt: skip
    spans = _spans(children, count)
    hull_areas = _hull_areas(leaves.hulls, children)
    born = np.concatenate([np.zeros(count), costs]).astype(np.float64)
    joined = np.full(total, born[-1])
    joined[children.ravel()] = np.repeat(born[count:], 2)
    return Tree(
        ranks=spans[:count, 0][leaves.labels],
        spans=spans,
        boxes=boxes,
        areas=sizes.astype(np.int32),
        solidity=sizes / hull_areas,
        contrast=borders[:, 1] / np.maximum(borders[:, 0], 1).astype(np.float64),
        persistence=np.maximum(joined - born, 0),
    )


def _slopes(channel: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    dx, dy = (cv2.Sobel(channel, cv2.CV_32F, x, 1 - x, scale=0.25) for x in (1, 0))
    return np.asarray(dx, np.float32), np.asarray(dy, np.float32)


def _pixel_graph(lab: Lab) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Edges from each pixel to its neighbours right, below, and below on both sides; most alike first."""
    height, width = lab.shape[:2]
    numbers = np.arange(height * width, dtype=np.int32).reshape(height, width)
    parts = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = np.s_[: height - down, max(0, -right) : width - max(0, right)]
        there = np.s_[down:, max(0, right) : width - max(0, -right)]
        distance = np.sqrt(((lab[here] - lab[there]) ** 2).sum(axis=-1))
        parts.append((numbers[here].ravel(), numbers[there].ravel(), distance.ravel()))
    first, second, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(weights, kind="stable")
    return first[order], second[order], weights[order].astype(np.float32)


def _steps(channel: NDArray[np.float32], bins: int) -> NDArray[np.int64]:
    return np.asarray(np.clip(channel * (bins / 256), 0, bins - 1), np.int64)


def _texture(lab: Lab) -> NDArray[np.int64]:
    """(height, width), 0 where lightness does not change, else how strongly it does and in which direction."""
    dx, dy = _slopes(np.asarray(cv2.GaussianBlur(np.ascontiguousarray(lab[..., 0]), (0, 0), 1.0), np.float32))
    direction = ((np.arctan2(dy, dx) % np.pi) * (DIRECTIONS / np.pi)).astype(np.int64) % DIRECTIONS
    strength = np.digitize(np.hypot(dx, dy), SLOPES)
    return np.asarray(np.where(strength == 0, 0, 1 + (strength - 1) * DIRECTIONS + direction), np.int64)


def _histogram(flat: NDArray[np.int32], count: int, values: NDArray[np.int64], bins: int) -> NDArray[np.float32]:
    """[count, bins], share of each value among a region's pixels."""
    table = np.bincount(flat.astype(np.int64) * bins + values.ravel(), minlength=count * bins).reshape(count, bins)
    return np.asarray(table / table.sum(axis=1, keepdims=True), np.float32)


def _longer(rows: NDArray[Number], total: int) -> NDArray[Number]:
    """The same array with room for what is joined."""
    longer = np.zeros((total, *rows.shape[1:]), rows.dtype)
    longer[: len(rows)] = rows
    return longer


def _spans(children: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    total = count + len(children)
    leaves = np.ones(total, np.int32)
    for number, (one, other) in enumerate(children):
        leaves[count + number] = leaves[one] + leaves[other]
    starts = np.zeros(total, np.int32)
    for number in range(len(children) - 1, -1, -1):
        one, other = children[number]
        starts[one], starts[other] = starts[count + number], starts[count + number] + leaves[one]
    return np.stack([starts, starts + leaves], axis=1)


def _hull_of_pixels(points: NDArray[np.int32]) -> NDArray[np.int32]:
    """Hull of the pixels' corners, so that no region is larger than its hull."""
    outer = cv2.convexHull(points)[:, 0]
    corners = np.concatenate([outer + corner for corner in ((0, 0), (1, 0), (0, 1), (1, 1))]).astype(np.int32)
    return np.asarray(cv2.convexHull(corners)[:, 0], np.int32)


def _hull_areas(hulls: list[NDArray[np.int32]], children: NDArray[np.int32]) -> NDArray[np.float64]:
    every = list(hulls)
    for one, other in children:
        both = np.concatenate([every[one], every[other]])
        every.append(np.asarray(cv2.convexHull(both)[:, 0], np.int32))
    return np.array([cv2.contourArea(hull) for hull in every])
