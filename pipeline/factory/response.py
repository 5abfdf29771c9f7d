"""What a model said about a clip, with all that is needed to parse it again; and what it cost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import AnnotateKnobs
from pipeline.errors import PipelineError
from pipeline.factory.footage import Footage
from pipeline.factory.questions import Interview, Notebook
from pipeline.job import Job
from pipeline.models.families import family_of
from pipeline.models.planning import find_dims, vision_of_dims
from pipeline.models.video_inputs import model_size_wh
from pipeline.ops.hub.token import load_token
from pipeline.ops.timeline.answers import parse_answers, pts_digest
from pipeline.schema.answers import AnswerRecord, RawResponse
from pipeline.schema.base import read_model
from pipeline.schema.provenance import DecodeGap, Decoding, ModelSource, Sampling


def saved_response(job: Job, footage: Footage) -> tuple[str, RawResponse]:
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
    if context.boxes != footage.box_space():
        raise PipelineError(
            f"{file} was said about pictures rectified in another way (calibration, balance or size)",
            "give the flags of the run that asked, or REDO=annotate",
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


def context_of(interview: Interview, notebook: Notebook) -> RawResponse:
    """All that is needed to parse the words again and get the same bytes."""
    footage, annotator, knobs = interview.footage, interview.annotator, interview.knobs
    records = tuple(saved.record for saved in notebook.answers)
    gaps = merged([gap for saved in notebook.answers for gap in saved.gaps])
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
            decode_gaps=gaps,
        ),
        model=ModelSource(
            # A local folder is known by its content, wherever it lies.
            id=annotator.model_id if annotator.revision else Path(annotator.model_id).name,
            revision=annotator.revision or notebook.settings["model"],
            family=annotator.family.name,
            dtype=annotator.dtype_name,
        ),
        libraries=notebook.libraries,
        prompt_sha256=interview.prompt.sha256,
        decoding=Decoding(max_new_tokens=knobs.max_new_tokens, constrained=knobs.constrain, tries=knobs.max_answers),
        settings=notebook.settings,
        answers=records,
    )


def merged(gaps: Sequence[DecodeGap]) -> tuple[DecodeGap, ...]:
    """Gaps that touch or overlap as one, so that what several answers missed counts once; the first reason stays."""
    joined: list[DecodeGap] = []
    for gap in sorted(gaps, key=lambda gap: (gap.t_start_s, gap.t_end_s)):
        if joined and gap.t_start_s <= joined[-1].t_end_s + 1e-6:
            end_s = max(gap.t_end_s, joined[-1].t_end_s)
            joined[-1] = joined[-1].model_copy(update={"t_end_s": end_s})
        else:
            joined.append(gap)
    return tuple(joined)


def cost_of(notebook: Notebook, price_per_hour: float) -> dict[str, object]:
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
