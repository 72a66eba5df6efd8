"""The resolver's side towards those who ask it: their question read, the answer written.

RFC 1035 §4.1, RFC 6840 §5.8 (AD says what validation found), RFC 8914 (why an answer is no better),
RFC 8482 (ANY gets one synthesised record), RFC 7766 (no size limit over TCP and TLS).
"""

from dataclasses import dataclass

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Rcode, Security
from ptt.protocol.dns.message import HEADER_OCTETS, MAX_MESSAGE_OCTETS, read_message, write_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Resolved
from ptt.protocol.dns.query import EDNS_OCTETS
from ptt.protocol.dns.records import RRset, codec_rrset, name_of

ANY = 255
HINFO = 13
FIRST_META_TYPE = 128  # RFC 6895 §3.1: 128 to 255 are questions, not data
LAST_META_TYPE = 255
MINIMAL_ANY_TTL_S = 3600

_EDE = {
    Security.BOGUS: dns.edns.EDECode.DNSSEC_BOGUS,
    Security.INDETERMINATE: dns.edns.EDECode.DNSSEC_INDETERMINATE,
}


@dataclass(frozen=True, slots=True)
class StubQuestion:
    """What somebody asked, with what the answer must repeat."""

    message: dns.message.Message
    name: Name
    rdtype: int


def read_question(wire: bytes) -> StubQuestion | bytes | None:
    """A question to resolve, or the answer at once, or None: nothing that could be answered."""
    message = read_message(wire)
    if isinstance(message, Malformed):
        return _format_error(wire)
    if message.flags & dns.flags.QR:
        return None
    if message.opcode() != dns.opcode.QUERY or len(message.question) != 1:
        bad = dns.rcode.FORMERR if message.opcode() == dns.opcode.QUERY else dns.rcode.NOTIMP
        return _refuse(message, bad)
    question = message.question[0]
    if message.edns > 0:
        return _refuse(message, dns.rcode.BADVERS)  # RFC 6891 §6.1.3
    if question.rdclass != dns.rdataclass.IN or not message.flags & dns.flags.RD:
        return _refuse(message, dns.rcode.REFUSED)
    asked = StubQuestion(message, name_of(question.name), int(question.rdtype))
    if asked.rdtype == ANY:
        return write_answer(asked, _minimal_any(asked.name))
    if FIRST_META_TYPE <= asked.rdtype <= LAST_META_TYPE:
        return _refuse(message, dns.rcode.REFUSED)
    return asked


def write_answer(asked: StubQuestion, resolved: Resolved, max_octets: int = MAX_MESSAGE_OCTETS) -> bytes:
    """The answer as it goes to who asked."""
    response = _response(asked.message)
    bogus = resolved.security is Security.BOGUS
    response.set_rcode(dns.rcode.SERVFAIL if bogus else dns.rcode.Rcode(resolved.rcode))
    if resolved.security is Security.SECURE:
        response.flags |= dns.flags.AD
    if not bogus:
        response.answer += [codec_rrset(rrset) for rrset in resolved.answer]
        response.authority += [codec_rrset(resolved.soa)] if resolved.soa is not None else []
    if asked.message.edns == 0:
        code = None if resolved.rcode is Rcode.SERVFAIL else _EDE.get(resolved.security)
        options: list[dns.edns.Option] = [] if code is None else [dns.edns.EDEOption(code)]
        response.use_edns(0, 0, EDNS_OCTETS, options=options)
    return write_message(response, max_octets)


def _response(message: dns.message.Message) -> dns.message.Message:
    response = dns.message.QueryMessage(id=message.id)
    response.flags = dns.flags.QR | dns.flags.RA | (message.flags & (dns.flags.RD | dns.flags.CD))
    response.set_opcode(message.opcode())
    response.question = list(message.question)
    return response


def _refuse(message: dns.message.Message, rcode: dns.rcode.Rcode) -> bytes:
    response = _response(message)
    if message.edns >= 0:
        response.use_edns(0, 0, EDNS_OCTETS)
    response.set_rcode(rcode)
    return response.to_wire()


def _format_error(wire: bytes) -> bytes | None:
    """FORMERR with the identifier that came, if there is one and the message is no response."""
    if len(wire) < HEADER_OCTETS or wire[2] & 0x80:
        return None
    flags = 0x8000 | int.from_bytes(wire[2:4], "big") & 0x7900 | dns.rcode.FORMERR
    return wire[:2] + flags.to_bytes(2, "big") + bytes(8)


def _minimal_any(name: Name) -> Resolved:
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.HINFO, '"RFC8482" ""')
    return Resolved(
        Rcode.NOERROR, (RRset(name, HINFO, MINIMAL_ANY_TTL_S, (rdata,)),), None, Security.INSECURE
    )
