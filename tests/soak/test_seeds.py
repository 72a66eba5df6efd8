"""The same as ``tests/flows/test_seeds.py``, for hours: other seeds than those, 100,000 for each line.

``PTT_SEEDS`` says how many, ``PTT_SEED`` tells one alone.
"""

import os

import pytest

from ptt.rehearsal.simulation.many_seeds import Line, Outcome, tell_many

FIRST = 1_000_000
SEEDS = 100_000
AT_ONCE = 5_000  # then what has been found is shown


@pytest.mark.soak
@pytest.mark.parametrize("line", Line)
def test_promises_are_kept_in_every_story(line: Line) -> None:
    one = os.environ.get("PTT_SEED")
    if one is not None:
        first, count = int(one), 1
    else:
        first, count = FIRST, int(os.environ.get("PTT_SEEDS", SEEDS))
    whole = Outcome()
    for begin in range(first, first + count, AT_ONCE):
        size = min(AT_ONCE, first + count - begin)
        part = tell_many(begin, size, min(os.cpu_count() or 1, size), line)
        whole.counts += part.counts
        assert not part.failures, "\n\n".join(part.failures.values())
    for what, number in sorted(whole.counts.items(), key=lambda item: -item[1]):
        print(f"{number:8} {what}")
    assert whole.counts["stories"] == count
