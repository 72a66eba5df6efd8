"""Mailboxes (RFC 5321 §4.1.2, UTF-8 by RFC 6531 §3.3): ``local-part@domain`` or ``local-part@[literal]``.

This is the strict grammar of the envelope: no comments, no folding, no obsolete forms, no source route
(who reads a path strips that). Addresses in header fields are read by ``address_list``. Limits: local part
64 octets, path 256 octets, name and label as in ``Name``.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name

MAX_LOCAL_PART_OCTETS = 64  # RFC 5321 §4.5.3.1.1, counted as written, quotes and backslashes included
MAX_MAILBOX_OCTETS = 254  # RFC 5321 §4.5.3.1.3: a path has 256, and "<" and ">" are two of them

KEPT_NAMES = 256  # parsed domains, some 400 octets each

_ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+"
_DOT_STRING = _ATOM + rb"(?:\." + _ATOM + rb")*"
_QUOTED_STRING = rb'"(?:[ !#-\[\]-~\x80-\xff]|\\[ -~])*"'
_LABEL = rb"[A-Za-z0-9\x80-\xff]+(?:-+[A-Za-z0-9\x80-\xff]+)*"
_DOMAIN = _LABEL + rb"(?:\." + _LABEL + rb")*"
_MAILBOX = re.compile(
    rb"(?P<local>" + _DOT_STRING + rb"|" + _QUOTED_STRING + rb")"
    rb"@(?:(?P<domain>" + _DOMAIN + rb")|\[(?P<literal>[0-9A-Za-z:.]+)\])"
)
_HOST_NAME = re.compile(_DOMAIN)
_PLAIN_LOCAL_PART = re.compile(_DOT_STRING)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'(["\\])')
_IPV6_TAG = b"ipv6:"


@dataclass(frozen=True, slots=True)
class AddressLiteral:
    """``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (RFC 5321 §4.1.3)."""

    address: IPv4Address | IPv6Address

    @property
    def text(self) -> str:
        """The literal with its brackets."""
        return f"[{'IPv6:' if self.address.version == 6 else ''}{self.address}]"  # noqa: PLR2004

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox. Equal when local part (to the letter) and domain (without regard to case) are.

    ``local_part`` is decoded: without quotes and backslashes. ``wire`` is the form to send: as the peer
    wrote it, so that the next server reads what the first one read (bytes; UTF-8 where not ASCII).
    """

    local_part: str
    domain: Name | AddressLiteral
    wire: bytes = field(compare=False)

    @property
    def is_ascii(self) -> bool:
        """Whether ``wire`` needs no SMTPUTF8. If it does, ``canonical()`` may still not: it has A-labels."""
        return self.wire.isascii()

    def canonical(self) -> bytes:
        """The one form that equal mailboxes share: fewest quotes, domain as lower-case A-labels.

        It parses to an equal mailbox and serves as a key.
        """
        return str(self).encode()

    def __str__(self) -> str:
        return f"{quote_local_part(self.local_part)}@{self.domain}"


def parse_mailbox(text: bytes, *, allow_utf8: bool) -> Mailbox | Malformed:
    """Read ``Mailbox`` of RFC 5321 §4.1.2, without angle brackets.

    ``allow_utf8``: SMTPUTF8 is in force (RFC 6531 §3.3). U-labels become A-labels in ``domain``. Deviation: a
    ``General-address-literal`` is refused, since no tag but IPv6 was ever registered.
    """
    if not text.isascii() and not allow_utf8:
        return Malformed("a mailbox that is not ASCII, without SMTPUTF8")
    if len(text) > MAX_MAILBOX_OCTETS:
        return Malformed(f"a mailbox longer than {MAX_MAILBOX_OCTETS} octets")
    match = _MAILBOX.fullmatch(text)
    if match is None:
        return Malformed("not a mailbox")
    local, domain, literal = match.group("local", "domain", "literal")
    if len(local) > MAX_LOCAL_PART_OCTETS:
        return Malformed(f"a local part longer than {MAX_LOCAL_PART_OCTETS} octets")
    try:
        local_part = _unquote(local.decode())
        where = _name(domain.decode()) if literal is None else parse_literal(literal)
    except UnicodeDecodeError:
        return Malformed("a mailbox that is not UTF-8")
    if isinstance(where, Malformed):
        return where
    parsed = Mailbox(local_part, where, text)
    # A-labels can be longer than what they stand for; nothing else is longer in its canonical form.
    if not text.isascii() and len(parsed.canonical()) > MAX_MAILBOX_OCTETS:
        return Malformed(f"a mailbox longer than {MAX_MAILBOX_OCTETS} octets")
    return parsed


def parse_domain(text: str) -> Name | Malformed:
    """Read ``Domain`` of RFC 5321 §4.1.2: letters, digits and inner hyphens, U-labels too; no final dot."""
    if not _HOST_NAME.fullmatch(text.encode("utf-8", "surrogatepass")):
        return Malformed("not a domain")
    return _name(text)


@lru_cache(maxsize=KEPT_NAMES)
def _name(text: str) -> Name | Malformed:
    """The same few domains come again and again; a name once read also keeps its text."""
    return Name.parse(text)


def parse_literal(text: bytes) -> AddressLiteral | Malformed:
    """Read what stands between the brackets (RFC 5321 §4.1.3)."""
    try:
        if text[: len(_IPV6_TAG)].lower() != _IPV6_TAG:
            return AddressLiteral(IPv4Address(text.decode("ascii")))
        address = IPv6Address(text[len(_IPV6_TAG) :].decode("ascii"))
    except ValueError:
        return Malformed("not an address literal")
    return Malformed("an address literal with a zone") if address.scope_id else AddressLiteral(address)


def mailbox(text: str) -> Mailbox:
    """Read a mailbox that we wrote ourselves; a malformed one is our bug."""
    parsed = parse_mailbox(text.encode(), allow_utf8=True)
    if isinstance(parsed, Malformed):
        raise MisuseError(f"{text!r}: {parsed.reason}")
    return parsed


def make_mailbox(local_part: str, domain: Name | AddressLiteral) -> Mailbox | Malformed:
    """Put a mailbox together from a decoded local part, quoting it where it must be."""
    return parse_mailbox(
        f"{quote_local_part(local_part)}@{domain}".encode("utf-8", "surrogatepass"), allow_utf8=True
    )


def _unquote(local: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", local[1:-1]) if local.startswith('"') else local


def quote_local_part(local_part: str) -> str:
    """Write a decoded local part with quotes where it needs them (RFC 5321 §4.1.2)."""
    if _PLAIN_LOCAL_PART.fullmatch(local_part.encode("utf-8", "surrogatepass")):
        return local_part
    return '"' + _TO_ESCAPE.sub(r"\\\1", local_part) + '"'
