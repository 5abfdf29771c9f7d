"""The download phase through the real runner and the real client, from moto on the loopback interface."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config_egoexo import DownloadVideosKnobs, IndexKnobs, ProcessKnobs
from pipeline.console import Console
from pipeline.egoexo.fetching import take_lock
from pipeline.egoexo.output_size import output_bytes
from pipeline.egoexo.plan import show_plan
from pipeline.egoexo.release import read_index
from pipeline.egoexo.synthetic import flatten_release
from pipeline.egoexo.videos import fetch_take, find_videos, keep_videos, remove_videos, room_for, video_paths
from pipeline.errors import PipelineError
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_download import DownloadRecord
from pipeline.schema.egoexo_index import TakeIndex
from pipeline.step import fingerprint
from tests.egoexo_world import SMALL_TAKES, small_release
from tests.s3_server import S3Server, running

CONSORTIUM = "ego4d-consortium-sharing"
KEY = "egoexo-public/v2"
TAKES = [take for take in SMALL_TAKES if take.parent_task == "Cooking"]
TAKE = TAKES[0]
UNIT = f"cooking/{TAKE.take_uid}"
NATIVE, DOWNSCALED = "takes", "downscaled_takes/448"
CAMERAS = ("aria01_214-1", "cam01", "cam02")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("buckets"))


@pytest.fixture(scope="module")
def indexed(buckets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with metadata and index, without videos."""
    paths = Paths(tmp_path_factory.mktemp("indexed") / "data")
    flatten_release(buckets, paths.release())
    shutil.rmtree(paths.release() / "takes")
    summary = run_phase(phase("egoexo-index"), ["cooking"], IndexKnobs(scenario="cooking"), paths, Console())
    assert not summary.failed
    return paths.data


@pytest.fixture
def paths(indexed: Path, tmp_path: Path) -> Paths:
    shutil.copytree(indexed, tmp_path / "data")
    return Paths(tmp_path / "data")


@pytest.fixture(scope="module")
def filled(buckets: Path) -> Iterator[S3Server]:
    with running(buckets) as server:
        yield server


