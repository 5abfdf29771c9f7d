"""Why takes are left out of a data set, and what is odd about those that are in: one fixed phrase each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pipeline.schema.egoexo_index import TakeProblem

NOT_IN_RELEASE = "not in the release"
NO_ANNOTATIONS = "without annotations"
DAMAGED = "with damaged annotations"
NO_EGO = "without ego camera"
NO_EXO = "without exo camera"
IN_TWO_SPLITS = "in two splits"
TWO_CONTENTS = "there twice, not the same"
UNKNOWN_SPLIT = "in a split of another name"
NOT_IN_SPLIT = "in no split"
OTHER_BENCHMARK = "of other benchmarks"
"""Without annotations, and named by the release's own splits.json, as most of its takes are."""
DAMAGED_ENTRY = "damaged in takes.json"

REPEATED = "there twice, the same"
TWO_EGO = "with two ego cameras"
TOLD_BY_NAME = "with a camera that no metadata know"
OTHER_NAME = "of another name in takes.json"
OTHER_SPLIT = "annotated for another split"
IS_DROPPED = "marked as dropped in takes.json"
SCENARIO_UNKNOWN = "not in the release, of unknown scenario"
"""Perhaps of the one asked for, perhaps not: nothing that its data set could be blamed for."""

FAULTS = (
    NOT_IN_RELEASE,
    NO_ANNOTATIONS,
    DAMAGED,
    DAMAGED_ENTRY,
    NO_EGO,
    NO_EXO,
    IN_TWO_SPLITS,
    TWO_CONTENTS,
    REPEATED,
    TWO_EGO,
)
"""What somebody should mend, or should know each time: it makes the exit status 1."""


def counted(problems: Iterable[TakeProblem]) -> dict[str, int]:
    """Reason → how many, the most frequent first."""
    return dict(Counter(problem.reason for problem in problems).most_common())


def faults_in_short(problems: Iterable[TakeProblem], shown: int = 3) -> list[str]:
    """One line a reason that is a fault, with the first takes that it concerns."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        if problem.reason in FAULTS:
            found.setdefault(problem.reason, []).append(problem.take_name or problem.take_uid)
    return [
        f"{len(takes)} {'take' if len(takes) == 1 else 'takes'} {reason} ({', '.join(takes[:shown])}"
        f"{', …' if len(takes) > shown else ''})"
        for reason, takes in found.items()
    ]
