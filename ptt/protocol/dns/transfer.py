"""A zone handed to a secondary (AXFR, RFC 5936), and the notice that it has changed (RFC 1996).

IXFR is answered by the whole zone, or by the SOA alone when the asker has this version (RFC 1995 §2, §4).
"""

from collections.abc import Iterator

import dns.flags
import dns.message
import dns.opcode
import dns.rdataclass
import dns.rdatatype

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.message import HEADER_OCTETS, write_message
from ptt.protocol.dns.records import codec_name, codec_rrset, rrsets_of
from ptt.protocol.dns.zone import Zone, is_newer, soa_of

IXFR = 251
MAX_MESSAGE = 60_000  # by a cautious count without compression; 65,535 may not be passed
OWNER_OCTETS = 265  # at most: a name and the fixed fields of a record
QR_NOTIFY = 0xA0


def transfer(zone: Zone, request: dns.message.Message) -> Iterator[bytes]:
    """The messages that answer AXFR or IXFR, in order."""
    question = request.question[0]
    if question.rdtype == IXFR:
        known = [rrset for rrset in rrsets_of(request.authority) if rrset.rdtype == RecordType.SOA]
        if known and not is_newer(zone.serial, soa_of(known[0]).serial):
            yield _message(request, [codec_rrset(zone.soa)])
            return
    part: list[dns.rrset.RRset] = []
    size = 0
    for rrset in (*zone.rrsets(), zone.soa):
        written = codec_rrset(rrset)
        octets = sum(len(rdata.to_wire() or b"") + OWNER_OCTETS for rdata in written)
        if part and size + octets > MAX_MESSAGE:
            yield _message(request, part)
            part, size = [], 0
        part.append(written)
        size += octets
    yield _message(request, part)


def notice(zone: Zone, number: int) -> bytes:
    """NOTIFY with the present SOA as a hint (RFC 1996 §3.7)."""
    message = dns.message.QueryMessage(id=number)
    message.set_opcode(dns.opcode.NOTIFY)
    message.flags |= dns.flags.AA
    origin = codec_name(zone.origin)
    message.find_rrset(
        message.question, origin, dns.rdataclass.IN, dns.rdatatype.SOA, create=True, force_unique=True
    )
    message.answer = [codec_rrset(zone.soa)]
    return message.to_wire()


def acknowledges(wire: bytes, number: int) -> bool:
    """Whether a datagram is the answer to our NOTIFY with this number: QR and the opcode (RFC 1996 §3.7)."""
    return (
        len(wire) >= HEADER_OCTETS and wire[:2] == number.to_bytes(2, "big") and wire[2] & 0xF8 == QR_NOTIFY
    )


def _message(request: dns.message.Message, answer: list[dns.rrset.RRset]) -> bytes:
    message = dns.message.QueryMessage(id=request.id)
    message.flags = dns.flags.QR | dns.flags.AA
    message.question = list(request.question)
    message.answer = answer
    return write_message(message)