@pytest.fixture
def server(filled: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in filled.environment.items():
        monkeypatch.setenv(name, value)
    filled.requests.clear()
    yield filled
    filled.mend()


@pytest.fixture
def index(paths: Paths) -> TakeIndex:
    return read_index(paths, TAKE.take_uid)


def knobs(**changes: Any) -> DownloadVideosKnobs:
    return replace(DownloadVideosKnobs(scenario="cooking"), **changes)


def make(paths: Paths, changes: DownloadVideosKnobs | None = None, *units: str, redo: bool = False) -> Summary:
    again = ("egoexo-download",) if redo else ()
    return run_phase(phase("egoexo-download"), units or [UNIT], changes or knobs(), paths, Console(), again)


def fetch(paths: Paths, index: TakeIndex, said: list[str] | None = None, **changes: Any) -> DownloadRecord:
    report = (said if said is not None else []).append
    return fetch_take(paths, index, knobs(**changes), report=report, stop=threading.Event())


def failure(summary: Summary) -> str:
    assert not summary.made
    return summary.failed[UNIT]


def relative(camera: str, part: str = DOWNSCALED, take_name: str = TAKE.take_name) -> str:
    middle = "downscaled/448/" if part == DOWNSCALED else ""
    return f"takes/{take_name}/frame_aligned_videos/{middle}{camera}.mp4"


def key_of(camera: str, part: str = DOWNSCALED) -> str:
    return f"{KEY}/{part}/{relative(camera, part).removeprefix('takes/')}"


def cameras_of(paths: Paths, take_uid: str) -> list[str]:
    return list(read_index(paths, take_uid).cameras)


def videos(paths: Paths) -> list[str]:
    release = paths.release()
    return sorted(str(file.relative_to(release)) for file in release.rglob("*.mp4*") if file.is_file())


def put_manifest(server: S3Server, part: str, entries: list[dict[str, Any]]) -> None:
    server.put(CONSORTIUM, f"{KEY}/{part}/manifest.json", json.dumps(entries).encode())


def manifest_of(buckets: Path, part: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((buckets / CONSORTIUM / KEY / part / "manifest.json").read_text())
    return entries


def change_paths(server: S3Server, buckets: Path, part: str, change: Any) -> None:
    """Change the list of paths of the take in a part's manifest."""
    entries = manifest_of(buckets, part)
    for entry in entries:
        if entry["uid"] == TAKE.take_uid:
            entry["paths"] = change(entry["paths"])
    put_manifest(server, part, entries)


def until(condition: Any) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)


# --- which files ---------------------------------------------------------------------------------------------------


def test_video_paths_are_those_of_the_release(index: TakeIndex) -> None:
    assert video_paths(index, DOWNSCALED) == {camera: relative(camera) for camera in CAMERAS}
    assert video_paths(index, NATIVE) == {camera: relative(camera, NATIVE) for camera in CAMERAS}
    assert video_paths(index, "take_trajectory") == {}


def test_the_size_asked_for_is_found_first(paths: Paths, index: TakeIndex, buckets: Path) -> None:
    release = paths.release()
    assert find_videos(release, index, (DOWNSCALED,)) == {}
    flatten_release(buckets, release)
    for part in (DOWNSCALED, NATIVE):
        found = find_videos(release, index, (part,))
        assert found == {camera: release / relative(camera, part) for camera in CAMERAS}
    (release / relative("cam01", NATIVE)).unlink()
    assert find_videos(release, index, (NATIVE,))["cam01"] == release / relative("cam01")
    (release / relative("cam01")).unlink()
    assert list(find_videos(release, index, (NATIVE,))) == ["aria01_214-1", "cam02"]


@pytest.mark.parametrize("part", [DOWNSCALED, NATIVE])
def test_only_the_annotated_cameras_are_fetched(server: S3Server, paths: Paths, buckets: Path, part: str) -> None:
    other = {"source_path": f"s3://ego4d-cmu/{KEY}/takes/c.mp4", "relative_path": relative("cam09", part), "size": 7}
    change_paths(server, buckets, part, lambda all: [*all, other])
    summary = make(paths, knobs(parts=(part,)))
    assert summary.is_good and summary.made == [UNIT]
    assert videos(paths) == sorted(relative(camera, part) for camera in CAMERAS)
    for camera in CAMERAS:
        stored = (buckets / "ego4d-cmu" / key_of(camera, part)).read_bytes()
        assert (paths.release() / relative(camera, part)).read_bytes() == stored
    server.requests.clear()
    assert make(paths, knobs(parts=(part,))).skipped == [UNIT] and not server.requests


def test_other_parts_give_this_take_and_what_is_everybodys(server: S3Server, paths: Paths, index: TakeIndex) -> None:
    other_take = TAKES[1].take_uid
    owners = {TAKE.take_uid: "mine", other_take: "other", f"{TAKE.take_uid}_expert1": "expert", "config": "shared"}
    entries = []
    for uid, name in owners.items():
        server.put(CONSORTIUM, f"x/{name}", name.encode())
        path = {"source_path": f"s3://{CONSORTIUM}/x/{name}", "relative_path": f"x/{name}", "size": len(name)}
        entries.append({"uid": uid, "paths": [path]})
    put_manifest(server, "take_eye_gaze", entries)
    put_manifest(server, "captures", [entries[0] | {"uid": index.capture_uid}])
    put_manifest(server, "take_audio", [entries[1]])
    said: list[str] = []
    record = fetch(paths, index, said, parts=("take_eye_gaze", "captures", "take_audio"))
    assert [(file.relative_path, file.shared) for file in record.files if file.part == "take_eye_gaze"] == [
        ("x/mine", False), ("x/expert", False), ("x/shared", True)
    ]  # fmt: skip
    assert record.parts_without_files == ["take_audio"]
    assert not (paths.release() / "x/other").exists()


def test_default_stands_for_the_clients_six_parts(server: S3Server, paths: Paths, buckets: Path) -> None:
    for part in ("captures", "take_trajectory", "take_vrs_noimagestream"):
        put_manifest(server, part, [])
    summary = make(paths, knobs(parts=("default",)))
    assert summary.is_good and summary.dropped == {"parts_without_this_take": 3}
    record = read_model(paths.download_record(TAKE.take_uid), DownloadRecord, "")
    assert {file.part for file in record.files} == {"metadata", "annotations", "takes"}
    assert [file.relative_path for file in record.files if not file.shared] == [
        relative(camera, NATIVE) for camera in CAMERAS
    ]


# --- what is wrong with the release --------------------------------------------------------------------------------


def test_a_take_that_was_never_released_is_named(server: S3Server, paths: Paths, buckets: Path) -> None:
    put_manifest(server, DOWNSCALED, [e for e in manifest_of(buckets, DOWNSCALED) if e["uid"] != TAKE.take_uid])
    summary = make(paths, None, UNIT, f"cooking/{TAKES[1].take_uid}")
    assert f"has no take {TAKE.take_uid}" in summary.failed[UNIT]
    assert summary.made == [f"cooking/{TAKES[1].take_uid}"]  # the rest goes on


def test_a_camera_without_a_video_leaves_the_take_incomplete(server: S3Server, paths: Paths, buckets: Path) -> None:
    change_paths(server, buckets, DOWNSCALED, lambda all: [p for p in all if "cam02" not in p["relative_path"]])
    summary = make(paths)
    assert not summary.is_good and "has no video of cam02" in summary.incomplete[UNIT]
    assert videos(paths) == [relative("aria01_214-1"), relative("cam01")]
    assert not make(paths).is_good  # now and on each later run


def test_an_object_that_is_not_in_the_store_is_named(server: S3Server, paths: Paths, index: TakeIndex) -> None:
    server.remove("ego4d-cmu", key_of("cam01"))
    said: list[str] = []
    record = fetch(paths, index, said)
    assert list(record.missing) == [relative("cam01")] and "not in the store" in record.missing[relative("cam01")]
    assert any("cam01.mp4 is missing" in line for line in said)
    assert videos(paths) == [relative("aria01_214-1"), relative("cam02")]


def test_a_size_that_is_not_the_manifests_is_not_believed(
    server: S3Server, paths: Paths, index: TakeIndex, buckets: Path
) -> None:
    change_paths(server, buckets, DOWNSCALED, lambda all: [all[0], all[1] | {"size": all[1]["size"] + 5}, all[2]])
    record = fetch(paths, index)  # the client itself says nothing and exits 0
    (why,) = record.missing.values()
    assert why.startswith("wrong size: the manifest says") and not (paths.release() / relative("cam01")).exists()


def test_a_take_without_any_video_fails(server: S3Server, paths: Paths) -> None:
    for camera in CAMERAS:
        server.remove("ego4d-cmu", key_of(camera))
    assert "no video of cmu_cooking_01_1 is to be had" in failure(make(paths))


def test_an_empty_file_is_missing(server: S3Server, paths: Paths, index: TakeIndex, buckets: Path) -> None:
    change_paths(server, buckets, DOWNSCALED, lambda all: [all[0], all[1] | {"size": None}, all[2]])
    server.put("ego4d-cmu", key_of("cam01"), b"")
    assert "has no bytes" in fetch(paths, index).missing[relative("cam01")]


def test_an_unknown_part_is_refused_for_all_takes_at_once(server: S3Server, paths: Paths) -> None:
    summary = make(paths, knobs(parts=("downscaled_takes/480",)), UNIT, f"cooking/{TAKES[1].take_uid}")
    assert len(summary.failed) == 2 and "has no part 'downscaled_takes/480'" in summary.failed[UNIT]


# --- interrupted, stale, damaged -----------------------------------------------------------------------------------


def test_whole_files_stay_and_partial_ones_go(server: S3Server, paths: Paths, index: TakeIndex, buckets: Path) -> None:
    release = paths.release()
    whole, partial = release / relative("cam01"), release / (relative("cam02") + ".0a1b2c3D")
    whole.parent.mkdir(parents=True)
    whole.write_bytes((buckets / "ego4d-cmu" / key_of("cam01")).read_bytes())
    partial.write_bytes(b"half")
    (release / relative("cam02")).write_bytes(b"stale")
    said: list[str] = []
    assert not fetch(paths, index, said).missing
    gets = {path.rpartition("/")[2] for method, path in server.requests if method == "GET" and path.endswith(".mp4")}
    assert gets == {"aria01_214-1.mp4", "cam02.mp4"} and not partial.exists()
    assert any("1 partial files of an interrupted download removed" in line for line in said)


def test_a_connection_that_is_cut_now_and_then_does_no_harm(server: S3Server, paths: Paths, index: TakeIndex) -> None:
    server.faults.cut_after_bytes, server.faults.cuts = 1000, 7  # more than one file's tries within the client
    assert not fetch(paths, index).missing


@pytest.mark.slow
def test_a_connection_that_is_always_cut_is_told_as_that(server: S3Server, paths: Paths, index: TakeIndex) -> None:
    server.faults.cut_after_bytes = 1000
    with pytest.raises(PipelineError, match=r"was cut 3 times while .* was fetched") as caught:
        fetch(paths, index)
    assert "whole are kept" in caught.value.fix and not videos(paths)


@pytest.mark.slow
def test_keys_that_expire_on_the_way_are_told_as_that(server: S3Server, paths: Paths, index: TakeIndex) -> None:
    server.faults.refuse["cam02.mp4"] = (403, "ExpiredToken")
    with pytest.raises(PipelineError, match="expire after 14 days") as caught:
        fetch(paths, index)
    assert "ego4ddataset.com" in caught.value.fix
    assert relative("cam01") in videos(paths)  # whole files stay
    server.faults.refuse.clear()
    assert not fetch(paths, index).missing


def make_slow(server: S3Server, buckets: Path) -> None:
    """One camera's video becomes large enough for a partial file, and comes in pieces."""
    content = os.urandom(1 << 21)
    server.put("ego4d-cmu", key_of("cam01"), content)
    sized = {relative("cam01"): len(content)}
    change_paths(
        server, buckets, DOWNSCALED, lambda all: [p | {"size": sized.get(p["relative_path"], p["size"])} for p in all]
    )
    server.faults.piece_delay_s = 0.2


def partial(paths: Paths) -> list[str]:
    return [name for name in videos(paths) if ".mp4." in name]


def test_a_stopped_download_leaves_nothing_partial(
    server: S3Server, paths: Paths, index: TakeIndex, buckets: Path
) -> None:
    make_slow(server, buckets)
    stop = threading.Event()

    def stop_when_it_runs() -> None:
        until(lambda: partial(paths))
        stop.set()

    threading.Thread(target=stop_when_it_runs, daemon=True).start()
    with pytest.raises(PipelineError, match="was stopped"):
        fetch_take(paths, index, knobs(), report=lambda line: None, stop=stop)
    assert not partial(paths)
    assert not paths.download_record(TAKE.take_uid).exists()


@pytest.mark.slow
def test_a_killed_run_is_taken_up_without_loss(server: S3Server, paths: Paths, buckets: Path) -> None:
    make_slow(server, buckets)
    command = [sys.executable, "-m", "pipeline", "egoexo-download", "--scenario", "cooking", "--data", str(paths.data)]
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: partial(paths))
    run.send_signal(signal.SIGKILL)
    run.wait()
    left = {name: (paths.release() / name).stat().st_size for name in videos(paths)}
    time.sleep(1.5)  # a client that lived on would fetch on
    assert {name: (paths.release() / name).stat().st_size for name in videos(paths)} == left and partial(paths)
    server.faults.piece_delay_s = 0
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = [
        relative(camera, take_name=take.take_name) for take in TAKES for camera in cameras_of(paths, take.take_uid)
    ]
    assert videos(paths) == sorted(names)


