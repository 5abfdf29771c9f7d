"""Loops that NumPy cannot express, compiled by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Machine code from the first call on, kept on disk where that can be; runs without the interpreter's lock.

    The cache notices a change of the file that a function is in, not of those that it calls: functions that call each
    other belong into one file.
    """
    try:
        made = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither this folder nor the user's cache folder can be written
        made = numba.njit(nogil=True)(function)
    return cast("Callable[Parameters, Result]", made)
