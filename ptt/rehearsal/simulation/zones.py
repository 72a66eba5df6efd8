"""The zones of a simulation's DNS, made of a scene's fixed text (``ptt.net.fixed_lookup``).

A root on two servers, ``example.`` and ``org.`` on a server of their own, and each domain below ``example.``
that the text names on two more. ``example.org`` is delegated to our own server. Nothing is signed.
"""

from functools import cache

from ptt.errors import MisuseError
from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import ZoneFault, read_zone

ROOTS = ("198.51.100.20", "198.51.100.21")
REGISTRY = "198.51.100.22"
SERVERS = ("198.51.100.31", "198.51.100.32")
OUR_ZONE = "example.org"
OUR_HOST = "192.0.2.10"
TTL_S = 60  # of the records of a scene
REGISTRY_TTL_S = 3600

Texts = list[str] | tuple[str, ...]

_SOA = "SOA ns.{0} hostmaster.{0} 1 3600 600 604800 {1}"
_OUR_GLUE = (f"ns.{OUR_ZONE} A {OUR_HOST}",)


def our_zone(text: str) -> str:
    """The zone file of our own name server."""
    records = [f"mail.{OUR_ZONE} A {OUR_HOST}", *_records_of(text).get(OUR_ZONE, ())]
    return _zone_text(OUR_ZONE, (f"ns.{OUR_ZONE}",), (OUR_HOST,), records)


@cache
def authorities(text: str) -> dict[str, Authority]:
    """What each host serves, by its address; made once for a text."""
    records = _records_of(text)
    domains = sorted(domain for domain in records if domain != OUR_ZONE)
    names = ("ns1.servers.example", "ns2.servers.example")
    leaves = [_zone(domain, _zone_text(domain, names, (), records[domain])) for domain in domains]
    glue = _addresses(names, SERVERS)
    tops = [
        _zone("example", _top_text("example", [*_delegations(domains, names), *glue])),
        _zone("org", _top_text("org", [*_delegations([OUR_ZONE], [f"ns.{OUR_ZONE}"]), *_OUR_GLUE])),
    ]
    below = Authority(leaves, {})
    root = Authority([_zone("", _root_text())], {})
    registry = Authority(tops, {})
    return dict.fromkeys(ROOTS, root) | {REGISTRY: registry} | dict.fromkeys(SERVERS, below)


def _records_of(text: str) -> dict[str, list[str]]:
    """The lines of a fixed text, by the domain of two labels that their owner is in."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        owner, _, rest = line.strip().partition(" ")
        if rest:
            domain = ".".join(owner.split(".")[-2:])
            found.setdefault(domain, []).append(f"{owner} {rest.strip()}")
    return found


def _root_text() -> str:
    names = ("a.roots", "b.roots")
    lines = [
        *_addresses(names, ROOTS),
        *_delegations(["example", "org"], ["a.nic.example"]),
        *_addresses(["a.nic.example"], [REGISTRY]),
    ]
    return _head(REGISTRY_TTL_S) + _lines([f". {_SOA.format('roots', TTL_S)}", *_ns(".", names), *lines])


def _top_text(name: str, lines: list[str]) -> str:
    own = [f"{name} {_SOA.format(name, TTL_S)}", *_ns(name, ["a.nic.example"])]
    own += [f"a.nic.example A {REGISTRY}"] if name == "example" else []
    return _head(REGISTRY_TTL_S) + _lines([*own, *lines])


def _zone_text(name: str, servers: Texts, addresses: Texts, records: Texts) -> str:
    own = [f"{name} {_SOA.format(name, TTL_S)}", *_ns(name, servers), *_addresses(servers, addresses)]
    return _head(TTL_S) + _lines([*own, *records])


def _head(ttl_s: int) -> str:
    return f"$ORIGIN .\n$TTL {ttl_s}\n"


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _ns(zone: str, servers: Texts) -> list[str]:
    return [f"{zone} NS {server}" for server in servers]


def _delegations(zones: list[str], servers: Texts) -> list[str]:
    return [line for zone in zones for line in _ns(zone, servers)]


def _addresses(names: Texts, hosts: Texts) -> list[str]:
    return [f"{name} A {host}" for name, host in zip(names, hosts, strict=False)]


def _zone(name: str, text: str) -> Zone:
    zone = read_zone(text, Name.of(name) if name else Name(()), name or "root")
    if isinstance(zone, ZoneFault):
        raise MisuseError(f"a scene's zone, {zone.where}: {zone.reason}")
    return zone
