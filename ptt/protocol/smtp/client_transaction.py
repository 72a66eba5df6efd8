"""One mail transaction as the client sees it: who was accepted, and how many replies make up the verdict.

RFC 2033 §4.2 (LMTP): one reply for each accepted recipient. draft-hall-prdr-00 §2: 353, one for each accepted
recipient, one for the whole; without the 353 a single reply holds for all. Either way the verdict has one
reply for each.
"""

from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.extensions import Flavour
from ptt.protocol.smtp.reply import RemoteReply

ANALYSIS_STARTED = 353  # draft-hall-prdr-00 §2


class ClientTransaction:
    """What the answers tell of it. ``refused``: the verdict came before the whole message was sent."""

    def __init__(self, flavour: Flavour) -> None:
        self._flavour = flavour
        self.is_open = False
        self.accepted = 0
        self.refused = False
        self._prdr = False
        self._analysis = False
        self._replies: list[RemoteReply] = []

    def begin(self, mail: Mail, *, accepted: bool) -> None:
        """Note the answer to MAIL."""
        self.end()
        self.is_open = accepted
        self._prdr = mail.parameters.prdr

    def end(self) -> None:
        """Note that the transaction is over: its verdict has come, or RSET was answered."""
        self.is_open = False
        self.accepted = 0
        self._analysis = False
        self._replies = []

    def start_analysis(self) -> bool:
        """Note a 353; False where none can be."""
        if not self._prdr or self._analysis or self._replies:
            return False
        self._analysis = True
        return True

    def verdict(self, reply: RemoteReply) -> tuple[RemoteReply, ...] | None:
        """Take the next reply of the verdict, and give the verdict once it is whole."""
        self._replies.append(reply)
        if self._analysis:
            return self._under_overall() if len(self._replies) > self.accepted else None
        if self._flavour is Flavour.LMTP:
            return tuple(self._replies) if len(self._replies) >= self.accepted else None
        return self.for_each(reply)

    def for_each(self, reply: RemoteReply) -> tuple[RemoteReply, ...]:
        """Give a verdict that is the same for all."""
        has_one_each = self._prdr or self._flavour is Flavour.LMTP
        return (reply,) * (max(1, self.accepted) if has_one_each else 1)

    def replies_to_late_chunk(self, *, last: bool) -> int:
        """How many replies a chunk has that was under way when an earlier one was refused (RFC 2033 §4.2)."""
        return max(1, self.accepted) if last and self._flavour is Flavour.LMTP else 1

    def _under_overall(self) -> tuple[RemoteReply, ...]:
        """What a recipient got holds only as far as the message as a whole was taken."""
        *each, overall = self._replies
        return tuple(overall if one.is_completed and not overall.is_completed else one for one in each)
