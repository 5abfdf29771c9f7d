"""One row a claim, and how a run of them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from pipeline.console import output


@dataclass(frozen=True)
class Row:
    """One claim: our way against the plain way, both measured in this run."""

    claim: str
    baseline: str
    measured: str
    ratio: float
    required: float | None = None
    """The bound that the claim promises; None when the row only informs."""
    at_most: bool = False
    """True when a smaller ratio is better."""

    @property
    def ok(self) -> bool | None:
        """Whether the bound holds; None without a bound."""
        if self.required is None:
            return None
        return self.ratio <= self.required if self.at_most else self.ratio >= self.required


def print_table(rows: Sequence[Row]) -> None:
    """Show all rows as one table on the terminal."""
    table = Table("claim", "plain way", "here", "ratio", "promised", "holds")
    for row in rows:
        bound = "–" if row.required is None else f"{'≤' if row.at_most else '≥'} {row.required:g}"
        verdict = {True: "yes", False: "NO", None: "–"}[row.ok]
        table.add_row(row.claim, row.baseline, row.measured, f"{row.ratio:.2f}", bound, verdict)
    output().print(table)
