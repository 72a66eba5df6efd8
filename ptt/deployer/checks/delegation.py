"""Whether the zone above names our name servers, with the right addresses, and whether they serve our zone.

RFC 1034 §4.2.1 (NS and glue), RFC 1912 §2.8 (lame delegations). Pure: what was asked is in the facts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ptt.deployer.checks.expected import Expected
from ptt.deployer.checks.finding import Finding, fail, ok, wait, warn
from ptt.deployer.first_zone import for_registrar
from ptt.protocol.dns.delegation import Delegation
from ptt.protocol.dns.name import Name

WHAT, SERVER = "delegation", "name server"


@dataclass(frozen=True, slots=True)
class ParentSays:
    """What one server of the zone above said: a delegation, None (no such delegation), or no answer."""

    address: str
    said: Delegation | str | None


@dataclass(frozen=True, slots=True)
class DelegationFacts:
    """``parent``: the zone above, None where it was not reached; ``trouble``: why."""

    domain: Name
    parent: Name | None
    said: tuple[ParentSays, ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class ServerSays:
    """What a server answers for a zone: the serial and its NS records, or the trouble by transport."""

    name: Name
    address: str
    serial: int | None
    servers: frozenset[Name]
    udp: str = ""
    tcp: str = ""


def judge_delegation(facts: DelegationFacts, expected: Expected) -> Iterator[Finding]:
    """NS records and glue, by what the servers of the zone above say."""
    domain, mend = facts.domain, _at_registrar(facts.domain, expected)
    if facts.parent is None:
        what = f"the zone above {domain} was not found from the root down: {facts.trouble}"
        yield fail(WHAT, what, "is the domain registered? if it is, try again in a minute")
        return
    asked = f"{len(facts.said)} server{'s' * (len(facts.said) != 1)} of {facts.parent.text}."
    named = [each.said for each in facts.said if isinstance(each.said, Delegation)]
    silent = [each for each in facts.said if isinstance(each.said, str)]
    if not named and len(silent) == len(facts.said):
        told = "; ".join(f"{each.address}: {each.said}" for each in silent[:2])
        yield fail(
            WHAT, f"asked {asked} for the name servers of {domain}: {told}", "try again in some minutes"
        )
        return
    if not named:
        yield fail(WHAT, f"asked {asked} for the name servers of {domain}: it has none", mend)
        return
    troubles = list(_troubles(named[0], expected, facts, mend))
    differ = any(_shape(each) != _shape(named[0]) for each in named)
    if differ or len(named) + len(silent) < len(facts.said):
        yield wait(WHAT, f"{asked} do not agree yet about {domain}", "registries take up to some hours")
    yield from troubles
    if not troubles and not differ:
        yield ok(WHAT, _told(named[0], facts.parent))


def judge_servers(
    domain: Name, servers: tuple[ServerSays, ...], expected: Expected, *, is_running: bool
) -> Iterator[Finding]:
    """Whether each server that is named answers for the zone, over UDP and over TCP."""
    if not servers:
        yield wait(SERVER, f"none of {domain} has an address: there is nobody to ask", "see delegation")
        return
    serials = {each.serial for each in servers if each.serial is not None}
    troubles = [
        found for each in servers for found in _of_server(domain, each, expected, is_running=is_running)
    ]
    yield from troubles
    if len(serials) > 1:
        numbers = ", ".join(f"{each.name} {each.serial}" for each in servers)
        yield wait(SERVER, f"serials of {domain} differ: {numbers}", "secondaries follow within the refresh")
    if not troubles:
        told = ", ".join(f"{each.name} ({each.address})" for each in servers)
        yield ok(SERVER, f"{told} answers for {domain} over UDP and TCP")


def _of_server(domain: Name, said: ServerSays, expected: Expected, *, is_running: bool) -> Iterator[Finding]:
    where = f"{said.name} at {said.address}"
    is_ours = said.address in expected.addresses
    if said.udp and said.tcp:
        asked = f"asked {where} for the SOA of {domain}: {said.udp}"
        if is_ours and not is_running:
            yield fail(SERVER, f"{asked}; the service does not run here", "start it: ptt up")
        elif is_ours:
            mend = f"see that zone.git has {domain}, and that port 53 is let in to {said.address}"
            yield fail(SERVER, asked, mend)
        else:
            yield fail(SERVER, f"{asked} (it is named, and does not serve the zone)", _lame(said, domain))
        return
    for protocol, trouble in (("UDP", said.udp), ("TCP", said.tcp)):
        if trouble:
            asked = f"asked {where} for the SOA of {domain} over {protocol}: {trouble}"
            yield fail(SERVER, asked, f"let {protocol} port 53 in to {said.address}")
    if said.name not in said.servers and not said.udp:
        told = ", ".join(sorted(name.text for name in said.servers)) or "none"
        mend = f"put {domain}. NS {said.name}. into the zone, or take it away at the registrar"
        yield warn(SERVER, f"{where} itself names other servers of {domain}: {told}", mend)


def _lame(said: ServerSays, domain: Name) -> str:
    return f"take {said.name} away at the registrar, or set {domain} up there"


def _troubles(named: Delegation, expected: Expected, facts: DelegationFacts, mend: str) -> Iterator[Finding]:
    who, domain = f"{_parent(facts)} servers", facts.domain
    missing = [name for name in expected.name_servers if name not in named.servers]
    strangers = [name for name in named.servers if name not in expected.name_servers]
    if missing:
        there = ", ".join(name.text for name in named.servers)
        wanted = ", ".join(name.text for name in missing)
        yield fail(WHAT, f"{who} name {there} for {domain}, and not {wanted}", mend)
    elif strangers:
        more = ", ".join(name.text for name in strangers)
        what = f"{who} also name {more} for {domain}, which our zone does not"
        yield warn(WHAT, what, "take it away at the registrar, or put its NS record into the zone")
    for name, addresses in expected.name_servers.items():
        if name in named.servers and name.is_at_or_below(domain):
            yield from _glue(name, named.glue.get(name, ()), addresses, who, mend)


def _glue(
    name: Name, glue: tuple[str, ...], addresses: tuple[str, ...], who: str, mend: str
) -> Iterator[Finding]:
    wanted = " and ".join(addresses)
    if not glue:
        yield fail(WHAT, f"{who} name {name} without glue, which should be {wanted}", mend)
        return
    wrong = [each for each in glue if each not in addresses]
    lacking = [each for each in addresses if each not in glue]
    if wrong:
        yield fail(WHAT, f"{who} have glue {', '.join(wrong)} for {name}, which should be {wanted}", mend)
    elif lacking:
        yield warn(WHAT, f"{who} have no glue {', '.join(lacking)} for {name}", mend)


def _at_registrar(domain: Name, expected: Expected) -> str:
    if domain.text == expected.naming.domain and tuple(expected.name_servers) == (
        Name.of(expected.naming.name_server),
    ):
        return "At the registrar enter: " + "; ".join(for_registrar(expected.naming))
    return "At the registrar enter: " + "; ".join(_lines(domain, expected.name_servers))


def _lines(domain: Name, servers: Mapping[Name, tuple[str, ...]]) -> Iterator[str]:
    for name, addresses in servers.items():
        yield f"{domain}. NS {name}."
        if name.is_at_or_below(domain):
            yield from (f"{name}. {'AAAA' if ':' in each else 'A'} {each}" for each in addresses)


def _told(named: Delegation, parent: Name) -> str:
    told = (
        f"{name} with glue {', '.join(named.glue[name])}" if name in named.glue else name.text
        for name in named.servers
    )
    return f"{parent.text.rstrip('.')}. servers name {' and '.join(told)}"


def _parent(facts: DelegationFacts) -> str:
    return f"{'' if facts.parent is None else facts.parent.text.rstrip('.')}."


def _shape(named: Delegation) -> tuple[frozenset[Name], frozenset[str]]:
    return frozenset(named.servers), frozenset(named.addresses)
