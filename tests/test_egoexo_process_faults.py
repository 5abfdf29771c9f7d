"""What goes wrong with a take's videos, with the disk, and in the middle: named, resumed, never taken for done."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pipeline import step
from pipeline.config_egoexo import IndexKnobs, ProcessKnobs
from pipeline.console import Console
from pipeline.egoexo import frames, process, take_cameras, take_videos
from pipeline.egoexo.take_videos import BarInTurn
from pipeline.errors import PipelineError
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import run_phase
from pipeline.schema.base import write_whole
from tests.egoexo_line import EGO, NAMES, TEST, TRAIN, VAL, Line, contents
from tests.s3_server import running


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line.make(tmp_path)


def broken(line: Line, kind: str) -> bytes | None:
    """What lies in place of a video."""
    whole = line.video(VAL, "cam01").read_bytes()
    return {"gone": None, "empty": b"", "text": b"<html>please log in</html>", "cut": whole[:200]}[kind]


@pytest.mark.parametrize("kind", ["gone", "empty", "text", "cut"])
def test_one_exo_video_that_is_no_video(line: Line, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    line.replace_video(TRAIN, "cam02", broken(line, kind))
    line.index()
    summary = line.process()
    assert len(summary.made) == 3 and not summary.is_good
    assert list(summary.incomplete) == [f"cooking/{TRAIN}"]
    assert summary.incomplete[f"cooking/{TRAIN}"].startswith("cam02: ")
    assert "incomplete: cam02: " in capfd.readouterr().err
    assert summary.dropped == {"cameras_without_frames": 1}
    assert list(line.facts(TRAIN).cameras) == [EGO, "cam01"]
    assert line.annotation(TRAIN).masks["oil bottle_0"]["cam02"]  # what is known of it stays
    again = line.process()
    assert (len(again.skipped), list(again.incomplete)) == (3, [f"cooking/{TRAIN}"])


@pytest.mark.parametrize(("cameras", "word"), [([EGO], "ego"), (["cam01", "cam02"], "exo")])
@pytest.mark.parametrize("kind", ["gone", "text"])
def test_without_two_sides_the_take_fails_and_the_others_are_made(
    line: Line, cameras: list[str], word: str, kind: str
) -> None:
    wholes = {camera: line.video(TRAIN, camera).read_bytes() for camera in cameras}
    for camera in cameras:
        line.replace_video(TRAIN, camera, broken(line, kind))
    line.index()
    summary = line.process()
    assert summary.made == [f"cooking/{VAL}", f"cooking/{TEST}"]
    problem = summary.failed[f"cooking/{TRAIN}"]
    assert f"{NAMES[TRAIN]} has no {word} camera to take frames from" in problem
    assert all(f"{camera}: " in problem for camera in cameras)
    assert not line.folder(TRAIN).exists()
    assert not list((line.paths.data / "work").rglob("*.jpg"))  # nothing was decoded for nothing
    for camera, whole in wholes.items():
        line.video(TRAIN, camera).write_bytes(whole)
    assert line.process().made == [f"cooking/{TRAIN}"]


@pytest.mark.parametrize("moment", ["look", "extract"])
def test_a_video_that_vanishes_costs_its_camera_alone(line: Line, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    original = getattr(take_cameras.TakeCameras, moment)

    def delete_first(*arguments: Any) -> Any:
        line.video(TRAIN, "cam01").unlink()
        return original(*arguments)

    line.index()
    monkeypatch.setattr(take_cameras.TakeCameras, moment, delete_first)
    summary = line.process(TRAIN)
    assert summary.made and "cam01: " in summary.incomplete[f"cooking/{TRAIN}"]
    assert list(line.facts(TRAIN).cameras) == [EGO, "cam02"]


def test_exo_video_shorter_than_ego(line: Line) -> None:
    short = line.release / "takes" / "georgiatech_covid_03_4" / "frame_aligned_videos" / "cam01.mp4"  # 60 frames
    line.replace_video(TRAIN, "cam01", short.read_bytes())
    line.index()
    summary = line.process(TRAIN)
    assert summary.made and not summary.is_good
    assert summary.dropped == {"frames_not_there": 1}
    assert "cam01: 1 of 3 frames are missing (60: " in summary.incomplete[f"cooking/{TRAIN}"]
    facts = line.facts(TRAIN).cameras["cam01"]
    assert (facts.video_frames, facts.frames, list(facts.missing)) == (60, [0, 30], ["60"])
    assert line.frames(TRAIN, EGO) == [0, 30, 60]


def test_masks_beyond_the_end_of_every_video(line: Line) -> None:
    def change(object_masks: dict[str, Any]) -> None:
        for camera in object_masks["Cereal box_0"].values():
            camera["annotation"]["999999"] = camera["annotation"]["30"]
            camera["annotated_frames"].append(999999)

    line.edit(TRAIN, change)
    line.index()
    summary = line.process(TRAIN)
    assert summary.made and summary.dropped == {"frames_not_there": 2}
    assert summary.incomplete[f"cooking/{TRAIN}"].count("1 of 4 frames are missing (999999: ") == 2
    assert line.annotation(TRAIN).subsample_idx == [0, 30, 60, 999999]
    assert "999999" in line.annotation(TRAIN).masks["Cereal box_0"]["cam01"]


def test_a_camera_all_of_whose_frames_lie_beyond_the_end(line: Line) -> None:
    def change(object_masks: dict[str, Any]) -> None:
        for cameras in object_masks.values():
            if "cam02" in cameras:
                cameras["cam02"] = {"annotation": {}, "annotated_frames": [500]}
                cameras.pop(EGO, None)

    line.edit(TRAIN, change)
    line.index()
    summary = line.process(TRAIN)
    assert "cam02: it has none of the 1 frames that are wanted" in summary.incomplete[f"cooking/{TRAIN}"]
    assert "cam02" not in line.facts(TRAIN).cameras


def two_ego_cameras(line: Line) -> str:
    """A second ego camera that knows every object a little less; its name."""
    second = EGO.replace("aria01", "aria02")

    def change(object_masks: dict[str, Any]) -> None:
        for cameras in object_masks.values():
            if EGO in cameras:
                track = json.loads(json.dumps(cameras[EGO]))
                track["annotation"].pop("60", None)
                cameras[second] = track | {"annotated_frames": [0, 30]}

    line.edit(TRAIN, change)
    for video in (line.video, line.small_video):
        video(TRAIN, second).write_bytes(video(TRAIN, EGO).read_bytes())
    return second


def test_two_ego_cameras_are_both_kept(line: Line) -> None:
    second = two_ego_cameras(line)
    line.index()
    assert line.process(TRAIN).made
    assert [name for name, camera in line.facts(TRAIN).cameras.items() if camera.is_ego] == [EGO, second]
    assert any("with two ego cameras" in warning for warning in line.facts(TRAIN).warnings)
    assert line.frames(TRAIN, EGO) == [0, 30, 60]


def test_when_one_of_two_ego_cameras_has_no_video_the_other_has_the_frames_of_its_pairs(line: Line) -> None:
    second = two_ego_cameras(line)
    line.replace_video(TRAIN, EGO, None)
    line.index()
    assert list(line.process(TRAIN).incomplete) == [f"cooking/{TRAIN}"]
    assert [name for name, camera in line.facts(TRAIN).cameras.items() if camera.is_ego] == [second]
    assert line.frames(TRAIN, second) == [0, 30, 60]


def full_disk_after(monkeypatch: pytest.MonkeyPatch, module: Any, calls: int, error: BaseException) -> None:
    """The so-many-th file that a module writes is the last one."""
    write, left = module.write_whole, [calls]

    def write_or_fail(path: Path, content: bytes | str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error
        write(path, content)

    monkeypatch.setattr(module, "write_whole", write_or_fail)


def test_a_full_disk_costs_this_take_and_nothing_that_is_done(
    line: Line, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    line.index()
    full_disk_after(monkeypatch, frames, 5, OSError(errno.ENOSPC, "No space left on device", "x.jpg"))
    assert "the disk is full" in line.process(TRAIN).failed[f"cooking/{TRAIN}"]
    assert not line.folder(TRAIN).exists()
    work = line.paths.work("egoexo-process", f"cooking/{TRAIN}")
    before = {file: file.stat().st_mtime_ns for file in work.rglob("*.jpg")}
    assert len(before) == 5
    monkeypatch.undo()
    assert line.process(TRAIN).is_good
    after = {
        work / camera / "frames" / f"{frame}.jpg": (line.folder(TRAIN) / camera / f"{frame}.jpg").stat().st_mtime_ns
        for camera in line.facts(TRAIN).cameras
        for frame in line.frames(TRAIN, camera)
    }
    assert len(after) == 9 and before.items() <= after.items()
    assert not work.exists()


Harm = Callable[[pytest.MonkeyPatch], None]


def dying(module: Any, name: str, *, after: bool = False) -> Harm:
    """The process is stopped where this function is called, or where it returns."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(module, name)

        def die(*arguments: Any, **named: Any) -> None:
            if after:
                original(*arguments, **named)
            raise KeyboardInterrupt

        monkeypatch.setattr(module, name, die)

    return patch


