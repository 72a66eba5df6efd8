"""A question to the name server of the zone itself, and its answer: records, or that there are none.

No aliases are followed and nothing is kept: who asks wants to know what stands there now. The same server
says which zone a name belongs to: by the SOA of its answer (RFC 2308 §3).
"""

import dns.rcode

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.query import Query, answers_query, make_query
from ptt.protocol.dns.records import RRset, name_of, rrsets_of
from ptt.protocol.dns.servers import Draw

EXISTING = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})


def ask_directly(name: Name, rdtype: int, draw: Draw) -> Query:
    """The question; over a stream it needs no EDNS, and nobody there would forge."""
    return make_query(name, rdtype, draw, edns=False, mix_case=False)


def read_records(query: Query, wire: bytes) -> RRset | Malformed | None:
    """The records that were asked for; None: there are none."""
    sections = _sections(query, wire)
    if isinstance(sections, Malformed):
        return sections
    wanted = name_of(query.qname), query.rdtype
    return next((each for each in sections[0] if (each.name, each.rdtype) == wanted), None)


def read_zone_origin(query: Query, wire: bytes) -> Name | Malformed:
    """The zone that the name asked for is in, by the answer to a question for its SOA."""
    sections = _sections(query, wire)
    if isinstance(sections, Malformed):
        return sections
    asked = name_of(query.qname)
    for each in (*sections[0], *sections[1]):
        if each.rdtype == RecordType.SOA and asked.is_at_or_below(each.name):
            return each.name
    return Malformed(f"no zone of {asked} is served there")


def _sections(query: Query, wire: bytes) -> tuple[tuple[RRset, ...], tuple[RRset, ...]] | Malformed:
    message = read_message(wire)
    if isinstance(message, Malformed):
        return message
    if not answers_query(message, query):
        return Malformed("the answer to another question")
    if message.rcode() not in EXISTING:
        return Malformed(f"the answer is {dns.rcode.to_text(message.rcode())}")
    return rrsets_of(message.answer), rrsets_of(message.authority)
