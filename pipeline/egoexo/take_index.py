"""One take looked at from all sides: is it of use, and what do later phases need to know about it?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from pipeline.egoexo import problems
from pipeline.egoexo.catalog import Catalog
from pipeline.egoexo.ego_of import ego_of, video_of
from pipeline.egoexo.release import parent_task_folder
from pipeline.schema.egoexo_index import CameraIndex, ListedTake, TakeIndex, TakeProblem
from pipeline.schema.egoexo_release import Split, Take


class UnusableTakeError(Exception):
    """A take that cannot be part of a data set, with one of the fixed reasons."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def index_take(catalog: Catalog, take_uid: str, split: Split) -> tuple[TakeIndex, list[TakeProblem]]:
    """What is known of a take, and what is odd about it.

    Args:
        split: the data set's; the index tells the relations file's.

    Raises:
        UnusableTakeError: it is not in the release, has no sound annotations, or lacks one kind of camera.
    """
    take, take_repeats = _take_of(catalog, take_uid)
    file_split, listed, listed_repeats = _listed_of(catalog, take_uid)
    cameras = _cameras(catalog, take, listed)
    egos = [name for name, camera in cameras.items() if camera.is_ego]
    if not egos or len(egos) == len(cameras):
        detail = f"annotated cameras: {', '.join(cameras) or 'none'}"
        raise UnusableTakeError(problems.NO_EXO if egos else problems.NO_EGO, detail)
    guessed = [name for name, camera in cameras.items() if camera.told_by == "name"]
    odd = {
        problems.REPEATED: take_repeats or listed_repeats,
        problems.TWO_EGO: f"{', '.join(egos)}; chosen object by object" if len(egos) > 1 else "",
        problems.TOLD_BY_NAME: ", ".join(guessed),
        problems.OTHER_NAME: f"relations: {listed.take_name}" if listed.take_name != take.take_name else "",
        problems.IS_DROPPED: "is_dropped" if take.is_dropped else "",
    }
    of_the_take = [f"{reason}: {detail}" for reason, detail in odd.items() if detail]
    odd[problems.OTHER_SPLIT] = f"relations: {file_split}" if file_split != split else ""
    index = TakeIndex(
        take_uid=take_uid,
        take_name=listed.take_name,
        capture_uid=take.capture_uid,
        root_dir=_folder(take, listed),
        scenario=listed.scenario,
        parent_task=parent_task_folder(take.parent_task_name),
        task=take.task_name or "",
        university=take.university_name or "",
        duration_s=take.duration_sec,
        split=file_split,
        relations=listed.relations,
        cameras=cameras,
        warnings=of_the_take,
    )
    return index, [
        TakeProblem(take_uid=take_uid, take_name=listed.take_name, split=split, reason=reason, detail=detail)
        for reason, detail in odd.items()
        if detail
    ]


def _take_of(catalog: Catalog, take_uid: str) -> tuple[Take, str]:
    found = catalog.takes.get(take_uid, [])
    if not found:
        if take_uid in catalog.damaged:
            raise UnusableTakeError(problems.DAMAGED_ENTRY, catalog.damaged[take_uid].problem)
        _refuse_damaged(catalog.annotated.get(take_uid, []))  # its uid, perhaps: then takes.json cannot know it
        raise UnusableTakeError(
            problems.NOT_IN_RELEASE,
            "takes.json does not know it; "
            + ("it has annotations" if take_uid in catalog.annotated else "nor annotations"),
        )
    if any(take != found[0] for take in found):
        raise UnusableTakeError(problems.TWO_CONTENTS, "in takes.json")
    return found[0], "in takes.json" if len(found) > 1 else ""


def _listed_of(catalog: Catalog, take_uid: str) -> tuple[Split, ListedTake, str]:
    found = catalog.annotated.get(take_uid, [])
    if not found:
        raise UnusableTakeError(problems.NO_ANNOTATIONS, "no relations file holds it")
    where = f"in {', '.join(dict.fromkeys(listed.relations.file for _, listed in found))}"
    split, listed = found[0]
    if any(other.relations.sha256 != listed.relations.sha256 for _, other in found):
        raise UnusableTakeError(problems.TWO_CONTENTS, where)
    _refuse_damaged(found)
    return split, listed, where if len(found) > 1 else ""


def _refuse_damaged(found: Sequence[tuple[Split, ListedTake]]) -> None:
    for _, listed in found:
        if listed.problems:
            raise UnusableTakeError(problems.DAMAGED, "; ".join(listed.problems[:5]))


def _cameras(catalog: Catalog, take: Take, listed: ListedTake) -> dict[str, CameraIndex]:
    capture = catalog.captures.get(take.capture_uid or "")
    cameras = {}
    for camera, numbers in listed.cameras.items():
        is_ego, told_by = ego_of(camera, take, capture)
        cameras[camera] = CameraIndex(is_ego=is_ego, told_by=told_by, video=video_of(camera, take), **numbers)
    return cameras


def _folder(take: Take, listed: ListedTake) -> str:
    """The take's folder in the release; one that would lead out of it is not believed."""
    path = PurePosixPath(take.root_dir or "")
    if not take.root_dir or path.is_absolute() or ".." in path.parts:
        return f"takes/{PurePosixPath(listed.take_name).name}"
    return str(path)
