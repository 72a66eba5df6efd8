"""A query to an authoritative server, and whether a response belongs to it (RFC 5452 §9.1).

Random identifier, random case of the name's letters (0x20): together with the random port that the system
gives each socket, a forger has to guess some 40 bits and more. EDNS with 1,232 octets keeps answers within
one packet on every path (DNS flag day 2020). The name on the wire is what the response must repeat.
"""

from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype

from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import codec_name
from ptt.protocol.dns.servers import Draw

EDNS_OCTETS = 1232


@dataclass(frozen=True, slots=True)
class Query:
    """A query as it was sent."""

    id: int
    qname: dns.name.Name
    rdtype: int
    wire: bytes


def make_query(qname: Name, rdtype: int, draw: Draw, *, edns: bool, mix_case: bool) -> Query:
    """Write a query; nothing in it can be foretold but what is asked."""
    written = codec_name(qname)
    if mix_case:
        written = dns.name.Name(tuple(_mixed(label, draw) for label in written.labels))
    number = int.from_bytes(draw(2), "big")
    message = dns.message.QueryMessage(id=number)
    message.flags = dns.flags.Flag(0)  # RD is for resolvers
    message.find_rrset(
        message.question,
        written,
        dns.rdataclass.IN,
        dns.rdatatype.RdataType.make(rdtype),
        create=True,
        force_unique=True,
    )
    if edns:
        message.use_edns(0, 0, EDNS_OCTETS)
    return Query(number, written, rdtype, message.to_wire())


def answers_query(message: dns.message.Message, query: Query) -> bool:
    """Whether a message is a response to this query and not to another or to none."""
    if message.id != query.id or not message.flags & dns.flags.QR or message.opcode() != dns.opcode.QUERY:
        return False
    if len(message.question) != 1:
        return False
    question = message.question[0]
    return (
        question.name.labels == query.qname.labels
        and question.rdtype == query.rdtype
        and question.rdclass == dns.rdataclass.IN
    )


def _mixed(label: bytes, draw: Draw) -> bytes:
    """Turn letters to upper case by lot."""
    lots = draw(len(label))
    return bytes(
        octet - 0x20 if 0x61 <= octet <= 0x7A and lot & 1 else octet  # noqa: PLR2004 - a to z
        for octet, lot in zip(label, lots, strict=True)
    )
