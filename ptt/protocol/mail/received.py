"""Trace fields ``Received`` (RFC 5321 §4.4; ``with`` by RFC 3848, RFC 6531 §4.3): write ours, count all.

Ours names the digest of the code that handled the mail and may carry loop tokens, keyed by who wrote them, so
that a token of a stranger means nothing. Lines are folded at 78 octets where a blank allows it and are never
longer than 998 (RFC 5322 §2.1.1): every part is bounded. What a client said of itself is written only where
it is harmless in a header field, else ``unknown`` stands there.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

from ptt.errors import MisuseError
from ptt.protocol.mail.address import MAX_MAILBOX_OCTETS, AddressLiteral, Mailbox
from ptt.protocol.mail.date import format_date
from ptt.protocol.mail.header import Header

FOLD_AT = 78  # RFC 5322 §2.1.1

_FROM_NAME = re.compile(
    r"[A-Za-z0-9_.:\[\]-]{1,255}"
)  # names and literals, as RFC 5321 §4.1.1.1 has them in EHLO
_OUR_WORD = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.:@-]{1,255}"
)  # what needs no quotes in a comment or clause
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN_COMMENT = re.compile(rb"\(loop ([A-Za-z0-9_-]{1,64})\)")


@dataclass(frozen=True, slots=True)
class ReceivedInfo:
    """What one hop knows of a message's arrival.

    ``by``: our host name. ``protocol``: see ``with_protocol``. ``id``: the trace id. ``tls``: version and
    cipher. ``digest``: of our code. ``tokens``: loop tokens. ``hide_client``: neither name nor address of the
    client is told (Deviation: RFC 5321 §4.4 always has FROM; where a user is at home is nobody's business).
    """

    by: str
    protocol: str
    id: str
    when: datetime
    from_name: str | None = None
    from_address: IPv4Address | IPv6Address | None = None
    tls: tuple[str, str] | None = None
    for_: Mailbox | None = None
    digest: str | None = None
    tokens: tuple[str, ...] = ()
    hide_client: bool = False


def with_protocol(
    *,
    lmtp: bool = False,
    extended: bool = True,
    tls: bool = False,
    authenticated: bool = False,
    utf8: bool = False,
) -> str:
    """Name the protocol of a hop. ``extended``: EHLO was said; ``utf8``: the transaction had SMTPUTF8."""
    if not extended and not lmtp:
        return "SMTP"
    stem = ("UTF8" if utf8 else "") + ("LMTP" if lmtp else "SMTP" if utf8 else "ESMTP")
    return stem + ("S" if tls else "") + ("A" if authenticated else "")


def format_received(info: ReceivedInfo) -> bytes:
    """Write the field, with its final CRLF."""
    lines, line = [], b"Received:"
    for part in _parts(info):
        if len(line) + 1 + len(part) > FOLD_AT:
            lines.append(line)
            line = b"\t" + part
        else:
            line += b" " + part
    return b"\r\n".join([*lines, line, b""])


def count_received(header: Header) -> int:
    """How many hops wrote their field."""
    return header.count(b"received")


def loop_tokens(header: Header) -> frozenset[str]:
    """Give the loop tokens in all Received fields, ours and other people's."""
    return frozenset(
        token.decode("ascii")
        for field in header.all(b"received")
        for token in _TOKEN_COMMENT.findall(field.value)
    )


def _parts(info: ReceivedInfo) -> list[bytes]:
    """Give the pieces between which the field may be folded."""
    parts = [] if info.hide_client else _from_clause(info)
    parts.append(f"by {_ours(info.by)}")
    if info.digest is not None:
        parts.append(f"(PTT {_ours(info.digest)})")
    parts.append(f"with {_ours(info.protocol)}")
    if info.tls is not None:
        parts.append(f"({_ours(info.tls[0])} {_ours(info.tls[1])})")
    parts.append(f"id {_ours(info.id)}")
    parts += [f"(loop {_ours(token, _TOKEN)})" for token in info.tokens]
    written = [part.encode("ascii") for part in parts]
    if info.for_ is not None:
        written += _for_clause(info.for_, info.protocol)
    written[-1] += b";"
    return [*written, format_date(info.when)]


def _from_clause(info: ReceivedInfo) -> list[str]:
    if info.from_name is None and info.from_address is None:
        return []
    name = info.from_name or ""
    clause = [f"from {name if _FROM_NAME.fullmatch(name) else 'unknown'}"]
    if info.from_address is not None:
        clause.append(f"({AddressLiteral(info.from_address)})")
    return clause


def _for_clause(mailbox: Mailbox, protocol: str) -> list[bytes]:
    """Give FOR with A-labels, so that a header in ASCII stays so (RFC 6531 §3.7.3).

    Where that is not enough it is in UTF-8, and outside SMTPUTF8 not there at all.
    """
    written = mailbox.canonical()
    if len(written) > MAX_MAILBOX_OCTETS:
        raise MisuseError("a mailbox that is not one of an envelope")
    return [b"for <%b>" % written] if written.isascii() or protocol.startswith("UTF8") else []


def _ours(word: str, allowed: re.Pattern[str] = _OUR_WORD) -> str:
    if not allowed.fullmatch(word):
        raise MisuseError(f"{word!r} does not fit into a Received field")
    return word
