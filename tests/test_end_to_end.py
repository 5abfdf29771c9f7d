"""`bash run.sh all` as a user types it: real hub client against a loopback hub, real H.265, real model classes."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.factory.synthetic import ClipSpec, make_shard
from pipeline.models.tiny import write_tiny_model
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.manifest import Manifest
from pipeline.schema.segments import Annotations
from tests.hub_server import HubServer

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT.parent / "shared" / "samples" / "factory"
REPO = "builddotai/Egocentric-100K"
CLIPS = ("factory_001_worker_001_0000", "factory_001_worker_001_0001")
TOKEN = "hf_secretsecretsecret"
KILLS = 20


@dataclass
class World:
    """A hub with one worker's shard and a tiny model, and a user's empty folder."""

    hub: HubServer
    folder: Path

    @property
    def paths(self) -> Paths:
        return Paths(self.folder / "data")

    def environment(self, **more: str) -> dict[str, str]:
        base = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "EGOPIPE_"))}
        base |= {"HF_ENDPOINT": self.hub.endpoint, "HF_HOME": str(self.folder / "hub"), "HF_KEY": TOKEN}
        base |= {"MODEL": "egopipe/tiny", "DATA": str(self.paths.data), "OMP_NUM_THREADS": "1"}
        return base | {"PATH": f"{Path(sys.executable).parent}:{base['PATH']}"} | more

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", str(ROOT / "run.sh"), *arguments, "--max-new-tokens", "700", "--max-answers", "3"]
        return subprocess.run(command, env=self.environment(**more), capture_output=True, text=True, timeout=600)

    def products(self) -> dict[str, bytes]:
        """Everything that is made, but for manifests, which hold what varies between runs."""
        files = [file for file in self.paths.data.rglob("*") if file.is_file() and "manifests" not in file.parts]
        return {str(file.relative_to(self.paths.data)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up shard of the published layout, and a tiny model."""
    folder = tmp_path_factory.mktemp("shelf")
    specs = [
        ClipSpec(clip, 6.0, keyframe_interval=keys, seed=keys) for clip, keys in zip(CLIPS, (250, 30), strict=True)
    ]
    make_shard(folder / "shard", specs)
    write_tiny_model(folder / "tiny")
    return folder


@pytest.fixture
def world(shelf: Path, tmp_path: Path) -> Iterator[World]:
    with HubServer({REPO: shelf / "shard"}, {"egopipe/tiny": shelf / "tiny"}, tokens={TOKEN: True}) as hub:
        yield World(hub, tmp_path)


def check_annotations(world: World, clip: str) -> Annotations:
    made = read_model(world.paths.annotations(clip), Annotations, "")
    assert made.boxes.space == "rectified_px"
    assert made.provenance.model.id == "egopipe/tiny"
    assert made.provenance.model.revision is not None
    assert len(made.provenance.model.revision) == 40
    return made


def test_all_from_nothing_then_nothing_to_do(world: World) -> None:
    done = world.run("all")
    assert done.returncode == 0, done.stderr
    for clip in CLIPS:
        check_annotations(world, clip)
        for kind in ("raw", "rectified", "side_by_side"):
            assert world.paths.debug(clip, kind).stat().st_size > 5000
        manifest = read_model(world.paths.manifest("download", clip), Manifest, "")
        assert len(manifest.details["revision"]) == 40
    assert not list(world.paths.data.rglob("*.partial"))
    assert not (world.paths.data / "work").exists() or not list((world.paths.data / "work").rglob("*.*"))
    for file in world.paths.data.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), f"the token is in {file}"
    assert TOKEN not in done.stderr + done.stdout
    before, _ = world.products(), world.hub.reset()
    again = world.run("all")
    assert again.returncode == 0, again.stderr
    assert world.products() == before
    assert not world.hub.requests, "nothing was to be done, yet the hub was asked"
    assert "annotate: 0 made, 2 kept, 0 failed" in again.stderr


