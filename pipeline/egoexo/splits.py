"""Which take is train, val or test: SPLIT= says so, else the relations file that it stands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.egoexo.problems import IN_TWO_SPLITS, REPEATED, UNKNOWN_SPLIT
from pipeline.errors import PipelineError
from pipeline.schema.egoexo_index import RelationsListing, TakeProblem
from pipeline.schema.egoexo_release import SPLITS, Split

_UIDS = TypeAdapter(dict[str, list[str]])
_DOCUMENT = TypeAdapter(dict[str, object])
OFFICIAL = "split_to_take_uids"
"""Key of annotations/splits.json that holds the same as a split.json."""


@dataclass
class Assignment:
    """Each take's split.

    Attributes:
        split_of: uid → split, in the order of the source: train, val, test.
        names_all_benchmarks: the source is the release's own splits.json, most of whose takes have no object masks.
        left_out: takes that have no one split.
        warnings: takes that are named twice without harm.
    """

    split_of: dict[str, Split] = field(default_factory=dict)
    names_all_benchmarks: bool = False
    left_out: list[TakeProblem] = field(default_factory=list)
    warnings: list[TakeProblem] = field(default_factory=list)


def assign_by_file(file: Path) -> Assignment:
    """By a split.json (`{"train": [take_uid], "val": [], "test": []}`) or the release's splits.json.

    Raises:
        PipelineError: missing, unreadable, or of neither form.
    """
    fix = 'SPLIT= expects {"train": [take_uid, …], "val": […], "test": […]}, or the release\'s annotations/splits.json'
    try:
        document = _DOCUMENT.validate_json(file.read_bytes())
        uids = _UIDS.validate_python(
            document.get(OFFICIAL) or {name: document[name] for name in SPLITS if name in document}
        )
    except OSError as error:
        raise PipelineError(f"SPLIT={file} cannot be read: {error.strerror}", fix) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise PipelineError(f"SPLIT={file} is no split file ({where}: {first['msg']})", fix) from None
    if not any(uids.values()):
        raise PipelineError(f"SPLIT={file} names no take; its keys are {', '.join(document) or 'none'}", fix)
    assignment = _assign({split: uids.get(split, []) for split in SPLITS}, file.name)
    assignment.names_all_benchmarks = OFFICIAL in document
    for name in uids.keys() - set(SPLITS):
        assignment.left_out += [
            TakeProblem(take_uid=uid, take_name="", split=name, reason=UNKNOWN_SPLIT) for uid in uids[name]
        ]
    return assignment


def assign_by_relations(listings: Mapping[Split, RelationsListing]) -> Assignment:
    """By the relations file that holds the take. That it stands there twice is looked at elsewhere."""
    return _assign(
        {split: list(dict.fromkeys(take.take_uid for take in listing.takes)) for split, listing in listings.items()},
        "the relations files",
    )


def _assign(uids: Mapping[Split, list[str]], source: str) -> Assignment:
    assignment = Assignment()
    splits_of: dict[str, list[Split]] = {}
    for split, named in uids.items():
        for uid in named:
            splits_of.setdefault(uid, []).append(split)
    for uid, splits in splits_of.items():
        different = list(dict.fromkeys(splits))
        if len(different) > 1:
            assignment.left_out.append(
                TakeProblem(
                    take_uid=uid,
                    take_name="",
                    split=different[0],
                    reason=IN_TWO_SPLITS,
                    detail=f"{source}: {', '.join(different)}",
                )
            )
            continue
        if len(splits) > 1:
            assignment.warnings.append(
                TakeProblem(take_uid=uid, take_name="", split=splits[0], reason=REPEATED, detail=f"in {source}")
            )
        assignment.split_of[uid] = splits[0]
    return assignment
