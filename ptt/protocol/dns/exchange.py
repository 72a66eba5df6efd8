"""One question to one server: EDNS and its fall-back, TCP after truncation, errors told apart.

RFC 6891 §6.2.2 and §7 (a server that knows no EDNS is asked without), RFC 7766 §5 (TC: the same over TCP),
RFC 5452 §9.1 (what does not fit the query is dropped by the engine; too much of it: TCP).
"""

from collections.abc import Generator

import dns.flags
import dns.message
import dns.rcode

from ptt.protocol.dns.name import Name
from ptt.protocol.dns.servers import TCP_TIMEOUT_S, ServerBook
from ptt.protocol.dns.work import Allowance, AskServer, Given, NoReply, Transport, Wish

_NO_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP)


def exchange(
    address: str, qname: Name, rdtype: int, book: ServerBook, allowance: Allowance
) -> Generator[Wish, Given, dns.message.Message | NoReply]:
    """Ask one server; at most one query each for plain UDP, EDNS, and TCP."""
    server = book.of(address)
    reply = yield from _ask(address, qname, rdtype, book, allowance, Transport.UDP)
    if isinstance(reply, dns.message.Message) and not server.plain and reply.rcode() in _NO_EDNS:
        server.plain = True
        reply = yield from _ask(address, qname, rdtype, book, allowance, Transport.UDP)
    truncated = isinstance(reply, dns.message.Message) and bool(reply.flags & dns.flags.TC)
    if truncated or (isinstance(reply, NoReply) and reply.spoofed):
        reply = yield from _ask(address, qname, rdtype, book, allowance, Transport.TCP)
    return reply


def _ask(
    address: str, qname: Name, rdtype: int, book: ServerBook, allowance: Allowance, transport: Transport
) -> Generator[Wish, Given, dns.message.Message | NoReply]:
    if not allowance.take():
        return NoReply("too many queries for one question")
    server = book.of(address)
    timeout_s = server.timeout_s if transport is Transport.UDP else TCP_TIMEOUT_S
    given = yield AskServer(address, qname, rdtype, transport, not server.plain, timeout_s)
    return given if isinstance(given, dns.message.Message) else _no_reply(given)


def _no_reply(given: Given) -> NoReply:
    return given if isinstance(given, NoReply) else NoReply("no message")
