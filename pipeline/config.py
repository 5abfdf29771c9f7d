"""Every knob of every phase, with its unit, range and default; the command line is derived from this file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_type_hints

from pipeline.errors import PipelineError
from pipeline.schema.egocentric import EGOCENTRIC_100K

NO_CALIBRATION = "none"
"""What a user writes for an ordinary camera, whose pictures are left as they are."""
SomeKnobs = TypeVar("SomeKnobs", bound="Knobs")


@dataclass(frozen=True)
class KnobDoc:
    """What a knob means and what it accepts."""

    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    accepts: str = ""
    """In words, for text values that no list or range covers."""
    env: str = ""
    """Environment variable, and Make parameter, of the same meaning; the flag wins."""
    shapes_product: bool = True
    """False for knobs that leave the product's bytes alone, so that changing one is no reason to make it again."""
    is_file: bool = False
    """Where the value names a file or folder, its content counts and not its name."""

    def range_text(self) -> str:
        """The accepted values as one phrase; empty for switches."""
        if self.choices:
            return " | ".join(self.choices)
        if self.low is not None:
            return f"{self.low:g} … {self.high:g}" if self.high is not None else f"at least {self.low:g}"
        return self.accepts


def knob(default: Any, doc: str, **rules: Any) -> Any:
    """A dataclass field that carries its documentation and range."""
    return dataclasses.field(default=default, metadata={"knob": KnobDoc(doc, **rules)})


def knob_doc(item: dataclasses.Field[Any]) -> KnobDoc:
    """The documentation of one field made by `knob`."""
    documentation: KnobDoc = item.metadata["knob"]
    return documentation


def flag_of(name: str) -> str:
    """The command-line flag of a knob."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Knobs:
    """Base of all knob classes: refuses values outside the documented range.

    Raises:
        PipelineError: a value is of the wrong type or out of range.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in dataclasses.fields(self):
            _check(item.name, getattr(self, item.name), hints[item.name], knob_doc(item))


def _check(name: str, value: Any, hint: Any, documentation: KnobDoc) -> None:
    where = f"{flag_of(name)} (or {documentation.env}=)" if documentation.env else flag_of(name)
    expected = documentation.range_text()
    if value is None and hint == (float | None):
        return
    if documentation.choices and value not in documentation.choices:
        raise PipelineError(
            f"{where} is {value!r}, expected one of: {expected}", f"see {flag_of('help')} for the choices"
        )
    if hint in (int, float, float | None):
        inside = isinstance(value, int | float) and value == value  # NaN is unequal to itself
        inside = inside and (documentation.low is None or value >= documentation.low)
        inside = inside and (documentation.high is None or value <= documentation.high)
        if not inside:
            raise PipelineError(f"{where} is {value!r}, expected {expected}", f"{documentation.doc}")


def read_knobs(cls: type[SomeKnobs], given: Mapping[str, Any], environment: Mapping[str, str]) -> SomeKnobs:
    """Flags first, then environment variables, then defaults.

    Raises:
        PipelineError: a value cannot be read or lies outside its range.
    """
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(cls):
        documentation = knob_doc(item)
        if item.name in given:
            values[item.name] = _convert(flag_of(item.name), given[item.name], hints[item.name])
        elif documentation.env and environment.get(documentation.env):
            values[item.name] = _convert(f"{documentation.env}=", environment[documentation.env], hints[item.name])
    return cls(**values)


def _convert(where: str, value: Any, hint: Any) -> Any:
    if not isinstance(value, str):
        return value
    if hint == tuple[str, ...]:
        return tuple(dict.fromkeys(value.replace(",", " ").split()))
    if hint in (int, float, float | None):
        kind = int if hint is int else float
        try:
            return kind(value)
        except ValueError:
            raise PipelineError(f"{where} is {value!r}, expected {kind.__name__}", "give a number") from None
    return value


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

    line: str = knob("factory", "which line to show", choices=("factory",), env="LINE")


@dataclass(frozen=True)
class DoctorKnobs(RepoKnobs):
    """Knobs of `doctor`."""

    model: str = knob(
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "the model that the run will use",
        accepts="a name on the hub or a local folder",
        env="MODEL",
    )
    engine: str = knob("native", "where phases run", choices=("auto", "docker", "podman", "native"), env="ENGINE")
    json: bool = knob(False, "print JSON in place of a table")


@dataclass(frozen=True)
class StatusKnobs(Knobs):
    """Knobs of `status`."""

    json: bool = knob(False, "print JSON in place of a table")
