"""takes.json, captures.json and splits.json of a made-up release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.egoexo.synthetic_take import TakeSpec, made_uid
from pipeline.schema.egoexo_release import SPLITS


def takes_json(takes: Sequence[TakeSpec]) -> list[dict[str, Any]]:
    """takes.json."""
    return [_take(take, number, takes) for number, take in enumerate(takes)]


def _take(take: TakeSpec, number: int, takes: Sequence[TakeSpec]) -> dict[str, Any]:
    parents = list(dict.fromkeys(other.parent_task for other in takes))
    tasks = list(dict.fromkeys(other.scenario for other in takes))
    index = take.take_name.rpartition("_")[2]
    return {
        "root_dir": f"takes/{take.take_name}",
        "take_name": take.take_name,
        "take_uid": take.take_uid,
        "capture_uid": made_uid(take.capture_name),
        "participant_uid": 500 + number,
        "is_dropped": False,
        "objects": [],
        "task_id": 1000 + tasks.index(take.scenario),
        "task_name": take.scenario,
        "parent_task_id": 1000 * (1 + parents.index(take.parent_task)),
        "parent_task_name": take.parent_task,
        "take_idx": int(index) if index.isdecimal() else number,
        "duration_sec": take.duration_s,
        "best_exo": take.exo[0][0] if take.exo else None,
        "task_start_sec": 0.0,
        "task_end_sec": take.duration_s,
        "task_timing_annotation_uid": made_uid(f"{take.take_name} timing annotation"),
        "is_narrated": False,
        "timesync_uid": made_uid(f"{take.take_name} timesync"),
        "timesync_start_idx": 0,
        "timesync_end_idx": take.frames,
        "take_timing_uid": made_uid(f"{take.take_name} timing"),
        "physical_setting_uid": _setting(take, takes),
        "university_name": take.university,
        "university_id": sorted({other.university for other in takes}).index(take.university),
        "validated": True,
        "capture": _capture(take, takes),
        "vrs_relative_path": None,
        "has_trimmed_vrs": False,
        "frame_aligned_videos": {
            **{_cam_id(camera): _streams(take, camera) for camera in take.cameras},
            "best_exo": {"0": _stream("best_exo", "0", "0", None, None)},
        },
    }


def captures_json(takes: Sequence[TakeSpec]) -> list[dict[str, Any]]:
    """captures.json: one for all takes whose names differ in their last number only."""
    firsts = {take.capture_name: take for take in reversed(takes)}
    return [_capture(firsts[name], takes) for name in dict.fromkeys(take.capture_name for take in takes)]


def _capture(take: TakeSpec, takes: Sequence[TakeSpec]) -> dict[str, Any]:
    cameras: dict[str, bool] = {}
    for other in takes:
        if other.capture_name == take.capture_name:
            cameras |= {_cam_id(camera): camera == other.ego_camera for camera in other.cameras}
    return {
        "root_dir": f"captures/{take.capture_name}",
        "capture_name": take.capture_name,
        "capture_uid": made_uid(take.capture_name),
        "university_name": take.university,
        "post_surveys_relative_path": None,
        "physical_setting_uid": _setting(take, takes),
        "is_redacted": False,
        "timesync_validated": True,
        "has_trajectory": False,
        "has_gaze": False,
        "cameras": [
            {
                "cam_id": camera,
                "is_ego": is_ego,
                "has_walkaround": False,
                "includes_audio": False,
                "device_type": "aria" if camera.startswith("aria") else "gopro",
                "relative_path": None,
                "video_artifact_uid": made_uid(f"{take.capture_name} {camera}"),
            }
            for camera, is_ego in cameras.items()
        ],
    }


def _setting(take: TakeSpec, takes: Sequence[TakeSpec]) -> int:
    return 10 + list(dict.fromkeys(other.capture_name for other in takes)).index(take.capture_name)


def _cam_id(camera: str) -> str:
    """`aria01_214-1` → `aria01`."""
    return camera.partition("_")[0]


def _streams(take: TakeSpec, camera: str) -> dict[str, Any]:
    identifier, _, stream = camera.partition("_")
    readable = {"214-1": "rgb"}.get(stream, stream or "0")
    path = f"frame_aligned_videos/{camera}.mp4"
    uid = made_uid(f"{take.take_name} {camera}")
    return {readable: _stream(identifier, stream or "0", readable, uid, path)}


def _stream(camera: str, stream: str, readable: str, uid: str | None, path: str | None) -> dict[str, Any]:
    return {
        "cam_id": camera,
        "stream_id": stream,
        "readable_stream_id": readable,
        "clip_uid": uid,
        "relative_path": path,
    }


def splits_json(takes: Sequence[TakeSpec]) -> dict[str, Any]:
    """annotations/splits.json."""
    return {
        "take_uid_to_split": {take.take_uid: take.split for take in takes},
        "split_to_take_uids": {split: [take.take_uid for take in takes if take.split == split] for split in SPLITS},
        "take_uid_to_benchmark": {take.take_uid: ["relations"] for take in takes},
    }
