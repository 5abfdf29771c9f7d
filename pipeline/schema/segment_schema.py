"""The JSON schema of the answer that a model gives about one clip, built for that clip.

Keys and their order are those of the stored segments. JSON Schema cannot say that an end lies after its start, that
segments follow one another or that x2 > x1: that is checked afterwards.
"""

from __future__ import annotations

from typing import Any

TEXT_PARTS = ("scene", "subtask", "motion", "prediction")


def segment_schema(
    end_s: float,
    box_limits_xy: tuple[int, int],
    *,
    start_s: float = 0.0,
    max_segments: int = 200,
    max_objects: int = 6,
    name_chars: int = 40,
    text_chars: int = 160,
) -> dict[str, Any]:
    """Schema of an array of segments within [start_s, end_s].

    Args:
        end_s, start_s: the stretch that is asked about, seconds; times may lie on its borders.
        box_limits_xy: greatest x and y of a box in the model's own numbers: the size of the picture as the model sees
            it, or (1000, 1000) for thousandths. `box_limits()` knows which.
        max_segments, max_objects: most segments in the answer, most objects in a segment.
        name_chars, text_chars: most characters of an object's name and of one part of the reasoning.

    Returns:
        A JSON schema (draft 2020-12): an idle segment has no objects and `ecot` null, an active one has a reasoning.

    Raises:
        ValueError: the stretch is empty, or a bound is not positive.
    """
    if not 0 <= start_s < end_s or min(max_segments, name_chars, text_chars, *box_limits_xy) < 1 or max_objects < 0:
        raise ValueError(f"no segment fits into [{start_s}, {end_s}] s, boxes to {box_limits_xy}, {max_segments} items")
    time_s = {"type": "number", "minimum": start_s, "maximum": end_s}
    text = {"type": "string", "minLength": 1, "maxLength": text_chars}
    ecot = _closed(dict.fromkeys(TEXT_PARTS, text))
    objects = {"type": "array", "maxItems": max_objects, "items": _object(box_limits_xy, name_chars)}
    head = {
        "action_id": {"type": "integer", "minimum": 1, "maximum": max_segments},
        "t_start_s": time_s,
        "t_end_s": time_s,
    }
    idle = _closed(
        head | {"active": {"const": False}, "objects": {"type": "array", "maxItems": 0}, "ecot": {"type": "null"}}
    )
    active = _closed(head | {"active": {"const": True}, "objects": objects, "ecot": ecot})
    return {"type": "array", "minItems": 1, "maxItems": max_segments, "items": {"anyOf": [active, idle]}}


def box_limits(box_convention: str, model_size_wh: tuple[int, int]) -> tuple[int, int]:
    """Greatest x and y that a model of this convention writes for a picture it sees at `model_size_wh`."""
    return (1000, 1000) if box_convention == "per_mille" else model_size_wh


def _object(box_limits_xy: tuple[int, int], name_chars: int) -> dict[str, Any]:
    x, y = ({"type": "integer", "minimum": 0, "maximum": limit} for limit in box_limits_xy)
    box = {"type": "array", "prefixItems": [x, y, x, y], "items": False, "minItems": 4, "maxItems": 4}
    return _closed(
        {
            "object_name": _or_null({"type": "string", "minLength": 1, "maxLength": name_chars}),
            "bbox": _or_null(box),
            "rigid": _or_null({"type": "boolean"}),
        }
    )


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
