"""What a unit leaves with the host for its successors: keys and values that the host does not read.

Entries stand in the order in which they were last written. Past a bound the oldest go; they are a ledger's
oldest outcomes, whose loss costs at worst a second copy of a mail, never a mail.
"""

from collections.abc import Iterator

from ptt.boot import GiveState, KeepState

MAX_KEPT_OCTETS = 48 * 1024 * 1024  # the relay's 100,000 entries of some 300 octets, and room
MAX_GIVEN_OCTETS = 4 * 1024 * 1024  # in one frame, which may have four times as many
ENTRY_OVERHEAD_OCTETS = 100  # what Python spends on an entry beside key and value


class Kept:
    """The state of one unit. Changed in place: copying it for each of thousands of entries would not do."""

    def __init__(self, max_octets: int = MAX_KEPT_OCTETS) -> None:
        self._max_octets = max_octets
        self._entries: dict[str, bytes] = {}
        self._octets = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, frame: KeepState) -> int:
        """Keep an entry, or forget it when the value is empty; gives how many others had to go for it."""
        former = self._entries.pop(frame.key, None)
        if former is not None:
            self._octets -= _octets(frame.key, former)
        if not frame.value:
            return 0
        self._entries[frame.key] = frame.value
        self._octets += _octets(frame.key, frame.value)
        dropped = 0
        while self._octets > self._max_octets:
            oldest = next(iter(self._entries))
            self._octets -= _octets(oldest, self._entries.pop(oldest))
            dropped += 1
        return dropped

    def frames(self) -> Iterator[GiveState]:
        """Everything that is kept, in frames that are not too long."""
        entries: list[tuple[str, bytes]] = []
        octets = 0
        for key, value in self._entries.items():
            if entries and octets + _octets(key, value) > MAX_GIVEN_OCTETS:
                yield GiveState(tuple(entries))
                entries, octets = [], 0
            entries.append((key, value))
            octets += _octets(key, value)
        if entries:
            yield GiveState(tuple(entries))


def _octets(key: str, value: bytes) -> int:
    return len(key.encode()) + len(value) + ENTRY_OVERHEAD_OCTETS
