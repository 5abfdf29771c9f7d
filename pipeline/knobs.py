"""How a knob is declared, checked and read; the knobs themselves stand in config.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from pipeline.errors import PipelineError

SomeKnobs = TypeVar("SomeKnobs", bound="Knobs")


@dataclass(frozen=True)
class KnobDoc:
    """What a knob means and what it accepts."""

    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    accepts: str = ""
    """In words, for text values that no list or range covers."""
    env: str = ""
    """Environment variable, and Make parameter, of the same meaning; the flag wins."""
    shapes_product: bool = True
    """False for knobs that leave the product's bytes alone, so that changing one is no reason to make it again."""
    positional: bool = False
    """Given as a plain word on the command line, without a flag."""
    is_file: bool = False
    """Where the value names a file or folder, its content counts and not its name."""

    def range_text(self) -> str:
        """The accepted values as one phrase; empty for switches."""
        if self.choices:
            return " | ".join(self.choices)
        if self.low is not None:
            return f"{self.low:g} … {self.high:g}" if self.high is not None else f"at least {self.low:g}"
        return self.accepts


def knob(default: Any, doc: str, **rules: Any) -> Any:
    """A dataclass field that carries its documentation and range."""
    return dataclasses.field(default=default, metadata={"knob": KnobDoc(doc, **rules)})


def knob_doc(item: dataclasses.Field[Any]) -> KnobDoc:
    """The documentation of one field made by `knob`."""
    documentation: KnobDoc = item.metadata["knob"]
    return documentation


def flag_of(name: str) -> str:
    """The command-line flag of a knob."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Knobs:
    """Base of all knob classes: refuses values outside the documented range.

    Raises:
        PipelineError: a value is of the wrong type or out of range.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in dataclasses.fields(self):
            _check(item.name, getattr(self, item.name), hints[item.name], knob_doc(item))

    def also_shaping(self) -> dict[str, Any]:
        """Values that shape this phase's product beyond the knobs marked so, which are the same for all phases."""
        return {}


def _check(name: str, value: Any, hint: Any, documentation: KnobDoc) -> None:
    where = f"{flag_of(name)} (or {documentation.env}=)" if documentation.env else flag_of(name)
    expected = documentation.range_text()
    if value is None and hint == (float | None):
        return
    if documentation.choices and value not in documentation.choices:
        raise PipelineError(
            f"{where} is {value!r}, expected one of: {expected}", f"see {flag_of('help')} for the choices"
        )
    if hint in (int, float, float | None):
        inside = isinstance(value, int | float) and value == value  # NaN is unequal to itself
        inside = inside and (documentation.low is None or value >= documentation.low)
        inside = inside and (documentation.high is None or value <= documentation.high)
        if not inside:
            raise PipelineError(f"{where} is {value!r}, expected {expected}", f"{documentation.doc}")


def read_knobs(cls: type[SomeKnobs], given: Mapping[str, Any], environment: Mapping[str, str]) -> SomeKnobs:
    """Flags first, then environment variables, then defaults.

    Raises:
        PipelineError: a value cannot be read or lies outside its range.
    """
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(cls):
        documentation = knob_doc(item)
        if item.name in given:
            values[item.name] = _convert(flag_of(item.name), given[item.name], hints[item.name])
        elif documentation.env and environment.get(documentation.env):
            values[item.name] = _convert(f"{documentation.env}=", environment[documentation.env], hints[item.name])
    return cls(**values)


def _convert(where: str, value: Any, hint: Any) -> Any:
    if not isinstance(value, str):
        return value
    if hint == tuple[str, ...]:
        return tuple(dict.fromkeys(value.replace(",", " ").split()))
    if hint in (int, float, float | None):
        kind = int if hint is int else float
        try:
            return kind(value)
        except ValueError:
            raise PipelineError(f"{where} is {value!r}, expected {kind.__name__}", "give a number") from None
    return value
