"""Ask a model about one clip, stretch by stretch, until every window has an answer or its tries are used up.

Every answer is kept in the job's work folder as soon as it is there, so a killed run asks nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from pipeline.config import AnnotateKnobs
from pipeline.errors import PipelineError
from pipeline.factory.footage import Footage, Stretch
from pipeline.job import Progress
from pipeline.models.generation import Answer as Generated
from pipeline.models.generation import generate
from pipeline.models.qwen_vl import Annotator
from pipeline.models.video_inputs import SampledVideo
from pipeline.ops.timeline.answers import Answer
from pipeline.ops.timeline.prompt import Prompt, fill, load_prompt, part_note, prompt_values, text_digest
from pipeline.ops.timeline.salvage import salvage
from pipeline.ops.timeline.windows import Window, follow_up, split_windows
from pipeline.schema.answers import AnswerRecord
from pipeline.schema.base import OwnModel, read_model, write_model
from pipeline.schema.provenance import AnswerKind, DecodeGap
from pipeline.schema.segment_schema import box_limits, segment_schema

MAX_SEGMENTS = 200
MAX_SUBTASK_LETTERS = 120
SPARE_TOKENS = 512
"""Kept free beside prompt and answer: frame times are written out one by one where decoding left holes."""


class Saved(OwnModel):
    """One answer in the work folder; `key` is the digest of all that shaped it."""

    key: str
    text: str
    record: AnswerRecord
    gaps: tuple[DecodeGap, ...]
    seconds: float
    prefill_seconds: float
    visual_tokens: int
    peak_gpu_bytes: int | None

    @property
    def answer(self) -> Answer:
        """As the raw response file has it."""
        return Answer(self.record.start_s, self.record.end_s, self.text, self.record.finished, self.record.kind)


@dataclass(frozen=True)
class Interview:
    """Everything that the questions about one clip have in common."""

    footage: Footage
    knobs: AnnotateKnobs
    annotator: Annotator
    prompt: Prompt
    retry_prompt: Prompt
    model_size_wh: tuple[int, int]
    windows: tuple[Window, ...]

    def words(self, stretch: Stretch, kind: AnswerKind, last_subtask: str | None) -> str:
        """The prompt for one stretch, filled in; a retry has the reminder below it."""
        whole = len(self.windows) == 1 and stretch.start_s == 0 and stretch.end_s == self.windows[0].end_s
        note = "" if whole else part_note(stretch.start_s, stretch.end_s, self.footage.duration_s, last_subtask)
        values = prompt_values(
            times_s=[max(0.0, time_s - stretch.start_s) for time_s in stretch.pts_s],
            duration_s=stretch.length_s,
            fps=self.knobs.fps,
            size_wh=self.model_size_wh,
            box_convention=self.annotator.family.box_convention,
            part=note,
        )
        text = fill(self.prompt.text, values)
        return f"{text.rstrip()}\n{fill(self.retry_prompt.text, values)}" if kind == "retry" else text

    def sample(self, start_s: float, end_s: float) -> Stretch:
        """The frames of one stretch as this model sees them."""
        return self.footage.sample(start_s, end_s, self.knobs.fps, self.model_size_wh)

    def key(self, stretch: Stretch, kind: AnswerKind, words: str, notebook: Notebook) -> str:
        """Digest of all that shapes one answer."""
        parts = {
            "source": notebook.source_sha256,
            "settings": notebook.settings,
            "libraries": notebook.libraries,
            "model": [self.annotator.model_id, self.annotator.revision, self.annotator.dtype_name],
            "device": self.annotator.model.device.type,
            "decoding": [self.knobs.constrain, self.knobs.max_new_tokens],
            "camera": self.footage.box_space().model_dump(mode="json"),
            "stretch": [kind, stretch.start_s, stretch.end_s, stretch.pts_s, self.model_size_wh],
            "words": words,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def ask(self, stretch: Stretch, words: str, on_token: Callable[[int], None]) -> Generated:
        """One question, one answer, constrained to this stretch's schema unless free text is wanted."""
        times_s = tuple(max(0.0, time_s - stretch.start_s) for time_s in stretch.pts_s)
        inputs = self.annotator.inputs(SampledVideo(stretch.images, times_s, self.knobs.fps), words)
        constraint = None
        if self.knobs.constrain:
            limits = box_limits(self.annotator.family.box_convention, self.model_size_wh)
            most = min(MAX_SEGMENTS, max(4, ceil(stretch.length_s)))
            constraint = self.annotator.constraint(segment_schema(stretch.length_s, limits, max_segments=most))
        return generate(self.annotator, inputs, self.knobs.max_new_tokens, constraint=constraint, on_token=on_token)


