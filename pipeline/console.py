"""What the person at the terminal sees: lines, one bar with rate and ETA, errors. Everything goes to stderr."""

from __future__ import annotations

import sys
import time

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)  # fmt: skip
from rich.text import Text

PLAIN_INTERVAL_S = 15.0
"""Seconds between progress lines where no bar can be drawn (a log file, CI)."""


PIPE_WIDTH = 200
"""Letters in a line where nobody's window sets a limit, so that no name in a table is cut off."""


def output() -> RichConsole:
    """For what a command is asked to print: stdout, as wide as the window, or as a file can take."""
    plain = RichConsole(emoji=False)
    return plain if plain.is_terminal else RichConsole(width=PIPE_WIDTH, emoji=False)


def print_json(text: str) -> None:
    """JSON on stdout, indented."""
    RichConsole(soft_wrap=True).print_json(text)


class RateColumn(ProgressColumn):
    """Units per second with two digits."""

    def render(self, task: Task) -> Text:
        """The rate as text."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {task.fields['unit']}/s" if speed else "")


class Bar:
    """The one progress bar: drawn on a terminal, a line now and then elsewhere."""

    def __init__(self, rich_console: RichConsole) -> None:
        self._console = rich_console
        self._progress: Progress | None = None
        self._what, self._unit, self._done = "", "", 0.0
        self._total: float | None = None
        self._started_s = self._said_s = 0.0

    def start(self, total: float | None, what: str, unit: str = "") -> None:
        """Begin a bar of `total` units (None: unknown); replaces the one before."""
        self.stop()
        self._what, self._unit, self._total, self._done = what, unit, total, 0.0
        self._started_s = self._said_s = time.monotonic()
        if not self._console.is_terminal:
            return
        counts = (DownloadColumn(), TransferSpeedColumn()) if unit == "B" else (MofNCompleteColumn(), RateColumn())
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn(),
            console=self._console, transient=True,
        )  # fmt: skip
        self._progress.add_task(escape(what), total=total, unit=unit)
        self._progress.start()

    def advance(self, amount: float = 1) -> None:
        """Move the bar on."""
        self._done += amount
        if self._progress:
            self._progress.advance(self._progress.task_ids[0], amount)
            return
        now_s = time.monotonic()
        if now_s - self._said_s >= PLAIN_INTERVAL_S:
            self._said_s = now_s
            self._console.print(self._plain(now_s - self._started_s), highlight=False, markup=False)

    def _plain(self, elapsed_s: float) -> str:
        scale, unit = (1e6, "MB") if self._unit == "B" else (1.0, self._unit)
        rate = self._done / max(elapsed_s, 1e-9)
        line = f"  {self._what}: {self._done / scale:.4g}"
        if self._total:
            line += f" of {self._total / scale:.4g}"
        line += f" {unit}, {rate / scale:.3g}/s"
        if self._total and rate > 0:
            line += f", {max(self._total - self._done, 0) / rate:.0f} s left"
        return line

    def stop(self) -> None:
        """Take the bar off the screen."""
        if self._progress:
            self._progress.stop()
            self._progress = None


class Console:
    """Lines for people, on stderr, so that stdout is free for what a command is asked to print."""

    def __init__(self) -> None:
        self.rich = RichConsole(stderr=True, soft_wrap=True, emoji=False)
        self.progress = Bar(self.rich)

    def say(self, text: str) -> None:
        """One plain line."""
        self.rich.print(text, highlight=False, markup=False)

    def good(self, text: str) -> None:
        """Something is done."""
        self.rich.print(f"[green]✓[/] {escape(text)}", highlight=False)

    def warn(self, text: str) -> None:
        """Something to know."""
        self.rich.print(f"[yellow]![/] {escape(text)}", highlight=False)

    def error(self, text: str) -> None:
        """Something failed."""
        self.rich.print(f"[red]✗[/] {escape(text)}", highlight=False)

    def traceback(self) -> None:
        """The current exception, in full: a bug, not a mistake of the user."""
        import traceback

        self.progress.stop()
        traceback.print_exc(file=sys.stderr)
