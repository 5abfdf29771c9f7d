"""What is in a made-up release, counted from what was drawn and not from the files about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.egoexo.synthetic_record import Footage
from pipeline.egoexo.synthetic_take import TakeSpec
from pipeline.schema.egoexo_pairs import SETTINGS
from pipeline.schema.egoexo_release import SPLITS


def truth_json(takes: Sequence[TakeSpec], footage: Mapping[str, Sequence[Footage]]) -> dict[str, Any]:
    """What is in the release, counted from what was drawn: states of each track, and pairs by the public rule."""
    states = {take.take_name: _states(take, footage[take.take_name]) for take in takes}
    pairs: dict[str, dict[str, Counter[str]]] = {
        split: {
            setting: Counter(pairs=0, target_present=0, target_absent=0, target_unannotated=0) for setting in SETTINGS
        }
        for split in SPLITS
    }
    for take in takes:
        for cameras in states[take.take_name].values():
            for exo, _ in take.exo:
                if take.ego_camera in cameras and exo in cameras:
                    for step in take.steps:
                        ego_state, exo_state = cameras[take.ego_camera][step], cameras[exo][step]
                        for setting, source, target in (
                            ("egoexo", ego_state, exo_state),
                            ("exoego", exo_state, ego_state),
                        ):
                            if source == "present":
                                pairs[take.split][setting].update(["pairs", f"target_{target}"])
    return {
        "split": {split: [take.take_uid for take in takes if take.split == split] for split in SPLITS},
        "pairs": {split: {setting: dict(counts) for setting, counts in of.items()} for split, of in pairs.items()},
        "takes": [
            {
                "take_name": take.take_name,
                "take_uid": take.take_uid,
                "split": take.split,
                "scenario": take.scenario,
                "parent_task": take.parent_task,
                "ego": take.ego_camera,
                "cameras": {camera: list(size) for camera, size in take.cameras.items()},
                "frames": take.frames,
                "codec": take.codec,
                "keyframe_gap": take.keyframe_interval,
                "counts": {
                    name: {
                        camera: {
                            state: sum(value == state for value in of_step.values())
                            for state in ("present", "absent", "unannotated")
                        }
                        for camera, of_step in cameras.items()
                    }
                    for name, cameras in states[take.take_name].items()
                },
            }
            for take in takes
        ],
    }


def _states(take: TakeSpec, footage: Sequence[Footage]) -> dict[str, dict[str, dict[int, str]]]:
    """Object → camera → step → what is known of it there."""
    drawn = {shot.camera: shot.masks for shot in footage}
    return {
        take.scene.things[thing].name: {
            camera: {
                step: "unannotated"
                if step not in looked_at
                else "present"
                if step in drawn[camera][thing]
                else "absent"
                for step in take.steps
            }
            for camera, looked_at in cameras.items()
        }
        for thing, cameras in take.annotated.items()
    }
