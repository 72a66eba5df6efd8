"""A server with Gmail's manners (specs/receivers.md section 3): strict about names and authentication.

It wants TLS, an address whose name leads back to it, SPF or DKIM, and a DMARC pass wherever a domain asks for
one, its own above all; one From, a Message-ID. Everything is judged after the data, in replies of several
lines with Google's kind of ending. Who sends too much is asked to slow down by a 421.
"""

from collections.abc import Sequence

from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mailauth.dmarc.record import Policy
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.internet.manners import Caller, Manners, Seen, reverse_name

ENDING = "see the guidelines for senders. 4f2a9c-pretend - gsmtp"
TWO_DOMAINS = Reply(
    451, "4.3.0", "Multiple destination domains per transaction is unsupported.", f"Please {ENDING}"
)
TOO_FAST = Reply(
    421,
    "4.7.28",
    "There is an unusual rate of mail from your address. To protect our users",
    f"mail from it has been temporarily rate limited; {ENDING}",
)
FULL = Reply(452, "4.2.2", "The recipient's inbox is out of storage space.", f"Please {ENDING}")
BUSY = Reply(
    450, "4.2.1", "The user you are trying to contact is receiving mail too quickly.", f"Please {ENDING}"
)
NO_NAME = Reply(
    550, "5.7.25", "The IP address sending this message does not have a PTR record, or the name", ENDING
)
NO_TLS = Reply(421, "4.7.29", "This message was sent without TLS.", f"Please {ENDING}")
BAD_FORM = Reply(
    550, "5.7.1", "Messages need exactly one From and one Message-ID (RFC 5322).", f"Please {ENDING}"
)


class GmailLike(Manners):
    """See the module. Mailboxes ``full`` and ``busy`` are so; ``pace`` messages of an address are taken."""

    def __init__(
        self, domains: Sequence[Name], users: Sequence[str], lookup: Lookup, pace: int = 1_000
    ) -> None:
        super().__init__(domains, users, lookup)
        self.pace = pace
        self._taken: dict[str, int] = {}

    async def recipient(
        self, caller: Caller, reverse_path: Mailbox | None, mailbox: Mailbox, others: Sequence[Mailbox]
    ) -> Reply:
        """One domain a transaction; unknown users and full mailboxes are told here."""
        if any(other.domain != mailbox.domain for other in others):
            return TWO_DOMAINS
        match mailbox.local_part.lower():
            case "full":
                return FULL
            case "busy":
                return BUSY
        return await super().recipient(caller, reverse_path, mailbox, others)

    def unknown(self, mailbox: Mailbox) -> Reply:
        """Gmail's kind of words."""
        del mailbox
        return Reply(
            550, "5.1.1", "The email account that you tried to reach does not exist.", f"Please {ENDING}"
        )

    async def message(self, caller: Caller, seen: Seen) -> Reply | None:
        """Everything else is said after the data."""
        if not caller.is_secure:
            return NO_TLS
        if await reverse_name(caller.address, self.lookup) is None:
            return NO_NAME
        if seen.header.count(b"from") != 1 or seen.header.count(b"message-id") != 1:
            return BAD_FORM
        refusal = _unauthenticated(seen)
        if refusal is not None:
            return refusal
        taken = self._taken[caller.address] = self._taken.get(caller.address, 0) + 1
        return TOO_FAST if taken > self.pace else None


def _unauthenticated(seen: Seen) -> Reply | None:
    verdict = seen.found.dmarc
    policy = getattr(verdict, "policy", None)
    if seen.fails_dmarc and policy in {Policy.REJECT, Policy.QUARANTINE}:
        author = getattr(verdict, "author", "its author")
        return Reply(
            550,
            "5.7.26",
            f"Unauthenticated email from {author} is not accepted",
            "due to the domain's DMARC policy. Its administrator can tell more;",
            ENDING,
        )
    if not (seen.has_spf or seen.has_dkim):
        return Reply(
            550,
            "5.7.26",
            "This mail has been blocked because the sender is unauthenticated:",
            "SPF or DKIM has to pass;",
            ENDING,
        )
    return None
