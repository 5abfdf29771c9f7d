"""The Ego-Exo4D demo as a newcomer runs it, and the store that it serves itself from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from pipeline import demo_egoexo
from pipeline.console import Console
from pipeline.egoexo.demo_store import serving
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_release import SplitFile
from pipeline.schema.egoexo_take import TakeAnnotation, TakeFacts

ROOT = Path(__file__).parents[1]
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    file = tmp_path / "store/bucket/a folder/key+1.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    (tmp_path / "secret").write_text("outside")
    with serving(tmp_path / "store") as address:
        yield address


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return boto3.client(
        "s3", endpoint_url=store, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )


def test_boto_reads_objects_and_parts_of_them(client: Any) -> None:
    name = {"Bucket": "bucket", "Key": "a folder/key+1.bin"}
    whole = client.get_object(**name)
    assert whole["Body"].read() == CONTENT
    head = client.head_object(**name)
    assert head["ContentLength"] == len(CONTENT) and head["ETag"] == whole["ETag"]
    for asked, expected in (
        ("bytes=0-0", CONTENT[:1]),
        ("bytes=100-199", CONTENT[100:200]),
        ("bytes=10000-", CONTENT[10000:]),
        ("bytes=10000-99999", CONTENT[10000:]),
        ("bytes=-7", CONTENT[-7:]),
    ):
        part = client.get_object(**name, Range=asked)
        assert part["Body"].read() == expected, asked
        assert part["ContentRange"].endswith(f"/{len(CONTENT)}")


def test_what_is_not_there_is_told_as_s3_does(client: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.get_object(Bucket="bucket", Key="nothing")
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket="other", Key="a folder/key+1.bin")
    with pytest.raises(ClientError, match="InvalidRange"):
        client.get_object(Bucket="bucket", Key="a folder/key+1.bin", Range="bytes=99999-")
    etag = client.head_object(Bucket="bucket", Key="a folder/key+1.bin")["ETag"]
    with pytest.raises(ClientError, match="304"):
        client.get_object(Bucket="bucket", Key="a folder/key+1.bin", IfNoneMatch=etag)


def test_a_transfer_in_parts_arrives_whole(client: Any, tmp_path: Path) -> None:
    big = os.urandom(20 << 20)
    (tmp_path / "store/bucket/big.mp4").write_bytes(big)
    client.download_file("bucket", "big.mp4", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == big


def test_nothing_outside_its_folder_is_served_and_nothing_is_taken(store: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path, method, status in (
        ("/bucket/../../secret", "GET", 404),
        ("/%2e%2e/secret", "GET", 404),
        ("/bucket", "GET", 404),
        ("/bucket/new", "PUT", 501),
    ):
        request = urllib.request.Request(store + path, method=method, data=b"x" if method == "PUT" else None)
        with pytest.raises(urllib.error.HTTPError) as answer:
            opener.open(request)
        assert answer.value.code == status


def test_the_environment_is_the_demo_s_own_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere")
    monkeypatch.setenv("no_proxy", "intranet")
    before = dict(os.environ)
    with demo_egoexo._as_only_account("http://127.0.0.1:9", tmp_path):
        mine = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        assert set(mine) == {
            "AWS_ENDPOINT_URL", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_EC2_METADATA_DISABLED",
        }  # fmt: skip
        assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "intranet,127.0.0.1"
        credentials = Path(mine["AWS_SHARED_CREDENTIALS_FILE"])
        assert credentials.is_relative_to(tmp_path) and credentials.read_text().startswith("[default]")
    assert dict(os.environ) == before


def test_pairs_that_were_not_drawn_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = Paths(tmp_path)
    states = ("target_present", "target_absent", "target_unannotated")
    nothing = {"pairs": 0, **dict.fromkeys(states, 0)}
    truth = {split: {setting: dict(nothing) for setting in ("egoexo", "exoego")} for split in ("train", "val", "test")}
    for split, settings in truth.items():
        for setting in settings:
            file = paths.typed_pairs("cooking", split, setting)
            file.parent.mkdir(exist_ok=True)
            file.write_text("")
    assert demo_egoexo._compare(paths, truth, Console()) == 0
    truth["val"]["exoego"]["pairs"] = 1
    assert demo_egoexo._compare(paths, truth, Console()) == 1
    assert "val exoego" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_from_an_empty_folder_and_again(tmp_path: Path) -> None:
    elsewhere = "http://127.0.0.1:9"
    environment = os.environ | {
        "DATA": str(tmp_path / "data"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "AWS_PROFILE": "nobody",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), elsewhere),
    }
    command = ["bash", str(ROOT / "run.sh"), "demo", "egoexo"]
    for expected in ("egoexo-process: 3 made, 0 kept, 0 failed", "egoexo-process: 0 made, 3 kept, 0 failed"):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert expected in done.stderr
        assert re.search(r"all \d{3} pairs, and their targets' states, are as drawn", done.stderr)
    shown = [Path(name) for name in re.findall(r"^  (/\S+)", done.stderr, re.MULTILINE)]
    assert len(shown) == len(demo_egoexo.TAKES) + 3
    assert all(file.stat().st_size > 1000 for file in shown)
    paths = Paths(tmp_path / "data/demo/data")
    split = read_model(paths.split_file("cooking"), SplitFile, "")
    uids = [spec.take_uid for spec in demo_egoexo.TAKES]
    assert [split.train, split.val, split.test] == [[uid] for uid in uids]
    facts = read_model(paths.take_facts("cooking", uids[0]), TakeFacts, "")
    assert facts.cameras["aria01_214-1"].frame_size_wh == (704, 704)
    assert facts.cameras["cam01"].frame_size_wh == (960, 540)
    annotation = read_model(paths.take_annotation("cooking", uids[0]), TakeAnnotation, "")
    assert len(annotation.masks) == 5
    assert not list((paths.release() / "takes").rglob("*.mp4")), "videos go when their take is published"