def dying_at_the_ego_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the other cameras are done, or after a while where there is one core only."""
    extract = take_cameras.extract_camera

    def extract_or_die(video: Path, indices: Any, size_wh: Any, folder: Path, *others: Any, **named: Any) -> Any:
        if "aria" not in video.name:
            return extract(video, indices, size_wh, folder, *others, **named)
        until = time.monotonic() + 5
        while time.monotonic() < until and sum(map(is_done, folder.parents[1].glob("*/camera.json"))) < 2:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(take_cameras, "extract_camera", extract_or_die)


def is_done(record: Path) -> bool:
    return json.loads(record.read_text())["done"] is not None


MOMENTS: dict[str, Harm] = {
    "before the videos are opened": dying(take_cameras, "probe"),
    "at the third frame": lambda patch: full_disk_after(patch, frames, 2, KeyboardInterrupt()),
    "at the last camera": dying_at_the_ego_camera,
    "before a camera is done": dying(take_cameras.TakeCameras, "_settle"),
    "before the frames are linked": dying(process, "link_frames"),
    "between frames and annotation": dying(process, "write_take"),
    "before the videos are deleted": dying(process, "remove_videos"),
    "after the videos are deleted": dying(process, "remove_videos", after=True),
    "before the take is in place": dying(step, "_put_in_place"),
    "before its manifest": dying(step, "write_model"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_at_any_moment_and_taken_up_again(
    line: Line, monkeypatch: pytest.MonkeyPatch, moment: str, tmp_path: Path
) -> None:
    line.index()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        MOMENTS[moment](patch)
        line.process()
    assert not line.paths.manifest("egoexo-process", f"cooking/{TRAIN}").exists()
    assert line.process().made == line.units()
    whole = Line(line.release, Paths(tmp_path / "whole"))
    whole.index()
    whole.process()
    for uid in (TRAIN, VAL, TEST):
        assert contents(line.folder(uid)) == contents(whole.folder(uid))
    assert not (line.paths.data / "work").exists()


def test_frames_of_other_settings_are_not_taken_up(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line.index()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        MOMENTS["before the frames are linked"](patch)
        line.process(TRAIN, jpeg_quality=10)
    assert line.process(TRAIN).is_good
    other = Line(line.release, Paths(tmp_path / "other"))
    other.index()
    other.process(TRAIN)
    assert contents(line.folder(TRAIN)) == contents(other.folder(TRAIN))


def test_frames_of_another_video_are_not_taken_up(line: Line, tmp_path: Path) -> None:
    line.index()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        MOMENTS["before the frames are linked"](patch)
        line.process(TRAIN)
    line.replace_video(TRAIN, "cam01", line.video(VAL, "cam01").read_bytes())
    assert line.process(TRAIN).is_good
    line.process(VAL)
    assert (line.folder(TRAIN) / "cam01/30.jpg").read_bytes() == (line.folder(VAL) / "cam01/30.jpg").read_bytes()


def test_a_frame_that_a_power_cut_left_empty_is_made_again(line: Line) -> None:
    line.index()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        MOMENTS["before the frames are linked"](patch)
        line.process(TRAIN)
    work = line.paths.work("egoexo-process", f"cooking/{TRAIN}")
    (work / "cam01" / "frames" / "30.jpg").write_bytes(b"")
    (work / "cam02" / "camera.json").write_text("{")
    assert line.process(TRAIN).is_good
    assert (line.folder(TRAIN) / "cam01/30.jpg").stat().st_size > 1000


def test_without_hard_links_frames_are_copied(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    line.index()
    monkeypatch.setattr(os, "link", refuse)
    assert line.process(TRAIN).is_good
    assert line.frames(TRAIN, "cam01") == [0, 30, 60]


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A line that fetches from a store; its release folder is data/egoexo, with metadata alone."""
    made = Line.make(tmp_path)
    with running(tmp_path / "s3") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        home = made.paths.release()
        (home / "annotations").mkdir(parents=True)
        for file in (
            "takes.json",
            "captures.json",
            *(f"annotations/relations_{s}.json" for s in ("train", "val", "test")),
        ):
            (home / file).write_bytes((made.release / file).read_bytes())
        knobs = IndexKnobs(scenario="cooking")
        assert run_phase(phase("egoexo-index"), ["cooking"], knobs, made.paths, Console()).made
        yield made, server


