"""Asks the servers of the zone above about our domain, and the servers that they name about our zone."""

import asyncio

from ptt.deployer.checks.delegation import DelegationFacts, ParentSays, ServerSays
from ptt.deployer.checks.expected import Expected
from ptt.deployer.checks.outside import Asker, Silence
from ptt.protocol.dns.delegation import Delegation
from ptt.protocol.dns.knowledge import ResolverSettings
from ptt.protocol.dns.lookup import A, Aaaa, Lookup, Question, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Empty, Found, Missing
from ptt.protocol.dns.records import name_of
from ptt.protocol.dns.response import Useless, meaning_of
from ptt.protocol.dns.servers import may_be_asked
from ptt.protocol.dns.work import Transport
from ptt.protocol.dns.zone import soa_of

MAX_STEPS = 12  # zones on the way from the root; ordinary names have two or three
MAX_PARENTS = 13  # servers of the zone above that are asked; org. has six names, twelve addresses


async def ask_parents(
    domain: Name, asker: Asker, lookup: Lookup, settings: ResolverSettings
) -> DelegationFacts:
    """Go down from the root to the zone above the domain and ask each of its servers."""
    zone = settings.root
    for _ in range(MAX_STEPS):
        addresses = await _addresses(zone, lookup, settings)
        said = await asyncio.gather(*(_ask(asker, each, zone.zone, domain) for each in addresses))
        deeper = next((each for each in said if isinstance(each, Delegation) and each.zone != domain), None)
        if deeper is None:
            if not said or (zone.zone == Name(()) and all(isinstance(each, str) for each in said)):
                trouble = next((each for each in said if isinstance(each, str)), "no server has an address")
                return DelegationFacts(
                    domain, None, (), f"servers of {zone.zone if zone.zone.labels else 'the root'}: {trouble}"
                )
            heard = zip(addresses, said, strict=True)
            return DelegationFacts(domain, zone.zone, tuple(ParentSays(*each) for each in heard))
        zone = deeper
    return DelegationFacts(domain, None, (), "too many zones on the way")


async def ask_servers(
    facts: DelegationFacts, expected: Expected, asker: Asker, lookup: Lookup
) -> tuple[ServerSays, ...]:
    """Ask each server that is named, or ought to be, for our zone; the latter at our own addresses."""
    named = next((each.said for each in facts.said if isinstance(each.said, Delegation)), None)
    where: dict[tuple[Name, str], None] = {}
    for name, addresses in expected.name_servers.items():
        where.update(dict.fromkeys((name, each) for each in addresses))
    for name in named.servers if named is not None else ():
        known = tuple(named.glue.get(name, ())) if named is not None else ()
        known = known or await _look_up(name, lookup)
        where.update(dict.fromkeys((name, each) for each in known))
    if not any(":" in each for each in expected.addresses):  # then we would only see that we have no IPv6
        where = dict.fromkeys(each for each in where if ":" not in each[1])
    return tuple(await asyncio.gather(*(_server(asker, name, each, facts.domain) for name, each in where)))


async def _ask(asker: Asker, address: str, zone: Name, domain: Name) -> Delegation | str | None:
    reply = await asker.ask(address, domain, RecordType.NS)
    if isinstance(reply, Silence):
        return reply.reason
    meaning = meaning_of(reply, zone, domain, RecordType.NS)
    match meaning:
        case Delegation():
            return meaning
        case Useless(reason):
            return reason
        case Found(rrset):  # it serves the domain too, beside the zone above: there is no referral to see
            servers = tuple(name_of(rdata.target) for rdata in rrset.rdatas)  # type: ignore[attr-defined]
            glue = {}
            for name in servers:
                addresses = await _direct_addresses(asker, address, name)
                if addresses:
                    glue[name] = addresses
            return Delegation(domain, servers, glue)
        case _:
            return None


async def _direct_addresses(asker: Asker, address: str, name: Name) -> tuple[str, ...]:
    found: list[str] = []
    for kind in (RecordType.A, RecordType.AAAA):
        reply = await asker.ask(address, name, kind)
        if not isinstance(reply, Silence):
            found += [rdata.address for rrset in reply.answer for rdata in rrset if int(rrset.rdtype) == kind]
    return tuple(found)


async def _server(asker: Asker, name: Name, address: str, domain: Name) -> ServerSays:
    udp, tcp = await asyncio.gather(
        _serial(asker, address, domain, Transport.UDP), _serial(asker, address, domain, Transport.TCP)
    )
    servers: frozenset[Name] = frozenset()
    if isinstance(udp, int):
        reply = await asker.ask(address, domain, RecordType.NS)
        if not isinstance(reply, Silence):
            servers = frozenset(
                name_of(rdata.target)
                for rrset in reply.answer
                for rdata in rrset
                if int(rrset.rdtype) == RecordType.NS
            )
    serial = next((each for each in (udp, tcp) if isinstance(each, int)), None)
    troubles = ("" if isinstance(each, int) else each for each in (udp, tcp))
    return ServerSays(name, address, serial, servers, *troubles)


async def _serial(asker: Asker, address: str, domain: Name, transport: Transport) -> int | str:
    reply = await asker.ask(address, domain, RecordType.SOA, transport)
    if isinstance(reply, Silence):
        return reply.reason
    meaning = meaning_of(reply, domain, domain, RecordType.SOA)
    match meaning:
        case Found(rrset):
            return soa_of(rrset).serial
        case Useless(reason):
            return reason
        case Empty() | Missing():
            return "it has no such zone"
        case _:
            return "it refers to others"


async def _addresses(zone: Delegation, lookup: Lookup, settings: ResolverSettings) -> list[str]:
    found = list(zone.addresses)
    for name in zone.without_glue:
        found += await _look_up(name, lookup)
    fit = [each for each in found if may_be_asked(each, ipv6=settings.ipv6, private=settings.private_servers)]
    return fit[:MAX_PARENTS]


async def _look_up(name: Name, lookup: Lookup) -> tuple[str, ...]:
    four, six = await lookup.many([Question(name, kind) for kind in (RecordType.A, RecordType.AAAA)])
    return (*(str(each.address) for each in four.of(A)), *(str(each.address) for each in six.of(Aaaa)))
