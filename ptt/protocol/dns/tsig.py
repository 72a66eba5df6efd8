"""Signatures of transactions (RFC 8945), with the time as an argument.

What the codec does with its own clock is done here with ``now``: a signed message is checked, an answer is
signed, a stream of answers is signed one after the other (§5.3.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.tsig

from ptt.protocol.dns.message import HEADER_OCTETS
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import codec_name, name_of

FUDGE_S = 300  # RFC 8945 §10
POINTER = 0xC0
RR_FIXED_OCTETS = 10
TIME_OCTETS = 6


@dataclass(frozen=True, slots=True)
class Unsigned:
    """No TSIG record."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A good signature. ``mac`` goes into the answer's."""

    key: dns.tsig.Key
    mac: bytes

    @property
    def name(self) -> Name:
        """The key's name."""
        return name_of(self.key.name)


@dataclass(frozen=True, slots=True)
class BadSignature:
    """Why the signature does not hold (RFC 8945 §5.2): BADKEY, BADSIG or BADTIME."""

    error: dns.rcode.Rcode
    key_name: dns.name.Name
    algorithm: dns.name.Name
    key: dns.tsig.Key | None = None
    mac: bytes = b""


def make_key(name: Name, algorithm: Name, secret: bytes) -> dns.tsig.Key:
    """A key as the codec wants it."""
    return dns.tsig.Key(codec_name(name), secret, codec_name(algorithm))


def check(
    wire: bytes,
    message: dns.message.Message,
    keys: Mapping[Name, dns.tsig.Key],
    now: int,
    request_mac: bytes = b"",
) -> Signed | Unsigned | BadSignature:
    """Check the signature of a message that came as ``wire``; ``now`` in seconds since 1970."""
    if message.tsig is None:
        return Unsigned()
    owner, rdata = message.tsig.name, cast("dns.rdtypes.ANY.TSIG.TSIG", message.tsig[0])
    key = keys.get(name_of(owner))
    if key is None or key.algorithm != rdata.algorithm:
        return BadSignature(dns.rcode.BADKEY, owner, rdata.algorithm)
    try:
        dns.tsig.validate(wire, key, owner, rdata, now, request_mac, last_record_at(wire))  # type: ignore[no-untyped-call]
    except dns.tsig.BadTime:
        return BadSignature(dns.rcode.BADTIME, owner, rdata.algorithm, key, rdata.mac)
    except dns.exception.DNSException:
        return BadSignature(dns.rcode.BADSIG, owner, rdata.algorithm)
    return Signed(key, rdata.mac)


def sign(wire: bytes, key: dns.tsig.Key, now: int, request_mac: bytes = b"") -> bytes:
    """Sign a message: the answer to a request with ``request_mac``, or a request when it is empty."""
    rdata = _record(key.algorithm, now, int.from_bytes(wire[:2], "big"))
    made, _ = dns.tsig.sign(wire, key, rdata, now, request_mac)  # type: ignore[no-untyped-call]
    return _appended(wire, key.name, made)


class StreamSigner:
    """Signs the messages of one answer in order (RFC 8945 §5.3.1)."""

    def __init__(self, key: dns.tsig.Key, request_mac: bytes, now: int) -> None:
        self._key = key
        self._now = now
        self._request_mac = request_mac
        self._context: object = None

    def sign(self, wire: bytes) -> bytes:
        """Sign the next message."""
        rdata = _record(self._key.algorithm, self._now, int.from_bytes(wire[:2], "big"))
        made, self._context = dns.tsig.sign(  # type: ignore[no-untyped-call]
            wire, self._key, rdata, self._now, self._request_mac, self._context, multi=True
        )
        return _appended(wire, self._key.name, made)


def sign_refusal(wire: bytes, bad: BadSignature, now: int) -> bytes:
    """Put the error into an answer; it is signed only for BADTIME (RFC 8945 §5.2.3)."""
    number = int.from_bytes(wire[:2], "big")
    if bad.key is not None:
        other = now.to_bytes(TIME_OCTETS, "big")
        rdata = _record(bad.key.algorithm, now, number, bad.error, other)
        made, _ = dns.tsig.sign(wire, bad.key, rdata, now, bad.mac)  # type: ignore[no-untyped-call]
        return _appended(wire, bad.key_name, made)
    rdata = _record(bad.algorithm, now, number, bad.error)
    return _appended(wire, bad.key_name, rdata)


def last_record_at(wire: bytes) -> int:
    """Where the last record of a well-formed message begins."""
    counts = [int.from_bytes(wire[at : at + 2], "big") for at in range(4, HEADER_OCTETS, 2)]
    position = HEADER_OCTETS
    for _ in range(counts[0]):
        position = _after_name(wire, position) + 4
    for _ in range(sum(counts[1:]) - 1):
        position = _after_name(wire, position) + RR_FIXED_OCTETS
        position += int.from_bytes(wire[position - 2 : position], "big")
    return position


def _after_name(wire: bytes, position: int) -> int:
    while wire[position]:
        if wire[position] & POINTER:
            return position + 2
        position += 1 + wire[position]
    return position + 1


def _record(
    algorithm: dns.name.Name, now: int, number: int, error: int = 0, other: bytes = b""
) -> dns.rdtypes.ANY.TSIG.TSIG:
    return dns.rdtypes.ANY.TSIG.TSIG(  # type: ignore[no-untyped-call]
        dns.rdataclass.ANY, dns.rdatatype.TSIG, algorithm, now, FUDGE_S, b"", number, error, other
    )


def _appended(wire: bytes, owner: dns.name.Name, rdata: dns.rdtypes.ANY.TSIG.TSIG) -> bytes:
    body = rdata.to_wire() or b""
    record = b"".join(
        (
            owner.to_wire() or b"",
            int(dns.rdatatype.TSIG).to_bytes(2, "big"),
            int(dns.rdataclass.ANY).to_bytes(2, "big"),
            bytes(4),
            len(body).to_bytes(2, "big"),
            body,
        )
    )
    additional = int.from_bytes(wire[10:12], "big") + 1
    return wire[:10] + additional.to_bytes(2, "big") + wire[12:] + record
