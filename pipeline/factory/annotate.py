"""Describe what the hands do in one clip, segment by segment, with a vision-language model."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import AnnotateKnobs
from pipeline.errors import PipelineError
from pipeline.factory.footage import Footage, Stretch, open_footage
from pipeline.job import Counts, Job
from pipeline.ops.camera.source import clip_source
from pipeline.ops.hub.token import load_token
from pipeline.ops.pictures.drawing import Image, jpeg
from pipeline.ops.pictures.segments import MAX_TILES, segments_picture
from pipeline.ops.timeline.answers import format_answers, parse_answers
from pipeline.ops.timeline.parse import annotations_from
from pipeline.ops.timeline.prompt import load_prompt
from pipeline.ops.video.frames import DecodeReport, iter_frames
from pipeline.paths import Paths
from pipeline.schema.segments import Annotations

if TYPE_CHECKING:  # the libraries of models take seconds to import; to find that all is done must not
    from pipeline.factory.questions import Interview
    from pipeline.models.qwen_vl import Annotator


def inputs(paths: Paths, unit: str, knobs: AnnotateKnobs) -> dict[str, Path]:
    """The video, and the calibration unless the camera is an ordinary one."""
    source = clip_source(paths, unit, knobs.video, knobs.intrinsics)
    return {"video": source.video} | ({"intrinsics": source.camera_file} if source.camera_file else {})


def products(paths: Paths, unit: str, knobs: AnnotateKnobs) -> dict[str, Path]:
    """The segments, the model's words with what is needed to parse them again, and a picture."""
    return {
        "raw_response": paths.raw_response(unit),
        "raw_response_context": paths.raw_response_context(unit),
        "annotations": paths.annotations(unit),
        "timeline": paths.timeline(unit),
    }


def check(paths: Paths, unit: str, knobs: AnnotateKnobs) -> None:
    """Look at footage, camera and prompts: what is no good is found out before minutes of fetching and loading.

    Raises:
        PipelineError: the video, its calibration or a prompt cannot be used.
    """
    open_footage(paths, unit, knobs)
    load_prompt(Path(knobs.prompt))
    load_prompt(Path(knobs.retry_prompt))


def load(knobs: AnnotateKnobs, report: Callable[[str], None]) -> AbstractContextManager[Annotator]:
    """Lend the model, once for all clips."""
    from pipeline.models.loading import lend
    from pipeline.models.qwen_vl import load_annotator

    def fetch_and_load() -> Annotator:
        token = load_token(os.environ)
        return load_annotator(knobs.model, knobs.model_revision, knobs.dtype, knobs.device, token=token, report=report)

    report(f"loading {knobs.model}")
    return lend(knobs.model, fetch_and_load)


@dataclass(frozen=True)
class Prepared:
    """What the CPU can do for a clip while the GPU works on the one before."""

    interview: Interview
    first: Stretch


def prepare(job: Job) -> Prepared | None:
    """Probe the clip and decode its first window; nothing when saved responses are only parsed again."""
    from pipeline.factory.questions import open_interview

    if job.knobs.from_raw:
        return None
    interview = open_interview(open_footage(job.paths, job.unit, job.knobs), job.knobs, job.model)
    window = interview.windows[0]
    return Prepared(interview, interview.sample(window.start_s, window.end_s))


def run(job: Job) -> Counts:
    """Ask, save the words, parse, repair, publish.

    Raises:
        PipelineError: the clip cannot be read, the GPU is too small, or no answer holds a usable segment. The words are
            saved in any case.
    """
    from pipeline.factory.questions import Notebook, conduct
    from pipeline.factory.response import context_of, cost_of, saved_response

    if job.knobs.from_raw:
        footage = open_footage(job.paths, job.unit, job.knobs)
        words, context = saved_response(job, footage)
        if not job.paths.raw_response_context(job.unit).exists():
            job.products["raw_response_context"].write_text(context.model_dump_json(indent=2) + "\n", encoding="utf-8")
        details: dict[str, object] = {"from_raw": True}
        file = job.paths.raw_response(job.unit)
    else:
        prepared: Prepared = job.prepared
        footage = prepared.interview.footage
        notebook = Notebook(job.work, job.inputs["video"].sha256, job.libraries, job.settings)
        conduct(prepared.interview, notebook, prepared.first, job.report, job.progress)
        words = format_answers([saved.answer for saved in notebook.answers], footage.duration_s)
        context = context_of(prepared.interview, notebook)
        details = cost_of(notebook, job.knobs.price_per_hour)
        job.products["raw_response"].write_bytes(words.encode("utf-8", "surrogatepass"))
        job.products["raw_response_context"].write_text(context.model_dump_json(indent=2) + "\n", encoding="utf-8")
        file = job.publish("raw_response")
        job.publish("raw_response_context")
    try:
        annotations = annotations_from(parse_answers(words, context.duration_s), context)
    except PipelineError as error:
        raise PipelineError(error.problem, f"the whole answer is in {file}; {error.fix}") from None
    job.products["annotations"].write_text(annotations.model_dump_json(indent=2) + "\n", encoding="utf-8")
    job.products["timeline"].write_bytes(jpeg(segments_picture(annotations, _middle_frames(footage, annotations))))
    review = f"; needs review: {', '.join(sorted({item.code for item in annotations.warnings}))}"
    job.report(f"{job.paths.annotations(job.unit)}{review if annotations.needs_review else ''}")
    counts = _counts(annotations, details)
    counts.settings = context.settings if job.knobs.from_raw else None
    return counts


def _middle_frames(footage: Footage, annotations: Annotations) -> dict[int, Image]:
    """The rectified picture in the middle of each segment, at the clip's own size; where none decodes, none."""
    report = DecodeReport()
    shown_segments = annotations.segments[:MAX_TILES]
    middles_s = [(segment.t_start_s + segment.t_end_s) / 2 for segment in shown_segments]
    rectifier = footage.rectifier(footage.facts.size_wh)
    frames = iter_frames(footage.video, times_s=middles_s, rectifier=rectifier, report=report)
    pictures = [frame.image for frame in frames]
    lost = {missing.time_s for missing in report.missing}
    shown = [
        segment.action_id for segment, middle_s in zip(shown_segments, middles_s, strict=True) if middle_s not in lost
    ]
    return dict(zip(shown, pictures, strict=True))


def _counts(annotations: Annotations, details: dict[str, object]) -> Counts:
    dropped: dict[str, int] = {}
    for repair in annotations.repairs:
        if repair.rule.startswith("dropped_"):
            reason = f"segments_{repair.rule.removeprefix('dropped_')}"
            dropped[reason] = dropped.get(reason, 0) + 1
    unseen_s = sum(gap.t_end_s - gap.t_start_s for gap in annotations.provenance.sampling.decode_gaps)
    if unseen_s:
        dropped["seconds_not_decodable"] = ceil(unseen_s)
    made: dict[str, int | float | str] = {
        "segments": len(annotations.segments),
        "active_share": annotations.quality.active_share,
        "repairs": annotations.quality.fixes,
    }
    for name in ("new_tokens", "tokens_per_second", "cost_usd"):
        if name in details:
            made[name] = details[name]  # type: ignore[assignment]
    details["needs_review"] = annotations.needs_review
    details["warnings"] = [warning.code for warning in annotations.warnings]
    return Counts(made, dropped, details)
