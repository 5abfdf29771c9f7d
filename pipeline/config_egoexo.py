"""Every knob of the Ego-Exo4D line, with its unit, range and default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import PipelineError
from pipeline.knobs import Knobs, knob


@dataclass(frozen=True)
class DatasetKnobs(Knobs):
    """Which data set a phase of this line works on, and where the release lies."""

    scenario: str = knob(
        "",
        "takes of this parent task; all: every take with annotations",
        accepts="parent task of takes.json in lower case with underscores: cooking, health, bike_repair, …",
        env="SCENARIO",
        shapes_product=False,
    )
    name: str = knob(
        "",
        "name of one's own data set: it goes to output_dir_{name}",
        accepts="letters, digits, _ and -",
        env="NAME",
        shapes_product=False,
    )
    release: str = knob(
        "",
        "release folder that is already there, only read; empty: data/egoexo, which the client fills",
        accepts="a path",
        env="RELEASE",
        shapes_product=False,
    )

    only: tuple[str, ...] = knob(
        (),
        "takes of the data set to work on now; empty: all of them",
        accepts="take names or uids, separated by commas or spaces",
        env="ONLY",
        shapes_product=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for given in (self.name, self.scenario):
            if not all(letter.isalnum() or letter in "_-" for letter in given):
                raise PipelineError(
                    f"{given!r} cannot name a folder output_dir_{{name}}",
                    "expected letters, digits, _ and -; scenarios are written like bike_repair",
                )

    @property
    def dataset(self) -> str:
        """Name of the data set, empty when none was asked for."""
        return self.name or self.scenario


@dataclass(frozen=True)
class StoreKnobs(DatasetKnobs):
    """How the store of the release is reached."""

    s3_profile: str = knob(
        "default",
        "profile in the AWS credentials file (`aws configure`)",
        accepts="a profile's name",
        env="AWS_PROFILE",
        shapes_product=False,
    )
    release_version: str = knob("v2", "version of the release", accepts="like v2", shapes_product=False)
    num_workers: int = knob(15, "files that the client fetches at once", low=1, high=64, shapes_product=False)
    dry_run: bool = knob(False, "print the plan (files, gigabytes, free disk) and stop", shapes_product=False)


@dataclass(frozen=True)
class MetadataKnobs(StoreKnobs):
    """Knobs of `egoexo-metadata`."""


@dataclass(frozen=True)
class IndexKnobs(DatasetKnobs):
    """Knobs of `egoexo-index`."""

    takes: tuple[str, ...] = knob(
        (),
        "takes of one's own choice in place of a scenario; needs --name",
        accepts="take names or uids, or a text file with one a line",
        env="TAKES",
    )
    split: str = knob(
        "",
        "which take is train, val or test; empty: the relations file that it stands in",
        accepts="path of a split.json or splits.json",
        env="SPLIT",
        is_file=True,
    )

    def also_shaping(self) -> dict[str, Any]:
        """To later phases the scenario is but a folder's name; here it chooses the takes."""
        return {"scenario": self.scenario}


@dataclass(frozen=True)
class DownloadVideosKnobs(StoreKnobs):
    """Knobs of `egoexo-download`."""

    parts: tuple[str, ...] = knob(
        (),
        "parts of the release; takes is the best quality, 448 costs about 10 IoU points; default: the client's six. "
        "Empty: downscaled_takes/448, or takes where RELEASE= is given, which costs nothing there",
        accepts="downscaled_takes/448, takes, take_trajectory, … separated by commas or spaces",
        env="PARTS",
    )
    max_videos_gb: float = knob(
        0.0,
        "most gigabytes of video on the disk at once; 0: as much as is free",
        low=0.0,
        high=100000.0,
        env="MAX_VIDEOS_GB",
        shapes_product=False,
    )

    @property
    def parts_wanted(self) -> tuple[str, ...]:
        """The parts asked for. Without a word of the user the size that is cheap where it has to be fetched, and the
        better one where a release is there already."""
        return self.parts or (("takes",) if self.release else ("downscaled_takes/448",))

    def also_shaping(self) -> dict[str, Any]:
        """What empty parts stand for: asking for the same by name is no other product."""
        return {"parts": list(self.parts_wanted)}


@dataclass(frozen=True)
class ProcessKnobs(DownloadVideosKnobs):
    """Knobs of `egoexo-process`."""

    every: int = knob(
        0,
        "also keep every N-th frame of each camera; 0: only those that annotations and pairs need",
        low=0,
        high=100000,
    )
    jpeg_quality: int = knob(95, "quality of the frames", low=1, high=100)
    keep_videos: bool = knob(False, "leave a take's videos on the disk when its frames are out", shapes_product=False)


@dataclass(frozen=True)
class PairsKnobs(DatasetKnobs):
    """Knobs of `egoexo-pairs`."""

    sample_train: float = knob(
        1.0,
        "train pairs to keep: 1 or less is a ratio (1: all), 2 or more an exact number",
        low=0.0,
        high=1e9,
        env="SAMPLE_TRAIN",
    )
    sample_val: float = knob(
        1.0,
        "val pairs to keep: 1 or less is a ratio (1: all), 2 or more an exact number",
        low=0.0,
        high=1e9,
        env="SAMPLE_VAL",
    )
    sample_test: float = knob(
        1.0,
        "test pairs to keep: 1 or less is a ratio (1: all), 2 or more an exact number",
        low=0.0,
        high=1e9,
        env="SAMPLE_TEST",
    )
    seed: int = knob(42, "of the sampling", low=0, high=2**31, env="SEED")


@dataclass(frozen=True)
class CheckKnobs(DatasetKnobs):
    """Knobs of `egoexo-check`."""

    json: bool = knob(False, "print JSON in place of a table", shapes_product=False)


@dataclass(frozen=True)
class PreviewKnobs(DatasetKnobs):
    """Knobs of `egoexo-preview`."""

    rows: int = knob(4, "moments shown on a take's sheet", low=1, high=24)


@dataclass(frozen=True)
class ImportKnobs(DatasetKnobs):
    """Knobs of `egoexo-import`."""

    source: str = knob("", "folder to import", accepts="a path", env="FROM", is_file=True)
    layout: str = knob(
        "auto",
        "how it is laid out; auto: by what lies in it",
        choices=("auto", "baseline", "omama", "custom"),
        env="LAYOUT",
    )


@dataclass(frozen=True)
class ExportKnobs(DatasetKnobs):
    """Knobs of `egoexo-export`."""

    target: str = knob(
        "", "folder to write; empty: data/export/{name}_{layout}", accepts="a path", env="TO", shapes_product=False
    )
    export_layout: str = knob(
        "omama", "whose readers it is for", choices=("baseline", "omama", "coco"), env="EXPORT_LAYOUT"
    )


@dataclass(frozen=True)
class ListTakesKnobs(DatasetKnobs):
    """Knobs of `list-takes`."""

    task: str = knob("", "only takes whose task holds this text", accepts="text", env="TASK")
    university: str = knob("", "only takes of this university", accepts="like cmu", env="UNIVERSITY")
    min_duration_s: float = knob(0.0, "only takes at least so long", low=0.0, high=1e6)
    max_duration_s: float = knob(1e6, "only takes at most so long", low=0.0, high=1e6)
    has_relations: bool = knob(False, "only takes with object masks")
    json: bool = knob(False, "print JSON in place of a table")
