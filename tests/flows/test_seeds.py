"""Stories by seed (``ptt.rehearsal.simulation.stories``): every promise is kept in each of them.

``PTT_SEEDS`` says how many, ``PTT_SEED`` tells one alone; a failure shows its seed and the whole story.
"""

import os

import pytest

from ptt.rehearsal.simulation.many_seeds import Line, tell_many

SEEDS = {Line.OUTBOUND: 1000, Line.INBOUND: 300}
PROCESSES = 2
TIMEOUT_S = 900  # of a machine that does other things besides; the budget says what it takes alone


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("line", Line)
def test_promises_are_kept_in_every_story(line: Line) -> None:
    one = os.environ.get("PTT_SEED")
    if one is not None:
        outcome = tell_many(int(one), 1, 1, line)
    else:
        outcome = tell_many(0, int(os.environ.get("PTT_SEEDS", SEEDS[line])), PROCESSES, line)
    for what, count in sorted(outcome.counts.items(), key=lambda item: -item[1]):
        print(f"{count:8} {what}")
    assert outcome.counts["stories"] > 0
    assert not outcome.failures, "\n\n".join(outcome.failures.values())
