"""Stands in for a Postfix with postscreen and greylisting where none can run (specs/receivers.md section 4).

A new client passes postscreen's deep tests and hears 450 4.3.2 at RCPT for it, once; then 450 4.2.0 for
each new pair of sender and recipient until it comes again after ``delay_s``, like postgrey.
"""

import time
from collections.abc import Sequence

from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.internet.manners import Caller, Manners, Seen

TESTED = Reply(450, "4.3.2", "Service currently unavailable")
UNAUTHENTICATED = Reply(550, "5.7.1", "rejected by DMARC policy")


class PostfixLike(Manners):
    """See the module."""

    def __init__(
        self, domains: Sequence[Name], users: Sequence[str], lookup: Lookup, delay_s: float = 300.0
    ) -> None:
        super().__init__(domains, users, lookup)
        self.delay_s = delay_s
        self._tested: set[str] = set()
        self._first: dict[tuple[str, str], float] = {}

    async def recipient(
        self, caller: Caller, reverse_path: Mailbox | None, mailbox: Mailbox, others: Sequence[Mailbox]
    ) -> Reply:
        """Tested, then known, then patient."""
        if caller.address not in self._tested:
            self._tested.add(caller.address)
            return TESTED
        reply = await super().recipient(caller, reverse_path, mailbox, others)
        if not reply.is_completed:
            return reply
        pair, now = (str(reverse_path), str(mailbox)), time.monotonic()
        left_s = self._first.setdefault(pair, now) + self.delay_s - now
        if left_s > 0:
            return Reply(450, "4.2.0", f"Greylisted, try again in {max(1, round(left_s))} seconds")
        return reply

    async def message(self, caller: Caller, seen: Seen) -> Reply | None:
        """As a milter that follows DMARC policies."""
        del caller
        return UNAUTHENTICATED if seen.fails_dmarc else None
