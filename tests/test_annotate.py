"""The annotate phase: real footage and model classes, tiny random weights; scripted answers where words matter."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from pipeline import phases
from pipeline.__main__ import main
from pipeline.config import AnnotateKnobs
from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.factory import annotate
from pipeline.factory.footage import Footage, Stretch
from pipeline.factory.questions import Interview
from pipeline.factory.synthetic import ClipSpec, make_shard
from pipeline.models.generation import Answer as Generated
from pipeline.models.tiny import write_tiny_model
from pipeline.ops.timeline.answers import Answer, format_answers
from pipeline.paths import Paths
from pipeline.runner import Summary, run_phase
from pipeline.schema.answers import RawResponse
from pipeline.schema.base import read_model
from pipeline.schema.manifest import Manifest
from pipeline.schema.segments import Annotations

CLIPS = ("factory_001_worker_001_0000", "factory_001_worker_001_0001")
LENGTH_S = 6.0
IDLE = {"active": False, "objects": [], "ecot": None}


@dataclass
class Home:
    """A data folder with two extracted clips, and a tiny model."""

    paths: Paths
    model: str

    def run(self, clips: tuple[str, ...] = CLIPS[:1], redo: tuple[str, ...] = (), **knobs: object) -> Summary:
        settings: dict[str, object] = {"model": self.model, "device": "cpu", "max_new_tokens": 700, "max_answers": 3}
        return run_phase(
            phases.phase("annotate"), clips, AnnotateKnobs(**(settings | knobs)), self.paths, Console(), redo
        )

    def annotations(self, clip: str = CLIPS[0]) -> Annotations:
        return read_model(self.paths.annotations(clip), Annotations, "")

    def response(self, clip: str = CLIPS[0]) -> RawResponse:
        return read_model(self.paths.raw_response_context(clip), RawResponse, "")

    def manifest(self, clip: str = CLIPS[0]) -> Manifest:
        return read_model(self.paths.manifest("annotate", clip), Manifest, "")

    def bytes(self, clip: str = CLIPS[0]) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.paths.annotations(clip).parent.glob(f"{clip}*")}


@pytest.fixture(scope="module")
def prototype(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("annotate")
    paths = Paths(folder / "data")
    shard = make_shard(
        folder / "shard", [ClipSpec(clip, LENGTH_S, keyframe_interval=30, seed=n) for n, clip in enumerate(CLIPS)]
    )
    shutil.unpack_archive(shard.archive, paths.clip_video(CLIPS[0]).parent, "tar", filter="data")
    paths.raw_intrinsics(CLIPS[0]).parent.mkdir(parents=True)
    shutil.copy(shard.intrinsics, paths.raw_intrinsics(CLIPS[0]))
    write_tiny_model(folder / "tiny", "qwen2_5-vl")
    return folder


@pytest.fixture
def home(prototype: Path, tmp_path: Path) -> Home:
    shutil.copytree(prototype / "data", tmp_path / "data")
    return Home(Paths(tmp_path / "data"), str(prototype / "tiny"))


@dataclass
class Script:
    """Answers in place of the model's words; everything around them is real."""

    texts: list[str | BaseException | Callable[[], str]]
    asked: list[tuple[Stretch, str]] = field(default_factory=list)

    def __call__(
        self, interview: Interview, stretch: Stretch, words: str, on_token: Callable[[int], None]
    ) -> Generated:
        self.asked.append((stretch, words))
        text = self.texts.pop(0)
        if isinstance(text, BaseException):
            raise text
        text = text if isinstance(text, str) else text()
        on_token(1)
        return Generated(text, text.endswith("]"), 100, 10, 72, 2.0, 1.0, None)


def scripted(monkeypatch: pytest.MonkeyPatch, *texts: str | BaseException | Callable[[], str]) -> Script:
    script = Script(list(texts))
    monkeypatch.setattr(Interview, "ask", lambda *arguments: script(*arguments))
    return script


def idle(*times_s: float) -> str:
    pairs = pairwise(times_s)
    rows = [{"action_id": n, "t_start_s": a, "t_end_s": b} | IDLE for n, (a, b) in enumerate(pairs, 1)]
    return json.dumps(rows)