@pytest.mark.slow
def test_a_deleted_video_is_fetched_again(server: S3Server, paths: Paths) -> None:
    make(paths)
    (paths.release() / relative("cam01")).unlink()
    server.requests.clear()
    assert make(paths).made == [UNIT]
    gets = [path for method, path in server.requests if method == "GET" and path.endswith(".mp4")]
    assert [path.rpartition("/")[2] for path in gets] == ["cam01.mp4"]
    assert make(paths).skipped == [UNIT]


@pytest.mark.slow
def test_redo_replaces_a_damaged_video_of_the_same_size(server: S3Server, paths: Paths, buckets: Path) -> None:
    make(paths)
    video = paths.release() / relative("cam01")
    video.write_bytes(bytes(video.stat().st_size))
    assert make(paths).skipped == [UNIT]
    assert make(paths, redo=True).made == [UNIT]
    assert video.read_bytes() == (buckets / "ego4d-cmu" / key_of("cam01")).read_bytes()


def test_two_runs_do_not_fetch_one_take_at_once(paths: Paths) -> None:
    file, stop = paths.download_record("x").with_name(".x.lock"), threading.Event()
    with take_lock(file, "x", stop):
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(PipelineError, match="another run was fetching x"), take_lock(file, "x", stop):
            raise AssertionError
    with take_lock(file, "x", threading.Event()):
        pass


