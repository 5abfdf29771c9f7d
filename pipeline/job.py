"""What a phase is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from pipeline.paths import Paths
from pipeline.schema.manifest import FileDigest


class Progress(Protocol):
    """One bar with a rate and an ETA; `advance` is cheap enough for inner loops."""

    def start(self, total: float | None, what: str, unit: str = "") -> None:
        """Begin a bar of `total` units (None: unknown); replaces the one before."""

    def advance(self, amount: float = 1) -> None:
        """Move the bar on."""


@dataclass(frozen=True)
class Job:
    """One phase on one unit."""

    unit: str
    """Clip id; name of a data set; or a take as `dataset/take_uid`."""
    knobs: Any
    """The phase's frozen dataclass out of config.py."""
    paths: Paths
    """Every path below data/: the final places."""
    products: dict[str, Path]
    """Name → temporary path of the file or folder to write; renamed into place when the phase returns."""
    work: Path
    """Private folder for partial results: survives a kill, removed on success."""
    report: Callable[[str], None]
    """Says one line to the person at the terminal."""
    progress: Progress
    publish: Callable[[str], Path]
    """Saves one product at once, before the unit is done, for what must outlive a failure. Says where it went: its
    place, or the work folder while an earlier whole product is in place."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The knobs that shape the product, as the manifest will have them."""
    libraries: dict[str, str] = field(default_factory=dict)
    """Installed versions of the libraries that shape products."""
    inputs: dict[str, FileDigest] = field(default_factory=dict)
    """Name → size and digest of each input; known to `run`, not yet to `prepare`."""
    prepared: Any = None
    """What the module's `prepare` returned."""
    model: Any = None
    """What the module's `load` lent."""
    stop: Event = field(default_factory=Event)
    """Set when the run is being stopped: what waits in a thread of its own must look at it."""
    turn: Event = field(default_factory=Event)
    """Set when all units before this one are over, however they ended: what they took of the disk is free again."""


@dataclass
class Counts:
    """What a phase made of one unit, and what it dropped and why."""

    made: dict[str, int | float | str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason → how many."""
    details: dict[str, Any] = field(default_factory=dict)
    """Anything else worth keeping in the manifest, JSON-shaped."""
    incomplete: list[str] = field(default_factory=list)
    """What is missing of a unit that is of use all the same; makes the exit status 1 until the unit is whole."""
    settings: dict[str, Any] | None = None
    """Settings of an earlier run whose saved work this product was made from; None: those of this run."""
