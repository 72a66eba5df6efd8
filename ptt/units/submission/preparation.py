"""Before a message leaves its author: is it fit to go, and what must be added (RFC 6409 §8).

Decides by the header alone: exactly one From (RFC 5322 §3.6) whose every mailbox, and a Sender if there is
one, the login may use [S8]; Date and Message-ID are added where they are missing. Nothing that the author
wrote is changed; what is added stands in front.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.address_list import parse_address_list
from ptt.protocol.mail.date import format_date
from ptt.protocol.mail.header import Header
from ptt.protocol.mail.message import author_mailboxes
from ptt.protocol.mail.message_id import make_message_id
from ptt.protocol.smtp.reply import Reply

MESSAGE_ID_RANDOM_OCTETS = 16  # RFC 5322 §3.6.4 asks for uniqueness: 128 bits


@dataclass(frozen=True, slots=True)
class Addition:
    """Header fields to put in front of the message, each with its CRLF."""

    fields: tuple[bytes, ...]


def prepare(
    header: Header | Malformed,
    may_use: Callable[[Mailbox], bool],
    *,
    now: datetime,
    random: bytes,
    domain: Name,
) -> Addition | Reply:
    """Decide on a message by its header: what to add, or the refusal."""
    if isinstance(header, Malformed):
        return Reply(554, "5.6.0", f"The message's header is broken: {header.reason}.")
    refusal = _author_refusal(header, may_use)
    if refusal is not None:
        return refusal
    fields = []
    if not header.count(b"message-id"):
        fields.append(b"Message-ID: " + make_message_id(random, domain) + b"\r\n")
    if not header.count(b"date"):
        fields.append(b"Date: " + format_date(now) + b"\r\n")
    return Addition(tuple(fields))


def _author_refusal(header: Header, may_use: Callable[[Mailbox], bool]) -> Reply | None:
    if header.count(b"from") != 1:
        found = "no From field" if not header.count(b"from") else "more than one From field"
        return Reply(554, "5.6.0", f"The message has {found}; it needs exactly one.")
    authors = author_mailboxes(header)
    if isinstance(authors, Malformed) or not authors:
        return Reply(554, "5.6.0", "The From field holds no address that can be read.")
    for mailbox in authors:
        if not may_use(mailbox):
            return _foreign("From", mailbox)
    for field in header.all(b"sender"):
        senders = parse_address_list(field.value)
        if isinstance(senders, Malformed):
            return Reply(554, "5.6.0", "The Sender field holds no address that can be read.")
        for mailbox in senders:
            if not may_use(mailbox):
                return _foreign("Sender", mailbox)
    return None


def foreign_reverse_path(mailbox: Mailbox) -> Reply:
    """The refusal of a MAIL FROM that is not the login's."""
    return _foreign("the envelope (MAIL FROM)", mailbox)


def _foreign(where: str, mailbox: Mailbox) -> Reply:
    address = mailbox.wire.decode("ascii", "replace").replace("\ufffd", "?")
    return Reply(553, "5.7.1", f"<{address}> in {where} is not an address that you may send from.")
