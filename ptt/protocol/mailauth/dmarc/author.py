"""The Author Domain: the domain of the From field (RFC 9989 §5.3.1, §11.5).

There is one, or DMARC is not evaluated: a From field that is missing, doubled, unreadable or of several
domains gives no domain to ask. That must not become a way around DMARC, so it is told apart from "no record".
"""

from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address_list import parse_address_list
from ptt.protocol.mail.header import Header
from ptt.protocol.mailauth.results import DmarcResult


@dataclass(frozen=True, slots=True)
class NoAuthor:
    """Why there is no Author Domain: ``PERMERROR``, or ``NONE`` where no record can exist."""

    result: DmarcResult
    reason: str


def author_domain(header: Header) -> Name | NoAuthor:
    """Find the one domain of all mailboxes of the one From field, groups included (RFC 6854)."""
    fields = header.all(b"from")
    if len(fields) != 1:
        return NoAuthor(DmarcResult.PERMERROR, f"{len(fields) or 'no'} From fields")
    mailboxes = parse_address_list(fields[0].value)
    if isinstance(mailboxes, Malformed):
        return NoAuthor(DmarcResult.PERMERROR, f"From: {mailboxes.reason}")
    domains = {mailbox.domain for mailbox in mailboxes}
    if len(domains) != 1:
        return NoAuthor(DmarcResult.PERMERROR, f"{len(domains) or 'no'} author domains")
    domain = domains.pop()
    return (
        domain if isinstance(domain, Name) else NoAuthor(DmarcResult.NONE, "an author at an address literal")
    )
