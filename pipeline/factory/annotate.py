"""Describe what the hands do in one clip, segment by segment, with a vision-language model."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import AnnotateKnobs
from pipeline.errors import PipelineError
from pipeline.factory.footage import Footage, Stretch, open_footage
from pipeline.factory.questions import Interview, Notebook, conduct, open_interview
from pipeline.job import Counts, Job
from pipeline.models.families import family_of
from pipeline.models.loading import lend
from pipeline.models.planning import find_dims, vision_of_dims
from pipeline.models.qwen_vl import Annotator, load_annotator
from pipeline.models.video_inputs import model_size_wh
from pipeline.ops.answers import format_answers, parse_answers, pts_digest
from pipeline.ops.drawing import Image, jpeg
from pipeline.ops.frames import DecodeReport, iter_frames
from pipeline.ops.hub_token import load_token
from pipeline.ops.parse import annotations_from
from pipeline.ops.segments_picture import segments_picture
from pipeline.ops.source import clip_source
from pipeline.paths import Paths
from pipeline.schema.answers import AnswerRecord, RawResponse
from pipeline.schema.base import read_model
from pipeline.schema.provenance import Decoding, ModelSource, Sampling
from pipeline.schema.segments import Annotations


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


def load(knobs: AnnotateKnobs, report: Callable[[str], None]) -> AbstractContextManager[Annotator]:
    """Lend the model, once for all clips."""

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
    if job.knobs.from_raw:
        footage = open_footage(job.paths, job.unit, job.knobs)
        words, context = _saved_response(job, footage)
        details: dict[str, object] = {"from_raw": True}
    else:
        prepared: Prepared = job.prepared
        footage = prepared.interview.footage
        notebook = Notebook(job.work, job.inputs["video"].sha256, job.libraries)
        conduct(prepared.interview, notebook, prepared.first, job.report, job.progress)
        words = format_answers([saved.answer for saved in notebook.answers], footage.duration_s)
        context = _context(prepared.interview, notebook)
        details = _cost(notebook, job.knobs.price_per_hour)
    job.products["raw_response"].write_bytes(words.encode("utf-8", "surrogatepass"))
    job.products["raw_response_context"].write_text(context.model_dump_json(indent=2) + "\n")
    job.publish("raw_response")
    job.publish("raw_response_context")
    annotations = annotations_from(parse_answers(words, context.duration_s), context)
    job.products["annotations"].write_text(annotations.model_dump_json(indent=2) + "\n")
    job.products["timeline"].write_bytes(jpeg(segments_picture(annotations, _middle_frames(footage, annotations))))
    return _counts(annotations, details)


def _saved_response(job: Job, footage: Footage) -> tuple[str, RawResponse]:
    """The words of an earlier run and what stood beside them; without that, what the knobs say."""
    file, beside = job.paths.raw_response(job.unit), job.paths.raw_response_context(job.unit)
    try:
        words = file.read_bytes().decode("utf-8", "surrogatepass")
    except OSError as error:
        raise PipelineError(
            f"{file} cannot be read: {error.strerror}", "run annotate without --from-raw first"
        ) from None
    except UnicodeDecodeError as error:
        raise PipelineError(f"{file} is no text (byte {error.start})", "restore it, or REDO=annotate") from None
    if not beside.exists():
        job.report(f"{beside.name} is not there: {file.name} is parsed with what the flags say")
        return words, _assumed_context(job, footage, words)
    context = read_model(beside, RawResponse, "restore it, or remove it to parse with what the flags say")
    if context.source_sha256 not in (None, job.inputs["video"].sha256):
        raise PipelineError(
            f"{file} was said about another {footage.video.name} than the one that is there now",
            "REDO=annotate asks about the present one",
        )
    return words, context


def _assumed_context(job: Job, footage: Footage, words: str) -> RawResponse:
    """What stands beside words of unknown origin: the model that the knobs name, and the clip as it is."""
    knobs: AnnotateKnobs = job.knobs
    dims = find_dims(knobs.model, knobs.model_revision, load_token(os.environ))
    family = family_of(dims.model_type, knobs.model)
    answers = parse_answers(words, footage.duration_s)
    return RawResponse(
        clip=footage.clip,
        duration_s=footage.duration_s,
        source_sha256=job.inputs["video"].sha256,
        boxes=footage.box_space(),
        box_convention=family.box_convention,
        model_size_wh=model_size_wh(family, vision_of_dims(family, dims), footage.facts.size_wh),
        sampling=Sampling(fps=knobs.fps, frames=0, pts_digest=pts_digest(()), decode_gaps=()),
        model=ModelSource(id=knobs.model, revision=None, family=family.name, dtype=None),
        libraries=job.libraries,
        prompt_sha256=None,
        decoding=Decoding(),
        answers=tuple(
            AnswerRecord(kind=answer.kind, start_s=answer.start_s, end_s=answer.end_s, finished=answer.finished)
            for answer in answers
        ),
    )


def _context(interview: Interview, notebook: Notebook) -> RawResponse:
    """All that is needed to parse the words again and get the same bytes."""
    footage, annotator, knobs = interview.footage, interview.annotator, interview.knobs
    records = tuple(saved.record for saved in notebook.answers)
    gaps = {(gap.t_start_s, gap.t_end_s): gap for saved in notebook.answers for gap in saved.gaps}
    times_s = sorted({time_s for record in records for time_s in record.sampled_pts_s})
    return RawResponse(
        clip=footage.clip,
        duration_s=footage.duration_s,
        source_sha256=notebook.source_sha256,
        boxes=footage.box_space(),
        box_convention=annotator.family.box_convention,
        model_size_wh=interview.model_size_wh,
        sampling=Sampling(
            fps=knobs.fps,
            frames=len(times_s),
            pts_digest=pts_digest(times_s),
            decode_gaps=tuple(gaps[key] for key in sorted(gaps)),
        ),
        model=ModelSource(
            id=annotator.model_id,
            revision=annotator.revision,
            family=annotator.family.name,
            dtype=annotator.dtype_name,
        ),
        libraries=notebook.libraries,
        prompt_sha256=interview.prompt.sha256,
        decoding=Decoding(max_new_tokens=knobs.max_new_tokens, constrained=knobs.constrain, tries=knobs.max_answers),
        answers=records,
    )


def _cost(notebook: Notebook, price_per_hour: float) -> dict[str, object]:
    """What the answers took; an interrupted run's answers count with the time they took then."""
    answers = notebook.answers
    seconds = sum(saved.seconds for saved in answers)
    decoding_s = sum(saved.seconds - saved.prefill_seconds for saved in answers)
    new_tokens = sum(saved.record.new_tokens or 0 for saved in answers)
    peaks = [saved.peak_gpu_bytes for saved in answers if saved.peak_gpu_bytes is not None]
    return {
        "answers": len(answers),
        "answers_from_interrupted_run": notebook.found_again,
        "generation_seconds": round(seconds, 3),
        "prompt_tokens": sum(saved.record.prompt_tokens or 0 for saved in answers),
        "visual_tokens": sum(saved.visual_tokens for saved in answers),
        "new_tokens": new_tokens,
        "tokens_per_second": round(new_tokens / max(decoding_s, 1e-9), 2),
        "peak_gpu_bytes": max(peaks, default=None),
        "price_per_hour_usd": price_per_hour,
        "cost_usd": round(seconds / 3600 * price_per_hour, 6),
    }


