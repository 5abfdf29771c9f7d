"""Masks that may be objects, for every stored picture of a take: what correspondence chooses from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.config_correspondence import ProposalsKnobs
from pipeline.correspondence.generators.classical import Classical
from pipeline.correspondence.generators.folder import MaskFolder
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.cores import cores
from pipeline.ops.hub.token import load_token
from pipeline.ops.proposals.generator import Generator, Picture
from pipeline.ops.proposals.tidy import Limits, tidy
from pipeline.paths import Paths
from pipeline.schema.base import read_model, sweep_partials, write_model
from pipeline.schema.egoexo_take import TakeFacts
from pipeline.schema.manifest import FileDigest
from pipeline.schema.proposals import CameraProposals, FrameProposals

_PROCESS = "make the take first: egoexo-process or egoexo-import"
NAMED = 5
"""Frames that a message names."""
NOT_THERE, DAMAGED, OTHER_SIZE = "pictures_not_there", "pictures_that_do_not_open", "pictures_of_another_size"
UNKNOWN = "pictures_without_masks_in_the_folder"


def inputs(paths: Paths, unit: str, knobs: ProposalsKnobs) -> dict[str, Path]:
    """take.json, every picture that it names and that is there, and the masks of a folder."""
    dataset, _, take_uid = unit.partition("/")
    facts_file = paths.take_facts(dataset, take_uid)
    if not facts_file.is_file():
        return {"facts": facts_file}
    facts = read_model(facts_file, TakeFacts, _PROCESS)
    pictures = {
        _picture(camera, frame): paths.frame(dataset, take_uid, camera, frame)
        for camera, of_camera in facts.cameras.items()
        for frame in of_camera.frames
    }
    found = {"facts": facts_file} | {name: file for name, file in pictures.items() if file.is_file()}
    if knobs.proposals == "folder":
        root = Path(knobs.masks_from)
        files = MaskFolder(root).files(take_uid, facts.take_name)
        found |= {f"masks/{file.relative_to(root)}": file for file in files}
    return found


def products(paths: Paths, unit: str, knobs: ProposalsKnobs) -> dict[str, Path]:
    """A folder with a file for each camera."""
    dataset, _, take_uid = unit.partition("/")
    return {"proposals": paths.take_proposals(dataset, knobs.proposals, take_uid)}


def check(paths: Paths, unit: str, knobs: ProposalsKnobs) -> None:
    """Look at what the generator needs before anything is loaded.

    Raises:
        PipelineError: FastSAM is not installed or has no weights; the folder of masks has none of this take.
    """
    if knobs.proposals == "fastsam":
        from pipeline.models.fastsam import check_fastsam

        check_fastsam(knobs.proposals_model)
    if knobs.proposals == "folder":
        dataset, _, take_uid = unit.partition("/")
        facts = read_model(paths.take_facts(dataset, take_uid), TakeFacts, _PROCESS)
        if not MaskFolder(Path(knobs.masks_from)).files(take_uid, facts.take_name):
            raise PipelineError(
                f"{knobs.masks_from} has no masks of take {take_uid} ({facts.take_name})",
                "expected {take}/{camera}/{frame}_masks.npz, {frame}.png or {frame}/*.png in it or its Masks_* folders",
            )


@dataclass(frozen=True)
class Loaded:
    """The generator. Its network, if it has one, stands here so that its memory is given back."""

    network: Any
    generator: Generator


def load(knobs: ProposalsKnobs, report: Callable[[str], None]) -> AbstractContextManager[Loaded]:
    """The generator, lent once for all takes; libraries of models are imported only for those that are models."""
    if knobs.proposals == "classical":
        report("proposals by classical segmentation: no weights are used; good for a demo, not for the best results")
        return contextlib.nullcontext(Loaded(None, Classical.from_knobs(knobs)))
    if knobs.proposals == "folder":
        return contextlib.nullcontext(Loaded(None, MaskFolder(Path(knobs.masks_from))))
    from pipeline.models.loading import lend

    def fetch_and_load() -> Loaded:
        generator: Any = _sam2(knobs, report) if knobs.proposals == "sam2" else _fastsam(knobs, report)
        return Loaded(generator.network, generator)

    report(f"loading {knobs.proposals}")
    return lend(knobs.proposals, fetch_and_load)


def _sam2(knobs: ProposalsKnobs, report: Callable[[str], None]) -> Generator:
    from pipeline.models.sam2 import OVERLAP, Sam2Options, load_sam2

    options = Sam2Options(
        points_per_side=knobs.points_per_side,
        points_per_batch=knobs.points_per_batch,
        crop_layers=knobs.crop_layers,
        least_quality=knobs.least_quality,
        least_stability=knobs.least_stability,
        overlap=knobs.overlap or OVERLAP,
    )
    return load_sam2(
        knobs.proposals_model,
        knobs.proposals_revision,
        knobs.device,
        options,
        token=load_token(os.environ),
        report=report,
    )


def _fastsam(knobs: ProposalsKnobs, report: Callable[[str], None]) -> Generator:
    from pipeline.models.fastsam import OVERLAP, load_fastsam

    with Path(knobs.proposals_model).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return load_fastsam(
        knobs.proposals_model,
        knobs.device,
        confidence=knobs.confidence,
        overlap=knobs.overlap or OVERLAP,
        imgsz=knobs.imgsz,
        most=knobs.most_proposals,
        sha256=sha256,
        report=report,
    )


def run(job: Job) -> Counts:
    """Find masks in every picture, and publish a file a camera.

    Raises:
        PipelineError: no picture of the take is there and opens, or a file of masks is of no use.
    """
    loaded: Loaded = job.model
    dataset, _, take_uid = job.unit.partition("/")
    facts = read_model(job.paths.take_facts(dataset, take_uid), TakeFacts, _PROCESS)
    work = _Work(job, loaded.generator, facts)
    total = sum(len(camera.frames) for camera in facts.cameras.values())
    job.progress.start(total, f"proposals for {facts.take_name or take_uid}", "pictures")
    job.products["proposals"].mkdir(parents=True)
    made: Counter[str] = Counter()
    for camera in sorted(facts.cameras):
        frames = work.camera(camera)
        if frames:
            file = CameraProposals(
                method=job.knobs.proposals,
                settings=work.settings,
                size_wh=facts.cameras[camera].frame_size_wh,
                frames={str(frame): frames[frame].proposals for frame in sorted(frames)},
            )
            write_model(job.products["proposals"] / f"{camera}.json", file)
            made["pictures"] += len(frames)
            made["proposals"] += sum(len(frame.proposals) for frame in frames.values())
            made["pictures_without_proposals"] += sum(not frame.proposals for frame in frames.values())
    if not made["pictures"]:
        raise PipelineError(f"no picture of take {take_uid} is there and opens", "REDO=egoexo-process makes them again")
    return work.counts(made)


class _Work:
    """The pictures of one take, each done once whatever interrupts it."""

    def __init__(self, job: Job, generator: Generator, facts: TakeFacts) -> None:
        knobs: ProposalsKnobs = job.knobs
        self._job, self._generator, self._facts = job, generator, facts
        self._limits = Limits(knobs.most_proposals, knobs.least_share, knobs.most_share)
        self.settings = generator.settings | {
            "most_proposals": knobs.most_proposals, "least_share": knobs.least_share, "most_share": knobs.most_share
        }  # fmt: skip
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]
        self._home = job.work / digest
        self._left_out: dict[tuple[str, str], list[int]] = {}
        """(reason, camera) → frames."""
        self._dropped: Counter[str] = Counter()

    def camera(self, name: str) -> dict[int, FrameProposals]:
        """Frame → its masks, of all pictures that can be used."""
        home = self._home / name
        home.mkdir(parents=True, exist_ok=True)
        sweep_partials(home)
        done: dict[int, FrameProposals] = {}
        for frame, result in self._results(name, home):
            if isinstance(result, str):
                self._left_out.setdefault((result, name), []).append(frame)
            else:
                done[frame] = result
                self._dropped.update(result.dropped)
            self._job.progress.advance()
        return done

    def _results(self, name: str, home: Path) -> Iterator[tuple[int, FrameProposals | str]]:
        frames = sorted(self._facts.cameras[name].frames)
        with ThreadPoolExecutor(cores() if self._generator.is_parallel else 1) as pool:
            waiting = [pool.submit(self._frame, name, frame, home) for frame in frames]
            try:
                for frame, future in zip(frames, waiting, strict=True):
                    yield frame, future.result()
            finally:
                for future in waiting:
                    future.cancel()

    def _frame(self, name: str, frame: int, home: Path) -> FrameProposals | str:
        """The masks of one picture, or why there are none to be looked for."""
        digest = self._job.inputs.get(_picture(name, frame))
        if digest is None:
            return NOT_THERE
        place = home / f"{frame}.{self._state(name, frame, digest)}.json"
        if place.exists():
            return read_model(place, FrameProposals, "remove the file")
        bgr = cv2.imdecode(np.frombuffer(Path(digest.path).read_bytes() or b"\0", np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            return DAMAGED
        rgb = np.ascontiguousarray(bgr[..., ::-1], np.uint8)
        picture = Picture(self._facts.take_uid, self._facts.take_name, name, frame, rgb)
        if picture.size_wh != self._facts.cameras[name].frame_size_wh:
            return OTHER_SIZE
        found = self._generator.propose(picture)
        if found is None:
            return UNKNOWN
        result = tidy(found, picture.size_wh, self._limits)
        write_model(place, result)
        return result

    def _state(self, name: str, frame: int, digest: FileDigest) -> str:
        """Changes when the picture or its masks in the folder do."""
        parts = [digest.sha256]
        if isinstance(self._generator, MaskFolder):
            prefixes = tuple(f"/{name}/{frame}{ending}" for ending in (".", "_", "/"))
            parts += [
                f"{key}:{of.sha256}"
                for key, of in sorted(self._job.inputs.items())
                if key.startswith("masks/") and any(prefix in key for prefix in prefixes)
            ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def counts(self, made: Counter[str]) -> Counts:
        """What was made, what not and why."""
        dropped = Counter(self._dropped)
        incomplete = []
        for (reason, camera), frames in sorted(self._left_out.items()):
            dropped[reason] += len(frames)
            if reason != UNKNOWN:  # a folder need not have masks of every view
                named = ", ".join(map(str, frames[:NAMED])) + (", …" if len(frames) > NAMED else "")
                incomplete.append(f"{len(frames)} {reason.replace('_', ' ')} of {camera} ({named})")
        return Counts(
            made={name: made[name] for name in ("pictures", "proposals", "pictures_without_proposals")},
            dropped=dict(dropped),
            details={"settings": self.settings},
            incomplete=incomplete,
        )


def _picture(camera: str, frame: int) -> str:
    return f"{camera}/{frame}"
