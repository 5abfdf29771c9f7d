"""Which units a run works on: clips of the factory line, data sets and takes of the Ego-Exo4D line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.config import NO_CALIBRATION, CameraKnobs, CheckRectifyKnobs, CommonKnobs, RepoKnobs
from pipeline.config_egoexo import DatasetKnobs, IndexKnobs
from pipeline.errors import PipelineError
from pipeline.knobs import Knobs
from pipeline.paths import Paths
from pipeline.phases import Phase
from pipeline.schema.base import read_model
from pipeline.schema.egocentric import EGOCENTRIC_100K, LAYOUTS, layout_of
from pipeline.schema.egoexo_index import TakeIndex
from pipeline.schema.egoexo_release import SPLITS, SplitFile

RELEASE_UNIT = "release"
"""What a phase works on that concerns the whole release."""


class Selection(Protocol):
    """What the user asked for, as units of each phase."""

    def units(self, row: Phase) -> tuple[str, ...]:
        """The units of one phase; asked for when its turn comes, since an earlier phase may decide on them."""

    def nothing_to_do(self, row: Phase, phases_asked: int) -> str:
        """Why a phase of a longer run does not concern this selection; empty where it does."""


def clips_of(knobs_of: Mapping[str, Knobs], common: CommonKnobs) -> tuple[str, ...]:
    """The clips to work on: one's own video, those asked for, or the repository's default ones.

    Raises:
        PipelineError: a clip's name belongs to no known data set, or a clip and a video are both given.
    """
    videos = {getattr(knobs, "video", "") for knobs in knobs_of.values()} - {""}
    if videos:
        if common.clip:
            raise PipelineError(
                f"both CLIP={','.join(common.clip)} and VIDEO={videos.pop()} are given", "give one of them"
            )
        return (Path(videos.pop()).stem,)
    for clip in common.clip:
        layout_of(clip)
    repo = next((knobs.repo for knobs in knobs_of.values() if isinstance(knobs, RepoKnobs)), "")
    layout = next((row for row in LAYOUTS if row.repo == repo), EGOCENTRIC_100K)
    return common.clip or layout.default_clips


@dataclass(frozen=True)
class Clips:
    """Clips of the factory line: the same for each phase."""

    names: tuple[str, ...]
    knobs_of: Mapping[str, Knobs]

    def units(self, row: Phase) -> tuple[str, ...]:
        """All clips."""
        return self.names

    def nothing_to_do(self, row: Phase, phases_asked: int) -> str:
        """One's own footage needs neither fetching nor, from an ordinary camera, rectification."""
        knobs = self.knobs_of[row.name]
        own_video = any(getattr(other, "video", "") for other in self.knobs_of.values())
        if own_video and not isinstance(knobs, CameraKnobs):
            return "nothing to do for one's own video"
        if isinstance(knobs, CheckRectifyKnobs) and knobs.intrinsics == NO_CALIBRATION and phases_asked > 1:
            return "nothing to rectify for an ordinary camera"
        return ""


@dataclass(frozen=True)
class Dataset:
    """One data set of the Ego-Exo4D line, and the takes that its split.json names."""

    name: str
    paths: Paths
    knobs_of: Mapping[str, Knobs]

    def units(self, row: Phase) -> tuple[str, ...]:
        """The release, the data set, or its takes in the order of split.json.

        Raises:
            PipelineError: there is no split.json yet, or nothing in it.
        """
        if row.unit == RELEASE_UNIT:
            return (RELEASE_UNIT,)
        if row.unit == "dataset":
            return (self.name,)
        file = self.paths.split_file(self.name)
        fix = f"make it first: bash run.sh egoexo-index --name {self.name} …, or egoexo-import"
        splits = read_model(file, SplitFile, fix)
        takes = dict.fromkeys(uid for split in SPLITS for uid in getattr(splits, split))
        if not takes:
            raise PipelineError(f"{file} names no take", fix)
        chosen = self._only(tuple(takes))
        return tuple(f"{self.name}/{uid}" for uid in takes if uid in chosen)

    def _only(self, takes: tuple[str, ...]) -> frozenset[str]:
        """Those of the takes that ONLY= names, by uid or by name.

        Raises:
            PipelineError: it names one that is not in the data set.
        """
        asked = next((knobs.only for knobs in self.knobs_of.values() if isinstance(knobs, DatasetKnobs)), ())
        if not asked:
            return frozenset(takes)
        uid_of = {uid: uid for uid in takes}
        for uid in takes:
            index = self.paths.take_index(uid)
            if index.exists():
                uid_of[read_model(index, TakeIndex, "make it again: REDO=egoexo-index").take_name] = uid
        if unknown := [take for take in asked if take not in uid_of]:
            raise PipelineError(
                f"ONLY={','.join(unknown)} names no take of {self.paths.split_file(self.name)}",
                "give names or uids of takes that are in it",
            )
        return frozenset(uid_of[take] for take in asked)

    def nothing_to_do(self, row: Phase, phases_asked: int) -> str:
        """A release that lies here needs no fetching, an imported data set no release at all."""
        of_the_release = row.name in ("egoexo-metadata", "egoexo-index", "egoexo-download", "egoexo-process")
        if of_the_release and self.paths.manifest("egoexo-import", self.name).exists():
            return "nothing to do for an imported data set"
        index = self.knobs_of.get("egoexo-index")
        if row.name == "egoexo-index" and isinstance(index, IndexKnobs) and phases_asked > 1:
            is_chosen = not (index.scenario or index.takes or index.split)
            if is_chosen and self.paths.manifest(row.name, self.name).exists():
                return f"the takes of NAME={self.name} are chosen already"
        if row.unit == RELEASE_UNIT and any(getattr(knobs, "release", "") for knobs in self.knobs_of.values()):
            return "nothing to fetch: RELEASE is given"
        return ""


def select(rows: Sequence[Phase], knobs_of: Mapping[str, Knobs], common: CommonKnobs, paths: Paths) -> Selection:
    """What these phases are to work on.

    Raises:
        PipelineError: the user asked for nothing, for too much, or for what cannot be.
    """
    asked = next((knobs for knobs in knobs_of.values() if isinstance(knobs, DatasetKnobs)), None)
    if asked is None:
        return Clips(clips_of(knobs_of, common), knobs_of)
    takes = next((knobs.takes for knobs in knobs_of.values() if hasattr(knobs, "takes")), ())
    if takes and (not asked.name or asked.scenario):
        raise PipelineError(
            f"TAKES={','.join(takes)} is given {'with SCENARIO=' if asked.scenario else 'without NAME='}",
            "a list of takes needs a name of its own: NAME=breakfast TAKES=…",
        )
    if any(row.unit != RELEASE_UNIT for row in rows) and not asked.dataset:
        raise PipelineError(
            "it is not said which takes to work on",
            "SCENARIO=cooking (a parent task; `bash run.sh list-takes` shows them), or NAME= with TAKES=",
        )
    return Dataset(asked.dataset, paths, knobs_of)
