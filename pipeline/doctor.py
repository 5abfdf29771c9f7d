"""`doctor`: is this machine ready for the run? One line a check: ok, warning or error, and what to do."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from pipeline.config import AnnotateKnobs, CommonKnobs, DoctorKnobs
from pipeline.console import Console, output, print_json
from pipeline.errors import PipelineError
from pipeline.ops.model.memory_plan import MemoryPlan
from pipeline.schema.egocentric import layout_of
from pipeline.units import clips_of

ROOT = Path(__file__).parents[1]

CLIP_GB = 0.05
"""One clip: as fetched, extracted, and its products (100K; 10K clips are several times larger)."""
ARCHIVE_GB = 1.1
DEFAULT_WEIGHTS_GB = 16.6
"""Of a model whose size cannot be found out now: that of the 7B one."""
TIMEOUT_S = 20


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    what: str
    level: Literal["ok", "warning", "error"]
    text: str
    fix: str = ""


def main(knobs: DoctorKnobs, common: CommonKnobs, console: Console) -> int:
    """Print all findings; 1 when one of them is an error, for then the run would fail."""
    findings = examine(knobs, common)
    if knobs.json:
        print_json(json.dumps([dataclasses.asdict(item) for item in findings]))
    else:
        colours = {"ok": "green", "warning": "yellow", "error": "red"}
        table = Table("check", "", "found", "what to do")
        for item in findings:
            table.add_row(item.what, f"[{colours[item.level]}]{item.level}[/]", item.text, item.fix)
        output().print(table)
    return 1 if any(item.level == "error" for item in findings) else 0


def examine(knobs: DoctorKnobs, common: CommonKnobs) -> list[Finding]:
    """All checks in the order a run would stumble over them."""
    if knobs.line == "egoexo":
        from pipeline import doctor_egoexo  # which imports the store's libraries

        return [
            *check_versions(),
            *check_engine(knobs.engine),
            *doctor_egoexo.check_room(common),
            *doctor_egoexo.check_keys(knobs),
        ]
    checks: Sequence[Callable[[], list[Finding]]] = (
        check_versions,
        lambda: check_engine(knobs.engine),
        lambda: check_gpu(knobs.model),
        lambda: check_disk(knobs, common),
        lambda: check_token(knobs, common),
    )
    return [finding for check in checks for finding in check()]


def check_versions() -> list[Finding]:
    """Python, and the installed versions against the pins."""
    findings = [Finding("python", "ok", platform.python_version())]
    if not (3, 11) <= sys.version_info < (3, 14):
        findings = [Finding("python", "error", platform.python_version(), "use Python 3.11, 3.12 or 3.13")]
    wrong = []
    for name, version, marker in re.findall(
        r"^([\w.-]+)==(\S+)( ;)?", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    ):
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if not marker:
                wrong.append(f"{name} is missing")
            continue
        if installed.partition("+")[0] != version:
            wrong.append(f"{name} {installed}, pinned {version}")
        elif "+cpu" in installed:
            wrong.append(f"{name} is a CPU build")
    if wrong:
        fix = "rm -rf .venv, then run again: run.sh installs the pins; versions mixed by hand break in silence"
        findings.append(Finding("libraries", "error", "; ".join(wrong[:6]), fix))
    else:
        findings.append(
            Finding("libraries", "ok", f"as pinned (transformers {importlib.metadata.version('transformers')})")
        )
    return findings


def check_engine(engine: str) -> list[Finding]:
    """Where phases would run."""
    on_vast = "Vast.ai instance, " if os.environ.get("VAST_CONTAINERLABEL") or os.environ.get("CONTAINER_ID") else ""
    if engine in ("native", "auto"):
        return [Finding("engine", "ok", f"{on_vast}native, no container")]
    return [Finding("engine", "error", f"{engine} asked for", "this version runs natively: leave ENGINE unset")]


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def check_gpu(model: str) -> list[Finding]:
    """Card, free memory against the model's need, and the driver's CUDA against the wheels'."""
    listing = _run(
        "nvidia-smi", "--query-gpu=name,memory.total,memory.free,driver_version", "--format=csv,noheader,nounits"
    )
    if not listing or not listing.strip():
        return [Finding("GPU", "warning", "none found", "the demo runs without one; a 7B model needs a 24 GB card")]
    parts = [part.strip() for part in listing.strip().splitlines()[0].rsplit(",", 3)]
    if len(parts) != 4 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        text = f"nvidia-smi says {', '.join(parts)}"
        return [Finding("GPU", "warning", text, "free video memory is unknown here: 7B needs about 19 GiB")]
    name, driver = parts[0], parts[3]
    total_gib, free_gib, need = float(parts[1]) / 1024, float(parts[2]) / 1024, plan_of(model)
    text = f"{name}, {free_gib:.1f} of {total_gib:.1f} GiB free"
    if need is None:
        memory = Finding("GPU", "ok", text, "annotate --plan tells what this model needs")
    elif free_gib >= need.peak_bytes / 2**30:
        memory = Finding("GPU", "ok", f"{text}, about {need.peak_bytes / 2**30:.0f} needed")
    else:
        fix = "end what else uses the card (nvidia-smi lists it), or MODEL=Qwen/Qwen2.5-VL-3B-Instruct"
        memory = Finding("GPU", "error", f"{text}, about {need.peak_bytes / 2**30:.0f} needed", fix)
    return [memory, _check_driver(driver)]


