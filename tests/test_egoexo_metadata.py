"""The metadata phase through the real runner and the real client, from moto on the loopback interface."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config_egoexo import MetadataKnobs
from pipeline.console import Console
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_download import DownloadRecord
from pipeline.schema.manifest import Manifest
from tests.egoexo_world import small_release
from tests.s3_server import S3Server, running

CONSORTIUM = "ego4d-consortium-sharing"
KEY = "egoexo-public/v2"
FILES = [f"annotations/relations_{split}.json" for split in ("test", "train", "val")] + [
    "annotations/splits.json", "captures.json", "takes.json"
]  # fmt: skip


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("buckets"))


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
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "data")


def make(paths: Paths, knobs: MetadataKnobs | None = None, redo: tuple[str, ...] = ()) -> Summary:
    return run_phase(phase("egoexo-metadata"), ["release"], knobs or MetadataKnobs(), paths, Console(), redo)


def failure(summary: Summary) -> str:
    assert not summary.made
    return summary.failed["release"]


def fetched(paths: Paths) -> list[str]:
    record = read_model(paths.download_record("metadata"), DownloadRecord, "")
    return sorted(file.relative_path for file in record.files)


def change_manifest(server: S3Server, buckets: Path, part: str, change: object) -> None:
    entries = json.loads((buckets / CONSORTIUM / KEY / part / "manifest.json").read_text())
    changed = change(entries)  # type: ignore[operator]
    server.put(CONSORTIUM, f"{KEY}/{part}/manifest.json", json.dumps(changed).encode())


def test_only_what_the_line_needs_is_fetched(server: S3Server, paths: Paths, buckets: Path) -> None:
    extra = {"uid": "ego_pose", "paths": [{"source_path": f"s3://{CONSORTIUM}/x", "relative_path": "annotations/x"}]}
    change_manifest(server, buckets, "annotations", lambda entries: [*entries, extra])
    assert make(paths).is_good
    assert fetched(paths) == FILES
    for name in FILES:
        assert (paths.release() / name).read_bytes() == (buckets / CONSORTIUM / KEY / name).read_bytes()
    products = read_model(paths.manifest("egoexo-metadata", "release"), Manifest, "").products
    assert sorted(products) == sorted([*FILES, "record"])
    server.requests.clear()
    assert make(paths).skipped == ["release"] and not server.requests


@pytest.mark.slow
def test_a_deleted_file_alone_is_fetched_again(server: S3Server, paths: Paths) -> None:
    make(paths)
    (paths.release() / FILES[1]).unlink()
    server.requests.clear()
    assert make(paths).made == ["release"]
    assert (paths.release() / FILES[1]).exists()
    assert [path for method, path in server.requests if method == "GET" and "manifest" not in path] == [
        f"/{CONSORTIUM}/{KEY}/{FILES[1]}"
    ]
    assert make(paths).skipped == ["release"]


@pytest.mark.slow
def test_redo_replaces_an_edited_file_of_the_same_size(server: S3Server, paths: Paths, buckets: Path) -> None:
    make(paths)
    takes = paths.release() / "takes.json"
    takes.write_bytes(takes.read_bytes().replace(b"cmu", b"xyz"))
    assert make(paths).skipped == ["release"]  # kept, with a warning
    assert make(paths, redo=("egoexo-metadata",)).made == ["release"]
    assert takes.read_bytes() == (buckets / CONSORTIUM / KEY / "takes.json").read_bytes()


def test_a_release_without_a_split_gives_the_others(server: S3Server, paths: Paths, buckets: Path) -> None:
    keep = {"annotations/relations_train.json", "annotations/relations_val.json"}
    change_manifest(
        server, buckets, "annotations", lambda all: [e for e in all if e["paths"][0]["relative_path"] in keep]
    )
    assert make(paths).is_good
    assert fetched(paths) == [*sorted(keep), "captures.json", "takes.json"]


@pytest.mark.parametrize(
    ("part", "name"), [("metadata", "takes.json"), ("annotations", "annotations/relations_*.json")]
)
def test_a_release_that_lists_too_little_is_refused(
    server: S3Server, paths: Paths, buckets: Path, part: str, name: str
) -> None:
    start = name.partition("*")[0]
    change_manifest(
        server, buckets, part, lambda all: [e for e in all if not e["paths"][0]["relative_path"].startswith(start)]
    )
    assert f"does not list {name}" in failure(make(paths))


@pytest.mark.slow
def test_an_object_that_is_not_there_is_named(server: S3Server, paths: Paths) -> None:
    server.remove(CONSORTIUM, f"{KEY}/captures.json")
    said = failure(make(paths))
    assert "captures.json is in the manifest, but not in the store" in said
    assert (paths.release() / "takes.json").exists()  # what is whole stays


def test_sizes_that_the_manifest_leaves_out_come_from_the_store(server: S3Server, paths: Paths, buckets: Path) -> None:
    change_manifest(
        server, buckets, "metadata", lambda all: [e | {"paths": [e["paths"][0] | {"size": None}]} for e in all]
    )
    assert make(paths).is_good
    assert fetched(paths) == FILES


def test_a_dry_run_says_the_plan_and_fetches_nothing(
    server: S3Server, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(paths, MetadataKnobs(dry_run=True)).only_planned
    said = capsys.readouterr().err
    assert "plan: 6 files of metadata, annotations" in said
    assert "run egoexo-metadata (" in said and "then --dry-run again" in said
    assert not paths.release().exists()


def test_a_disk_that_is_too_small_is_refused_before(
    server: S3Server, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9, 10**8))
    assert "do not fit" in failure(make(paths))
    assert not paths.release().exists()


def test_expired_keys_and_an_unknown_version_are_told_apart(server: S3Server, paths: Paths) -> None:
    assert "release v9" in failure(make(paths, MetadataKnobs(release_version="v9")))
    server.faults.refuse["manifest.json"] = (403, "InvalidAccessKeyId")
    assert "14 days" in failure(make(paths))