def videos(line: Line) -> list[Path]:
    return sorted((line.paths.release() / "takes").rglob("*.mp4"))


@pytest.mark.slow
def test_annotations_that_would_be_refused_are_refused_before_their_videos_come(fetched: tuple[Line, Any]) -> None:
    line, server = fetched

    def refuse_one(object_masks: Any, take: str) -> None:
        if take == NAMES[TRAIN]:
            raise PipelineError("not of the release's form", "")

    server.requests.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "check_form", refuse_one)
        summary = line.process(TRAIN, VAL, release="")
    assert list(summary.failed) == [f"cooking/{TRAIN}"] and summary.made == [f"cooking/{VAL}"]
    assert not [
        path for how, path in server.requests if how == "GET" and path.endswith(".mp4") and NAMES[TRAIN] in path
    ]


@pytest.mark.slow
@pytest.mark.parametrize("late", ["read_masks", "link_frames"])
def test_a_take_that_fails_for_good_makes_room_for_the_next(
    fetched: tuple[Line, Any], monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    line, _ = fetched
    whole = getattr(process, late)

    def fail_once(*arguments: Any) -> Any:
        monkeypatch.setattr(process, late, whole)
        raise ValueError("a bug")

    monkeypatch.setattr(process, late, fail_once)
    sizes = [sum(line.video(uid, camera).stat().st_size for camera in cameras(line, uid)) for uid in (TRAIN, VAL)]
    summary = line.process(TRAIN, VAL, release="", max_videos_gb=(max(sizes) + 1000) / 1e9)
    assert list(summary.failed) == [f"cooking/{TRAIN}"] and summary.made == [f"cooking/{VAL}"]
    assert videos(line) == []


@pytest.mark.slow
def test_a_full_disk_leaves_the_videos_for_the_next_run(
    fetched: tuple[Line, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    line, server = fetched
    full_disk_after(monkeypatch, frames, 2, OSError(errno.ENOSPC, "No space left on device", "x.jpg"))
    assert line.process(TRAIN, release="").failed
    monkeypatch.setattr(frames, "write_whole", write_whole)
    assert len(videos(line)) == 3
    server.requests.clear()
    assert line.process(TRAIN, release="").is_good
    assert not [path for _, path in server.requests if path.endswith(".mp4")] and videos(line) == []


@pytest.mark.slow
def test_videos_put_there_by_hand_outlive_their_take(fetched: tuple[Line, Any]) -> None:
    line, _ = fetched
    places = {camera: line.paths.release() / line.video(TRAIN, camera).relative_to(line.release) for camera in
              (EGO, "cam01", "cam02")}  # fmt: skip
    places[EGO].parent.mkdir(parents=True)
    for camera in ("cam01", "cam02"):
        places[camera].write_bytes(line.video(TRAIN, camera).read_bytes())
    assert line.process(TRAIN, release="").is_good
    assert videos(line) == [places["cam01"], places["cam02"]]
    places[EGO].write_bytes(b"no video")  # all there by hand, and the take fails
    assert line.process(TRAIN, release="", redo=True).failed
    assert len(videos(line)) == 3


@pytest.mark.slow
def test_videos_kept_for_one_data_set_are_not_deleted_by_another(fetched: tuple[Line, Any]) -> None:
    line, _ = fetched
    assert line.process(TRAIN, release="", keep_videos=True).is_good
    knobs = IndexKnobs(name="pilot", takes=(NAMES[TRAIN],))
    assert run_phase(phase("egoexo-index"), ["pilot"], knobs, line.paths, Console()).made
    assert line.process(scenario="pilot", release="").is_good
    assert len(videos(line)) == 3


@pytest.mark.slow
def test_take_by_take_on_a_disk_that_holds_one(fetched: tuple[Line, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    line, _ = fetched
    sizes = [sum(line.video(uid, camera).stat().st_size for camera in cameras(line, uid)) for uid in (TRAIN, VAL, TEST)]
    most: list[int] = []
    run = process.run

    def looking_run(job: Any) -> Any:
        most.append(sum(video.stat().st_size for video in videos(line)))
        return run(job)

    monkeypatch.setattr(process, "run", looking_run)
    summary = line.process(release="", max_videos_gb=(max(sizes) + 1000) / 1e9)
    assert summary.is_good and len(summary.made) == 3
    assert max(most) <= max(sizes) + 1000
    assert videos(line) == []
    assert not list((line.paths.release() / "downloads").glob("*.json"))


def cameras(line: Line, uid: str) -> list[str]:
    return [file.stem for file in line.video(uid, "cam01").parent.glob("*.mp4")]


@pytest.mark.slow
def test_the_next_take_comes_while_one_is_processed_and_videos_may_stay(
    fetched: tuple[Line, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    line, _ = fetched
    run, ahead = process.run, []

    def patient_run(job: Any) -> Any:
        until = time.monotonic() + 30
        while job.unit.endswith(TRAIN) and time.monotonic() < until and not has_videos(line, VAL):
            time.sleep(0.05)
        ahead.append(has_videos(line, VAL))
        return run(job)

    monkeypatch.setattr(process, "run", patient_run)
    assert line.process(TRAIN, VAL, release="", keep_videos=True).is_good
    assert ahead == [True, True]
    assert len(videos(line)) == 6


def has_videos(line: Line, uid: str) -> bool:
    return any(NAMES[uid] in str(video) for video in videos(line))


@pytest.mark.slow
def test_killed_when_the_videos_are_gone_it_needs_them_no_more(fetched: tuple[Line, Any]) -> None:
    line, server = fetched
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        MOMENTS["after the videos are deleted"](patch)
        line.process(TRAIN, release="")
    assert videos(line) == []
    server.requests.clear()
    assert line.process(TRAIN, release="").is_good
    assert not [path for _, path in server.requests if path.endswith(".mp4")]
    assert line.frames(TRAIN, "cam01") == [0, 30, 60]


@pytest.mark.slow
def test_a_video_that_the_store_does_not_have(fetched: tuple[Line, Any]) -> None:
    line, server = fetched
    server.remove("ego4d-cmu", f"egoexo-public/v2/takes/{NAMES[TRAIN]}/frame_aligned_videos/cam02.mp4")
    for camera in (EGO, "cam01", "cam02"):
        server.remove("ego4d-cmu", f"egoexo-public/v2/takes/{NAMES[VAL]}/frame_aligned_videos/{camera}.mp4")
    summary = line.process(release="")
    assert f"cooking/{VAL}" in summary.failed
    assert "cam02: " in summary.incomplete[f"cooking/{TRAIN}"]
    assert "not in the store" in summary.incomplete[f"cooking/{TRAIN}"]
    assert f"cooking/{TEST}" in summary.made
    assert videos(line) == []


@pytest.mark.slow
def test_a_take_that_fails_makes_room_for_the_next(fetched: tuple[Line, Any]) -> None:
    line, server = fetched
    key = f"egoexo-public/v2/takes/{NAMES[TRAIN]}/frame_aligned_videos/{EGO}.mp4"
    server.put("ego4d-cmu", key, b"\0" * line.video(TRAIN, EGO).stat().st_size)
    summary = line.process(release="")
    assert list(summary.failed) == [f"cooking/{TRAIN}"] and len(summary.made) == 2
    assert videos(line) == []


@pytest.mark.slow
def test_killed_again_and_again_it_gets_there(line: Line, tmp_path: Path) -> None:
    """SIGKILL each time that another few frames are on the disk, until a run gets through."""
    line.index()
    command = [
        sys.executable, "-m", "pipeline", "egoexo-process", "--scenario", "cooking", "--release", str(line.release),
        "--parts", "takes", "--data", str(line.paths.data),
    ]  # fmt: skip
    kills = 0
    while True:
        enough = len(pictures(line)) + 12
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        while child.poll() is None and len(pictures(line)) < enough:
            time.sleep(0.002)
        if child.poll() is not None:
            break
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        kills += 1
    assert child.returncode == 0
    assert kills >= 2
    whole = Line(line.release, Paths(tmp_path / "whole"))
    whole.index()
    whole.process()
    for uid in (TRAIN, VAL, TEST):
        assert contents(line.folder(uid)) == contents(whole.folder(uid))


def pictures(line: Line) -> set[str]:
    """Frames anywhere below data/, in the work folder or in place."""
    return {
        f"{folder}/{name}"
        for folder, _, names in os.walk(line.paths.data)  # which bears with folders that go away
        for name in names
        if name.endswith(".jpg") and name[0].isdecimal()
    }


@pytest.mark.parametrize("ends_by", ["turn", "stop"])
def test_a_take_without_room_waits_for_its_turn(line: Line, monkeypatch: pytest.MonkeyPatch, ends_by: str) -> None:
    line.index()
    shutil.copytree(line.release / "annotations", line.paths.release() / "annotations")
    fetched: list[bool] = []
    monkeypatch.setattr(take_videos, "room_for", lambda *_: False)
    monkeypatch.setattr(take_videos, "fetch_take", lambda *_, **__: fetched.append(job.turn.is_set()))
    row, knobs = phase("egoexo-process"), ProcessKnobs(scenario="cooking")
    job = step.new_job(row, process, f"cooking/{TRAIN}", knobs, line.paths, Console())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.prepare, job)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        getattr(job, ends_by).set()
        if ends_by == "turn":
            waiting.result(5)
            assert fetched == [True]
        else:
            with pytest.raises(PipelineError, match="was stopped"):
                waiting.result(5)
            assert fetched == []


class Bar:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def start(self, total: float | None, what: str, unit: str = "") -> None:
        self.seen.append((total, what, unit))

    def advance(self, amount: float = 1) -> None:
        self.seen.append(amount)


def test_the_bar_of_a_download_waits_for_its_turn() -> None:
    bar, turn = Bar(), Event()
    waiting = BarInTurn(bar, turn)
    waiting.advance(1)
    waiting.start(100, "take", "B")
    waiting.advance(30)
    assert bar.seen == []
    turn.set()
    waiting.advance(10)
    waiting.advance(5)
    assert bar.seen == [(100, "take", "B"), 40, 5]
