"""One model in memory at a time."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")
_lock = threading.Lock()
_lent: list[str] = []


@contextlib.contextmanager
def lend(name: str, load: Callable[[], T]) -> Iterator[T]:
    """Load a model, lend it for the length of the `with` block, then free its memory.

    The memory is freed even where the borrower still holds the model under some name: the parameters of every network
    in it (the object itself, or its attributes) are dropped, so a use after the block fails.

    Args:
        name: for messages.
        load: called once; returns the model, or an object whose attributes hold it.

    Raises:
        RuntimeError: another model is lent at this moment; phases run one after another.
    """
    with _lock:
        if _lent:
            raise RuntimeError(f"{name} was asked for while {_lent[0]} is lent; one model at a time")
        _lent.append(name)
    try:
        model = load()
        try:
            yield model
        finally:
            drop_weights(model)
            del model
    finally:
        _lent.remove(name)
        free_memory()


def drop_weights(model: object) -> None:
    """Give back the memory of every network in `model`: itself, or its attributes."""
    parts = [model] if isinstance(model, nn.Module) else vars(model).values() if hasattr(model, "__dict__") else []
    for part in parts:
        if isinstance(part, nn.Module):
            part.to_empty(device="meta")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch means too little memory: its allocators, CUDA and cuBLAS each say it their way."""
    signs = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in signs)


def free_memory() -> None:
    """Collect what nothing refers to, and hand CUDA's cached blocks back to the driver."""
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
