"""How far a REDO has come, so that an interrupted one goes on where it was and makes nothing twice."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pipeline.schema.base import OwnModel, read_model, write_model


class RedoState(OwnModel):
    """Which units a REDO with these settings has begun and finished."""

    settings: dict[str, Any]
    begun: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()


class Redo:
    """The state of one REDO of one phase; its file is there from the first unit until the run has come to its end."""

    def __init__(self, file: Path, settings: dict[str, Any]) -> None:
        self._file = file
        self._state = RedoState(settings=settings)
        if file.exists():
            left = read_model(file, RedoState, f"delete {file} and run again")
            if left.settings == self._state.settings:
                self._state = left

    def is_finished(self, unit: str) -> bool:
        """Whether the interrupted run had made this unit again already."""
        return unit in self._state.finished

    def begin(self, unit: str) -> bool:
        """Note that a unit is begun; True when it was not begun before, so that all that is left of it is old."""
        if unit in self._state.begun:
            return False
        self._write(self._state.model_copy(update={"begun": (*self._state.begun, unit)}))
        return True

    def finish(self, unit: str) -> None:
        """Note that a unit is made."""
        self._write(self._state.model_copy(update={"finished": (*self._state.finished, unit)}))

    def end(self) -> None:
        """The run has come to its end: the next REDO begins anew."""
        self._file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._file.parent.rmdir()

    def _write(self, state: RedoState) -> None:
        self._state = state
        write_model(self._file, state)