def _check_driver(driver: str) -> Finding:
    import torch

    wheels = torch.version.cuda
    found = re.search(r"CUDA Version: (\d+)\.(\d+)", _run("nvidia-smi") or "")
    if wheels is None:
        return Finding("CUDA", "error", f"torch {torch.__version__} is a CPU build", "rm -rf .venv, then run again")
    if found is None:
        return Finding(
            "CUDA", "warning", f"driver {driver} does not tell its CUDA version", f"the wheels need {wheels}"
        )
    # Within one major version a newer CUDA runs on an older driver (NVIDIA's minor-version compatibility).
    text = f"driver {driver} has CUDA {found[1]}.{found[2]}, the wheels have {wheels}"
    if int(found[1]) < int(wheels.partition(".")[0]):
        fix = f"update the driver, or rent a host with cuda_vers>={wheels.partition('.')[0]}.0"
        return Finding("CUDA", "error", text, fix)
    return Finding("CUDA", "ok", text)


def plan_of(model: str) -> MemoryPlan | None:
    """What the model needs for a usual clip; None where its dimensions are not to be had."""
    from pipeline.plan import USUAL_CLIP, plan_stretch

    try:
        return plan_stretch(AnnotateKnobs(model=model), USUAL_CLIP[1], USUAL_CLIP[2])
    except PipelineError:
        return None


def check_disk(knobs: DoctorKnobs, common: CommonKnobs) -> list[Finding]:
    """Free space against what the chosen run will still write, disk by disk."""
    from huggingface_hub import constants

    clips = len(clips_of({"doctor": knobs}, common))
    data_gb = CLIP_GB * clips + ARCHIVE_GB
    needs = [(Path(common.data).absolute(), data_gb, f"{clips} clips and an archive {data_gb:.1f} GB")]
    if not Path(knobs.model).is_dir():
        plan = plan_of(knobs.model)
        weights_gb = plan.weights_bytes / 1e9 if plan else DEFAULT_WEIGHTS_GB
        missing_gb = max(0.0, weights_gb - cached_gb(knobs.model))
        if missing_gb > 0.01 * weights_gb:
            needs.append((Path(constants.HF_HUB_CACHE), missing_gb, f"weights {missing_gb:.1f} GB"))
    disks: dict[int, list[tuple[Path, float, str]]] = {}
    for path, gigabytes, reason in needs:
        folder = next(parent for parent in (path, *path.parents) if parent.exists())
        disks.setdefault(folder.stat().st_dev, []).append((folder, gigabytes, reason))
    return [_disk_finding(parts) for parts in disks.values()]


def cached_gb(model: str) -> float:
    """Weights of a model of the hub that lie in the cache already, whole files only."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json")
    if not isinstance(config, str):
        return 0.0
    return sum(file.stat().st_size for file in Path(config).parent.glob("*.safetensors")) / 1e9


def _disk_finding(parts: list[tuple[Path, float, str]]) -> Finding:
    folder, gigabytes = parts[0][0], sum(part[1] for part in parts)
    free_gb = shutil.disk_usage(folder).free / 1e9
    reasons = ", ".join(part[2] for part in parts)
    text = f"{free_gb:.1f} GB free on the disk of {folder}, {gigabytes:.1f} GB needed ({reasons})"
    if free_gb < gigabytes:
        fix = "free space, or point DATA= or HF_HOME= to a larger disk (a Vast.ai disk cannot grow)"
        return Finding("disk", "error", text, fix)
    return Finding("disk", "ok" if free_gb > gigabytes * 1.2 else "warning", text)


def check_token(knobs: DoctorKnobs, common: CommonKnobs) -> list[Finding]:
    """Is there a token, and does the hub let it read the data set? Never shows the token."""
    from pipeline.ops.hub.dataset import Hub
    from pipeline.ops.hub.remote_file import RemoteFile
    from pipeline.ops.hub.token import load_token

    clip = clips_of({"doctor": knobs}, common)[0]
    layout = layout_of(clip)
    repo = knobs.repo or layout.repo
    try:
        token = load_token(os.environ)
        # A gated set tells everybody about itself, but gives its files only to those who accepted its terms.
        RemoteFile(Hub(repo), f"{layout.worker_dir(clip)}/intrinsics.json")
    except PipelineError as error:
        return [Finding("token", "error", error.problem, error.fix)]
    except FileNotFoundError:
        return [Finding("token", "warning", f"{repo} has no worker of {clip}", "check CLIP= and REPO=")]
    return [Finding("token", "ok", f"{repo} opens {'with this token' if token else 'without a token'}")]
