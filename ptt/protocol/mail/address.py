"""Mailboxes (RFC 5321 §4.1.2, UTF-8 by RFC 6531 §3.3): ``local-part@domain`` or ``local-part@[literal]``."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from ptt.protocol.dns.name import Name


@dataclass(frozen=True, slots=True)
class AddressLiteral:
    """``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (RFC 5321 §4.1.3)."""

    address: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox. Equal when local part (to the letter) and domain (without regard to case) are.

    ``local_part`` is decoded: without quotes and backslashes. ``wire`` is the form to send: as the peer
    wrote it, so that the next server reads what the first one read (bytes; UTF-8 where not ASCII).
    """

    local_part: str
    domain: Name | AddressLiteral
    wire: bytes = field(compare=False)
