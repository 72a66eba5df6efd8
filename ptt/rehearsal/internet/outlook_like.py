"""A server with Outlook.com's manners (specs/receivers.md section 3): blocks by address, at MAIL.

Marks in brackets say what is meant: S3140 a block list, S3150 one that did not slow down when asked to, S775
a new address that has to be quiet at first. Some connections end by 421 or without a word after so many
messages. Large senders need SPF, DKIM and DMARC, else 5.7.515; the codes of unknown users are its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.internet.manners import SENDER_OK, Caller, Manners, Seen

PATIENCE = 3  # times that a new address is asked to be quiet before it is blocked: how it came to (S3150)


@dataclass(slots=True)
class Reputation:
    """What it thinks of addresses; a rehearsal changes it while it goes on."""

    blocked: set[str] = field(default_factory=set)
    new: dict[str, int] = field(default_factory=dict)
    """Address -> how often it was asked to slow down."""


class OutlookLike(Manners):
    """See the module. ``per_connection``: messages that one connection may bring."""

    def __init__(
        self,
        domains: Sequence[Name],
        users: Sequence[str],
        lookup: Lookup,
        per_connection: int = 50,
    ) -> None:
        super().__init__(domains, users, lookup)
        self.reputation = Reputation()
        self.per_connection = per_connection

    async def sender(self, caller: Caller, reverse_path: Mailbox | None) -> Reply:
        """The verdict about the address comes here."""
        del reverse_path
        known, address = self.reputation, caller.address
        if address in known.blocked:
            return self._blocked(address, "S3140")
        if address in known.new:
            known.new[address] += 1
            if known.new[address] > PATIENCE:
                return self._blocked(address, "S3150")
            return self._signed(
                451,
                "4.7.650",
                f"The mail server [{address}] has been temporarily rate limited due to IP reputation.",
                "(S775)",
            )
        if caller.messages >= self.per_connection:
            return Reply(421, "4.7.0", "RP-002 (PRETEND) too many messages on this connection")
        return SENDER_OK

    def unknown(self, mailbox: Mailbox) -> Reply:
        """Its own enhanced code."""
        del mailbox
        return self._signed(550, "5.5.0", "Requested action not taken: mailbox unavailable", "(S2017062302)")

    async def message(self, caller: Caller, seen: Seen) -> Reply | None:
        """Large senders need all three."""
        del caller
        facts = {"Spf": seen.has_spf, "Dkim": seen.has_dkim, "DMARC": seen.has_dmarc}
        if seen.fails_dmarc or not any(facts.values()):
            said = " , ".join(f"{name}= {'Pass' if passes else 'Fail'}" for name, passes in facts.items())
            return self._signed(
                550,
                "5.7.515",
                "Access denied, the sending domain does not meet the required authentication level.",
                said,
            )
        return None

    def _blocked(self, address: str, mark: str) -> Reply:
        return self._signed(
            550,
            "5.7.1",
            f"Unfortunately, messages from [{address}] weren't sent.",
            f"Part of this network is on our block list ({mark}).",
        )

    def _signed(self, code: int, enhanced: str, *text: str) -> Reply:
        """All in one line, then which of its hosts and when: what its administrators ask for."""
        return Reply(code, enhanced, f"{' '.join(text)} [PRETEND0EDGE.{self.domains[0]} 08DE2C-5A]")
