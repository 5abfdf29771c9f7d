"""Fetching clips through the real huggingface_hub from a hub on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import DownloadKnobs
from pipeline.errors import PipelineError
from pipeline.factory import download
from pipeline.ops.hub import dataset as hub_module
from pipeline.ops.hub.dataset import Hub, Patience
from pipeline.ops.hub.remote_file import RemoteFile, partial_name
from pipeline.paths import Paths
from tests.hub_server import HubServer
from tests.shard_maker import (
    INTRINSICS_100K,
    Shown,
    archive_path,
    clip_name,
    make_repo,
    members_of,
    run_phase,
    worker_folder,
    write_tar,
)

REPOS = {"100K": "builddotai/Egocentric-100K", "10K": "builddotai/Egocentric-10K"}
CLIP = clip_name("100K", 1)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    folders = {}
    for layout, repo in REPOS.items():
        folders[repo] = tmp_path / "hub" / layout
        make_repo(folders[repo], layout)
    for name in ("HF_TOKEN", "HF_KEY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub_module, "load_token", lambda environment: environment.get("HF_TOKEN"))
    monkeypatch.setattr(hub_module, "get_token", lambda: None)
    patience = Patience(attempts=3, first_wait_s=0.01, longest_wait_s=0.05, timeout_s=0.5)
    monkeypatch.setattr(hub_module, "PATIENCE", patience)
    with HubServer(folders) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def folder(server: HubServer, layout: str = "100K") -> Path:
    return server.repos["datasets", REPOS[layout]]


def held(server: HubServer, clip: str = CLIP) -> dict[str, bytes]:
    return dict(item for item in members_of([clip_name("100K", i) for i in range(3)]) if item[0].startswith(clip))


def fetched(data: Path, clip: str = CLIP) -> dict[str, bytes]:
    paths = Paths(data)
    return {f"{clip}{suffix}": paths.raw_member(clip, suffix).read_bytes() for suffix in (".mp4", ".json")}


@pytest.mark.parametrize("layout", ["100K", "10K"])
def test_only_the_clip_is_fetched(server: HubServer, tmp_path: Path, layout: str) -> None:
    clip = clip_name(layout, 1)
    shown = Shown()
    counts, paths = run_phase(download, clip, tmp_path / "data", DownloadKnobs(), shown)
    expected = dict(members_of([clip_name(layout, i) for i in range(3)]))
    assert fetched(tmp_path / "data", clip) == {name: expected[name] for name in (f"{clip}.mp4", f"{clip}.json")}
    assert json.loads(paths.raw_intrinsics(clip).read_text()) == INTRINSICS_100K
    assert counts.details["source"] == "byte ranges"
    assert counts.details["revision"] == server.commit(folder(server, layout))
    assert not paths.raw(archive_path(layout)).exists()
    assert shown.advanced == shown.total == counts.made["bytes"]
    assert not list((tmp_path / "data").rglob("*.partial"))


def test_the_index_is_read_once(server: HubServer, tmp_path: Path) -> None:
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    index = tmp_path / "data/raw/factory001/worker001/part000.index.json"
    before = index.read_bytes()
    server.reset()
    run_phase(download, clip_name("100K", 2), tmp_path / "data", DownloadKnobs())
    ranges = [request.range for request in server.requests if request.host == "storage"]
    assert len(ranges) == 2  # one for each member
    assert index.read_bytes() == before
    assert fetched(tmp_path / "data", clip_name("100K", 2)) == held(server, clip_name("100K", 2))


def test_an_index_survives_a_new_commit_that_leaves_the_archive_alone(server: HubServer, tmp_path: Path) -> None:
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    (folder(server) / "README.md").write_text("a new commit")
    server.reset()
    counts, _ = run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert len([request for request in server.requests if request.host == "storage"]) == 2
    assert counts.details["revision"] == server.commit(folder(server))


def test_a_changed_archive_is_indexed_anew(server: HubServer, tmp_path: Path) -> None:
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    clips = [clip_name("100K", index) for index in range(3)]
    new = write_tar(folder(server) / archive_path("100K"), members_of(clips, 30_000, seed=9))
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert fetched(tmp_path / "data")[f"{CLIP}.mp4"] == new[f"{CLIP}.mp4"]


def test_several_archives_are_searched(server: HubServer, tmp_path: Path) -> None:
    clip = clip_name("100K", 77)
    new = write_tar(folder(server) / archive_path("100K", part=152), members_of([clip], 10_000, seed=3))
    server.page_entries = 1
    counts, _ = run_phase(download, clip, tmp_path / "data", DownloadKnobs())
    assert fetched(tmp_path / "data", clip) == new
    assert counts.details["archive"] == archive_path("100K", part=152)


def test_a_whole_archive_comes_whole_and_serves_later_clips_offline(server: HubServer, tmp_path: Path) -> None:
    counts, paths = run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(whole_archive=True))
    archive = paths.raw(archive_path("100K"))
    assert archive.read_bytes() == (folder(server) / archive_path("100K")).read_bytes()
    assert fetched(tmp_path / "data") == held(server)
    server.reset()
    other = clip_name("100K", 2)
    counts, _ = run_phase(download, other, tmp_path / "data", DownloadKnobs())
    assert fetched(tmp_path / "data", other) == held(server, other)
    assert not server.requests
    assert counts.details["revision"] == server.commit(folder(server))


def test_an_archive_put_there_by_hand_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    make_repo(tmp_path / "data/raw")
    counts, _ = run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert fetched(tmp_path / "data") == {
        name: data for name, data in held_by_default().items() if name.startswith(CLIP)
    }
    assert counts.details["revision"] is None


def held_by_default() -> dict[str, bytes]:
    return dict(members_of([clip_name("100K", index) for index in range(3)]))


def test_a_server_without_ranges_gives_the_whole_archive(server: HubServer, tmp_path: Path) -> None:
    server.faults.no_ranges = True
    shown = Shown()
    counts, paths = run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(), shown)
    assert fetched(tmp_path / "data") == held(server)
    assert paths.raw(archive_path("100K")).exists()
    assert any("does not send parts" in line for line in shown.lines)
    assert counts.details["source"].startswith("archive")


def test_a_server_without_ranges_that_cuts_is_asked_from_the_start(server: HubServer, tmp_path: Path) -> None:
    server.faults.no_ranges, server.faults.cut_after_bytes, server.faults.cuts = True, 30_000, 2
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert fetched(tmp_path / "data") == held(server)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("fault", "value"),
    [("cuts", 3), ("statuses", [500, 429, 503]), ("links_refused", 2), ("stalls", 1), ("link_uses", 1)],
)
def test_passing_faults_are_outlived(server: HubServer, tmp_path: Path, whole: bool, fault: str, value: object) -> None:
    server.faults.cut_after_bytes = 5_000
    setattr(server.faults, fault, value)
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(whole_archive=whole))
    assert fetched(tmp_path / "data") == held(server)


@pytest.mark.parametrize(
    ("fault", "value", "words"),
    [
        ("cuts", -1, "was cut 4 times"),
        ("stalls", -1, "sent nothing for 0.5 s"),
        ("links_refused", -1, "despite fresh links"),
        ("listed_size_delta", 512, "bytes on the server, expected"),
        ("served_delta", 512, "bytes on the server, expected"),
        ("statuses", [503] * 99, "answered 503"),
        ("statuses", [418] * 99, "answered 418"),
        ("html", True, "does not answer like a Hugging Face hub"),
    ],
)
def test_lasting_faults_are_named(server: HubServer, tmp_path: Path, fault: str, value: object, words: str) -> None:
    setattr(server.faults, fault, value)
    with pytest.raises(PipelineError, match=words) as caught:
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert "secret" not in str(caught.value)


def test_damaged_bytes_are_found_by_their_sum(server: HubServer, tmp_path: Path) -> None:
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    server.faults.damage = True
    with pytest.raises(PipelineError, match="came with another SHA-256"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(whole_archive=True))
    assert not (tmp_path / "data/raw" / archive_path("100K")).exists()
    server.reset()
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(whole_archive=True))


def test_a_cut_keeps_what_came_and_goes_on_from_there(server: HubServer, tmp_path: Path) -> None:
    run_phase(download, clip_name("100K", 0), tmp_path / "data", DownloadKnobs())  # the index is there
    server.reset()
    server.faults.cut_after_bytes, server.faults.cuts = 3_000, -1
    with pytest.raises(PipelineError, match="was cut"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    (partial,) = (tmp_path / "data/work").rglob("*.partial")
    assert partial.stat().st_size == 12_000
    server.reset()
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert fetched(tmp_path / "data") == held(server)
    start = json.loads((tmp_path / "data/raw/factory001/worker001/part000.index.json").read_text())
    offset = start["members"][f"{CLIP}.mp4"]["offset_bytes"]
    first = next(request.range for request in server.requests if request.host == "storage")
    assert first == f"bytes={offset + 12_000}-{offset + 19_999}"


def test_bytes_of_two_revisions_are_never_mixed(server: HubServer, tmp_path: Path) -> None:
    server.faults.cut_after_bytes, server.faults.cuts = 10_000, -1
    with pytest.raises(PipelineError, match="was cut"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(whole_archive=True))
    clips = [clip_name("100K", index) for index in range(3)]
    new = write_tar(folder(server) / archive_path("100K"), members_of(clips, seed=5))  # same sizes, other bytes
    server.reset()
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(whole_archive=True))
    assert fetched(tmp_path / "data")[f"{CLIP}.mp4"] == new[f"{CLIP}.mp4"]
    assert not list((tmp_path / "data/raw").rglob("*.partial"))


def test_the_token_goes_to_the_hub_only(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.tokens = {"hf_good": True}
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    seen = {(request.host, request.authorization) for request in server.requests}
    assert seen == {("hub", "Bearer hf_good"), ("storage", None)}
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"hf_good" not in kept
    assert b"Signature" not in kept


@pytest.mark.parametrize(
    ("token", "words", "advice"),
    [
        (None, "no token was given", "accept the terms on http.*/datasets/builddotai/Egocentric-100K"),
        ("hf_new", "are not accepted yet", "accept them on http.*/datasets/builddotai/Egocentric-100K"),
        ("hf_wrong", "does not know this token", "settings/tokens"),
    ],
)
def test_refusals_say_where_to_go(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str | None, words: str, advice: str
) -> None:
    server.tokens = {"hf_good": True, "hf_new": False}
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(PipelineError, match=words) as caught:
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    caught.match(advice)
    assert token is None or token not in str(caught.value)


@pytest.mark.parametrize(
    ("clip", "knobs", "words", "advice"),
    [
        (clip_name("100K", 9), {}, "no clip factory_001_worker_001_0009", "nearest are factory_001_worker_001_0002"),
        (clip_name("100K", 0, worker=9), {}, "has no factory001/worker009", "nearest are factory001/worker001"),
        ("factory_900_worker_001_0000", {}, "has no factory900/worker001", "nearest are factory001"),
        (clip_name("10K", 0, worker=9), {}, "has no factory_001/workers/worker_009", "workers/worker_001"),
        (CLIP, {"repo": "builddotai/Other"}, "no data set builddotai/Other", "REPO="),
        (CLIP, {"repo": "not a name"}, "no name of a data set", "owner/name"),
        (CLIP, {"revision": "v9"}, "no revision 'v9'", "main"),
        (CLIP, {"revision": "0" * 40}, "no revision", "main"),
    ],
)
def test_wrong_names_get_the_nearest(
    server: HubServer, tmp_path: Path, clip: str, knobs: dict[str, str], words: str, advice: str
) -> None:
    with pytest.raises(PipelineError, match=words) as caught:
        run_phase(download, clip, tmp_path / "data", DownloadKnobs(**knobs))
    caught.match(advice)


def test_missing_or_broken_calibration(server: HubServer, tmp_path: Path) -> None:
    calibration = folder(server) / worker_folder("100K") / "intrinsics.json"
    calibration.write_text('{"model": "pinhole"}')
    with pytest.raises(PipelineError, match="no valid calibration"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert not Paths(tmp_path / "data").raw_intrinsics(CLIP).exists()
    calibration.unlink()
    with pytest.raises(PipelineError, match=r"has no factory001/worker001/intrinsics\.json"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())


def test_no_network(tmp_path: Path, server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PipelineError, match=r"no connection to 127\.0\.0\.1:9"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())


def test_a_full_disk(tmp_path: Path, server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(10**9, 10**9, 100)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(PipelineError, match=r"MB free, factory001/worker001/part000\.tar needs 0\.0 MB"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())


def test_a_disk_that_fills_up_half_way(tmp_path: Path, server: HubServer) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    remote = RemoteFile(Hub(REPOS["100K"]), archive_path("100K"))
    (tmp_path / "disk").symlink_to(full)
    with pytest.raises(PipelineError, match="MB free"):
        remote.fetch(0, remote.size_bytes, tmp_path / "disk", lambda amount: None)


def test_an_archive_put_there_by_hand_is_never_replaced(server: HubServer, tmp_path: Path) -> None:
    place = tmp_path / "data/raw" / archive_path("100K")
    write_tar(place, members_of([clip_name("100K", 70)]))
    before = place.read_bytes()
    with pytest.raises(PipelineError, match="move it away"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(whole_archive=True))
    assert place.read_bytes() == before
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())  # by ranges it does not matter
    assert fetched(tmp_path / "data") == held(server)


def test_killed_between_index_and_archive(server: HubServer, tmp_path: Path) -> None:
    server.faults.no_ranges = True
    counts, paths = run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    archive = paths.raw(archive_path("100K"))
    archive.rename(
        archive.with_name(partial_name(archive.name, server.digests(folder(server) / archive_path("100K"))[1]))
    )
    server.requests.clear()
    again, _ = run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert again.details["revision"] == counts.details["revision"]
    assert archive.exists()
    assert not [request for request in server.requests if request.host == "storage" and request.range is None]


SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "samples" / "factory"


def test_what_killed_writers_left_is_swept(server: HubServer, tmp_path: Path) -> None:
    worker = tmp_path / "data/raw/factory001/worker001"
    worker.mkdir(parents=True)
    (worker / ".intrinsics.json.999999999.partial").touch()
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    assert not list(worker.glob(".*"))


@pytest.mark.shared
def test_real_footage_in_the_published_layout(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not SAMPLE.exists():
        pytest.skip(f"{SAMPLE} is not here")
    server.repos["datasets", REPOS["100K"]] = SAMPLE
    sums = (SAMPLE / "truth/sums.json").read_text()
    for index in range(3):
        clip = clip_name("100K", index)
        run_phase(download, clip, tmp_path / "data", DownloadKnobs())
        for data in fetched(tmp_path / "data", clip).values():
            assert hashlib.sha256(data).hexdigest() in sums


def test_an_incomplete_clip_is_named(server: HubServer, tmp_path: Path) -> None:
    write_tar(folder(server) / archive_path("100K"), iter([(f"{CLIP}.mp4", b"x" * 2000)]))
    with pytest.raises(PipelineError, match=r"holds .*\.mp4 but not .*\.json"):
        run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())


CHILD = """
import sys
from pathlib import Path
from pipeline.config import DownloadKnobs
from pipeline.factory import download
from tests.shard_maker import run_phase
run_phase(download, sys.argv[1], Path(sys.argv[2]), DownloadKnobs(whole_archive=sys.argv[3] == "whole"))
"""


def test_two_at_once_fetch_the_archive_once(server: HubServer, tmp_path: Path) -> None:
    make_repo(folder(server), size=300_000)
    server.faults.bytes_per_s = 1_000_000
    clips = [clip_name("100K", 0), CLIP]
    command = [sys.executable, "-c", CHILD]
    children = [subprocess.Popen([*command, clip, str(tmp_path / "data"), "whole"]) for clip in clips]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    whole = [request for request in server.requests if request.host == "storage" and request.range is None]
    assert len(whole) == 1
    expected = dict(members_of([clip_name("100K", index) for index in range(3)], 300_000))
    for clip in clips:
        assert fetched(tmp_path / "data", clip)[f"{clip}.mp4"] == expected[f"{clip}.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ranges", "whole"])
def test_killed_at_random_moments(server: HubServer, tmp_path: Path, how: str) -> None:
    make_repo(folder(server), clips=3, size=400_000)
    expected = dict(members_of([clip_name("100K", index) for index in range(3)], 400_000))
    server.faults.bytes_per_s = 1_500_000
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    rng, data, kills = random.Random(7), tmp_path / "data", 0
    command = [sys.executable, "-c", CHILD, CLIP, str(data), how]
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "import pipeline.factory.download"], check=True, env=environment)
    import_s = time.monotonic() - began_s
    for _ in range(20):
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            child.wait(timeout=import_s * 0.8 + rng.uniform(0, 0.5))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
        else:
            assert child.returncode == 0, child.stderr.read().decode()  # type: ignore[union-attr]
    server.faults.bytes_per_s = 0
    subprocess.run(command, env=environment, check=True)
    assert kills >= 3
    assert not list((data / "raw").rglob(".*"))
    assert fetched(data) == {name: expected[name] for name in (f"{CLIP}.mp4", f"{CLIP}.json")}
    if how == "whole":
        assert (data / "raw" / archive_path("100K")).read_bytes() == (
            folder(server) / archive_path("100K")
        ).read_bytes()
