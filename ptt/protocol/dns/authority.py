"""The authoritative server: a message in, the messages that answer it out, and what an update changed.

Ordinary questions are answered from a table of ready answers (lower-cased name, type, EDNS) that fills as
they come and is emptied when a zone changes. The rest is read in full: BADVERS (RFC 6891 §6.1.3), NOTIMP,
REFUSED for zones of others, transfers over streams with a key (RFC 5936 §2.2), UPDATE with a key (RFC 2136),
NOTIFY answered (RFC 1996 §3.7). ``now`` is the time of day in seconds since 1970, for signatures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.tsig

from ptt.errors import Malformed
from ptt.protocol.dns.answers import Sections, answer_from
from ptt.protocol.dns.message import HEADER_OCTETS, MAX_MESSAGE_OCTETS, read_message, write_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.query import EDNS_OCTETS
from ptt.protocol.dns.quick_question import PLAIN_UDP_OCTETS, filled_in, read_quickly
from ptt.protocol.dns.records import codec_rrset, name_of
from ptt.protocol.dns.rights import Right, may, rights_of
from ptt.protocol.dns.transfer import transfer
from ptt.protocol.dns.tsig import BadSignature, Signed, StreamSigner, Unsigned, check, sign, sign_refusal
from ptt.protocol.dns.update import Changes, apply, prerequisites, scan
from ptt.protocol.dns.zone import Zone

MAX_READY = 20_000  # answers; half a kB each. Random names fill it: then it is emptied, nothing is lost
TRANSFERS = frozenset({251, 252})  # IXFR, AXFR
META_QUESTIONS = frozenset(range(128, 255)) | {41}


@dataclass(frozen=True, slots=True)
class Handled:
    """``messages`` to send in order, none for what deserves no answer; the zone and changes of an update.

    ``is_news``: somebody who may say so says that a zone has changed where its files are [P3].
    """

    messages: tuple[bytes, ...] = ()
    zone: Zone | None = None
    changes: Changes = field(default_factory=dict)
    is_news: bool = False


class Authority:
    """The zones that are served and the keys that are known; ``operators`` are keys that are not narrow."""

    def __init__(
        self,
        zones: Iterable[Zone],
        keys: Mapping[Name, dns.tsig.Key],
        operators: frozenset[Name] = frozenset(),
    ) -> None:
        self._operators = operators
        self._zones = {zone.origin: zone for zone in zones}
        self._keys = keys
        self._ready: dict[tuple[bytes, bool], bytes] = {}

    @property
    def zones(self) -> Mapping[Name, Zone]:
        """The zones as they are served, by origin."""
        return self._zones

    def put(self, zone: Zone) -> None:
        """Serve a zone from now on, in place of the one of the same origin."""
        self._zones[zone.origin] = zone
        self._ready.clear()

    def drop(self, origin: Name) -> None:
        """Serve a zone no more."""
        self._zones.pop(origin, None)
        self._ready.clear()

    def zone_of(self, name: Name) -> Zone | None:
        """The zone with the longest origin at or above a name."""
        for origin in (name, *name.parents()):
            if origin in self._zones:
                return self._zones[origin]
        return None

    def handle(self, now: int, wire: bytes, *, stream: bool) -> Handled:
        """Answer a message; ``stream``: it came over TCP or TLS."""
        quick = read_quickly(wire)
        if quick is not None:
            ready = self._ready.get((quick.key, quick.edns))
            if ready is None:
                return self._handle_fully(now, wire, stream=stream)
            if stream or len(ready) <= min(quick.max_octets, EDNS_OCTETS):
                return Handled((filled_in(ready, wire, quick.end),))
        return self._handle_fully(now, wire, stream=stream)

    def _handle_fully(self, now: int, wire: bytes, *, stream: bool) -> Handled:
        message = read_message(wire)
        if isinstance(message, Malformed):
            return _format_error(wire)
        if message.flags & dns.flags.QR:
            return Handled()
        signature = check(wire, message, self._keys, now)
        if isinstance(signature, BadSignature):
            refusal = write_message(_response(message, dns.rcode.NOTAUTH))
            return Handled((sign_refusal(refusal, signature, now),))
        handled = self._dispatch(message, signature, stream=stream, wire=wire)
        if isinstance(signature, Unsigned):
            return handled
        return replace(handled, messages=_signed(handled.messages, signature, now))

    def _dispatch(
        self, message: dns.message.Message, signature: Signed | Unsigned, *, stream: bool, wire: bytes
    ) -> Handled:
        match message.opcode():
            case _ if message.edns > 0:
                return _refuse(message, dns.rcode.BADVERS)
            case dns.opcode.QUERY:
                return self._query(message, signature, stream=stream, wire=wire)
            case dns.opcode.UPDATE:
                return self._update(message, signature)
            case dns.opcode.NOTIFY:
                return self._notified(message, signature)
            case _:
                return _refuse(message, dns.rcode.NOTIMP)

    def _query(
        self, message: dns.message.Message, signature: Signed | Unsigned, *, stream: bool, wire: bytes
    ) -> Handled:
        if len(message.question) != 1:
            return _refuse(message, dns.rcode.FORMERR)
        question = message.question[0]
        name, rdtype = name_of(question.name), int(question.rdtype)
        zone = self.zone_of(name) if question.rdclass == dns.rdataclass.IN else None
        if zone is None:
            return _refuse(message, dns.rcode.REFUSED)
        if rdtype in TRANSFERS:
            return self._transfer(message, zone, name, signature, stream=stream)
        if rdtype in META_QUESTIONS:
            return _refuse(message, dns.rcode.NOTIMP)
        response = _filled(_response(message, dns.rcode.NOERROR), answer_from(zone, name, rdtype))
        whole = write_message(response)
        quick = read_quickly(wire)
        if quick is not None:
            if len(self._ready) >= MAX_READY:
                self._ready.clear()
            self._ready[quick.key, quick.edns] = whole[:2] + bytes([whole[2] & 0xFE]) + whole[3:]
        room = MAX_MESSAGE_OCTETS if stream else _room(message)
        return Handled((whole if len(whole) <= room else _truncated(response, room),))

    def _transfer(
        self,
        message: dns.message.Message,
        zone: Zone,
        name: Name,
        signature: Signed | Unsigned,
        *,
        stream: bool,
    ) -> Handled:
        allowed = isinstance(signature, Signed) and may(rights_of(signature.name), Right.TRANSFER, name)
        if not allowed or zone.origin != name:
            return _refuse(message, dns.rcode.NOTAUTH if zone.origin != name else dns.rcode.REFUSED)
        if not stream:
            return _refuse(message, dns.rcode.FORMERR)  # RFC 5936 §4.2: AXFR is not defined over UDP
        return Handled(tuple(transfer(zone, message)))

    def _update(self, message: dns.message.Message, signature: Signed | Unsigned) -> Handled:
        if len(message.question) != 1 or message.question[0].rdtype != dns.rdatatype.SOA:
            return _refuse(message, dns.rcode.FORMERR)
        zone = self._zones.get(name_of(message.question[0].name))
        if zone is None or message.question[0].rdclass != dns.rdataclass.IN:
            return _refuse(message, dns.rcode.NOTAUTH)
        rights = None
        if isinstance(signature, Signed):
            rights = rights_of(signature.name, narrow=signature.name not in self._operators)
        if rights is None or rights.right is not Right.UPDATE:
            return _refuse(message, dns.rcode.REFUSED)
        rcode = prerequisites(zone, message.answer) or scan(zone, message.authority, rights)
        if rcode != dns.rcode.NOERROR:
            return _refuse(message, rcode)
        applied = apply(zone, message.authority)
        if isinstance(applied, dns.rcode.Rcode):
            return _refuse(message, applied)
        changed, changes = applied
        if changes:
            self.put(changed)
        done = write_message(_response(message, dns.rcode.NOERROR))
        return Handled((done,), changed if changes else None, changes)

    def _notified(self, message: dns.message.Message, signature: Signed | Unsigned) -> Handled:
        """We are the primary: answered, that the sender stops (RFC 1996 §3.7).

        Only who has signed it is listened to: each time costs a question to a Git server. A zone that is not
        served may be a new one.
        """
        if len(message.question) != 1:
            return _refuse(message, dns.rcode.NOTAUTH)
        name = name_of(message.question[0].name)
        refused = _refuse(message, dns.rcode.NOERROR if name in self._zones else dns.rcode.NOTAUTH)
        is_news = isinstance(signature, Signed) and may(rights_of(signature.name), Right.NOTIFY, name)
        return replace(refused, is_news=is_news)


def _response(message: dns.message.Message, rcode: dns.rcode.Rcode) -> dns.message.Message:
    response = dns.message.QueryMessage(id=message.id)
    response.flags = dns.flags.QR | (message.flags & dns.flags.RD)
    response.set_opcode(message.opcode())
    response.question = list(message.question)
    if message.edns >= 0:
        response.use_edns(0, 0, EDNS_OCTETS)
    response.set_rcode(rcode)
    return response


def _refuse(message: dns.message.Message, rcode: dns.rcode.Rcode) -> Handled:
    return Handled((write_message(_response(message, rcode)),))


def _filled(response: dns.message.Message, sections: Sections) -> dns.message.Message:
    response.set_rcode(sections.rcode)
    if sections.authoritative:
        response.flags |= dns.flags.AA
    response.answer = [codec_rrset(rrset) for rrset in sections.answer]
    response.authority = [codec_rrset(rrset) for rrset in sections.authority]
    response.additional = [codec_rrset(rrset) for rrset in sections.additional]
    return response


def _room(message: dns.message.Message) -> int:
    if message.edns < 0:
        return PLAIN_UDP_OCTETS
    return min(max(message.payload, PLAIN_UDP_OCTETS), EDNS_OCTETS)


def _truncated(response: dns.message.Message, room: int) -> bytes:
    """What does not fit: additional data goes silently (RFC 2181 §9), then everything, with TC."""
    response.additional = []
    bare = write_message(response)
    if len(bare) <= room:
        return bare
    response.answer, response.authority = [], []
    response.flags |= dns.flags.TC
    return write_message(response)


def _signed(messages: tuple[bytes, ...], signature: Signed, now: int) -> tuple[bytes, ...]:
    if len(messages) == 1:
        return (sign(messages[0], signature.key, now, signature.mac),)
    signer = StreamSigner(signature.key, signature.mac, now)
    return tuple(signer.sign(message) for message in messages)


def _format_error(wire: bytes) -> Handled:
    if len(wire) < HEADER_OCTETS or wire[2] & 0x80:
        return Handled()
    flags = 0x8000 | int.from_bytes(wire[2:4], "big") & 0x7900 | dns.rcode.FORMERR
    return Handled((wire[:2] + flags.to_bytes(2, "big") + bytes(8),))
