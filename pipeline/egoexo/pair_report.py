"""What is to be said of the takes and pairs of a whole data set: report, manifest and lines for the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.job import Counts
from pipeline.schema.egoexo_reports import MissingPictures, PairCounts, PairsReport

NO_EGO, NO_EXO, NEITHER = "without_ego_picture", "without_exo_picture", "without_either_picture"
BAD_NAME = "with_a_name_that_no_path_can_hold"
NOT_SAMPLED = "not_sampled"
NOT_ON_DISK = "listed in take.json, but not on the disk"
NOT_KEPT = "not kept by egoexo-process"
NAMED = 3
"""Takes named in a line for the terminal; the report has all."""


@dataclass
class Takes:
    """What is to be said of the takes themselves."""

    read: set[str] = field(default_factory=set)
    not_processed: dict[str, None] = field(default_factory=dict)
    """In order, each once."""
    unreadable: dict[str, str] = field(default_factory=dict)
    without_pairs: dict[str, str] = field(default_factory=dict)
    missing: dict[tuple[str, str, str], set[int]] = field(default_factory=dict)
    """Take, camera, reason → frames that a pair would need."""


def sentence(counts: PairCounts) -> str:
    """One pair file in a line for the terminal."""
    targets = ", ".join(f"{number} {state}" for state, number in counts.targets.items())
    dropped = "".join(f", {number} {reason.replace('_', ' ')}" for reason, number in counts.dropped.items())
    return f"{counts.split} {counts.setting}: {counts.written} of {counts.by_rule} pairs, targets {targets}{dropped}"


def pairs_report(name: str, seed: int, files: list[PairCounts], takes: Takes) -> PairsReport:
    """Everything, for the report beside the index's."""
    missing = [
        MissingPictures(take_uid=take_uid, camera=camera, reason=reason, frames=sorted(frames))
        for (take_uid, camera, reason), frames in takes.missing.items()
    ]
    return PairsReport(
        name=name,
        seed=seed,
        files=files,
        takes=len(takes.read) - len(takes.without_pairs),
        not_processed=list(takes.not_processed),
        unreadable=takes.unreadable,
        without_pairs=takes.without_pairs,
        missing_pictures=missing,
    )


def pair_counts(files: list[PairCounts], takes: Takes) -> Counts:
    """The sums over all files, for the manifest and the closing summary."""
    made: dict[str, int | float | str] = {"pairs": sum(counts.written for counts in files), "takes": len(takes.read)}
    details = {"targets": {f"{counts.split}_{counts.setting}": counts.targets for counts in files}}
    dropped: dict[str, int] = {}
    for counts in files:
        for reason, number in counts.dropped.items():
            name = f"pairs_{reason}"
            dropped[name] = dropped.get(name, 0) + number
    if takes.without_pairs:
        dropped["takes_without_pairs"] = len(takes.without_pairs)
    return Counts(made=made, dropped=dropped, details=details, incomplete=_incomplete(takes, dropped))


def _incomplete(takes: Takes, dropped: dict[str, int]) -> list[str]:
    """What another run may bring: takes still to be processed, and pictures that were there once."""
    problems = []
    if takes.not_processed:
        number = len(takes.not_processed)
        problems.append(f"{number} of {number + len(takes.read) + len(takes.unreadable)} takes of split.json not "
                        f"processed ({_some(list(takes.not_processed))})")  # fmt: skip
    problems += [f"{take_uid} cannot be read: {problem}" for take_uid, problem in takes.unreadable.items()]
    lost = sorted({take_uid for take_uid, _, reason in takes.missing if reason in (NOT_ON_DISK, NOT_KEPT)})
    if lost:
        problems.append(f"pictures are gone in {len(lost)} takes ({_some(lost)}); REDO=egoexo-pairs once they are back")
    if number := dropped.get(f"pairs_{BAD_NAME}", 0):
        problems.append(f"{number} pairs left out, since their objects' names hold `//`")
    return problems


def _some(takes: list[str]) -> str:
    return ", ".join(takes[:NAMED]) + (", …" if len(takes) > NAMED else "")
