"""Neighbours of proposals, and the candidates drawn from them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.ops.matching.adjacency import neighbours
from pipeline.ops.matching.boxes import box_iou
from pipeline.ops.matching.candidates import EXACT, draw_egopipe, draw_paper
from pipeline.ops.matching.rle_masks import centroids_xy

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"


def plain_delaunay(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """By definition: a triangle counts when no other point lies within the circle through its corners."""
    joined = np.zeros((len(points),) * 2, np.bool_)
    for corners in combinations(range(len(points)), 3):
        a, b, c = points[list(corners)]
        matrix = 2 * np.array([b - a, c - a])
        if abs(np.linalg.det(matrix)) < 1e-9:
            continue
        centre = np.linalg.solve(matrix, [b @ b - a @ a, c @ c - a @ a])
        radius = np.linalg.norm(centre - a)
        others = np.delete(points, corners, axis=0)
        if not (np.linalg.norm(others - centre, axis=1) < radius * (1 - 1e-9)).any():
            joined[np.ix_(corners, corners)] = True
    np.fill_diagonal(joined, False)
    return joined


@pytest.mark.parametrize("seed", range(6))
def test_first_order_is_the_triangulation(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.uniform(0, [952, 532], (random.integers(3, 26), 2))
    np.testing.assert_array_equal(neighbours(points, 1), plain_delaunay(points))


def test_further_orders_are_steps_along_it() -> None:
    points = np.random.default_rng(9).uniform(0, 500, (40, 2))
    one = neighbours(points, 1).astype(int)
    np.testing.assert_array_equal(neighbours(points, 2), (one + one @ one) > 0)
    np.testing.assert_array_equal(neighbours(points, 3), (one + one @ one + one @ one @ one) > 0)
    assert not neighbours(points, 1).diagonal().any()
    assert neighbours(points, 2).diagonal().all()
    with pytest.raises(ValueError, match="expected 1, 2 or 3"):
        neighbours(points, 4)


def test_empty_proposals_have_no_neighbours_and_shift_nobody() -> None:
    points = np.random.default_rng(2).uniform(0, 500, (12, 2))
    with_empty = np.insert(points, [0, 5, 12], np.nan, axis=0)
    kept = np.isfinite(with_empty[:, 0])
    found = neighbours(with_empty, 2)
    assert not found[~kept].any()
    assert not found[:, ~kept].any()
    np.testing.assert_array_equal(found[np.ix_(kept, kept)], neighbours(points, 2))


def test_few_proposals() -> None:
    for count in range(3):
        assert not neighbours(np.arange(2.0 * count).reshape(count, 2), 2).any()
    assert neighbours(np.full((4, 2), np.nan), 2).shape == (4, 4)
    assert neighbours(np.array([[0, 0], [9, 0], [0, 9.0]]), 1).sum() == 6


@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (1, 1), (3.7, -1.3)])
def test_proposals_on_a_line_have_the_nearest_ones(direction: tuple[float, float]) -> None:
    points = np.array([0, 10, 21, 33, 46.0])[:, None] * direction + 7
    found = neighbours(points, 1)
    assert np.flatnonzero(found[0]).tolist() == [1, 2]
    assert set(np.flatnonzero(found[2]).tolist()) >= {1, 3}
    assert (found == found.T).all()


def test_proposals_of_one_centroid_share_neighbours() -> None:
    points = np.random.default_rng(4).uniform(0, 500, (9, 2))
    doubled = np.concatenate([points, points[:2]])
    one = neighbours(points, 1)
    found = neighbours(doubled, 1)
    np.testing.assert_array_equal(found[:9, :9], one)
    for twin, original in ((9, 0), (10, 1)):
        assert found[twin, original]
        np.testing.assert_array_equal(np.delete(found[twin, :9], original), np.delete(one[original], original))
    assert neighbours(np.ones((5, 2)), 1).sum() == 20  # all of them: each is the others' neighbour


def test_paper_draws_neighbours_first() -> None:
    random = np.random.default_rng(0)
    adjacency = neighbours(random.uniform(0, 500, (100, 2)), 2)
    overlap = random.random(100)
    anchor = int(overlap.argmax())
    near = set(np.flatnonzero(adjacency[anchor]).tolist()) - {anchor}
    places = set()
    for _ in range(30):
        drawn = draw_paper(random, overlap, adjacency)
        chosen = drawn.proposals.tolist()
        assert len(chosen) == 32
        assert chosen.count(EXACT) == 1
        assert drawn.targets.sum() == 1
        assert drawn.targets[chosen.index(EXACT)] == 1
        assert len(near & set(chosen)) >= min(31, len(near))
        places.add(chosen.index(EXACT))
    assert len(places) > 10  # anywhere among them
    crowded = draw_paper(random, overlap, np.ones((100, 100), np.bool_))
    assert len(set(crowded.proposals.tolist())) == 32
    anchor = int(overlap[:32].argmax())
    enough = draw_paper(random, overlap[:32], np.ones((32, 32), np.bool_))
    assert set(enough.proposals.tolist()) == {EXACT, *range(32)} - {anchor}  # its own entry is cleared


def test_paper_fills_up_and_knows_absent_objects() -> None:
    random = np.random.default_rng(1)
    few = draw_paper(random, np.array([0.1, 0.9, 0]), np.ones((3, 3), np.bool_))
    assert len(few.proposals) == 32
    assert set(few.proposals.tolist()) == {EXACT, 0, 1, 2}
    absent = draw_paper(random, None, np.zeros((50, 50), np.bool_))
    assert len(absent.proposals) == 32
    assert EXACT not in absent.proposals
    assert not absent.visible
    assert draw_paper(random, np.zeros(0), np.zeros((0, 0), np.bool_)).proposals.tolist() == [EXACT]
    assert not len(draw_paper(random, None, np.zeros((0, 0), np.bool_)).proposals)


def test_egopipe_has_no_negative_that_overlaps_and_repeats_none() -> None:
    random = np.random.default_rng(2)
    adjacency = neighbours(random.uniform(0, 500, (60, 2)), 2)
    overlap = np.where(random.random(60) < 0.3, random.random(60), random.random(60) * 0.1)
    overlap[:3] = 0.9, 0.55, 0.3
    near = np.flatnonzero(adjacency[overlap.argmax()] & (overlap <= 0.1))
    exact = 0
    for _ in range(60):
        drawn = draw_egopipe(random, overlap, adjacency)
        assert drawn.visible
        assert drawn.targets.sum() == pytest.approx(1)
        assert len(set(drawn.proposals.tolist())) == len(drawn.proposals) <= 32
        negatives = drawn.proposals[drawn.targets == 0]
        assert (overlap[negatives] <= 0.1).all()
        assert EXACT not in negatives
        assert set(near.tolist()) <= set(negatives.tolist())
        exact += EXACT in drawn.proposals
        share = dict(zip(drawn.proposals.tolist(), drawn.targets.tolist(), strict=True))
        assert share[0] > 3 * share[1] > 0
        assert 2 not in share
    assert 10 < exact < 50


def test_egopipe_takes_the_exact_mask_where_no_proposal_will_do() -> None:
    random = np.random.default_rng(3)
    for overlap in (np.array([0.4, 0.0, 0.0]), np.zeros(3), np.zeros(0)):
        drawn = draw_egopipe(random, overlap, neighbours(np.zeros((len(overlap), 2)), 2), exact_share=0)
        assert drawn.proposals[drawn.targets == 1].tolist() == [EXACT]
        assert len(drawn.proposals) == 1 + (overlap <= 0.1).sum()
    absent = draw_egopipe(random, None, np.ones((5, 5), np.bool_))
    assert sorted(absent.proposals.tolist()) == [0, 1, 2, 3, 4]
    assert not absent.visible


@pytest.mark.parametrize("recipe", [draw_paper, draw_egopipe])
def test_draws_depend_on_the_seed_only(recipe: object) -> None:
    assert callable(recipe)
    world = np.random.default_rng(5)
    adjacency, overlap = neighbours(world.uniform(0, 500, (80, 2)), 2), world.random(80)
    first, again, other = (recipe(np.random.default_rng(seed), overlap, adjacency) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.proposals, again.proposals)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert first.proposals.tolist() != other.proposals.tolist()


@pytest.mark.shared
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no reference data here")
def test_golden_adjacency() -> None:
    golden = np.load(GOLDEN / "omama_adjacency.npz")
    shape = golden["masks_shape"].tolist()
    masks = np.unpackbits(golden["masks_packed"])[: np.prod(shape)].reshape(shape)
    centres = centroids_xy(masks)
    for order in (1, 2, 3):
        np.testing.assert_array_equal(neighbours(centres, order), golden[f"order{order}"])
    found = box_iou(golden["target_box_xywh"], golden["boxes_xywh"])
    np.testing.assert_allclose(found, golden["box_iou"], rtol=0, atol=1e-7)
