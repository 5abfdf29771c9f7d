"""Putting clips into data/clips, and listing what archives hold."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config import DownloadKnobs, ExtractKnobs
from pipeline.errors import PipelineError
from pipeline.factory import download, extract
from pipeline.factory.listing import list_clips
from pipeline.ops.hub import dataset as hub_module
from pipeline.paths import Paths
from tests.hub_server import HubServer
from tests.shard_maker import (
    Shown,
    archive_path,
    clip_name,
    make_repo,
    members_of,
    run_phase,
    worker_folder,
    write_tar,
)

CLIP = clip_name("100K", 1)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    make_repo(tmp_path / "hub")
    monkeypatch.setattr(hub_module, "load_token", lambda environment: None)
    monkeypatch.setattr(hub_module, "get_token", lambda: None)
    with HubServer({"builddotai/Egocentric-100K": tmp_path / "hub"}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def check_clip(data: Path, held: dict[str, bytes], clip: str = CLIP) -> None:
    paths = Paths(data)
    assert paths.clip_video(clip).read_bytes() == held[f"{clip}.mp4"]
    assert paths.clip_info(clip).read_bytes() == held[f"{clip}.json"]


@pytest.mark.parametrize("layout", ["100K", "10K"])
def test_from_an_archive_alone(tmp_path: Path, layout: str) -> None:
    held = make_repo(tmp_path / "data/raw", layout)
    clip = clip_name(layout, 2)
    counts, paths = run_phase(extract, clip, tmp_path / "data", ExtractKnobs())
    check_clip(tmp_path / "data", held, clip)
    assert counts.details["source"] == archive_path(layout)
    assert paths.raw(archive_path(layout)).exists()
    assert list(extract.inputs(paths, clip, ExtractKnobs()).values()) == [paths.raw(archive_path(layout))]


def test_from_fetched_members_without_a_second_copy(server: HubServer, tmp_path: Path) -> None:
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())
    _, paths = run_phase(extract, CLIP, tmp_path / "data", ExtractKnobs())
    check_clip(tmp_path / "data", dict(members_of([clip_name("100K", i) for i in range(3)])))
    assert paths.clip_video(CLIP).samefile(paths.raw_member(CLIP, ".mp4"))
    assert set(extract.inputs(paths, CLIP, ExtractKnobs())) == {"video", "info"}


def test_another_file_system_gets_a_copy(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_phase(download, CLIP, tmp_path / "data", DownloadKnobs())

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    _, paths = run_phase(extract, CLIP, tmp_path / "data", ExtractKnobs())
    check_clip(tmp_path / "data", dict(members_of([clip_name("100K", i) for i in range(3)])))
    assert not paths.clip_video(CLIP).samefile(paths.raw_member(CLIP, ".mp4"))


def test_a_clip_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="run download first"):
        run_phase(extract, CLIP, tmp_path / "data", ExtractKnobs())
    make_repo(tmp_path / "data/raw")
    with pytest.raises(PipelineError, match="nearest are factory_001_worker_001_0002"):
        run_phase(extract, clip_name("100K", 50), tmp_path / "data", ExtractKnobs())


@pytest.mark.parametrize(
    ("video", "info", "words"),
    [
        (b"v", b"{", "is not a valid ClipInfo"),
        (b"v", b"[]", "is not a valid ClipInfo"),
        (b"v", b'{"factory_id": "1"}', "worker_id"),
        (b"v", b"\xff\xfe", "is not a valid ClipInfo"),
        (b"", None, "is empty"),
        (b"v", b" " * 2_000_000, "expected at most"),
    ],
)
def test_broken_members(tmp_path: Path, video: bytes, info: bytes | None, words: str) -> None:
    good = dict(members_of([CLIP]))[f"{CLIP}.json"]
    members = [(f"{CLIP}.mp4", video), (f"{CLIP}.json", good if info is None else info)]
    write_tar(tmp_path / "data/raw" / archive_path("100K"), iter(members))
    with pytest.raises(PipelineError, match=words):
        run_phase(extract, CLIP, tmp_path / "data", ExtractKnobs())
    assert not list((tmp_path / "data/clips").glob("[!.]*"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(info=st.binary(max_size=60) | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_any_facts(tmp_path: Path, info: bytes | str) -> None:
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    data = info.encode() if isinstance(info, str) else info
    members = [(f"{CLIP}.mp4", b"v"), (f"{CLIP}.json", data)]
    write_tar(tmp_path / "data/raw" / archive_path("100K"), iter(members))
    with pytest.raises(PipelineError):
        run_phase(extract, CLIP, tmp_path / "data", ExtractKnobs())


def test_a_size_that_differs_from_the_facts_is_said(tmp_path: Path) -> None:
    info = dict(members_of([CLIP]))[f"{CLIP}.json"]
    write_tar(tmp_path / "data/raw" / archive_path("100K"), iter([(f"{CLIP}.mp4", b"v"), (f"{CLIP}.json", info)]))
    shown = Shown()
    run_phase(extract, CLIP, tmp_path / "data", ExtractKnobs(), shown)
    assert any("20000 bytes, the video has 1" in line for line in shown.lines)


def test_the_archive_goes_only_when_told_and_only_if_it_can_come_back(server: HubServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    _, paths = run_phase(download, CLIP, data, DownloadKnobs(whole_archive=True))
    archive = paths.raw(archive_path("100K"))
    run_phase(extract, CLIP, data, ExtractKnobs())
    assert archive.exists()
    counts, _ = run_phase(extract, CLIP, data, ExtractKnobs(remove_archive=True))
    assert not archive.exists()
    assert counts.details["archives_removed"] == [archive_path("100K")]
    check_clip(data, dict(members_of([clip_name("100K", i) for i in range(3)])))
    run_phase(extract, CLIP, data, ExtractKnobs(remove_archive=True))  # nothing left to remove


def test_the_clip_is_in_place_before_the_archive_goes(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = run_phase(download, CLIP, tmp_path / "data", DownloadKnobs(whole_archive=True))
    unlink, removed = Path.unlink, []

    def watched(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".tar":
            removed.append(paths.clip_video(CLIP).exists() and paths.clip_info(CLIP).exists())
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    run_phase(extract, CLIP, tmp_path / "data", ExtractKnobs(remove_archive=True))
    assert removed == [True]


def test_an_archive_put_there_by_hand_stays(tmp_path: Path) -> None:
    make_repo(tmp_path / "data/raw")
    shown = Shown()
    run_phase(extract, CLIP, tmp_path / "data", ExtractKnobs(remove_archive=True), shown)
    assert (tmp_path / "data/raw" / archive_path("100K")).exists()
    assert any("it stays" in line for line in shown.lines)


def test_listing_is_the_same_here_and_on_the_hub(server: HubServer, tmp_path: Path) -> None:
    make_repo(tmp_path / "here/raw")
    here = list_clips(Paths(tmp_path / "here"), worker_folder("100K"), print, Shown())
    assert not server.requests
    shown = Shown()
    there = list_clips(Paths(tmp_path / "there"), worker_folder("100K"), shown.lines.append, shown)
    assert here == there
    assert [(row.clip, row.duration_s, row.size_bytes, row.codec) for row in here] == [
        (clip_name("100K", index), 60.0 + index, 20_000, "h265") for index in range(3)
    ]
    assert not list((tmp_path / "there").rglob("*.mp4"))


def test_listing_from_a_server_without_ranges(server: HubServer, tmp_path: Path) -> None:
    server.faults.no_ranges = True
    rows = list_clips(Paths(tmp_path), worker_folder("100K"), print, Shown())
    assert [row.duration_s for row in rows] == [60.0, 61.0, 62.0]


def test_listing_shows_clips_with_broken_facts(tmp_path: Path) -> None:
    write_tar(tmp_path / "raw" / archive_path("100K"), iter([(f"{CLIP}.mp4", b"vv"), (f"{CLIP}.json", b"?")]))
    (row,) = list_clips(Paths(tmp_path), worker_folder("100K"), print, Shown())
    assert (row.duration_s, row.size_bytes, row.codec) == (None, 2, None)
    with pytest.raises(PipelineError, match="no worker's folder"):
        list_clips(Paths(tmp_path), "factory1", print, Shown())
