"""Memory for mail in flight: a count that sessions take from and give back to.

A unit's memory is what it needs at rest and this budget; past it new mail is answered 452 4.3.1, and the
sender comes back. Counted are the octets held, not the declared sizes: who declares nothing costs nothing.
"""

from ptt.errors import MisuseError


class MemoryBudget:
    """Octets that may be held at one time by all sessions of a unit together."""

    def __init__(self, limit_octets: int) -> None:
        self._limit = limit_octets
        self._held = 0

    @property
    def held(self) -> int:
        """Octets held now."""
        return self._held

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing more may be begun."""
        return self._held >= self._limit

    def take(self, octets: int) -> bool:
        """Take octets; False when they do not fit, then nothing was taken."""
        if self._held + octets > self._limit:
            return False
        self._held += octets
        return True

    def give_back(self, octets: int) -> None:
        """Give back what was taken."""
        if octets > self._held:
            raise MisuseError(f"gives back {octets} octets of {self._held}")
        self._held -= octets
