"""The one exception that a user sees without a traceback."""

from __future__ import annotations


class PipelineError(Exception):
    """Something outside the code is wrong: input, network, disk, settings.

    Args:
        problem: what was got and what was expected, with the values.
        fix: what the reader can do next.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem, fix)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}\n  → {self.fix}"