def open_interview(footage: Footage, knobs: AnnotateKnobs, annotator: Annotator) -> Interview:
    """Choose picture size and windows for a clip.

    Raises:
        PipelineError: a prompt cannot be read, or a window does not fit the model's context.
    """
    prompt, retry = load_prompt(Path(knobs.prompt)), load_prompt(Path(knobs.retry_prompt))
    size_wh = annotator.size_wh(footage.facts.size_wh)
    note = part_note(0.0, footage.duration_s, footage.duration_s, "x" * MAX_SUBTASK_LETTERS)
    longest_prompt = f"{prompt.text}\n{note}\n{retry.text}"
    most = annotator.most_frames(size_wh, longest_prompt, knobs.max_new_tokens + SPARE_TOKENS)
    most_s = most / knobs.fps
    if most_s <= 0 or (knobs.window_s > most_s and footage.duration_s > most_s):
        raise PipelineError(
            f"{knobs.window_s or footage.duration_s:g} s at {knobs.fps:g} frames per second do not fit one question to "
            f"{annotator.model_id}: {most_s:g} s of {size_wh[0]}x{size_wh[1]} pictures do",
            "leave --window-s at 0, which cuts the clip into windows that fit, or lower --fps or --max-new-tokens",
        )
    window_s = knobs.window_s or most_s
    overlap_s = knobs.overlap_s if knobs.window_s else min(knobs.overlap_s, window_s / 4)
    windows = split_windows(footage.duration_s, window_s, overlap_s)
    return Interview(footage, knobs, annotator, prompt, retry, size_wh, tuple(windows))


@dataclass
class Notebook:
    """The answers of one clip in the order asked; those of an earlier, interrupted run are found again."""

    folder: Path
    source_sha256: str
    libraries: dict[str, str]
    settings: dict[str, Any]
    """The knobs that shape the product; a local model's folder counts by its content."""
    answers: list[Saved] = field(default_factory=list)
    found_again: int = 0

    def recall(self, key: str) -> Saved | None:
        """The next answer as an earlier run left it, if it is the answer to this very question."""
        file = self._next_file()
        if not file.exists():
            return None
        saved = read_model(file, Saved, f"delete {file} and run again")
        if saved.key != key:
            return None
        self.answers.append(saved)
        self.found_again += 1
        return saved

    def keep(self, saved: Saved) -> Saved:
        """Write one answer down at once."""
        write_model(self._next_file(), saved)
        self.answers.append(saved)
        return saved

    def _next_file(self) -> Path:
        return self.folder / f"answer_{len(self.answers) + 1:03d}.json"


def conduct(
    interview: Interview, notebook: Notebook, first: Stretch, report: Callable[[str], None], progress: Progress
) -> None:
    """Ask about every window; what is cut off is continued, what holds no segment is asked for once more.

    Args:
        first: the frames of the first window, decoded ahead.
    """
    for number, window in enumerate(interview.windows, 1):
        kind: AnswerKind = "whole" if len(interview.windows) == 1 else "window"
        stretch: Stretch | None = first if number == 1 else None
        start_s, last_subtask, retried = window.start_s, None, False
        for _ in range(interview.knobs.max_answers):
            stretch = stretch or interview.sample(start_s, window.end_s)
            title = f"{interview.footage.clip} window {number}/{len(interview.windows)}"
            saved = _one_answer(interview, notebook, stretch, kind, last_subtask, title, progress)
            found = salvage(saved.text)
            next_step = follow_up(found, length_s=window.end_s - start_s, step_s=1 / interview.knobs.fps)
            if next_step.action == "accept" or (next_step.action == "retry" and retried):
                break
            report(f"{title}, answer {len(notebook.answers)}: {next_step.reason}; asking again")
            if next_step.from_s is not None:
                start_s, stretch, kind, retried = start_s + next_step.from_s, None, "continuation", False
                last_subtask = _subtask(found.objects[-1])
            else:
                kind, retried = "retry", True
        else:
            report(f"{title}: stopped after {interview.knobs.max_answers} answers (--max-answers)")


def _one_answer(
    interview: Interview,
    notebook: Notebook,
    stretch: Stretch,
    kind: AnswerKind,
    last_subtask: str | None,
    title: str,
    progress: Progress,
) -> Saved:
    words = interview.words(stretch, kind, last_subtask)
    key = interview.key(stretch, kind, words, notebook)
    if (saved := notebook.recall(key)) is not None:
        return saved
    progress.start(interview.knobs.max_new_tokens, title, "tokens")
    answer = interview.ask(stretch, words, lambda _: progress.advance())
    record = AnswerRecord(
        kind=kind,
        start_s=stretch.start_s,
        end_s=stretch.end_s,
        finished=answer.finished,
        prompt_tokens=answer.prompt_tokens,
        new_tokens=answer.new_tokens,
        prompt_sha256=text_digest(words),
        sampled_pts_s=stretch.pts_s,
    )
    return notebook.keep(
        Saved(
            key=key,
            text=answer.text,
            record=record,
            gaps=stretch.gaps,
            seconds=answer.seconds,
            prefill_seconds=answer.prefill_seconds,
            visual_tokens=answer.visual_tokens,
            peak_gpu_bytes=answer.peak_gpu_bytes,
        )
    )


def _subtask(item: object) -> str | None:
    """What the last whole segment said the hands did, for the note of a continuation: short, and plain text only."""
    ecot = item.get("ecot") if isinstance(item, dict) else None
    subtask = ecot.get("subtask") if isinstance(ecot, dict) else None
    if not isinstance(subtask, str):
        return None
    plain = re.sub(r"<\|[^|]*\|>", " ", subtask).encode("utf-8", "replace").decode()
    return " ".join(plain.split())[:MAX_SUBTASK_LETTERS] or None
