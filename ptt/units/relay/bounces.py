"""Bounces to envelope senders of our own making: whom they go back to (SRS) [R10, R12].

An SRS domain of ours takes mail from <> only, since everything else is no bounce; what we did not write or
what is too old has no mailbox behind it. How many are asked for in a minute is bounded, so that marks cannot
be guessed and nobody sends on through us at will.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox
from ptt.protocol.mail.srs import Expired, Original, Rewritten, Short, SrsKeys, restore, rewrite
from ptt.protocol.smtp.reply import Reply

MAX_QUESTIONS_A_MINUTE = 120
"""RCPTs to SRS domains, good and bad: a bounce is asked about twice (at RCPT and with the message), so 60
bounces; a forwarder of some hundred users sees a few an hour."""
MINUTE_S = 60.0

NOT_A_BOUNCE = Reply(550, "5.7.1", "This address takes only bounces, which come from <>.")
NO_SUCH_SENDER = Reply(550, "5.1.1", "There is no such address here, or it is too old.")
NOT_LED_BACK = Reply(550, "5.1.1", "A bounce to this address cannot be led back to its sender.")
TOO_MANY_BOUNCES = Reply(451, "4.7.1", "Too many bounces at this moment. Please try again later.")


@dataclass(frozen=True, slots=True)
class SrsDomains:
    """The SRS domain of each domain of ours; ``default`` is for what is addressed to our host itself."""

    by_domain: Mapping[Name, Name]
    default: Name

    def of(self, domain: Name | AddressLiteral) -> Name:
        """Where the envelope senders of mail forwarded for this domain are."""
        return self.by_domain.get(domain, self.default) if isinstance(domain, Name) else self.default

    def has(self, mailbox: Mailbox) -> bool:
        """Whether a mailbox is in an SRS domain of ours."""
        return mailbox.domain == self.default or mailbox.domain in self.by_domain.values()


@dataclass(slots=True)
class Bounces:
    """What makes our envelope senders and reads them again. Times are in seconds since 1970."""

    keys: SrsKeys
    domains: SrsDomains
    _minute: float = 0.0
    _asked: int = field(default=0)

    def sender(self, reverse_path: Mailbox, alias: Mailbox, now: float) -> Rewritten:
        """The envelope sender for mail that we forward for an alias."""
        return rewrite(reverse_path, self.domains.of(alias.domain), self.keys, now)

    def lead_back(self, recipient: Mailbox, reverse_path: Mailbox | None, now: float) -> Mailbox | Reply:
        """Whom mail to an address in an SRS domain of ours goes to."""
        if reverse_path is not None:
            return NOT_A_BOUNCE
        if not self._may_ask(now):
            return TOO_MANY_BOUNCES
        match restore(recipient, self.keys, now):
            case Original(mailbox):
                return mailbox
            case Short():
                return NOT_LED_BACK
            case Expired() | Malformed():
                return NO_SUCH_SENDER

    def _may_ask(self, now: float) -> bool:
        if not self._minute <= now < self._minute + MINUTE_S:
            self._minute, self._asked = now, 0
        self._asked += 1
        return self._asked <= MAX_QUESTIONS_A_MINUTE
