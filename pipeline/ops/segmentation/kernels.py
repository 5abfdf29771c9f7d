"""The loops of classical segmentation, compiled: pixels into small regions, and those into a tree of larger ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.compiled import compiled


@compiled
def _root(parents: NDArray[np.int32], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


@compiled
def connect(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    weights: NDArray[np.float32],
    count: int,
    tolerance: float,
    least_pixels: int,
) -> NDArray[np.int32]:
    """Felzenszwalb and Huttenlocher's graph segmentation (IJCV 2004).

    Args:
        first, second, weights: the edges between `count` pixels, weights ascending.
        tolerance: the greater, the larger the regions; in units of weight × pixels.
        least_pixels: smaller regions are joined with their most similar neighbour.

    Returns:
        Region of each pixel, int32, numbered from 0 in the order of their first pixels.
    """
    parents = np.arange(count, dtype=np.int32)
    sizes = np.ones(count, np.int32)
    limits = np.full(count, tolerance, np.float32)
    for edge in range(first.size):
        one, other = _root(parents, first[edge]), _root(parents, second[edge])
        if one != other and weights[edge] <= limits[one] and weights[edge] <= limits[other]:
            parents[other] = one
            sizes[one] += sizes[other]
            limits[one] = weights[edge] + tolerance / sizes[one]
    for edge in range(first.size):
        one, other = _root(parents, first[edge]), _root(parents, second[edge])
        if one != other and (sizes[one] < least_pixels or sizes[other] < least_pixels):
            parents[other] = one
            sizes[one] += sizes[other]
    numbers = np.full(count, -1, np.int32)
    labels = np.empty(count, np.int32)
    regions = 0
    for pixel in range(count):
        root = _root(parents, pixel)
        if numbers[root] < 0:
            numbers[root] = regions
            regions += 1
        labels[pixel] = numbers[root]
    return labels


@compiled
def boundaries(
    labels: NDArray[np.int32], edges: NDArray[np.float32], regions: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Length of the border between each two regions, and the sum of edge strength along it; both [regions, regions].

    Args:
        labels: (height, width), region of each pixel.
        edges: (height, width), edge strength at each pixel.
    """
    lengths = np.zeros((regions, regions), np.float32)
    strengths = np.zeros((regions, regions), np.float32)
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            here = labels[y, x]
            for step in range(2):
                down, right = (1, 0) if step else (0, 1)
                if y + down < height and x + right < width:
                    there = labels[y + down, x + right]
                    if there != here:
                        strength = max(edges[y, x], edges[y + down, x + right])
                        lengths[here, there] += 1
                        lengths[there, here] += 1
                        strengths[here, there] += strength
                        strengths[there, here] += strength
    return lengths, strengths


@compiled
def _unlike(
    one: int,
    other: int,
    colours: NDArray[np.float32],
    textures: NDArray[np.float32],
    sizes: NDArray[np.float32],
    boxes: NDArray[np.int32],
    length: float,
    strength: float,
    weights: NDArray[np.float32],
    pixels: float,
) -> float:
    """How unlike two neighbouring regions are: 0 and more."""
    colour = texture = 0.0
    for number in range(colours.shape[1]):
        colour += min(colours[one, number], colours[other, number])
    for number in range(textures.shape[1]):
        texture += min(textures[one, number], textures[other, number])
    wide = max(boxes[one, 2], boxes[other, 2]) - min(boxes[one, 0], boxes[other, 0])
    high = max(boxes[one, 3], boxes[other, 3]) - min(boxes[one, 1], boxes[other, 1])
    both = sizes[one] + sizes[other]
    gap = (wide * high - both) / pixels
    smaller = min(sizes[one], sizes[other])
    return float(
        weights[0] * (1 - colour)
        + weights[1] * (1 - texture)
        + weights[2] * both / pixels
        + weights[3] * gap
        + weights[4] * strength / length
        + weights[5] * (1 - min(1.0, length / (4 * np.sqrt(smaller))))
    )