def active(start_s: float, end_s: float, subtask: str, bbox: list[int] | None = None) -> str:
    ecot = {"scene": "s", "subtask": subtask, "motion": "m", "prediction": "p"}
    item = {"object_name": "box", "bbox": bbox, "rigid": True}
    return json.dumps(
        {"action_id": 1, "t_start_s": start_s, "t_end_s": end_s, "active": True, "objects": [item], "ecot": ecot}
    )


def spans(home: Home, clip: str = CLIPS[0]) -> list[tuple[float, float]]:
    return [(segment.t_start_s, segment.t_end_s) for segment in home.annotations(clip).segments]


def test_whole_clip_with_the_real_classes(home: Home) -> None:
    assert home.run().made == [CLIPS[0]]
    made = home.annotations()
    assert made.duration_s == LENGTH_S
    assert made.boxes.space == "rectified_px"
    assert made.boxes.size_wh == (456, 256)
    assert made.provenance.sampling.frames >= LENGTH_S
    record = home.response()
    assert record.answers[0].sampled_pts_s == (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert record.model_size_wh == (448, 252)
    assert record.box_convention == "model_px"
    details = home.manifest().details
    assert details["visual_tokens"] >= 3 * 144
    assert details["visual_tokens"] % 144 == 0
    for name in ("generation_seconds", "tokens_per_second", "new_tokens", "cost_usd", "peak_gpu_bytes"):
        assert name in details
    raw = json.loads(home.paths.annotations(CLIPS[0]).read_text())
    assert set(raw["segments"][0]) == {"action_id", "t_start_s", "t_end_s", "active", "objects", "ecot"}
    assert home.paths.timeline(CLIPS[0]).stat().st_size > 5000


def test_done_clips_are_skipped_before_any_model_loads_and_redo_repeats_the_bytes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.run()
    first = home.bytes()
    assert len(first) == 4
    assert home.run(redo=("annotate",)).made == [CLIPS[0]]
    assert home.bytes() == first
    monkeypatch.setattr(annotate, "load", lambda *_: pytest.fail("a model was loaded for nothing"))
    assert home.run().skipped == [CLIPS[0]]


def test_from_raw_gives_the_same_bytes_without_a_model(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.run()
    first, settings = home.bytes(), home.manifest().knobs
    home.paths.annotations(CLIPS[0]).unlink()
    monkeypatch.setattr(annotate, "load", lambda *_: pytest.fail("a model was loaded"))
    assert home.run(from_raw=True, fps=2.0).made == [CLIPS[0]]
    assert home.bytes() == first
    assert home.manifest().knobs == settings, "the settings of the run that asked still describe the product"


def test_from_raw_without_its_record_takes_what_the_flags_say(home: Home) -> None:
    home.paths.raw_response(CLIPS[0]).parent.mkdir()
    home.paths.raw_response(CLIPS[0]).write_text(f"```json\n[{active(0, 6, 'lift', [0, 0, 448, 252])}]\n```")
    assert home.run(from_raw=True).made == [CLIPS[0]]
    assert home.annotations().segments[0].objects[0].bbox == (0, 0, 456, 256)
    assert home.annotations().provenance.model.family == "qwen2_5-vl"


@pytest.mark.parametrize("fault", ["absent", "other video", "not text"])
def test_from_raw_says_what_is_wrong(home: Home, fault: str) -> None:
    if fault != "absent":
        home.run()
    if fault == "other video":
        shutil.copy(home.paths.clip_video(CLIPS[1]), home.paths.clip_video(CLIPS[0]))
    if fault == "not text":
        home.paths.raw_response(CLIPS[0]).write_bytes(b"\xff\xfe\x00")
    problem = home.run(from_raw=True).failed[CLIPS[0]]
    assert {"absent": "cannot be read", "other video": "about another", "not text": "is no text"}[fault] in problem


def test_words_are_saved_before_they_are_parsed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, "I see a table.", "Still a table.")
    assert "no usable segment" in home.run().failed[CLIPS[0]]
    assert "I see a table." in home.paths.raw_response(CLIPS[0]).read_text()
    assert not home.paths.annotations(CLIPS[0]).exists()
    assert not home.paths.manifest("annotate", CLIPS[0]).exists()


def test_an_answer_without_segments_is_asked_for_once_more_with_a_reminder(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch, "Sorry.", idle(0, 2, 6))
    assert home.run().made == [CLIPS[0]]
    assert script.asked[1][1].startswith(script.asked[0][1].rstrip())
    assert len(script.asked[1][1]) > len(script.asked[0][1]) + 100
    assert [answer.kind for answer in home.response().answers] == ["whole", "retry"]
    assert spans(home) == [(0, 2), (2, 6)]


def test_what_is_cut_off_is_continued_from_the_last_whole_segment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    script = scripted(monkeypatch, f'[{active(0, 2.5, "take the box")},{{"action_id":2,"t_st', idle(0, 1, 3.5))
    assert home.run().made == [CLIPS[0]]
    stretch, words = script.asked[1]
    assert (stretch.start_s, stretch.end_s) == (2.5, 6.0)
    assert stretch.pts_s == (2.5, 3.5, 4.5, 5.5)
    assert "from 2.5 to 6 s" in words
    assert "take the box" in words
    assert spans(home) == [(0, 2.5), (2.5, 3.5), (3.5, 6)]


def test_answers_are_bounded(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    script = scripted(monkeypatch, *[f"[{active(0, 1.0, 'a')},"] * 9)
    assert home.run(max_answers=3).made == [CLIPS[0]]
    assert len(script.asked) == 3
    assert "answer_cut_off" in home.manifest().details["warnings"]


def test_windows_are_asked_one_by_one_and_joined(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    script = scripted(monkeypatch, idle(0, 4), idle(0, 1, 4))
    assert home.run(window_s=4.0, overlap_s=2.0).made == [CLIPS[0]]
    assert [(stretch.start_s, stretch.end_s) for stretch, _ in script.asked] == [(0, 4), (2, 6)]
    assert "This is the part" in script.asked[0][1]
    assert spans(home)[0][0] == 0
    assert spans(home)[-1][1] == 6


def test_windows_that_do_not_fit_are_refused_and_chosen_when_left_open(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.models.qwen_vl.Annotator.most_frames", lambda *_: 4)
    assert "do not fit one question" in home.run(window_s=5.0).failed[CLIPS[0]]
    script = scripted(monkeypatch, *[idle(0, 3)] * 4)
    assert home.run().made == [CLIPS[0]]
    assert all(len(stretch.pts_s) <= 4 for stretch, _ in script.asked)
    assert len(script.asked) >= 2


def test_an_interrupted_clip_asks_nothing_twice(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    knobs = {"window_s": 3.0, "overlap_s": 0.0}
    scripted(monkeypatch, idle(0, 3), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        home.run(**knobs)
    script = scripted(monkeypatch, idle(0, 1, 3))
    assert home.run(**knobs).made == [CLIPS[0]]
    assert [stretch.start_s for stretch, _ in script.asked] == [3.0]
    assert spans(home) == [(0, 4), (4, 6)], "idle on both sides of the border is one segment"
    assert home.manifest().details["answers_from_interrupted_run"] == 1


def test_answers_to_another_question_are_not_taken_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, idle(0, 3), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        home.run(window_s=3.0, overlap_s=0.0)
    script = scripted(monkeypatch, idle(0, 3), idle(0, 3))
    assert home.run(window_s=3.0, overlap_s=0.0, fps=2.0).made == [CLIPS[0]]
    assert len(script.asked) == 2


def test_the_next_clip_is_decoded_while_this_one_is_answered(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: dict[str, threading.Event] = {clip: threading.Event() for clip in CLIPS}
    sample = Footage.sample

    def told(self: Footage, *arguments: float) -> Stretch:
        stretch = sample(self, *arguments)  # type: ignore[arg-type]
        decoded[self.clip].set()
        return stretch

    def answer() -> str:
        assert decoded[CLIPS[1]].wait(60), "the second clip was not decoded while the first was answered"
        return idle(0, 6)

    monkeypatch.setattr(Footage, "sample", told)
    scripted(monkeypatch, answer, idle(0, 6))
    assert home.run(CLIPS).made == list(CLIPS)


def test_one_damaged_clip_does_not_stop_the_other(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.paths.clip_video(CLIPS[0]).write_bytes(b"no video")
    scripted(monkeypatch, idle(0, 6))
    summary = home.run(CLIPS)
    assert (set(summary.failed), summary.made) == ({CLIPS[0]}, [CLIPS[1]])


def test_a_hole_in_the_footage_is_counted_and_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    video = home.paths.clip_video(CLIPS[0])
    data = bytearray(video.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 9000] = bytes(9000)
    video.write_bytes(bytes(data))
    script = scripted(monkeypatch, idle(0, 6))
    assert home.run().made == [CLIPS[0]]
    gaps = home.annotations().provenance.sampling.decode_gaps
    assert gaps
    assert len(script.asked[0][0].pts_s) + sum(gap.t_end_s - gap.t_start_s for gap in gaps) == 6
    assert home.manifest().dropped["seconds_not_decodable"] >= 1
    assert home.annotations().needs_review
    assert "footage_missing" in [warning.code for warning in home.annotations().warnings]


def test_ones_own_footage_without_calibration_stays_as_it_is(home: Home, tmp_path: Path) -> None:
    video = tmp_path / "kitchen.mp4"
    shutil.copy(home.paths.clip_video(CLIPS[0]), video)
    assert home.run(("kitchen",), video=str(video), intrinsics="none").made == ["kitchen"]
    assert home.annotations("kitchen").boxes.space == "raw_px"
    assert home.annotations("kitchen").boxes.rectified_K is None


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"model": "no/such/folder"}, "there is no folder"),
        ({"prompt": "no-such-prompt.txt"}, "no-such-prompt.txt cannot be read"),
        ({"intrinsics": "no-such.json"}, "no-such.json is not a file"),
        ({"video": "no-such.mp4", "intrinsics": "none"}, "no-such.mp4 is not a file"),
    ],
)
def test_bad_settings_are_named(home: Home, knobs: dict[str, object], says: str) -> None:
    assert says in home.run(**knobs).failed[CLIPS[0]]


def test_plan_prints_what_a_clip_needs_and_makes_nothing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["annotate", "--plan", "--data", str(home.paths.data), "--clip", CLIPS[0]], {}) == 0
    text = capsys.readouterr().out
    assert "16.58" in text
    assert f"6 s in one question: {3 * 144} visual tokens" in text
    assert not home.paths.annotations(CLIPS[0]).exists()


def test_plan_of_a_clip_that_is_not_here_takes_the_usual_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["annotate", "--plan", "--data", str(tmp_path), "--clip", CLIPS[0]], {}) == 0
    text = capsys.readouterr().out
    assert "not here yet" in text
    assert "180 s in one question: 12960 visual tokens" in text


def test_from_raw_keeps_what_the_asking_run_says_of_itself(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings and its cost, also when there never was a manifest, and with REDO beside it."""
    scripted(monkeypatch, "no json", "none either")
    assert home.run(fps=2.0).failed
    home.paths.raw_response(CLIPS[0]).write_text(format_answers([Answer(0.0, LENGTH_S, idle(0, 6))], LENGTH_S))
    record = json.loads(home.paths.raw_response_context(CLIPS[0]).read_text())
    home.paths.raw_response_context(CLIPS[0]).write_text(json.dumps(record | {"answers": record["answers"][:1]}))
    assert home.run(from_raw=True, redo=("annotate",)).made == [CLIPS[0]]
    assert home.manifest().knobs["fps"] == 2.0
    assert "--fps 2.0 → 1.0" in home.run().failed[CLIPS[0]]
    scripted(monkeypatch, idle(0, 6))
    home.run(redo=("annotate",))
    cost = home.manifest().details["cost_usd"]
    home.run(from_raw=True)
    assert home.manifest().details["cost_usd"] == cost
    assert home.manifest().details["from_raw"] is True


def test_from_raw_refuses_words_about_other_pictures(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, idle(0, 6))
    home.run()
    assert "rectified in another way" in home.run(from_raw=True, rectify_balance=1.0).failed[CLIPS[0]]
    assert home.run().skipped == [CLIPS[0]], "the product that was there is still whole"


def test_an_interrupted_redo_keeps_its_answers_through_from_raw(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = {"window_s": 3.0, "overlap_s": 0.0}
    scripted(monkeypatch, idle(0, 3), idle(0, 3))
    home.run(**windows)
    scripted(monkeypatch, idle(0, 1, 3), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        home.run(redo=("annotate",), **windows)
    home.run(from_raw=True, **windows)
    script = scripted(monkeypatch, idle(0, 3))
    assert home.run(redo=("annotate",), **windows).made == [CLIPS[0]]
    assert [stretch.start_s for stretch, _ in script.asked] == [3.0]


@pytest.mark.parametrize("subtask", ["a \ud800 b", "look <|video_pad|> here", "x" * 900])
def test_what_the_model_says_cannot_break_the_next_question(
    home: Home, subtask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch, f"[{active(0, 2.5, subtask)},", idle(0, 3.5))
    assert home.run().made == [CLIPS[0]]
    words = script.asked[1][1]
    words.encode()
    assert "<|" not in words
    assert len(words) < len(script.asked[0][1]) + 600


def test_very_many_segments_still_give_a_picture(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, idle(*(number * 0.005 for number in range(1201))))
    assert home.run(constrain=False).made == [CLIPS[0]]
    assert len(home.annotations().segments) == 1200


def test_a_bad_prompt_is_found_out_before_the_model_is_loaded(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.models.qwen_vl.load_annotator", lambda *_, **__: pytest.fail("the model was loaded"))
    assert "no-such-prompt" in home.run(prompt="no-such-prompt.txt").failed[CLIPS[0]]
    with pytest.raises(PipelineError, match="overlap"):
        home.run(window_s=3.0)


def test_the_other_family_through_the_same_phase(home: Home, tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny3", "qwen3-vl")
    assert home.run(model=str(model), max_new_tokens=1200, max_answers=4).made == [CLIPS[0]]
    assert home.response().box_convention == "per_mille"
    assert home.annotations().provenance.model.family == "qwen3-vl"


def test_all_on_an_ordinary_camera_leaves_rectification_out(home: Home, tmp_path: Path) -> None:
    video = tmp_path / "kitchen.mp4"
    shutil.copy(home.paths.clip_video(CLIPS[0]), video)
    flags = ["--data", str(home.paths.data), "--video", str(video), "--intrinsics", "none", "--device", "cpu"]
    status = main(["all", *flags, "--model", home.model, "--max-new-tokens", "700"], {})
    assert status == 0
    assert home.annotations("kitchen").boxes.space == "raw_px"
    assert main(["check-rectify", *flags[:6]], {}) == 1
    assert main(["status", "--data", str(home.paths.data)], {}) == 0


def test_a_redo_that_fails_keeps_what_was_paid_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, idle(0, 6))
    home.run()
    before = home.bytes()
    scripted(monkeypatch, "no json", "none either")
    problem = home.run(redo=("annotate",), fps=2.0).failed[CLIPS[0]]
    assert "no usable segment" in problem
    assert home.bytes() == before
    assert home.run().skipped == [CLIPS[0]]
    assert "no json" in (home.paths.work("annotate", CLIPS[0]) / home.paths.raw_response(CLIPS[0]).name).read_text()


@pytest.mark.parametrize("fault", ["video", "calibration"])
def test_bad_footage_is_found_out_before_the_model_is_loaded(
    home: Home, fault: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(annotate, "load", lambda *_: pytest.fail("the model was loaded"))
    if fault == "video":
        home.paths.clip_video(CLIPS[0]).write_bytes(b"no video")
    else:
        home.paths.raw_intrinsics(CLIPS[0]).write_text('{"model": "fisheye"}')
    assert home.run().failed
    assert "REDO=download,extract" in capfd.readouterr().err
