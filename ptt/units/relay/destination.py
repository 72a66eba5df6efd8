"""The servers of a lane, or our own reply when there is nobody to ask.

A domain that takes no mail or does not exist is refused for good (RFC 7505 §4.1, RFC 3463 §3.2); anything
that could not be found out is temporary. With a smarthost everything goes to it, and the recipient's domain
is not looked up [R18].
"""

from ptt.protocol.dns.lookup import A, Aaaa, Lookup, Question, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.exchanges import (
    Address,
    Exchange,
    Exchanges,
    NoSuchDomain,
    NullMx,
    Unknown,
    find_exchanges,
)

NULL_MX = Reply(556, "5.1.10", "The recipient's domain takes no mail.")
NO_DOMAIN = Reply(550, "5.1.2", "The recipient's domain does not exist or has no mail server.")
NOT_FOUND = Reply(
    451, "4.4.3", "The mail servers of the recipient's domain cannot be found now. Please try again later."
)
NO_SMARTHOST = Reply(
    451, "4.4.3", "The server that takes our mail cannot be found now. Please try again later."
)


async def find_servers(
    lookup: Lookup, destination: Name | AddressLiteral, *, ipv6: bool, own_name: Name, seed: int
) -> tuple[Exchange, ...] | Reply:
    """The servers of a destination in the order in which they are tried, at least one.

    See ``find_exchanges``.
    """
    found = await find_exchanges(lookup, destination, ipv6=ipv6, own_names=frozenset({own_name}), seed=seed)
    match found:
        case Exchanges(exchanges):
            return exchanges
        case NullMx():
            return NULL_MX
        case NoSuchDomain():
            return NO_DOMAIN
        case Unknown():
            return NOT_FOUND


async def find_smarthost(lookup: Lookup, host: Name, *, ipv6: bool) -> tuple[Exchange, ...] | Reply:
    """The addresses of the smarthost."""
    types = (RecordType.AAAA, RecordType.A) if ipv6 else (RecordType.A,)
    answers = await lookup.many([Question(host, kind) for kind in types])
    sound = [answer for answer in answers if not answer.is_failure]
    sixes = [record.address for answer in sound for record in answer.of(Aaaa)]
    fours = [record.address for answer in sound for record in answer.of(A)]
    addresses: tuple[Address, ...] = (*sixes, *fours)
    return (Exchange(host, addresses),) if addresses else NO_SMARTHOST
