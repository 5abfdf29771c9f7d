"""One segment as a model wrote it, read into a draft: every value of the right type, every change recorded.

The rules here look at one segment at a time; `timeline` works on the drafts of a whole clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from pipeline.ops.timeline.boxes import BoxMapper, nearest_time
from pipeline.ops.timeline.json_values import clean_text, excerpt
from pipeline.ops.timeline.text_times import END_KEYS, START_KEYS, first_key, parse_time, to_ms, to_seconds
from pipeline.schema.segments import Box, Ecot, Repair, SegmentObject

NAME_KEYS = ("object_name", "label", "name")
BOX_KEYS = ("bbox", "bbox_2d", "box")
ECOT_KEYS = ("scene", "subtask", "motion", "prediction")
SEGMENT_KEYS = frozenset(("action_id", "active", "objects", "ecot"))
_WORDS_FOR_BOOL = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Draft:
    """A segment on its way; times are whole milliseconds from the clip's start.

    `number`: its position among all objects of the raw response, from 1; None for an inserted one.
    `model_boxes`: the model's own numbers, one entry an object.
    """

    number: int | None
    start_ms: int
    end_ms: int
    active: bool
    model_id: JsonValue = None
    objects: tuple[SegmentObject, ...] = ()
    model_boxes: tuple[Box | None, ...] = ()
    bbox_t_s: float | None = None
    ecot: Ecot | None = None
    inferred: bool = False
    inferred_fields: tuple[str, ...] = ()
    review: tuple[str, ...] = ()

    @property
    def span_s(self) -> list[JsonValue]:
        """`[start, end]` in seconds, as repairs show it."""
        return [to_seconds(self.start_ms), to_seconds(self.end_ms)]

    @property
    def content(self) -> tuple[bool, tuple[SegmentObject, ...], Ecot | None]:
        """What it says beside its times."""
        return (self.active, self.objects, self.ecot)

    @property
    def summary(self) -> JsonValue:
        """Everything that is lost when it is dropped."""
        objects: list[JsonValue] = [item.model_dump(mode="json") for item in self.objects]
        ecot = self.ecot.model_dump(mode="json") if self.ecot else None
        return {"span": self.span_s, "active": self.active, "objects": objects, "ecot": ecot}


@dataclass
class RepairLog:
    """Every change, in the order made."""

    repairs: list[Repair] = field(default_factory=list)

    def add(self, segment: int | None, rule: str, before: object, after: object) -> None:
        """Record one change; the values are cut to what a file can hold."""
        self.repairs.append(Repair(segment=segment, rule=rule, before=excerpt(before), after=excerpt(after)))


@dataclass(frozen=True)
class Shown:
    """The stretch of the clip that an answer is about; the answer's times count from `start_ms`.

    `sampled_pts_s`: true times of the frames shown, seconds from the clip's start, in order.
    """

    start_ms: int
    end_ms: int
    sampled_pts_s: Sequence[float] = ()


def read_drafts(
    raw_segments: Iterable[object], shown: Shown, boxes: BoxMapper, log: RepairLog, first_number: int = 1
) -> list[Draft]:
    """All usable segments of one answer in its order, on the clip's time.

    Dropped and recorded: what is no object or has no two readable times (`dropped_bad_segment`), what has no length
    within the stretch shown (`dropped_empty`).
    """
    drafts = (
        _SegmentReader(number, shown, boxes, log).read(raw) for number, raw in enumerate(raw_segments, first_number)
    )
    return [draft for draft in drafts if draft is not None]


@dataclass(frozen=True)
class _SegmentReader:
    number: int
    shown: Shown
    boxes: BoxMapper
    log: RepairLog

    def read(self, raw: object) -> Draft | None:
        span = self._span(raw)
        if span is None or not isinstance(raw, dict):
            return None
        self._note_unknown_keys(raw, SEGMENT_KEYS, (START_KEYS, END_KEYS), "segment")
        objects, model_boxes = self._objects(raw.get("objects"))
        ecot = self._ecot(raw.get("ecot"))
        active = _as_bool(raw.get("active"))
        inferred: tuple[str, ...] = ()
        if active is None:
            active, inferred = bool(objects or ecot), ("active",)
            self._note("inferred_active", raw.get("active"), active)
        elif not isinstance(raw["active"], bool):
            self._note("parsed_active", raw["active"], active)
        if not active and ecot is not None:
            self._note("idle_with_ecot", ecot.model_dump(mode="json"), None)
            ecot = None
        middle_s = (span[0] + span[1]) / 2000
        has_box = any(item.bbox is not None for item in objects)
        return Draft(
            number=self.number,
            start_ms=span[0],
            end_ms=span[1],
            active=active,
            model_id=excerpt(raw.get("action_id")),
            objects=objects,
            model_boxes=model_boxes,
            bbox_t_s=nearest_time(self.shown.sampled_pts_s, middle_s) if has_box else None,
            ecot=ecot,
            inferred_fields=inferred,
        )

    def _span(self, raw: object) -> tuple[int, int] | None:
        """Start and end in milliseconds of the clip: read, put in order, kept within the stretch shown."""
        if not isinstance(raw, dict):
            self._note("dropped_bad_segment", raw, None)
            return None
        start_s, end_s = (self._time(raw, keys) for keys in (START_KEYS, END_KEYS))
        if start_s is None or end_s is None:
            self._note("dropped_bad_segment", raw, None)
            return None
        start_ms, end_ms = self._rounded(start_s), self._rounded(end_s)
        if start_ms > end_ms:
            self._note("swapped", [start_s, end_s], [end_s, start_s])
            start_ms, end_ms = end_ms, start_ms
        start_ms, end_ms = start_ms + self.shown.start_ms, end_ms + self.shown.start_ms
        start_ms = self._clamped("clamped_start", start_ms)
        end_ms = self._clamped("clamped_end", end_ms)
        if start_ms == end_ms:
            self._note("dropped_empty", raw, None)
            return None
        return start_ms, end_ms

    def _time(self, raw: Mapping[str, object], keys: Sequence[str]) -> float | None:
        key = first_key(raw, keys)
        seconds = None if key is None else parse_time(raw[key])
        if key is not None and seconds is not None:
            if key != keys[0]:
                self._note("renamed_key", key, keys[0])
            if isinstance(raw[key], str):
                self._note("parsed_time", raw[key], seconds)
        return seconds

    def _rounded(self, seconds: float) -> int:
        rounded = to_ms(seconds)
        if abs(seconds - to_seconds(rounded)) > 1e-6:  # less is noise of floating point: 0.1 + 0.2
            self._note("rounded_time", seconds, to_seconds(rounded))
        return rounded

    def _clamped(self, rule: str, time_ms: int) -> int:
        within = min(max(time_ms, self.shown.start_ms), self.shown.end_ms)
        if within != time_ms:
            self._note(rule, to_seconds(time_ms), to_seconds(within))
        return within

    def _objects(self, raw: object) -> tuple[tuple[SegmentObject, ...], tuple[Box | None, ...]]:
        if not isinstance(raw, list | tuple):
            as_list = [raw] if isinstance(raw, dict) or (isinstance(raw, str) and raw.strip()) else []
            self._note("normalised_objects", raw, as_list)
            raw = as_list
        found = [pair for item in raw if (pair := self._object(item)) is not None]
        return tuple(pair[0] for pair in found), tuple(pair[1] for pair in found)

    def _object(self, raw: object) -> tuple[SegmentObject, Box | None] | None:
        if isinstance(raw, str) and raw.strip():
            self._note("normalised_object", raw, {"object_name": raw})
            raw = {"object_name": raw}
        if not isinstance(raw, dict):
            self._note("dropped_bad_object", raw, None)
            return None
        self._note_unknown_keys(raw, frozenset(("rigid",)), (NAME_KEYS, BOX_KEYS), "object")
        name_key, box_key = first_key(raw, NAME_KEYS), first_key(raw, BOX_KEYS)
        for key, wanted in ((name_key, NAME_KEYS[0]), (box_key, BOX_KEYS[0])):
            if key not in (None, wanted):
                self._note("renamed_key", key, wanted)
        mapped = self.boxes.map(raw.get(box_key) if box_key else None)
        for fix in mapped.fixes:
            self._note(fix.rule, fix.before, fix.after)
        rigid = _as_bool(raw.get("rigid"))
        if rigid is not raw.get("rigid"):
            self._note("parsed_rigid", raw.get("rigid"), rigid)
        name = self._text(raw.get(name_key) if name_key else None)
        return SegmentObject(object_name=name, bbox=mapped.bbox, rigid=rigid), mapped.model_box

    def _ecot(self, raw: object) -> Ecot | None:
        if not isinstance(raw, dict):
            if raw is not None:
                self._note("dropped_ecot", raw, None)
            return None
        self._note_unknown_keys(raw, frozenset(ECOT_KEYS), (), "ecot")
        texts = {key: self._text(raw.get(key)) for key in ECOT_KEYS}
        if all(text is None for text in texts.values()):
            self._note("dropped_ecot", raw, None)
            return None
        return Ecot(**texts)

    def _text(self, raw: object) -> str | None:
        """A text that says something, encodable; None for anything else."""
        text = clean_text(raw) if isinstance(raw, str) else None
        if text is not None and not text.strip():
            text = None
        if text != raw:
            self._note("cleaned_text", raw, text)
        return text

    def _note_unknown_keys(
        self, raw: Mapping[str, object], known: frozenset[str], aliases: Sequence[Sequence[str]], where: str
    ) -> None:
        """Record what this format has no place for, and second names of a key that was read under its first."""
        used = known | {key for keys in aliases if (key := first_key(raw, keys)) is not None}
        unknown = {key: raw[key] for key in raw if key not in used}
        if unknown:
            self._note("dropped_keys", {where: unknown}, None)

    def _note(self, rule: str, before: object, after: object) -> None:
        self.log.add(self.number, rule, before, after)


def _as_bool(value: object) -> bool | None:
    """True and false however written; None when it is neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else None
    return _WORDS_FOR_BOOL.get(value.strip().lower()) if isinstance(value, str) else None
