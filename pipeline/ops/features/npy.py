"""Arrays in files of their own: written whole, opened without being read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write a `.npy` that a reader sees whole or not at all, even if this process is killed.

    It is not forced to the disk, which would cost more than the array: `open_array` finds what a power cut damaged.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def open_array(path: Path) -> NDArray[Any]:
    """Map a `.npy` into memory, read-only: pages are read when they are used, and shared by all readers.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is no `.npy`, is cut off or holds objects.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except EOFError as error:
        raise ValueError(f"{path.name} is empty") from error