def _middle_frames(footage: Footage, annotations: Annotations) -> dict[int, Image]:
    """The rectified picture in the middle of each segment, at the clip's own size; where none decodes, none."""
    report = DecodeReport()
    middles_s = [(segment.t_start_s + segment.t_end_s) / 2 for segment in annotations.segments]
    rectifier = footage.rectifier(footage.facts.size_wh)
    frames = iter_frames(footage.video, times_s=middles_s, rectifier=rectifier, report=report)
    pictures = [frame.image for frame in frames]
    lost = {missing.time_s for missing in report.missing}
    shown = [
        segment.action_id
        for segment, middle_s in zip(annotations.segments, middles_s, strict=True)
        if middle_s not in lost
    ]
    return dict(zip(shown, pictures, strict=True))


def _counts(annotations: Annotations, details: dict[str, object]) -> Counts:
    dropped: dict[str, int] = {}
    for repair in annotations.repairs:
        if repair.rule.startswith("dropped_"):
            reason = f"segments_{repair.rule.removeprefix('dropped_')}"
            dropped[reason] = dropped.get(reason, 0) + 1
    gaps = len(annotations.provenance.sampling.decode_gaps)
    if gaps:
        dropped["frames_not_decodable"] = gaps
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
    return Counts(made, dropped, details, settings_kept="from_raw" in details)
