from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from pipeline.models.loading import lend


class Holder:
    def __init__(self) -> None:
        self.model = nn.Linear(8, 8)


def test_a_second_model_is_refused_while_one_is_lent() -> None:
    with lend("first", Holder), pytest.raises(RuntimeError, match="second was asked for while first is lent"):
        lend("second", Holder).__enter__()


def test_the_next_one_is_lent_after_the_first_came_back() -> None:
    for name in ("first", "second"):
        with lend(name, Holder) as holder:
            assert holder.model.weight.shape == (8, 8)


@pytest.mark.parametrize("load", [Holder, lambda: nn.Linear(8, 8)], ids=["attribute", "network"])
def test_memory_is_freed_although_the_borrower_keeps_the_model(load: type[Holder]) -> None:
    with lend("model", load) as lent:
        network = lent if isinstance(lent, nn.Module) else lent.model
        weights = weakref.ref(network.weight)
        storage = weakref.ref(network.weight.untyped_storage())
    assert lent is not None
    assert weights() is None
    assert storage() is None
    assert network.weight.device.type == "meta"


def test_memory_is_freed_in_spite_of_reference_cycles() -> None:
    class Cycle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4))
            self.hooks = [self]

    def borrow() -> weakref.ref[nn.Module]:
        with lend("model", Cycle) as lent:
            return weakref.ref(lent)

    gc.disable()
    try:
        network = borrow()
        gc.collect()
        assert network() is None
    finally:
        gc.enable()


def test_a_failing_load_and_a_failing_use_leave_the_place_free() -> None:
    def fail() -> Holder:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"), lend("broken", fail):
        pass
    with pytest.raises(ZeroDivisionError), lend("first", Holder):
        raise ZeroDivisionError
    with lend("second", Holder):
        pass