# --- room and plan -------------------------------------------------------------------------------------------------


def free(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    usage = shutil._ntuple_diskusage(10**12, 10**12 - free_bytes, free_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)


def sizes_of(buckets: Path) -> dict[str, int]:
    """Take name → bytes of its 448-pixel videos."""
    return {
        take.take_name: sum(
            path["size"]
            for entry in manifest_of(buckets, DOWNSCALED)
            if entry["uid"] == take.take_uid
            for path in entry["paths"]
        )
        for take in TAKES
    }


UNITS = [f"cooking/{take.take_uid}" for take in TAKES]


def test_the_plan_says_files_gigabytes_and_the_price_of_448(
    server: S3Server, paths: Paths, buckets: Path, index: TakeIndex
) -> None:
    fetch(paths, index)
    said: list[str] = []
    assert show_plan(paths, UNITS, knobs(), said.append)
    text = "\n".join(said)
    assert "plan: 3 takes, 9 files" in text and "downscaled_takes/448: 9 files" in text and "6 to fetch" in text
    assert "about 10 IoU points" in text and "are free on the disk" in text
    said.clear()
    assert show_plan(paths, UNITS, knobs(parts=(NATIVE,)), said.append)
    assert "IoU" not in "\n".join(said)


def test_the_plan_counts_what_stays_of_other_parts_and_what_is_made(
    server: S3Server, paths: Paths, buckets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = []
    for take in TAKES:
        server.put(CONSORTIUM, f"vrs/{take.take_name}", b"v" * 5_000_000)
        path = {"source_path": f"s3://{CONSORTIUM}/vrs/{take.take_name}", "relative_path": f"vrs/{take.take_name}.vrs"}
        entries.append({"uid": take.take_uid, "paths": [path | {"size": 5_000_000}]})
    put_manifest(server, "take_vrs", entries)
    process = ProcessKnobs(scenario="cooking", parts=(DOWNSCALED, "take_vrs"))
    videos_bytes = sum(sorted(sizes_of(buckets).values())[-2:])
    said: list[str] = []
    assert show_plan(paths, UNITS, process, said.append)
    made_bytes = sum(output_bytes(read_index(paths, take.take_uid), 0) for take in TAKES)
    # three frames of three cameras each: less than twice of what really comes out
    assert made_bytes > 3 * 3 * 3 * 75_000
    assert f"at most {(videos_bytes + 15e6 + made_bytes) / 1e9:.3g} GB" in said[-1]
    assert "0.015 GB of other parts, which stay" in said[-1] and "of frames and annotations" in said[-1]
    free(monkeypatch, 500_000_000 + max(sizes_of(buckets).values()) + 15_000_000 + made_bytes - 1)
    with pytest.raises(PipelineError, match="of other parts, which stay"):
        show_plan(paths, UNITS, process, said.append)
    monkeypatch.undo()


def test_a_release_that_is_there_is_looked_at_before_any_work(
    paths: Paths, buckets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = paths.data.parent / "release"
    flatten_release(buckets, release)
    process = ProcessKnobs(scenario="cooking", release=str(release))

    def plan(knobs: DownloadVideosKnobs) -> str:
        said: list[str] = []
        assert show_plan(paths, UNITS, knobs, said.append)
        return "\n".join(said)

    whole = plan(process)  # no word of the user: the better size, as both are there
    assert "9 of full size (takes), 0 of downscaled_takes/448" in whole
    assert "IoU" not in whole and "lack" not in whole and "of frames and annotations" in whole
    small = plan(replace(process, parts=(DOWNSCALED,)))
    assert "0 of full size (takes), 9 of downscaled_takes/448" in small
    assert "about 10 IoU points" in small and "about 24 times" in small and "9 of them lie there in full size" in small
    (release / relative("cam01", NATIVE)).unlink()
    (release / relative("cam01")).unlink()
    shutil.rmtree(release / "takes" / TAKES[1].take_name)
    lacking = plan(process)
    assert f"2 of 3 takes lack videos there: {TAKE.take_name} (cam01), {TAKES[1].take_name} (all)" in lacking
    free(monkeypatch, 500_000_000)
    with pytest.raises(PipelineError, match="of frames and annotations"):
        show_plan(paths, UNITS, process, lambda line: None)


def test_parts_that_are_not_given_are_those_that_they_stand_for() -> None:
    assert fingerprint(knobs())["parts"] == fingerprint(knobs(parts=(DOWNSCALED,)))["parts"] == [DOWNSCALED]
    assert fingerprint(knobs(release="r"))["parts"] == [NATIVE]
    assert fingerprint(knobs(release="r", parts=(DOWNSCALED,)))["parts"] == [DOWNSCALED]


def test_a_dry_run_fetches_nothing(server: S3Server, paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(paths, knobs(dry_run=True)).only_planned
    assert "dry run: nothing is fetched" in capsys.readouterr().err
    assert not videos(paths) and not any(path.endswith(".mp4") for _, path in server.requests)


def test_a_download_that_does_not_fit_is_refused_as_a_whole(
    server: S3Server, paths: Paths, monkeypatch: pytest.MonkeyPatch, buckets: Path
) -> None:
    all_bytes = sum(sizes_of(buckets).values())
    free(monkeypatch, 500_000_000 + all_bytes - 1)
    with pytest.raises(PipelineError, match=r"3 takes need .* GB at once") as caught:
        show_plan(paths, UNITS, knobs(), lambda line: None)
    assert "egoexo-process alone fetches take by take" in caught.value.fix
    free(monkeypatch, 500_000_000 + all_bytes)
    assert show_plan(paths, UNITS, knobs(), lambda line: None)


def test_processing_needs_room_for_two_takes_or_one(
    server: S3Server, paths: Paths, monkeypatch: pytest.MonkeyPatch, buckets: Path
) -> None:
    second, largest = sorted(sizes_of(buckets).values())[-2:]
    for limit_bytes, words in [(largest + second, "(two takes)"), (largest, "one take after the other"), (0, "")]:
        said: list[str] = []
        process = ProcessKnobs(scenario="cooking", max_videos_gb=max(limit_bytes, largest - 1) / 1e9)
        if words:
            assert show_plan(paths, UNITS, process, said.append)
            assert words in said[-1] and "MAX_VIDEOS_GB" in said[-1]
        else:
            with pytest.raises(PipelineError, match=r"the largest take, .*, needs"):
                show_plan(paths, UNITS, process, said.append)
    with pytest.raises(PipelineError, match="3 takes need"):  # kept videos must all fit
        show_plan(
            paths, UNITS, ProcessKnobs(scenario="cooking", keep_videos=True, max_videos_gb=largest / 1e9), said.append
        )


def test_room_is_what_the_limit_leaves_beside_other_videos(
    server: S3Server, paths: Paths, index: TakeIndex, buckets: Path
) -> None:
    sizes = sizes_of(buckets)
    other = read_index(paths, TAKES[1].take_uid)
    limit_gb = (sizes[TAKE.take_name] + sizes[TAKES[1].take_name] - 1) / 1e9
    assert room_for(paths, index, knobs(max_videos_gb=limit_gb))
    fetch(paths, index, max_videos_gb=limit_gb)
    assert room_for(paths, index, knobs(max_videos_gb=limit_gb))  # it is here: nothing more is needed
    assert not room_for(paths, other, knobs(max_videos_gb=limit_gb))
    with pytest.raises(PipelineError, match=r"no room for cmu_cooking_01_2: .* allowed are taken"):
        fetch(paths, other, max_videos_gb=limit_gb)
    assert remove_videos(paths, index, knobs()) == sizes[TAKE.take_name]
    assert room_for(paths, other, knobs(max_videos_gb=limit_gb))


def test_a_full_disk_is_refused_before_anything_is_fetched(
    server: S3Server, paths: Paths, index: TakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 100_000_000)
    assert not room_for(paths, index, knobs())
    with pytest.raises(PipelineError, match="are free on the disk"):
        fetch(paths, index)
    assert not videos(paths)


# --- deleting ------------------------------------------------------------------------------------------------------


def test_only_one_takes_videos_of_the_part_are_deleted(server: S3Server, paths: Paths, buckets: Path) -> None:
    index = read_index(paths, TAKE.take_uid)
    for take in TAKES:
        fetch(paths, read_index(paths, take.take_uid))
    fetch(paths, index, parts=(NATIVE,))
    before = videos(paths)
    assert remove_videos(paths, index, knobs()) > 0
    assert set(before) - set(videos(paths)) == {relative(camera) for camera in CAMERAS}
    assert not paths.download_record(TAKE.take_uid).exists()
    remove_videos(paths, index, knobs(parts=(NATIVE,)))
    assert not (paths.release() / "takes" / TAKE.take_name).exists()
    assert (paths.release() / "takes" / TAKES[1].take_name).exists()
    assert remove_videos(paths, index, knobs()) == 0


def test_what_was_put_there_by_hand_or_is_to_be_kept_is_not_deleted(
    server: S3Server, paths: Paths, index: TakeIndex, buckets: Path
) -> None:
    by_hand = paths.release() / relative("cam01")
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes((buckets / "ego4d-cmu" / key_of("cam01")).read_bytes())
    native = paths.release() / relative("cam02", NATIVE)
    native.write_bytes(b"native")
    server.remove("ego4d-cmu", key_of("cam02"))  # `find_videos` falls back on the native one
    fetch(paths, index)
    assert remove_videos(paths, index, knobs()) > 0
    assert videos(paths) == sorted([relative("cam01"), relative("cam02", NATIVE)])
    fetch(paths, index)
    keep_videos(paths, index, knobs())
    assert remove_videos(paths, index, knobs()) == 0 and len(videos(paths)) == 3
    assert fetch(paths, index).files  # the record still tells what is there
    (paths.release() / relative("aria01_214-1")).unlink()
    fetch(paths, index)  # fetched anew without the wish to keep it
    assert remove_videos(paths, index, knobs()) > 0
    assert not list((paths.release() / "downloads").glob("*.own.json"))


def test_a_download_that_failed_claims_nothing(server: S3Server, paths: Paths, index: TakeIndex, buckets: Path) -> None:
    server.faults.refuse["cam02.mp4"] = (403, "ExpiredToken")
    with pytest.raises(PipelineError):
        fetch(paths, index)
    server.faults.refuse.clear()
    shutil.copy(buckets / "ego4d-cmu" / key_of("cam02"), paths.release() / relative("cam02"))  # by hand, in despair
    remove_videos(paths, index, knobs())
    assert videos(paths) == [relative("cam02")]


def test_a_release_of_the_users_own_is_never_touched(paths: Paths, index: TakeIndex, buckets: Path) -> None:
    flatten_release(buckets, paths.release())
    before = videos(paths)
    own = knobs(release=str(paths.release()))
    assert remove_videos(paths, index, own) == 0 and videos(paths) == before
    said: list[str] = []
    assert show_plan(paths, UNITS, own, said.append) and "nothing to fetch" in said[0]
    assert "is only read" in failure(make(paths, own))
