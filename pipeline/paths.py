"""Every path below data/. No other file spells one: the names are a contract with users and later phases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.schema.egocentric import layout_of


@dataclass(frozen=True)
class Paths:
    """Places below one data folder, which may lie on another disk."""

    data: Path

    def raw(self, repo_path: str) -> Path:
        """A file as it is called in its repository."""
        return self.data / "raw" / repo_path

    def raw_worker(self, clip: str) -> Path:
        """Folder of the archives and the calibration of this clip's worker."""
        return self.raw(layout_of(clip).worker_dir(clip))

    def raw_member(self, clip: str, suffix: str) -> Path:
        """One member fetched alone out of its archive; suffix is `.mp4` or `.json`."""
        return self.raw_worker(clip) / "clips" / f"{clip}{suffix}"

    def raw_intrinsics(self, clip: str) -> Path:
        """The calibration of this clip's camera, as published."""
        return self.raw_worker(clip) / "intrinsics.json"

    def clip_video(self, clip: str) -> Path:
        """The fisheye clip, H.265 in MP4."""
        return self.data / "clips" / f"{clip}.mp4"

    def clip_info(self, clip: str) -> Path:
        """What the data set says about the clip."""
        return self.data / "clips" / f"{clip}.json"

    def debug(self, clip: str, kind: str) -> Path:
        """A picture for eyes; kind is `raw`, `rectified` or `side_by_side`."""
        return self.data / "debug" / f"{clip}_{kind}.jpg"

    def annotations(self, clip: str) -> Path:
        """The action segments of one clip."""
        return self.data / "annotate" / f"{clip}_annotations.json"

    def raw_response(self, clip: str) -> Path:
        """The model's own words, saved before they are parsed."""
        return self.data / "annotate" / f"{clip}_raw_response.txt"

    def raw_response_context(self, clip: str) -> Path:
        """What is needed beside the words to parse them again without the model."""
        return self.data / "annotate" / f"{clip}_raw_response.json"

    def timeline(self, clip: str) -> Path:
        """The clip's segments as a picture."""
        return self.data / "annotate" / f"{clip}_timeline.jpg"

    def demo(self) -> Path:
        """Everything that the demo makes."""
        return self.data / "demo"

    def tiny_model(self, family: str) -> Path:
        """The tiny random model of one family, for demos and tests."""
        return self.demo() / f"tiny-{family}"

    def release(self) -> Path:
        """The Ego-Exo4D release as its client writes it."""
        return self.data / "egoexo"

    def take_index(self, take_uid: str) -> Path:
        """What the release's metadata say of one take."""
        return self.release() / "index" / "takes" / f"{take_uid}.json"

    def relations_listing(self, split: str) -> Path:
        """Where each take's annotations lie in relations_{split}.json."""
        return self.release() / "index" / f"relations_{split}.json"

    def download_record(self, name: str) -> Path:
        """Which files the client fetched for a take (`{take_uid}`) or for all (`metadata`)."""
        return self.release() / "downloads" / f"{name}.json"

    def report(self, dataset: str, kind: str) -> Path:
        """What a phase found out about a whole data set; kind is `index`, `pairs` or `check`."""
        return self.release() / "reports" / f"{dataset}_{kind}.json"

    def output_dir(self, dataset: str) -> Path:
        """Training-ready frames, masks and pairs."""
        return self.data / f"output_dir_{dataset}"

    def split_file(self, dataset: str) -> Path:
        """Which takes are train, val and test."""
        return self.output_dir(dataset) / "split.json"

    def take_dir(self, dataset: str, take_uid: str) -> Path:
        """One processed take."""
        return self.output_dir(dataset) / take_uid

    def take_annotation(self, dataset: str, take_uid: str) -> Path:
        """Masks of one take, in both forms."""
        return self.take_dir(dataset, take_uid) / "annotation.json"

    def take_facts(self, dataset: str, take_uid: str) -> Path:
        """Cameras, sizes and what was left out."""
        return self.take_dir(dataset, take_uid) / "take.json"

    def frame(self, dataset: str, take_uid: str, camera: str, frame: int) -> Path:
        """One picture; the number is the index in the frame-aligned video."""
        return self.take_dir(dataset, take_uid) / camera / f"{frame}.jpg"

    def pairs(self, dataset: str, split: str, setting: str) -> Path:
        """Pairs in the form that other readers know."""
        return self.output_dir(dataset) / f"{split}_{setting}_pairs.json"

    def typed_pairs(self, dataset: str, split: str, setting: str) -> Path:
        """The same pairs, line by line, with the target's state."""
        return self.output_dir(dataset) / f"{split}_{setting}_pairs_typed.jsonl"

    def features(self, dataset: str, backbone: str) -> Path:
        """All feature maps that one backbone has made of a data set."""
        return self.output_dir(dataset) / "features" / backbone

    def take_features(self, dataset: str, backbone: str, take_uid: str) -> Path:
        """Those of one take: {camera}/{frame}.npy, {camera}/camera.json."""
        return self.features(dataset, backbone) / take_uid

    def proposals(self, dataset: str, method: str) -> Path:
        """All masks that one generator has proposed for a data set, and how many true masks are among them."""
        return self.output_dir(dataset) / "proposals" / method

    def take_proposals(self, dataset: str, method: str, take_uid: str) -> Path:
        """Those of one take: {camera}.json."""
        return self.proposals(dataset, method) / take_uid

    def take_preview(self, dataset: str, take_uid: str) -> Path:
        """A take's sheet: both views with the same objects outlined."""
        return self.data / "debug" / f"egoexo_{dataset}" / f"{take_uid}.jpg"

    def export(self, dataset: str, layout: str) -> Path:
        """A data set in somebody else's layout."""
        return self.data / "export" / f"{dataset}_{layout}"

    def manifest(self, phase: str, unit: str) -> Path:
        """What made the unit's products; written last, so its presence means done. Units may be `dataset/take_uid`."""
        return self.data / "manifests" / phase / f"{unit}.json"

    def lock(self, phase: str, unit: str) -> Path:
        """Held while one process works on the unit."""
        manifest = self.manifest(phase, unit)
        return manifest.with_name(f".{manifest.stem}.lock")

    def work(self, phase: str, unit: str) -> Path:
        """Partial results of an unfinished unit; survives a kill, removed when the unit is done."""
        return self.data / "work" / phase / unit

    def redo(self, phase: str) -> Path:
        """How far a REDO has come; there only while one is under way or was interrupted."""
        return self.data / "work" / f"redo_{phase}.json"
