"""Memory for mail in flight, and what is held of a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import MisuseError
from ptt.net.budget import MemoryBudget
from ptt.net.held import Held


def test_a_budget_is_never_overdrawn() -> None:
    budget = MemoryBudget(10)
    states = [(budget.take(octets), budget.held, budget.is_exhausted) for octets in (4, 7, 6, 1)]
    assert states == [(True, 4, False), (False, 4, False), (True, 10, True), (False, 10, True)]
    budget.give_back(4)
    assert (budget.held, budget.is_exhausted) == (6, False)
    with pytest.raises(MisuseError):
        budget.give_back(7)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["add", "take", "drop"]), st.integers(0, 40))))
def test_whatever_messages_do_memory_comes_back(steps: list[tuple[int, str, int]]) -> None:
    budget = MemoryBudget(100)
    messages = [Held(budget) for _ in range(3)]
    for number, step, octets in steps:
        message = messages[number]
        match step:
            case "add":
                before = message.octets
                fits = budget.held + octets <= 100
                assert message.add(b"x" * octets) is fits
                assert message.octets == (before + octets if fits else 0)
            case "take":
                taken = sum(map(len, message.buffers))
                assert sum(map(len, message.take())) == taken
                assert message.buffers == []
            case _:
                message.drop()
                assert message.octets == 0
        assert budget.held == sum(each.octets for each in messages) <= 100
    for message in messages:
        message.drop()
    assert budget.held == 0
