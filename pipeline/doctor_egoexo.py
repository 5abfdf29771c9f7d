"""What the Ego-Exo4D line needs of a machine: keys that open the release, and room."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.config import CommonKnobs, DoctorKnobs
from pipeline.doctor import Finding
from pipeline.errors import PipelineError
from pipeline.ops.s3.store import Store
from pipeline.paths import Paths

ANNOTATIONS_GB = 2.1
"""takes.json, captures.json and the relations files."""
LARGE_TAKE_GB = 4.0
"""Two takes at native size lie on the disk at once; a long one has about so much."""


def check_keys(knobs: DoctorKnobs) -> list[Finding]:
    """Do the keys open the release now? They live 14 days. Never shows them."""
    if knobs.release:
        if (Path(knobs.release) / "takes.json").is_file():
            return [Finding("release", "ok", f"RELEASE={knobs.release} has takes.json; no keys are needed")]
        return [Finding("release", "error", f"RELEASE={knobs.release} has no takes.json", "give the release's folder")]
    try:
        files = len(Store(knobs.s3_profile, knobs.release_version).part("metadata").files)
    except PipelineError as error:
        return [Finding("AWS keys", "error", error.problem, error.fix)]
    text = f"profile {knobs.s3_profile} opens release {knobs.release_version} ({files} metadata files)"
    return [Finding("AWS keys", "ok", text)]


def check_room(common: CommonKnobs) -> list[Finding]:
    """Free space against the annotations that are not here yet, and the videos of two long takes."""
    paths = Paths(Path(common.data).absolute())
    folder = next(parent for parent in (paths.data, *paths.data.parents) if parent.exists())
    free_gb = shutil.disk_usage(folder).free / 1e9
    missing_gb = 0.0 if (paths.release() / "takes.json").exists() else ANNOTATIONS_GB
    text = f"{free_gb:.1f} GB free on the disk of {folder}"
    if free_gb < missing_gb:
        text += f", {missing_gb:.1f} GB needed for the annotations alone"
        return [Finding("disk", "error", text, "free space, or point DATA= to a larger disk")]
    if free_gb < missing_gb + 2 * LARGE_TAKE_GB:
        fix = "enough for 448-pixel videos; PARTS=takes wants 8 GB beside the annotations"
        return [Finding("disk", "warning", text, fix)]
    return [Finding("disk", "ok", text)]
