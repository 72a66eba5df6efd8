"""What a message says about itself: authors, sender, identifier, date, subject (RFC 5322 §3.6).

A field that the RFC allows once and that stands there twice is malformed here: readers would choose
differently, and DMARC must not ask one domain while the user is shown another. The header may be anything.
"""

from datetime import datetime

from ptt.errors import Malformed
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.address_list import parse_address_list
from ptt.protocol.mail.date import parse_date
from ptt.protocol.mail.header import Header
from ptt.protocol.mail.message_id import MessageId, parse_message_id


def author_mailboxes(header: Header) -> tuple[Mailbox, ...] | Malformed:
    """Give the mailboxes of the one From field; none when it holds empty groups alone (RFC 6854 §1)."""
    value = _only(header, b"from")
    if value is None:
        return Malformed("no From field")
    return value if isinstance(value, Malformed) else parse_address_list(value)


def single_author(header: Header) -> Mailbox | Malformed:
    """Give the one mailbox of the one From field, for DMARC."""
    authors = author_mailboxes(header)
    if isinstance(authors, Malformed):
        return authors
    return authors[0] if len(authors) == 1 else Malformed(f"{len(authors)} authors in From")


def sender(header: Header) -> Mailbox | Malformed | None:
    """Give the mailbox of Sender, None without that field."""
    value = _only(header, b"sender")
    if value is None or isinstance(value, Malformed):
        return value
    mailboxes = parse_address_list(value)
    if isinstance(mailboxes, Malformed):
        return mailboxes
    return mailboxes[0] if len(mailboxes) == 1 else Malformed(f"{len(mailboxes)} mailboxes in Sender")


def message_id(header: Header) -> MessageId | Malformed | None:
    """Give the message's identifier, None without the field."""
    value = _only(header, b"message-id")
    return value if value is None or isinstance(value, Malformed) else parse_message_id(value)


def date(header: Header) -> datetime | Malformed | None:
    """When the author sent it, None without the field."""
    value = _only(header, b"date")
    return value if value is None or isinstance(value, Malformed) else parse_date(value)


def subject(header: Header) -> bytes | None:
    """Give the topmost Subject, unfolded, encoded words untouched."""
    field = header.first(b"subject")
    return None if field is None else field.value


def _only(header: Header, name: bytes) -> bytes | Malformed | None:
    fields = header.all(name)
    if len(fields) > 1:
        return Malformed(f"more than one {fields[0].name.decode('ascii')} field")
    return fields[0].value if fields else None
