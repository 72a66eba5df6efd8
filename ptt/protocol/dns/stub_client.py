"""The side of who asks our resolver: the question written, the answer read into the form of ``Lookup``.

AD says secure (RFC 6840 §5.8), the extended errors (RFC 8914) of the resolver say bogus and indeterminate.
Whatever cannot be read is SERVFAIL: doubt, never a wrong answer.
"""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rdataclass
import dns.rdatatype

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import (
    A,
    Aaaa,
    Answer,
    Mx,
    Ns,
    Ptr,
    Question,
    Rcode,
    Record,
    RecordType,
    Security,
    Soa,
    Tlsa,
    Txt,
)
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.query import EDNS_OCTETS
from ptt.protocol.dns.records import codec_name, name_of, rrsets_of

MAX_CHAIN = 20  # aliases in an answer; the resolver follows fewer

_READERS: Mapping[int, Callable[[Any], Record]] = MappingProxyType(
    {
        RecordType.A: lambda rdata: A(IPv4Address(rdata.address)),
        RecordType.AAAA: lambda rdata: Aaaa(IPv6Address(rdata.address)),
        RecordType.NS: lambda rdata: Ns(name_of(rdata.target)),
        RecordType.PTR: lambda rdata: Ptr(name_of(rdata.target)),
        RecordType.MX: lambda rdata: Mx(rdata.preference, name_of(rdata.exchange)),
        RecordType.TXT: lambda rdata: Txt(tuple(rdata.strings)),
        RecordType.SOA: lambda rdata: Soa(name_of(rdata.mname), rdata.serial, rdata.minimum),
        RecordType.TLSA: lambda rdata: Tlsa(rdata.usage, rdata.selector, rdata.mtype, rdata.cert),
    }
)
_BY_EXTENDED_ERROR = {
    dns.edns.EDECode.DNSSEC_BOGUS: Security.BOGUS,
    dns.edns.EDECode.DNSSEC_INDETERMINATE: Security.INDETERMINATE,
}


def write_question(number: int, question: Question) -> bytes:
    """A question to the resolver; ``number`` (16 bits) comes back with the answer."""
    message = dns.message.QueryMessage(id=number)
    message.flags = dns.flags.Flag(dns.flags.RD | dns.flags.AD)  # AD: tell us (RFC 6840 §5.7)
    rdtype = dns.rdatatype.RdataType.make(question.record_type)
    message.find_rrset(
        message.question, codec_name(question.name), dns.rdataclass.IN, rdtype, create=True, force_unique=True
    )
    message.use_edns(0, 0, EDNS_OCTETS)
    return message.to_wire()


def read_answer(wire: bytes, question: Question) -> Answer | Malformed:
    """What the resolver said to ``question``."""
    message = read_message(wire)
    if isinstance(message, Malformed):
        return message
    asked = [(name_of(each.name), int(each.rdtype)) for each in message.question]
    if asked != [(question.name, int(question.record_type))] or not message.flags & dns.flags.QR:
        return Malformed("the answer to another question")
    security = _security(message)
    rcode = int(message.rcode())
    if rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        known = Rcode(rcode) if rcode in Rcode.__members__.values() else Rcode.SERVFAIL
        return Answer(known, security=security)
    name, ttl, records = _end_of_chain(message, question)
    return Answer(Rcode(rcode), records, name, security, ttl)


def _security(message: dns.message.Message) -> Security:
    if message.flags & dns.flags.AD:
        return Security.SECURE
    for option in message.options:
        if isinstance(option, dns.edns.EDEOption) and option.code in _BY_EXTENDED_ERROR:
            return _BY_EXTENDED_ERROR[option.code]
    return Security.INSECURE


def _end_of_chain(message: dns.message.Message, question: Question) -> tuple[Name, int, tuple[Record, ...]]:
    """The owner at the end of the aliases, the least TTL on the way, and the records asked for."""
    answer = {(rrset.name, rrset.rdtype): rrset for rrset in rrsets_of(message.answer)}
    name, ttls = question.name, []
    for _ in range(MAX_CHAIN):
        alias = answer.get((name, RecordType.CNAME))
        if alias is None:
            break
        ttls.append(alias.ttl)
        name = name_of(alias.rdatas[0].target)  # type: ignore[attr-defined] # of every CNAME
    found = answer.get((name, question.record_type))
    if found is None:
        soa = [rrset.ttl for rrset in rrsets_of(message.authority) if rrset.rdtype == RecordType.SOA]
        return name, min([*ttls, *soa], default=0), ()
    read = _READERS.get(question.record_type)
    records = tuple(read(rdata) for rdata in found.rdatas) if read is not None else ()
    return name, min([*ttls, found.ttl]), records
