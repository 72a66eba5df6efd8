"""The servers of a domain, in the order in which they are tried (RFC 5321 §5.1) [R4, R5].

MX by preference, the domain's own addresses where there is no MX, null MX (RFC 7505); what leads back to
ourselves is left out with all that is less preferred. A server whose addresses cannot be found is passed
over. An answer that failed or is bogus is doubt, hence ``Unknown`` and temporary; only a sure answer makes
``NullMx`` or ``NoSuchDomain``.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import chain, zip_longest

from ptt.protocol.dns.lookup import A, Aaaa, Answer, Lookup, Mx, Question, Rcode, RecordType, Security
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral

MAX_ADDRESSES = 10
"""Of all servers of a domain together: 8 s for each that does not answer is all that a session has time for
(DESIGN section 5), and RFC 5321 §5.1 asks for two."""

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Exchange:
    """A server and its addresses, IPv6 and IPv4 by turns. ``name`` is a literal where the mailbox had one.

    ``is_secure``: name and addresses were validated (RFC 7672 §2.1), so DANE may be asked for.
    """

    name: Name | AddressLiteral
    addresses: tuple[Address, ...]
    is_secure: bool = False

    @property
    def text(self) -> str:
        """The name for journal and reply."""
        return self.name.text if isinstance(self.name, Name) else f"[{self.name.address}]"


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The servers in order, at least one, each with at least one address."""

    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class NullMx:
    """The domain says that it takes no mail: 556 5.1.10 (RFC 7505 §4.1)."""


@dataclass(frozen=True, slots=True)
class NoSuchDomain:
    """The domain does not exist, or has neither MX nor address: 550 5.1.2."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No server could be found, or not for sure: temporary. ``reason`` is for the journal."""

    reason: str


Found = Exchanges | NullMx | NoSuchDomain | Unknown


async def find_exchanges(
    lookup: Lookup,
    domain: Name | AddressLiteral,
    *,
    ipv6: bool,
    own_names: frozenset[Name] = frozenset(),
    seed: int = 0,
) -> Found:
    """Find the servers of a domain.

    ``ipv6``: whether we send by IPv6. ``own_names``: the names of our own servers. ``seed`` orders servers of
    the same preference (RFC 5321 §5.1 wants them spread at random); the same seed gives the same order.
    """
    if isinstance(domain, AddressLiteral):
        if isinstance(domain.address, IPv6Address) and not ipv6:
            return Unknown("an IPv6 literal, and we do not send by IPv6")
        return Exchanges((Exchange(domain, (domain.address,)),))
    answer = await lookup.query(domain, RecordType.MX)
    if answer.is_failure:
        return Unknown(f"MX of {domain}: {_failure(answer)}")
    if answer.rcode is Rcode.NXDOMAIN:
        return NoSuchDomain()
    records = answer.of(Mx)
    if not records:
        return await _without_mx(lookup, answer, domain, own_names, ipv6=ipv6)
    named = [record for record in records if record.exchange.labels]
    if not named:
        return NullMx()
    names = _in_order(named, own_names, seed)
    if not names:
        return Unknown(f"the servers of {domain} lead back to ourselves")
    servers = await _resolve(lookup, names[:MAX_ADDRESSES], ipv6=ipv6)
    is_secure = answer.security is Security.SECURE
    return _shared_out(servers, domain, is_secure=is_secure)


async def _without_mx(
    lookup: Lookup, answer: Answer, domain: Name, own_names: frozenset[Name], *, ipv6: bool
) -> Found:
    """RFC 5321 §5.1: the domain itself, or what it is an alias of, is its only server."""
    name = answer.canonical_name or domain
    if name in own_names:
        return Unknown(f"{name} leads back to ourselves")
    [server] = await _resolve(lookup, [name], ipv6=True)
    if not (server.addresses or server.failure):
        return NoSuchDomain()
    if not ipv6:
        server.addresses = [one for one in server.addresses if isinstance(one, IPv4Address)]
    return _shared_out([server], name, is_secure=answer.security is Security.SECURE)


def _in_order(records: Iterable[Mx], own_names: frozenset[Name], seed: int) -> list[Name]:
    """Names by preference, each once; nothing from our own preference on (RFC 5321 §5.1)."""
    own = min((record.preference for record in records if record.exchange in own_names), default=None)
    eligible = [record for record in records if own is None or record.preference < own]
    eligible.sort(key=lambda record: (record.preference, _rank(seed, record.exchange)))
    return list(dict.fromkeys(record.exchange for record in eligible))


def _rank(seed: int, name: Name) -> bytes:
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()


@dataclass(slots=True)
class _Server:
    name: Name
    addresses: list[Address]
    is_secure: bool
    failure: str | None


async def _resolve(lookup: Lookup, names: Sequence[Name], *, ipv6: bool) -> list[_Server]:
    """Ask for the addresses of all names at the same time."""
    types = (RecordType.AAAA, RecordType.A) if ipv6 else (RecordType.A,)
    answers = await lookup.many([Question(name, kind) for name in names for kind in types])
    step = len(types)
    return [_server(name, answers[i * step : i * step + step]) for i, name in enumerate(names)]


def _server(name: Name, answers: Sequence[Answer]) -> _Server:
    sound = [answer for answer in answers if not answer.is_failure]
    by_family = [_addresses(answer) for answer in sound]
    turns = chain.from_iterable(zip_longest(*by_family))
    return _Server(
        name,
        list(dict.fromkeys(address for address in turns if address is not None)),
        is_secure=all(answer.security is Security.SECURE for answer in sound),
        failure=next((_failure(answer) for answer in answers if answer.is_failure), None),
    )


def _addresses(answer: Answer) -> list[Address]:
    found: list[Address] = [record.address for record in answer.of(Aaaa)]
    found += [record.address for record in answer.of(A)]
    return [address for address in found if not (address.is_unspecified or address.is_multicast)]


def _shared_out(servers: Sequence[_Server], domain: Name, *, is_secure: bool) -> Exchanges | Unknown:
    """Leave room for each server within ``MAX_ADDRESSES``, so that one with many does not hide the next."""
    found = [server for server in servers if server.addresses]
    if not found:
        why = next((server.failure for server in servers if server.failure), "no address that we can reach")
        return Unknown(f"the servers of {domain}: {why}")
    share = max(1, MAX_ADDRESSES // len(found))
    return Exchanges(
        tuple(
            Exchange(server.name, tuple(server.addresses[:share]), is_secure and server.is_secure)
            for server in found
        )
    )


def _failure(answer: Answer) -> str:
    return "bogus" if answer.security is Security.BOGUS else answer.rcode.name
