"""Candidates of one training item: which proposals the object's own mask is told from.

`paper` draws as O-MaMa does: the exact mask among neighbours of the proposal whose box fits it best. `egopipe` keeps
everything that overlaps the object out of the negatives, never repeats a proposal, and lets good proposals stand for
the exact mask, because at inference there are only proposals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.matching.adjacency import Adjacency

COUNT = 32
EXACT = -1
"""In `proposals`: the exact mask of the object."""
SHARPNESS = 4
"""Power of the IoU in the share of several positives: the better one by far wins."""


@dataclass(frozen=True)
class Candidates:
    """The candidates of one item, in random order."""

    proposals: NDArray[np.int64]
    """[K] numbers of proposals; EXACT for the object's own mask."""
    targets: NDArray[np.float32]
    """[K] share of each in being right: sums to 1, or to 0 where the object is not seen."""

    def __post_init__(self) -> None:
        if self.proposals.shape != self.targets.shape:
            raise ValueError(f"Got {self.proposals.shape = } and {self.targets.shape = }")

    @property
    def visible(self) -> bool:
        """Whether one of them is right."""
        return bool(self.targets.any())


def draw_paper(
    random: np.random.Generator,
    box_overlap: NDArray[np.float64] | None,
    adjacency: Adjacency,
    count: int = COUNT,
) -> Candidates:
    """As the original: neighbours of the anchor, then any proposals; where there are too few, some stand there twice.

    Args:
        random: the only source of chance.
        box_overlap: [N] IoU of each proposal's box with the object's; None where the object is not seen.
        adjacency: [N, N] second-order neighbours.
        count: of candidates, the exact mask included.
    """
    proposals = len(adjacency)
    exact = [] if box_overlap is None else [EXACT]
    wanted = count - len(exact) if proposals else 0
    chosen = np.empty(0, np.int64)
    if box_overlap is not None and proposals:
        chosen = _neighbours_of(int(np.argmax(box_overlap)), adjacency)
        chosen = random.permutation(chosen)[:wanted]
    missing = wanted - len(chosen)
    others = random.choice(proposals, missing, replace=missing > proposals) if missing else np.empty(0, np.int64)
    return _mixed(random, np.concatenate([exact, chosen, others]), np.array([1.0] * len(exact)))


def draw_egopipe(
    random: np.random.Generator,
    overlap: NDArray[np.float64] | None,
    adjacency: Adjacency,
    count: int = COUNT,
    positive_iou: float = 0.5,
    negative_iou: float = 0.1,
    exact_share: float = 0.5,
) -> Candidates:
    """Without the original's faults; fewer than `count` where there are not enough proposals.

    Args:
        random: the only source of chance.
        overlap: [N] mask IoU of each proposal with the object; None where the object is not seen, although annotated.
        adjacency: [N, N] second-order neighbours.
        count: of candidates at most.
        positive_iou: from here on a proposal counts as the object, with a share that grows with its IoU.
        negative_iou: up to here a proposal is a negative; those in between are left out.
        exact_share: how often the exact mask is among the positives although a proposal would do.
    """
    if overlap is None:
        chosen = random.permutation(len(adjacency))[:count]
        return Candidates(chosen, np.zeros(len(chosen), np.float32))
    good = np.flatnonzero(overlap >= positive_iou)
    good = good[np.argsort(-overlap[good], kind="stable")][: max(1, count // 4)]
    exact = [EXACT] if not good.size or random.random() < exact_share else []
    shares = np.concatenate([np.ones(len(exact)), overlap[good] ** SHARPNESS])
    positives = np.concatenate([exact, good]).astype(np.int64)

    negative = overlap <= negative_iou
    # Where no proposal touches the object there is no anchor, and all are as good.
    near = _neighbours_of(int(np.argmax(overlap)), adjacency) if overlap.any() else np.empty(0, np.int64)
    near = random.permutation(near[negative[near]])
    rest = random.permutation(np.setdiff1d(np.flatnonzero(negative), near))
    negatives = np.concatenate([near, rest])[: count - len(positives)]
    return _mixed(random, np.concatenate([positives, negatives]), shares / shares.sum())


def _neighbours_of(anchor: int, adjacency: Adjacency) -> NDArray[np.int64]:
    found = np.flatnonzero(adjacency[anchor])
    return np.asarray(found[found != anchor], np.int64)


def _mixed(random: np.random.Generator, proposals: NDArray[np.generic], shares: NDArray[np.float64]) -> Candidates:
    """In random order; `shares` are those of the first ones, the others have none."""
    targets = np.zeros(len(proposals), np.float32)
    targets[: len(shares)] = shares
    order = random.permutation(len(proposals))
    return Candidates(proposals.astype(np.int64)[order], targets[order])
