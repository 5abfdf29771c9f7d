"""`doctor`: every line ok, warning or error, with what to do; an error makes the exit status 1."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline import doctor
from pipeline.__main__ import main
from pipeline.config import CommonKnobs, DoctorKnobs
from tests.hub_server import HubServer

REPO = "builddotai/Egocentric-100K"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "HF_KEY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pipeline.ops.hub.token.DOTENV", tmp_path / "absent.env")


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    place = folder / "factory001/worker001/intrinsics.json"
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    return folder


def put_nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, *, free_mib: int, cuda: str) -> None:
    """The one thing that cannot exist here: a driver's tool, answering as the real one does."""
    tool = folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        f'if [ $# -gt 0 ]; then echo "NVIDIA GeForce RTX 3090, 24576, {free_mib}, 580.65.06"; else\n'
        f'echo "| NVIDIA-SMI 580.65.06   Driver Version: 580.65.06   CUDA Version: {cuda}  |"; fi\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")


def test_the_installed_libraries_are_the_pins() -> None:
    assert [finding.level for finding in doctor.check_versions()] == ["ok", "ok"]


def test_a_library_of_another_version_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.importlib.metadata.version
    monkeypatch.setattr(
        doctor.importlib.metadata, "version", lambda name: "2.0.0+cpu" if name == "torch" else real(name)
    )
    finding = doctor.check_versions()[1]
    assert finding.level == "error"
    assert "torch 2.0.0+cpu, pinned" in finding.text


@pytest.mark.parametrize(
    ("free_mib", "cuda", "levels"),
    [(24000, "13.0", ["ok", "ok"]), (9000, "13.2", ["error", "ok"]), (24000, "12.4", ["ok", "error"])],
)
def test_card_and_driver(
    free_mib: int, cuda: str, levels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_nvidia_smi(tmp_path, monkeypatch, free_mib=free_mib, cuda=cuda)
    findings = doctor.check_gpu("Qwen/Qwen2.5-VL-7B-Instruct")
    assert [finding.level for finding in findings] == levels
    assert all(finding.fix for finding in findings if finding.level == "error")
    assert "RTX 3090" in findings[0].text


def test_no_card_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [finding.level for finding in doctor.check_gpu("any")] == ["warning"]


def test_needs_of_models() -> None:
    awq, full = (doctor.plan_of(f"Qwen/Qwen2.5-VL-7B-Instruct{build}") for build in ("-AWQ", ""))
    assert awq is not None
    assert full is not None
    assert 16.5e9 < full.weights_bytes < 16.7e9
    assert awq.weights_bytes < full.weights_bytes / 2
    assert doctor.plan_of("no/such/model") is None


def test_a_disk_too_small_for_the_weights_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = doctor.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=int(10e9)))
    finding = doctor.check_disk(DoctorKnobs(), CommonKnobs(data=str(tmp_path)))[0]
    assert finding.level == "error"
    assert "weights 16.6 GB" in finding.text
    local = doctor.check_disk(DoctorKnobs(model=str(tmp_path)), CommonKnobs(data=str(tmp_path)))[0]
    assert local.level == "ok"
    assert "weights" not in local.text


@pytest.mark.parametrize(
    ("token", "level", "says"),
    [
        (None, "error", "no token was given"),
        ("hf_wrong", "error", "does not know this token"),
        ("hf_new", "error", "are not accepted yet"),
        ("hf_good", "ok", "opens with this token"),
    ],
)
def test_token(token: str | None, level: str, says: str, data_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HubServer({REPO: data_set}, tokens={"hf_good": True, "hf_new": False}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        if token:
            monkeypatch.setenv("HF_KEY", token)
        finding = doctor.check_token(DoctorKnobs(), CommonKnobs())[0]
    assert finding.level == level
    assert says in finding.text
    assert not token or token not in finding.text + finding.fix


def test_report_as_table_and_json(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with HubServer({REPO: data_set}) as hub:
        environment = {"HF_ENDPOINT": hub.endpoint, "MODEL": str(tmp_path), "DATA": str(tmp_path)}
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        assert main(["doctor"], environment) == 0
        assert "libraries" in capsys.readouterr().out
        assert main(["doctor", "--json"], environment) == 0
        assert {row["what"] for row in json.loads(capsys.readouterr().out)} >= {
            "python",
            "engine",
            "GPU",
            "disk",
            "token",
        }
        assert main(["doctor", "--engine", "docker"], environment) == 1


@pytest.mark.parametrize("answer", ["[N/A]", "[Insufficient Permissions]"])
def test_a_card_that_hides_its_memory_is_a_warning(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_nvidia_smi(tmp_path, monkeypatch, free_mib=1, cuda="13.0")
    tool = tmp_path / "bin/nvidia-smi"
    tool.write_text(tool.read_text().replace(", 1,", f", {answer},"))
    assert [finding.level for finding in doctor.check_gpu("any")] == ["warning"]


def test_a_half_fetched_model_still_needs_its_missing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    with (tmp_path / "model-1.safetensors").open("wb") as file:
        file.truncate(6_600_000_000)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(config))
    text = doctor.check_disk(DoctorKnobs(), CommonKnobs(data=str(tmp_path)))[0].text
    assert "weights 10.0 GB" in text