@compiled
def merge(
    lengths: NDArray[np.float32],
    strengths: NDArray[np.float32],
    colours: NDArray[np.float32],
    textures: NDArray[np.float32],
    sizes: NDArray[np.float32],
    boxes: NDArray[np.int32],
    weights: NDArray[np.float32],
    borders: NDArray[np.float32],
    pixels: float,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Join the two most alike neighbours until one region is left.

    All arrays have 2 × regions - 1 rows (the first two as many columns), of which the first `regions` are filled, and
    are worked in.

    Args:
        colours, textures: histograms, each summing to 1.
        boxes: x0, y0, x1, y1 half-open.
        weights: of colour, texture, size, gaps in the joint box, edge strength, and how little the two touch.
        borders: length of each region's border with others, and the sum of edge strength along it, [.., 2].
        pixels: of the picture.

    Returns:
        Children of each joint region, [regions - 1, 2]; and how unlike they were.
    """
    total = sizes.size
    regions = (total + 1) // 2
    children = np.empty((regions - 1, 2), np.int32)
    costs = np.empty(regions - 1, np.float32)
    alive = np.zeros(total, np.bool_)
    alive[:regions] = True
    best = np.full(total, -1, np.int32)
    best_cost = np.full(total, np.inf, np.float32)
    unlike = np.full((total, total), np.inf, np.float32)
    for one in range(regions):
        for other in range(regions):
            if lengths[one, other] > 0:
                unlike[one, other] = _unlike(
                    one, other, colours, textures, sizes, boxes, lengths[one, other], strengths[one, other],
                    weights, pixels,
                )  # fmt: skip
                if unlike[one, other] < best_cost[one]:
                    best[one], best_cost[one] = other, unlike[one, other]
    for new in range(regions, total):
        one = -1
        cost = np.inf
        for region in range(new):
            if alive[region] and best_cost[region] < cost:
                one, cost = region, best_cost[region]
        other = best[one]
        children[new - regions, 0], children[new - regions, 1] = min(one, other), max(one, other)
        costs[new - regions] = cost
        alive[one] = alive[other] = False
        alive[new] = True
        sizes[new] = sizes[one] + sizes[other]
        borders[new, 0] = borders[one, 0] + borders[other, 0] - 2 * lengths[one, other]
        borders[new, 1] = borders[one, 1] + borders[other, 1] - 2 * strengths[one, other]
        share = sizes[one] / sizes[new]
        for number in range(colours.shape[1]):
            colours[new, number] = share * colours[one, number] + (1 - share) * colours[other, number]
        for number in range(textures.shape[1]):
            textures[new, number] = share * textures[one, number] + (1 - share) * textures[other, number]
        boxes[new, 0], boxes[new, 1] = min(boxes[one, 0], boxes[other, 0]), min(boxes[one, 1], boxes[other, 1])
        boxes[new, 2], boxes[new, 3] = max(boxes[one, 2], boxes[other, 2]), max(boxes[one, 3], boxes[other, 3])
        for region in range(new):
            if alive[region]:
                length = lengths[one, region] + lengths[other, region]
                if length > 0:
                    strength = strengths[one, region] + strengths[other, region]
                    lengths[new, region] = lengths[region, new] = length
                    strengths[new, region] = strengths[region, new] = strength
                    cost = _unlike(new, region, colours, textures, sizes, boxes, length, strength, weights, pixels)
                    unlike[new, region] = unlike[region, new] = cost
                    if cost < best_cost[new]:
                        best[new], best_cost[new] = region, cost
        for region in range(new):
            if alive[region] and (best[region] == one or best[region] == other):
                best[region], best_cost[region] = -1, np.inf
                for neighbour in range(new + 1):
                    if alive[neighbour] and unlike[region, neighbour] < best_cost[region]:
                        best[region], best_cost[region] = neighbour, unlike[region, neighbour]
            elif alive[region] and unlike[region, new] < best_cost[region]:
                best[region], best_cost[region] = new, unlike[region, new]
    return children, costs


@compiled
def shared_pixels(
    ranks: NDArray[np.int32],
    trees: NDArray[np.int32],
    spans: NDArray[np.int32],
    boxes: NDArray[np.int32],
    one: int,
    other: int,
) -> int:
    """Pixels that two regions share; for the arrays see `choose`."""
    left, top = max(boxes[one, 0], boxes[other, 0]), max(boxes[one, 1], boxes[other, 1])
    right, bottom = min(boxes[one, 2], boxes[other, 2]), min(boxes[one, 3], boxes[other, 3])
    of_one, of_other = ranks[trees[one]], ranks[trees[other]]
    shared = 0
    for y in range(top, bottom):
        for x in range(left, right):
            a, b = of_one[y, x], of_other[y, x]
            if spans[one, 0] <= a < spans[one, 1] and spans[other, 0] <= b < spans[other, 1]:
                shared += 1
    return shared


@compiled
def choose(
    ranks: NDArray[np.int32],
    trees: NDArray[np.int32],
    spans: NDArray[np.int32],
    boxes: NDArray[np.int32],
    areas: NDArray[np.int32],
    most: int,
    alike: float,
) -> NDArray[np.int64]:
    """Take regions in their order, but none that is nearly one taken before.

    Args:
        ranks: [trees, height, width], each pixel's leaf by its place among the leaves of that tree.
        trees: each region's tree.
        spans: first and behind the last of the places of its leaves.
        boxes: x0, y0, x1, y1 half-open.
        areas: pixels.
        most: regions to take at most.
        alike: intersection over union from which on two regions are one.

    Returns:
        Numbers of the regions taken.
    """
    taken = np.empty(most, np.int64)
    count = 0
    for region in range(areas.size):
        if count == most:
            break
        is_new = True
        for place in range(count):
            before = taken[place]
            both = areas[region] + areas[before]
            if min(areas[region], areas[before]) < alike * max(areas[region], areas[before]):
                continue
            wide = min(boxes[region, 2], boxes[before, 2]) - max(boxes[region, 0], boxes[before, 0])
            high = min(boxes[region, 3], boxes[before, 3]) - max(boxes[region, 1], boxes[before, 1])
            if wide <= 0 or high <= 0 or wide * high * (1 + alike) < alike * both:
                continue
            shared = shared_pixels(ranks, trees, spans, boxes, region, before)
            if shared >= alike * (both - shared):
                is_new = False
                break
        if is_new:
            taken[count] = region
            count += 1
    return taken[:count]
