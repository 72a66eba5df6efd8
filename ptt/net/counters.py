"""A unit's counts and gauges: plain numbers by name, told to the host now and then.

A count only grows, a gauge says how many there are now. Names are words of the unit (``accepted``,
``sessions``); nothing personal goes in, so never an address or a domain of a recipient.
"""

from collections.abc import Callable

from ptt import boot


class Counters:
    """All numbers of one generation."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._watched: dict[str, Callable[[], float]] = {}
        self._changed = False

    def count(self, name: str, by: float = 1) -> None:
        """Add to a count."""
        self._values[name] = self._values.get(name, 0) + by
        self._changed = True

    def gauge(self, name: str, value: float) -> None:
        """Say how many there are now."""
        if self._values.get(name) != value:
            self._values[name] = value
            self._changed = True

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """A gauge that is read when the host is told."""
        self._watched[name] = read

    def take(self) -> boot.Counters | None:
        """What to tell the host; None when nothing has changed since the last time."""
        for name, read in self._watched.items():
            self.gauge(name, read())
        if not self._changed:
            return None
        self._changed = False
        return boot.Counters(dict(self._values))
