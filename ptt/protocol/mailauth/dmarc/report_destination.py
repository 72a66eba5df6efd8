"""Where DMARC reports may be sent: addresses of strangers have to agree (RFC 9990 §4).

A report goes to an address in the policy domain's own organization at once; any other host must publish
``POLICY-DOMAIN._report._dmarc.HOST``. That record may name another address at the same host. A look-up that
failed puts the delivery off: nothing is sent on doubt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import unquote_to_bytes

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, parse_mailbox
from ptt.protocol.mailauth.dmarc.record import DmarcRecord, is_dmarc_record, parse_dmarc_record
from ptt.protocol.mailauth.dmarc.tree_walk import TreeWalks
from ptt.protocol.mailauth.tag_list import parse_tag_list

MAX_DESTINATIONS = 5  # ours: RFC 9989 §4.6 leaves the limit to the sender of reports

_MAILTO = re.compile(r"mailto:([^?]+)(?:\?.*)?", re.IGNORECASE)


class Consent(Enum):
    """Whether a host takes reports about a domain; ``UNKNOWN`` means to ask again later."""

    GIVEN = auto()
    REFUSED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Authorization:
    """A host's consent, and the records that gave it (empty within one organization)."""

    consent: Consent
    records: tuple[DmarcRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where to send now. ``is_complete`` is false if some address has to be asked about later."""

    mailboxes: tuple[Mailbox, ...]
    is_complete: bool


def mailto_address(uri: str) -> Mailbox | Malformed:
    """The one address of a mailto URI, percent-decoded; header fields in it are ignored (ours)."""
    match = _MAILTO.fullmatch(uri)
    if match is None:
        return Malformed("not a mailto URI")
    return parse_mailbox(unquote_to_bytes(match[1]), allow_utf8=True)


async def destinations(record: DmarcRecord, policy_domain: Name, walks: TreeWalks) -> Destinations:
    """Give the addresses that aggregate reports about ``policy_domain`` may be sent to, in their order."""
    mailboxes: list[Mailbox] = []
    is_complete = True
    for mailbox in _mailboxes(record.rua)[:MAX_DESTINATIONS]:
        if not isinstance(mailbox.domain, Name):
            continue
        authorization = await authorization_of(policy_domain, mailbox.domain, walks)
        is_complete = is_complete and authorization.consent is not Consent.UNKNOWN
        if authorization.consent is Consent.GIVEN:
            mailboxes += _overridden(mailbox, authorization.records)
    return Destinations(tuple(dict.fromkeys(mailboxes)), is_complete)


async def authorization_of(policy_domain: Name, host: Name, walks: TreeWalks) -> Authorization:
    """Find out whether ``host`` takes reports about ``policy_domain``."""
    own = (await walks.walk(policy_domain)).organizational_domain
    other = (await walks.walk(host)).organizational_domain
    if own is None or other is None:
        return Authorization(Consent.UNKNOWN)
    if own == other:
        return Authorization(Consent.GIVEN)
    name = host.below(*policy_domain.labels, b"_report", b"_dmarc")
    if isinstance(name, Malformed):
        return Authorization(Consent.REFUSED)
    answer = await walks.lookup.query(name, RecordType.TXT)
    if answer.is_failure:
        return Authorization(Consent.UNKNOWN)
    records = tuple(
        record
        for record in (_consenting(each.joined) for each in answer.of(Txt))
        if isinstance(record, DmarcRecord)
    )
    return Authorization(Consent.GIVEN if records else Consent.REFUSED, records)


def _consenting(text: bytes) -> DmarcRecord | Malformed:
    """A record counts if it is a list of tags throughout: consent is not read out of something broken."""
    if not is_dmarc_record(text) or isinstance(parse_tag_list(text), Malformed):
        return Malformed("not a list of tags")
    return parse_dmarc_record(text)


def _mailboxes(uris: Sequence[str]) -> list[Mailbox]:
    return [mailbox for mailbox in map(mailto_address, uris) if isinstance(mailbox, Mailbox)]


def _overridden(mailbox: Mailbox, records: Sequence[DmarcRecord]) -> list[Mailbox]:
    uris = [uri for record in records for uri in record.rua]
    if not uris:
        return [mailbox]
    return [each for each in _mailboxes(uris) if each.domain == mailbox.domain]
