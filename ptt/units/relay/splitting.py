"""How a mail server's retry is split so that each of its transactions ends in one true answer [R21].

A mail server hears one reply for all its recipients; when they ended differently it heard 451 and comes
again. Then the first RCPT decides which class goes now (delivered, refused, open), and the others are told to
come in a transaction of their own, 451 4.5.3 (RFC 5248 §2.4). Who is open lets those pass who only want their
answer, a bounded number of times: else a sender that always names the same one first would never
hear that the others are delivered. The class is found by reverse-path, recipient and SIZE, which is all that
is known at RCPT; the ledger's exact key decides in the end, so a wrong guess only costs a retry.

Pure and in memory: what is lost with the process is made up for by one more retry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.ledger import LIFE_S

MAX_SPLITS = 10_000  # messages; the oldest goes first
MAX_WAITS = 3  # RCPTs of open recipients refused for one message's sake: two closed classes, and one lost try

# Deviation: RFC 5321 §4.5.3.1.10 has 452 for this. Exim keeps a recipient that heard 452 for a further
# transaction of the same connection, and when the one under way is refused after the data, it takes that
# refusal for those it has kept: they are bounced and never tried again. After 451 it tries each again.
IN_ANOTHER = Reply(
    451, "4.5.3", "Please send to this recipient in a transaction of its own: it has another answer to come."
)


class Standing(StrEnum):
    """What is known of one recipient of a message."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    OPEN = "open"


def standing_of(reply: Reply) -> Standing:
    """What a final reply says."""
    if reply.is_completed:
        return Standing.DELIVERED
    return Standing.REFUSED if reply.is_permanent else Standing.OPEN


@dataclass(frozen=True, slots=True)
class Hint:
    """All that is known of a message at RCPT. ``size``: as declared, None if it was not."""

    reverse_path: Mailbox | None
    size: int | None


@dataclass(slots=True, eq=False)
class _Split:
    """One message whose recipients ended differently; those that have had their answer are taken out."""

    standings: dict[Mailbox, Standing]
    expires_at: float
    waits: int = 0

    @property
    def has_closed(self) -> bool:
        return any(standing is not Standing.OPEN for standing in self.standings.values())


@dataclass(slots=True)
class Splits:
    """All messages whose recipients ended differently. Times are in seconds of any clock."""

    max_splits: int = MAX_SPLITS
    _found: dict[tuple[Hint, Mailbox], _Split] = field(default_factory=dict)
    _all: dict[_Split, Hint] = field(default_factory=dict)
    """In the order in which they expire."""

    def __len__(self) -> int:
        return len(self._all)

    def at_recipient(self, hint: Hint, first: Mailbox | None, recipient: Mailbox, now: float) -> Reply | None:
        """Whether a recipient goes with this transaction; the reply tells it to come in another one.

        ``first``: the first accepted recipient of the transaction, None for the one that would be it.
        """
        self._expire(now)
        standing = self._standing(hint, recipient)
        if first is not None:
            return None if standing is self._standing(hint, first) else IN_ANOTHER
        split = self._found.get((hint, recipient))
        if split is None or standing is not Standing.OPEN or not split.has_closed or split.waits >= MAX_WAITS:
            return None
        split.waits += 1
        return IN_ANOTHER

    def at_end(self, hint: Hint, ended: Mapping[Mailbox, Standing], now: float) -> None:
        """A transaction has ended so; what differs is remembered for the retry."""
        for recipient in ended:
            self._take_out(hint, recipient)
        if len(set(ended.values())) > 1:
            split = _Split(dict(ended), now + LIFE_S)
            self._all[split] = hint
            self._found.update(dict.fromkeys(((hint, recipient) for recipient in ended), split))
        while len(self._all) > self.max_splits:
            self._forget(next(iter(self._all)))

    def _standing(self, hint: Hint, recipient: Mailbox) -> Standing:
        split = self._found.get((hint, recipient))
        return Standing.OPEN if split is None else split.standings[recipient]

    def _take_out(self, hint: Hint, recipient: Mailbox) -> None:
        split = self._found.pop((hint, recipient), None)
        if split is not None:
            del split.standings[recipient]
            if not split.standings:
                del self._all[split]

    def _expire(self, now: float) -> None:
        while self._all and (oldest := next(iter(self._all))).expires_at <= now:
            self._forget(oldest)

    def _forget(self, split: _Split) -> None:
        hint = self._all.pop(split)
        for recipient in split.standings:
            del self._found[hint, recipient]
