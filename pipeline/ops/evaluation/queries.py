"""Which predictions count, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.schema.evaluation import Direction, GroundTruth, TruthTake


@dataclass(frozen=True, slots=True)
class Query:
    """One object masked in one frame of the source camera, looked for in the target camera's frame."""

    take: str
    object: str
    source: str
    target: str
    frame: str

    @property
    def pair(self) -> str:
        """Key of its cameras in a prediction file."""
        return f"{self.source}_{self.target}"


def camera_pairs(take: TruthTake, name: str, direction: Direction) -> Iterator[tuple[str, str]]:
    """Source and target camera of each pair that an object has, exo cameras in file order.

    Of several ego cameras, which the benchmark does not allow, the first counts.
    """
    egos = take.ego_cameras_of(name)
    for exo in take.masks[name] if egos else ():
        if exo not in egos:
            yield (egos[0], exo) if direction == "ego-exo" else (exo, egos[0])


def queries(truth: GroundTruth, direction: Direction, *, sort_as_strings: bool = False) -> Iterator[Query]:
    """All queries that are scored: takes and exo cameras in file order.

    Args:
        sort_as_strings: objects and frames in the order of their text, as O-MaMa's evaluator has them for exo-ego.
    """
    for query, is_annotated in all_queries(truth, direction, sort_as_strings=sort_as_strings):
        if is_annotated:
            yield query


def all_queries(
    truth: GroundTruth, direction: Direction, *, sort_as_strings: bool = False
) -> Iterator[tuple[Query, bool]]:
    """The same with those that nobody looked at in the target: not scored, but a prediction file holds them too.

    Yields:
        A query, and whether its target frame was annotated.
    """
    order: Callable[[Any], Any] = sorted if sort_as_strings else list
    for uid, take in truth.annotations.items():
        for name in order(take.masks):
            annotated = take.annotated_frames.get(name, {})
            for source, target in camera_pairs(take, name, direction):
                looked_at = {str(frame) for frame in annotated.get(target, ())}
                for frame in order(take.masks[name][source]):
                    yield Query(uid, name, source, target, frame), frame in looked_at


def record_of(results: Mapping[str, Any], query: Query) -> Any:
    """A query's record in the results of one direction; KeyError where there is none."""
    return results[query.take]["masks"][query.object][query.pair][query.frame]