def test_a_token_without_access_stops_everything_behind_it(world: World) -> None:
    world.hub.tokens = {TOKEN: False}
    done = world.run("all")
    assert done.returncode == 1
    assert "accept them on" in done.stderr
    assert f"annotate {CLIPS[0]}: not run: extract failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_make_runs_what_is_missing_of_the_earlier_phases(world: World) -> None:
    flags = "ARGS=--max-new-tokens 700 --max-answers 3"
    command = ["make", "-s", "-C", str(ROOT), "annotate", f"CLIP={CLIPS[1]}", flags]
    done = subprocess.run(command, env=world.environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    check_annotations(world, CLIPS[1])
    assert not world.paths.annotations(CLIPS[0]).exists()
    assert not world.paths.debug(CLIPS[1], "raw").exists(), "annotate does not need check-rectify"


def test_list_clips_extracts_nothing(world: World) -> None:
    command = ["bash", str(ROOT / "run.sh"), "list-clips"]
    listed = subprocess.run(command, env=world.environment(), capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    assert all(clip in listed.stdout for clip in CLIPS)
    assert not world.paths.clip_video(CLIPS[0]).exists()


def is_under_way(paths: Paths, phase: str, since_s: float) -> bool:
    """Whether a phase has written anything of its own since then."""
    folders = {
        "download": paths.data / "work/download",
        "extract": paths.data / "clips",
        "annotate": paths.data / "work/annotate",
    }
    return any(file.stat().st_mtime > since_s for file in folders[phase].rglob("*") if file.exists())


@pytest.mark.slow
@pytest.mark.timeout(1800)  # six minutes on two idle cores; a busy machine must not fail it
def test_killed_at_random_moments_the_next_run_finishes_with_the_same_files(world: World, shelf: Path) -> None:
    """SIGKILL, twenty times, at random moments within download, extract and annotate."""
    flags = ("annotate", "--with-earlier", "--window-s", "3", "--overlap-s", "1")
    local = {"MODEL": str(shelf / "tiny")}
    assert world.run(*flags, **local).returncode == 0
    expected = world.products()
    world.hub.faults.bytes_per_s = 150_000
    command = ["bash", str(ROOT / "run.sh"), *flags, "--max-new-tokens", "700", "--max-answers", "3"]
    moments = random.Random(20)
    longest_s = {"download": 3.0, "extract": 0.1, "annotate": 4.0}
    killed = dict.fromkeys(longest_s, 0)
    while sum(killed.values()) < KILLS:
        shutil.rmtree(world.paths.data)
        for phase in ("download", "download", "extract", "annotate", "annotate"):
            started_s = time.time() - 0.01
            child = subprocess.Popen(command, env=world.environment(**local), stderr=subprocess.DEVNULL)
            while child.poll() is None and not is_under_way(world.paths, phase, started_s):
                time.sleep(0.01)
            time.sleep(moments.uniform(0, longest_s[phase]))
            killed[phase] += child.poll() is None
            child.kill()  # run.sh has replaced itself by the pipeline, so this reaches it
            child.wait()
        done = world.run(*flags, **local)
        assert done.returncode == 0, done.stderr
        assert world.products() == expected
    assert min(killed.values()) >= 2, killed


@pytest.mark.shared
@pytest.mark.slow
def test_all_on_real_footage(shelf: Path, tmp_path: Path) -> None:
    """The recipe's two clips of a shard of real footage."""
    if not SAMPLES.exists():
        pytest.skip("the sample shard of real footage is not here")
    with HubServer({REPO: SAMPLES}, {"egopipe/tiny": shelf / "tiny"}) as hub:
        world = World(hub, tmp_path)
        done = world.run("all")
        assert done.returncode == 0, done.stderr
        with tarfile.open(SAMPLES / "factory001/worker001/part000.tar") as archive:
            for clip, length_s in zip(CLIPS, (60, 20), strict=True):
                made = check_annotations(world, clip)
                assert made.duration_s == length_s
                assert made.provenance.sampling.frames >= length_s
                member = archive.extractfile(f"{clip}.mp4")
                assert member is not None
                assert world.paths.clip_video(clip).read_bytes() == member.read()
