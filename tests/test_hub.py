"""The token, the layouts' names, and the test hub against calls of the real client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.hub.archives import nearest
from pipeline.ops.hub.token import load_token, read_dotenv
from pipeline.schema.egocentric import LAYOUTS, layout_of, layout_of_worker
from tests.hub_server import HubServer
from tests.shard_maker import archive_path, clip_name, make_repo, worker_folder


@pytest.mark.parametrize(
    ("environment", "dotenv", "token"),
    [
        ({}, None, None),
        ({}, "", None),
        ({"HF_TOKEN": "hf_a", "HF_KEY": "hf_b"}, "HF_TOKEN=hf_c", "hf_a"),
        ({"HF_KEY": " hf_b\n"}, "HF_TOKEN=hf_c", "hf_b"),
        ({"HF_TOKEN": "", "HF_KEY": ""}, "HF_KEY=hf_d\nHF_TOKEN=hf_c", "hf_c"),
        ({}, "HF_KEY=hf_d", "hf_d"),
        ({}, "\ufeffexport HF_TOKEN = 'hf_c' # mine", "hf_c"),
        ({}, 'HF_TOKEN="hf_c"', "hf_c"),
        ({}, "HF_TOKEN=hf_c # mine\r\n", "hf_c"),
        ({}, "# HF_TOKEN=hf_c\nOTHER=1\nno assignment", None),
        ({}, "HF_TOKEN= # none yet", None),
    ],
)
def test_where_the_token_comes_from(
    tmp_path: Path, environment: dict[str, str], dotenv: str | None, token: str | None
) -> None:
    file = tmp_path / ".env"
    if dotenv is not None:
        file.write_text(dotenv)
    assert load_token(environment, file) == token
    assert (environment.get("HF_TOKEN") or None) == token  # exported for children


@pytest.mark.parametrize("token", ["hf a", "hf_ä", "hf_\x00", "two\nlines"])
def test_what_is_no_token(tmp_path: Path, token: str) -> None:
    with pytest.raises(PipelineError, match="HF_KEY is not a token") as caught:
        load_token({"HF_KEY": token}, tmp_path / ".env")
    assert token not in str(caught.value)


def test_unreadable_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(PipelineError, match="cannot be read"):
        load_token({}, tmp_path / ".env")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PipelineError, match="cannot be read"):
        read_dotenv(tmp_path / "binary")


@given(st.text(max_size=200))
def test_any_dotenv(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / ".env"
        file.write_text(text, encoding="utf-8", errors="replace")
        assert all(isinstance(value, str) for value in read_dotenv(file).values())


@pytest.mark.parametrize("layout", ["100K", "10K"])
def test_both_layouts_have_their_own_names(layout: str) -> None:
    clip = clip_name(layout, 7)
    found = layout_of(clip)
    assert found.repo.endswith(layout)
    assert found.worker_dir(clip) == worker_folder(layout)
    assert layout_of_worker(worker_folder(layout)) is found
    assert found.archive_pattern.fullmatch(archive_path(layout, part=152))
    other = next(item for item in LAYOUTS if item is not found)
    assert not other.archive_pattern.fullmatch(archive_path(layout))


@pytest.mark.parametrize(
    "name", ["", "../x", "factory_1_worker_1_0", f"{clip_name('100K', 1)}/x", "factory_001_worker_001_١٢٣٤"]
)
def test_what_is_no_clip(name: str) -> None:
    with pytest.raises(PipelineError, match="no clip name"):
        layout_of(name)


def test_nearest_goes_by_numbers() -> None:
    names = [clip_name("100K", index) for index in range(77)]
    assert nearest(clip_name("100K", 99), names) == [clip_name("100K", index) for index in (76, 75, 74)]
    assert nearest("factory001/worker012", ["factory001/worker002", "factory001/worker011"])[0].endswith("011")


CLIENT = """
import sys
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
repo, path = "builddotai/Egocentric-100K", "factory001/worker001/part000.tar"
print(open(hf_hub_download(repo, path, repo_type="dataset"), "rb").read().hex()[:64])
print(sorted(HfApi().list_repo_files(repo, repo_type="dataset")))
with HfFileSystem().open(f"datasets/{repo}/{path}", block_size=4096) as file:
    file.seek(1024)
    print(file.read(8).hex())
print(open(snapshot_download("tiny/model") + "/config.json").read())
"""


@pytest.mark.slow
def test_the_test_hub_serves_the_real_client(tmp_path: Path) -> None:
    make_repo(tmp_path / "hub")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    (tmp_path / "model/model.safetensors").write_bytes(b"weights")
    with HubServer(
        {"builddotai/Egocentric-100K": tmp_path / "hub"},
        {"tiny/model": tmp_path / "model"},
        tokens={"hf_good": True},
        page_entries=2,
    ) as server:
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.endpoint,
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": "hf_good",
        }
        result = subprocess.run([sys.executable, "-c", CLIENT], env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert {request.authorization for request in server.requests if request.host == "storage"} == {None}
    head, files, piece, config = result.stdout.splitlines()
    data = (tmp_path / "hub" / archive_path("100K")).read_bytes()
    assert (head, piece, config) == (data.hex()[:64], data[1024:1032].hex(), "{}")
    assert files == str(sorted(["README.md", archive_path("100K"), f"{worker_folder('100K')}/intrinsics.json"]))
