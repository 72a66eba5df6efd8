"""Circles in lists of names: found exactly, by a search that nothing makes slow."""

import time

from hypothesis import given
from hypothesis import strategies as st

from ptt.records.knots import knots, way_round

NAMES = "abcdefg"
GRAPHS = st.fixed_dictionaries(
    {name: st.lists(st.sampled_from(NAMES), max_size=3).map(tuple) for name in NAMES}
)


def reached(start: str, edges: dict[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges[name]
    return found


@given(GRAPHS)
def test_knots_are_what_reaches_itself(edges: dict[str, tuple[str, ...]]) -> None:
    """By another way: who is reached from where."""
    reach = {name: reached(name, edges) for name in NAMES}
    expected = {
        frozenset(other for other in NAMES if other in reach[name] and name in reach[other])
        for name in NAMES
        if name in reach[name]
    }
    found = knots(edges)
    assert set(found) == expected
    assert len(found) == len(expected)
    for knot in found:
        for name in knot:
            way = way_round(name, knot, edges)
            assert way[0] == name
            assert len(set(way)) == len(way)
            assert all(after in edges[before] for before, after in zip(way, (*way[1:], name), strict=True))


def test_long_chains_and_large_circles_take_no_time() -> None:
    chain: dict[str, tuple[str, ...]] = {str(number): (str(number + 1),) for number in range(20_000)}
    began = time.thread_time()
    assert knots({**chain, "20000": ()}) == []
    [circle] = knots({**chain, "20000": ("0",)})
    assert time.thread_time() - began < 2.0
    assert len(circle) == 20_001
