"""Names that lead back to themselves, in a list of which each names others.

Tarjan's algorithm (1972): time in proportion to the list, whatever somebody has entered; without recursion,
since a chain may be as long as the list.
"""

from collections import deque
from collections.abc import Iterator, Mapping

Edges = Mapping[str, tuple[str, ...]]
"""Whom each name leads to; all of them are keys too."""


def knots(edges: Edges) -> list[frozenset[str]]:
    """The largest sets of names each of which leads to all of the set, itself too."""
    search = _Search(edges)
    for name in edges:
        if name not in search.numbers:
            search.visit(name)
    return search.found


def way_round(start: str, knot: frozenset[str], edges: Edges) -> tuple[str, ...]:
    """The shortest way from a name of a knot back to itself, without the second mention of it."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while start not in came_from:
        name = waiting.popleft()
        for following in edges[name]:
            if following in knot and following not in came_from:
                came_from[following] = name
                waiting.append(following)
    way = [came_from[start]]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))


class _Search:
    """``numbers`` in the order of the first visit; ``lowest`` that is reached from a name and still open."""

    def __init__(self, edges: Edges) -> None:
        self.numbers: dict[str, int] = {}
        self.found: list[frozenset[str]] = []
        self._edges = edges
        self._lowest: dict[str, int] = {}
        self._stack: list[str] = []
        self._open: set[str] = set()

    def visit(self, root: str) -> None:
        """Go along every way from a name, as deep as it goes, and back."""
        path = [self._enter(root)]
        while path:
            name, others = path[-1]
            following = next(others, None)
            if following is None:
                path.pop()
                self._leave(name)
                for before, _ in path[-1:]:
                    self._reaches(before, self._lowest[name])
            elif following not in self.numbers:
                path.append(self._enter(following))
            elif following in self._open:
                self._reaches(name, self.numbers[following])

    def _enter(self, name: str) -> tuple[str, Iterator[str]]:
        self.numbers[name] = self._lowest[name] = len(self.numbers)
        self._stack.append(name)
        self._open.add(name)
        return name, iter(self._edges[name])

    def _leave(self, name: str) -> None:
        if self._lowest[name] != self.numbers[name]:
            return
        knot = [self._stack.pop()]
        while knot[-1] != name:
            knot.append(self._stack.pop())
        self._open.difference_update(knot)
        if len(knot) > 1 or name in self._edges[name]:
            self.found.append(frozenset(knot))

    def _reaches(self, name: str, number: int) -> None:
        self._lowest[name] = min(self._lowest[name], number)
