"""Every knob of every phase, with its unit, range and default; the command line is derived from this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.config_egoexo import DatasetKnobs
from pipeline.errors import PipelineError
from pipeline.knobs import Knobs, knob
from pipeline.schema.egocentric import EGOCENTRIC_100K

NO_CALIBRATION = "none"
"""What a user writes for an ordinary camera, whose pictures are left as they are."""


@dataclass(frozen=True)
class CommonKnobs(Knobs):
    """What every phase takes."""

    clip: tuple[str, ...] = knob(
        (),
        "clips to work on; empty: the repository's two default clips",
        accepts="clip names, separated by commas or spaces",
        env="CLIP",
        shapes_product=False,
    )
    data: str = knob(
        "data",
        "folder for everything that is made; may lie on another disk",
        accepts="a path",
        env="DATA",
        shapes_product=False,
    )
    redo: tuple[str, ...] = knob(
        (),
        "phases to make again although they are done (`all`: every phase of this run)",
        accepts="phase names, separated by commas or spaces",
        env="REDO",
        shapes_product=False,
    )


@dataclass(frozen=True)
class RepoKnobs(Knobs):
    """Where clips come from."""

    repo: str = knob(
        "",
        f"data set on the hub; empty: the one of the clip's name ({EGOCENTRIC_100K.repo} unless it is a 10K name)",
        accepts="owner/name",
        env="REPO",
    )


@dataclass(frozen=True)
class RevisionKnobs(RepoKnobs):
    """Which state of a data set."""

    revision: str = knob(
        "main", "revision of the data set; the commit it resolves to is recorded", accepts="branch, tag or commit"
    )


@dataclass(frozen=True)
class DownloadKnobs(RevisionKnobs):
    """Knobs of `download`."""

    whole_archive: bool = knob(
        False, "fetch the whole archive (about 1 GB) in place of the clip alone (about 12 MB)", shapes_product=False
    )


@dataclass(frozen=True)
class ExtractKnobs(Knobs):
    """Knobs of `extract`."""

    remove_archive: bool = knob(
        False, "delete the downloaded archive once all wanted clips are out of it", shapes_product=False
    )


@dataclass(frozen=True)
class ListClipsKnobs(RevisionKnobs):
    """Knobs of `list-clips`."""

    worker: str = knob(
        "",
        "folder of the worker; empty: that of the first clip",
        accepts="like factory001/worker001",
        env="WORKER",
    )
    json: bool = knob(False, "print JSON in place of a table")


@dataclass(frozen=True)
class CameraKnobs(Knobs):
    """Which footage, and how its fisheye picture is straightened."""

    video: str = knob(
        "", "one's own video in place of a clip of the data set", accepts="a path", env="VIDEO", is_file=True
    )
    intrinsics: str = knob(
        "",
        "calibration of one's own video",
        accepts="path of an intrinsics.json, or none for an ordinary camera",
        env="INTRINSICS",
        is_file=True,
    )
    rectify_balance: float | None = knob(
        None,
        "0 keeps valid pixels only, 1 every source pixel; unset: the camera matrix itself",
        low=0.0,
        high=1.0,
    )
    allow_aspect: bool = knob(False, "accept a video whose aspect ratio differs from its calibration's")


@dataclass(frozen=True)
class CheckRectifyKnobs(CameraKnobs):
    """Knobs of `check-rectify`."""

    at_s: float = knob(
        -1.0, "moment of the picture in seconds; negative: the middle of the clip", low=-1.0, high=86400.0
    )


@dataclass(frozen=True)
class AnnotateKnobs(CameraKnobs):
    """Knobs of `annotate`."""

    model: str = knob(
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "vision-language model",
        accepts="a name on the hub or a local folder",
        env="MODEL",
        is_file=True,
    )
    model_revision: str = knob(
        "main",
        "revision of the model on the hub",
        accepts="branch, tag or commit",
    )
    prompt: str = knob("prompts/segments.txt", "file with the request", accepts="a path", env="PROMPT", is_file=True)
    retry_prompt: str = knob(
        "prompts/segments_retry.txt",
        "reminder below the request after an answer without segments",
        accepts="a path",
        is_file=True,
    )
    fps: float = knob(1.0, "frames shown to the model per second of clip", low=0.05, high=30.0)
    window_s: float = knob(
        0.0,
        "seconds of clip in one question; 0: the whole clip, or equal windows where it does not fit the context",
        low=0.0,
        high=3600.0,
    )
    overlap_s: float = knob(4.0, "seconds that neighbouring windows share", low=0.0, high=600.0)
    max_new_tokens: int = knob(4096, "tokens of one answer; about 95 make a segment", low=16, high=16384)
    max_answers: int = knob(
        6, "answers per window at most: first, continuations of cut-off ones, one retry", low=1, high=50
    )
    constrain: bool = knob(True, "let the model write only what the schema of this clip allows")
    device: Literal["auto", "cuda", "cpu"] = knob(
        "auto", "where the model runs", choices=("auto", "cuda", "cpu"), shapes_product=False
    )
    dtype: Literal["auto", "bfloat16", "float32"] = knob(
        "auto",
        "number format of the weights; auto: bfloat16 on CUDA, float32 on a CPU",
        choices=("auto", "bfloat16", "float32"),
    )
    price_per_hour: float = knob(
        0.2,
        "US dollars per hour of this machine, for the cost in the manifest",
        low=0.0,
        high=1000.0,
        env="PRICE",
        shapes_product=False,
    )
    from_raw: bool = knob(False, "parse the saved responses again, without a model", shapes_product=False)
    plan: bool = knob(False, "print the memory and tokens that this clip needs, and stop", shapes_product=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_s and self.overlap_s >= self.window_s:
            raise PipelineError(
                f"--overlap-s is {self.overlap_s:g}, expected less than --window-s {self.window_s:g}",
                "choose longer windows or a shorter overlap",
            )


@dataclass(frozen=True)
class TinyModelKnobs(Knobs):
    """Knobs of `tiny-model`."""

    family: str = knob(
        "qwen2_5-vl", "architecture of the tiny random model", choices=("qwen2_5-vl", "qwen3-vl"), env="FAMILY"
    )


@dataclass(frozen=True)
class DemoKnobs(Knobs):
    """Knobs of `demo`."""

    line: str = knob("factory", "which line to show", choices=("factory", "egoexo"), env="LINE", positional=True)


@dataclass(frozen=True)
class DoctorKnobs(RepoKnobs):
    """Knobs of `doctor`."""

    line: str = knob(
        "factory", "which line to get ready for", choices=("factory", "egoexo"), env="LINE", positional=True
    )
    model: str = knob(
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "the model that the run will use",
        accepts="a name on the hub or a local folder",
        env="MODEL",
    )
    engine: str = knob("native", "where phases run", choices=("auto", "docker", "podman", "native"), env="ENGINE")
    release: str = knob("", "release folder that is already there", accepts="a path", env="RELEASE")
    s3_profile: str = knob("default", "profile in the AWS credentials file", accepts="a name", env="AWS_PROFILE")
    release_version: str = knob("v2", "version of the release", accepts="like v2")
    json: bool = knob(False, "print JSON in place of a table")


@dataclass(frozen=True)
class StatusKnobs(DatasetKnobs):
    """Knobs of `status`."""

    json: bool = knob(False, "print JSON in place of a table")
