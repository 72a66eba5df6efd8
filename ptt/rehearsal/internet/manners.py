"""What a remote mail server says at each step: the questions that a server of ours asks its manners.

A model of one of the large receivers answers them in a file of its own (``gmail_like`` and so on), after
specs/receivers.md; whatever it does not mind is as here: mail for its users is taken. Any reply of 421
ends the connection. Its state (who was greylisted, who came too often) is kept by the object.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from ptt.protocol.dns.lookup import A, Aaaa, Lookup, Ptr, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.header import Header
from ptt.protocol.mailauth.authentication import Authentication
from ptt.protocol.mailauth.results import DkimResult, DmarcResult, SpfResult
from ptt.protocol.smtp.reply import Reply

SENDER_OK = Reply(250, "2.1.0", "Ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Ok")
NO_RELAY = Reply(554, "5.7.1", "Relay access denied")
UNREADABLE = Reply(550, "5.6.0", "The header of this message cannot be read")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is connected. ``host_name``: as it says itself; ``messages``: taken on this connection so far."""

    address: str
    host_name: str
    is_secure: bool
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """A whole message: its envelope and what SPF, DKIM and DMARC came to."""

    reverse_path: Mailbox | None
    users: tuple[str, ...]
    header: Header
    found: Authentication

    @property
    def has_spf(self) -> bool:
        """SPF passes."""
        return self.found.spf.result is SpfResult.PASS

    @property
    def has_dkim(self) -> bool:
        """One signature verifies."""
        return any(each.result is DkimResult.PASS for each in self.found.signatures)

    @property
    def has_dmarc(self) -> bool:
        """DMARC passes."""
        return self.found.dmarc.result is DmarcResult.PASS

    @property
    def fails_dmarc(self) -> bool:
        """DMARC fails, whatever its owner asks for."""
        return self.found.dmarc.result is DmarcResult.FAIL


class Manners:
    """An even-tempered server. ``users``: the local parts that it knows in each of ``domains``."""

    def __init__(self, domains: Sequence[Name], users: Sequence[str], lookup: Lookup) -> None:
        self.domains = tuple(domains)
        self.users = frozenset(users)
        self.lookup = lookup

    async def sender(self, caller: Caller, reverse_path: Mailbox | None) -> Reply:
        """Answer MAIL."""
        del caller, reverse_path
        return SENDER_OK

    async def recipient(
        self, caller: Caller, reverse_path: Mailbox | None, mailbox: Mailbox, others: Sequence[Mailbox]
    ) -> Reply:
        """Answer RCPT; ``others`` were accepted before in this transaction."""
        del caller, reverse_path, others
        if mailbox.domain not in self.domains:
            return NO_RELAY
        return RECIPIENT_OK if self.knows(mailbox) else self.unknown(mailbox)

    async def message(self, caller: Caller, seen: Seen) -> Reply | None:
        """Judge a message after its data; None: it is taken."""
        del caller, seen
        return None

    def knows(self, mailbox: Mailbox) -> bool:
        """Whether somebody reads there."""
        return mailbox.local_part.lower() in self.users

    def unknown(self, mailbox: Mailbox) -> Reply:
        """Say that nobody does."""
        del mailbox
        return Reply(550, "5.1.1", "No such user here")


async def reverse_name(address: str, lookup: Lookup) -> Name | None:
    """The name that an address has and that leads back to it; None: it has none, which big receivers mind."""
    pointer = Name.of(ip_address(address).reverse_pointer)
    kind = RecordType.AAAA if ":" in address else RecordType.A
    for pointed in (await lookup.query(pointer, RecordType.PTR)).of(Ptr):
        back = await lookup.query(pointed.target, kind)
        found = [str(each.address) for each in back.of(A)] + [str(each.address) for each in back.of(Aaaa)]
        if address in found:
            return pointed.target
    return None
