"""A message that is held while it comes in: its buffers, counted against the unit's budget."""

from collections.abc import Sequence

from ptt.net.budget import MemoryBudget


class Held:
    """Buffers of one message, never joined."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.buffers: list[bytes] = []
        self.octets = 0

    def add(self, data: bytes) -> bool:
        """Hold a piece; False: the budget does not allow it, and all that was held is dropped."""
        if not self._budget.take(len(data)):
            self.drop()
            return False
        self.buffers.append(data)
        self.octets += len(data)
        return True

    def take(self) -> Sequence[bytes]:
        """Give the buffers away; they count until ``drop``."""
        buffers, self.buffers = self.buffers, []
        return buffers

    def drop(self) -> None:
        """Hold nothing any more."""
        self.buffers = []
        self._budget.give_back(self.octets)
        self.octets = 0
