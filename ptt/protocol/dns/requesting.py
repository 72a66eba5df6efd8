"""What a unit asks of our name server: an update (RFC 2136), and a zone whole (RFC 5936), signed both ways.

A zone is asked for by IXFR with the serial that is known: the answer is the SOA alone when there is nothing
new, else the zone (RFC 1995 §4; our own server sends it whole, differences are not read). Every message of an
answer must be signed (RFC 8945 §5.3.1 would allow gaps). ``now`` is in seconds since 1970.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never, cast

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.tsig
import dns.update

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.message import HEADER_OCTETS, MAX_MESSAGE_OCTETS
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset, codec_name, codec_rrset, name_of, rrsets_of
from ptt.protocol.dns.transfer import IXFR
from ptt.protocol.dns.tsig import last_record_at, sign
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import zone_faults

SIGNATURE_OCTETS = (
    1024  # more than a TSIG record has: two names of 255, a MAC of 64, some numbers (RFC 8945 §4.2)
)
MAX_ZONE_OCTETS = 64 * 1024 * 1024  # of messages; a zone of ours has some thousand records


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete all records of a name and type (RFC 2136 §2.5.2)."""

    name: Name
    rdtype: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete these records one by one, where they are (§2.5.4)."""

    rrset: RRset


@dataclass(frozen=True, slots=True)
class Add:
    """Add these records (§2.5.1)."""

    rrset: RRset


Edit = Delete | Remove | Add


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request with what its answer is checked by."""

    wire: bytes
    key: dns.tsig.Key = field(repr=False)

    @property
    def number(self) -> bytes:
        """The first two octets of request and answer."""
        return self.wire[:2]

    @property
    def mac(self) -> bytes:
        """Of the signature: part of what the answer signs (RFC 8945 §5.3)."""
        message = dns.message.from_wire(self.wire, keyring=False)
        return cast("dns.rdtypes.ANY.TSIG.TSIG", message.tsig[0]).mac if message.tsig is not None else b""


def make_update(
    number: int, zone: Name, edits: Iterable[Edit], key: dns.tsig.Key, now: int
) -> SignedRequest | Malformed:
    """All of these or nothing; Malformed: more than one message holds."""
    message = dns.update.UpdateMessage(codec_name(zone), id=number)
    for edit in edits:
        match edit:
            case Delete(name, rdtype):
                message.delete(codec_name(name), dns.rdatatype.RdataType.make(rdtype))
            case Remove(rrset):
                message.delete(codec_name(rrset.name), codec_rrset(rrset))
            case Add(rrset):
                message.add(codec_name(rrset.name), codec_rrset(rrset))
            case _ as never:
                assert_never(never)
    try:
        wire = message.to_wire(max_size=MAX_MESSAGE_OCTETS - SIGNATURE_OCTETS)
    except dns.exception.TooBig:
        return Malformed("the change is larger than a message may be")
    return SignedRequest(sign(wire, key, now), key)


def read_update_answer(request: SignedRequest, wire: bytes, now: int) -> dns.rcode.Rcode | Malformed:
    """NOERROR: it is done."""
    read = _Answers(request, now).read(wire)
    return read if isinstance(read, Malformed) else read.rcode()


def make_transfer(number: int, zone: Name, known: Zone | None, key: dns.tsig.Key, now: int) -> SignedRequest:
    """Ask for a zone: for what is newer than ``known``, or for all of it."""
    message = dns.message.QueryMessage(id=number)
    kind = IXFR if known is not None else dns.rdatatype.AXFR
    rdtype = dns.rdatatype.RdataType.make(kind)
    message.find_rrset(
        message.question, codec_name(zone), dns.rdataclass.IN, rdtype, create=True, force_unique=True
    )
    if known is not None:
        message.authority = [codec_rrset(known.soa)]
    return SignedRequest(sign(message.to_wire(), key, now), key)


class Progress(Enum):
    """What a message of a transfer came to, beside a zone or a fault."""

    MORE = "more"
    UNCHANGED = "unchanged"


class TransferReader:
    """Puts a zone together from the messages of one answer."""

    def __init__(self, request: SignedRequest, zone: Name, known: Zone | None, now: int) -> None:
        self._answers = _Answers(request, now)
        self._zone = zone
        self._known = known
        self._parts: list[dns.rrset.RRset] = []
        self._octets = 0

    def take(self, wire: bytes) -> Zone | Progress | Malformed:
        """Take the next message."""
        message = self._answers.read(wire)
        if isinstance(message, Malformed):
            return message
        if message.rcode() != dns.rcode.NOERROR:
            return Malformed(f"the zone is refused: {dns.rcode.to_text(message.rcode())}")
        self._octets += len(wire)
        if self._octets > MAX_ZONE_OCTETS:
            return Malformed(f"a zone of more than {MAX_ZONE_OCTETS} octets")
        self._parts += message.answer
        starts = [index for index, part in enumerate(self._parts) if self._is_soa(part)]
        if starts[:1] != [0]:
            return Malformed("a transfer that does not begin with the SOA")
        if len(self._parts) == 1 and self._is_known(self._parts[0]):
            return Progress.UNCHANGED
        if len(starts) == 1:
            return Progress.MORE
        return self._finished(starts)

    def _finished(self, starts: list[int]) -> Zone | Malformed:
        """RFC 5936 §2.2: the SOA again is the end. A second SOA that is another one begins differences."""
        last = starts[1]
        if last != len(self._parts) - 1 or self._parts[last] != self._parts[0]:
            return Malformed("a transfer that does not end with its SOA")
        zone = Zone.of(self._zone, rrsets_of(self._parts[:last]))
        fault = next(zone_faults(zone), None)
        return zone if fault is None else Malformed(fault)

    def _is_soa(self, part: dns.rrset.RRset) -> bool:
        return int(part.rdtype) == RecordType.SOA and name_of(part.name) == self._zone

    def _is_known(self, part: dns.rrset.RRset) -> bool:
        return self._known is not None and part[0] == self._known.soa.rdatas[0]


class _Answers:
    """Checks the messages that answer a request, in order."""

    def __init__(self, request: SignedRequest, now: int) -> None:
        self._request = request
        self._mac = request.mac
        self._now = now
        self._context: object = None

    def read(self, wire: bytes) -> dns.message.Message | Malformed:
        """A message whose signature holds."""
        if not HEADER_OCTETS <= len(wire) <= MAX_MESSAGE_OCTETS:
            return Malformed(f"a message of {len(wire)} octets")
        try:
            message = dns.message.from_wire(wire, keyring=False, xfr=True)
            if message.tsig is None:
                return Malformed(f"an answer without signature: {dns.rcode.to_text(message.rcode())}")
            owner, rdata = message.tsig.name, message.tsig[0]
            if owner != self._request.key.name or wire[:2] != self._request.number:
                return Malformed("the answer to another request")
            self._context = dns.tsig.validate(  # type: ignore[no-untyped-call]
                wire,
                self._request.key,
                owner,
                rdata,
                self._now,
                self._mac,
                last_record_at(wire),
                self._context,
                multi=True,
            )
        except (dns.exception.DNSException, ValueError, NotImplementedError) as error:
            return Malformed(f"an answer that cannot be read: {type(error).__name__}")
        if not message.flags & dns.flags.QR:
            return Malformed("no answer")
        return message
