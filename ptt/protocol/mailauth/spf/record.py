"""The SPF record: ``v=spf1 ip4:192.0.2.0/24 include:example.net -all`` (RFC 7208 §4.6, §5, §6, §12).

An error anywhere makes the whole record malformed, wherever evaluation would have ended (§4.6).
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ptt.errors import Malformed
from ptt.protocol.mailauth.results import SpfResult
from ptt.protocol.mailauth.spf.macros import MacroString, parse_domain_spec, parse_macro_string

_QUALIFIERS = {
    "+": SpfResult.PASS,
    "-": SpfResult.FAIL,
    "~": SpfResult.SOFTFAIL,
    "?": SpfResult.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class All:
    """``all`` (§5.1)."""


@dataclass(frozen=True, slots=True)
class Include:
    """``include:DOMAIN`` (§5.2)."""

    domain: MacroString


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """``a[:DOMAIN][/N][//M]`` (§5.3); without domain it is the one being checked."""

    domain: MacroString | None
    ipv4_prefix: int
    ipv6_prefix: int


@dataclass(frozen=True, slots=True)
class Exchanges:
    """``mx[:DOMAIN][/N][//M]`` (§5.4)."""

    domain: MacroString | None
    ipv4_prefix: int
    ipv6_prefix: int


@dataclass(frozen=True, slots=True)
class ReverseNames:
    """``ptr[:DOMAIN]`` (§5.5)."""

    domain: MacroString | None


@dataclass(frozen=True, slots=True)
class AddressRange:
    """``ip4:`` and ``ip6:`` (§5.6)."""

    network: IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Exists:
    """``exists:DOMAIN`` (§5.7)."""

    domain: MacroString


Mechanism = All | Include | HostAddresses | Exchanges | ReverseNames | AddressRange | Exists


@dataclass(frozen=True, slots=True)
class Directive:
    """A mechanism and the result when it matches; ``text`` as written."""

    result: SpfResult
    mechanism: Mechanism
    text: str


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """A record without errors; unknown modifiers are read and forgotten (§6)."""

    directives: tuple[Directive, ...]
    redirect: MacroString | None
    explanation: MacroString | None


_VERSION = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
_TERM = re.compile(
    r"(?P<qualifier>[-+~?]?)(?P<name>[A-Za-z][A-Za-z0-9_.-]*)(?P<rest>(?:[:/=].*)?)", re.DOTALL
)
_PREFIXES = re.compile(
    r"(?P<domain>(?::.*?)?)(?:/(?P<ipv4>0|[1-9][0-9]?))?(?://(?P<ipv6>0|[1-9][0-9]{0,2}))?", re.DOTALL
)
_NETWORK = re.compile(r":(?P<address>[^/%]+)(?:/(?P<prefix>0|[1-9][0-9]{0,2}))?")
_IPV4_BITS, _IPV6_BITS = 32, 128


def is_spf_record(text: bytes) -> bool:
    """Whether a TXT record is meant as SPF, well-formed or not (§4.5)."""
    return _VERSION.match(text) is not None


def parse_spf_record(text: bytes) -> SpfRecord | Malformed:
    """Read the joined text of a TXT record."""
    if not is_spf_record(text):
        return Malformed("not an SPF record")
    if not text.isascii():
        return Malformed("not ASCII")  # §12: nothing in the grammar is
    directives: list[Directive] = []
    modifiers: dict[str, MacroString] = {}
    for term in text.decode("ascii").split(" ")[1:]:
        if not term:
            continue
        match = _TERM.fullmatch(term)
        if match is None:
            return Malformed(f"the term {term!a} cannot be read")
        parsed = _modifier(match, modifiers) if match["rest"].startswith("=") else _directive(match)
        if isinstance(parsed, Malformed):
            return Malformed(f"{term!a}: {parsed.reason}")
        if parsed is not None:
            directives.append(parsed)
    return SpfRecord(tuple(directives), modifiers.get("redirect"), modifiers.get("exp"))


def _modifier(match: re.Match[str], modifiers: dict[str, MacroString]) -> Malformed | None:
    name, value = match["name"].lower(), match["rest"][1:]
    if match["qualifier"]:
        return Malformed("a modifier has no qualifier")
    if name not in {"redirect", "exp"}:
        macros = parse_macro_string(value)
        return macros if isinstance(macros, Malformed) else None
    if name in modifiers:
        return Malformed("a second time")  # §6
    domain = parse_domain_spec(value)
    if isinstance(domain, Malformed):
        return domain
    modifiers[name] = domain
    return None


def _directive(match: re.Match[str]) -> Directive | Malformed:
    mechanism = _mechanism(match["name"].lower(), match["rest"])
    if isinstance(mechanism, Malformed):
        return mechanism
    text = match["name"] + match["rest"]
    return Directive(_QUALIFIERS[match["qualifier"] or "+"], mechanism, text)


def _mechanism(name: str, rest: str) -> Mechanism | Malformed:
    match name:
        case "all":
            return Malformed("takes no argument") if rest else All()
        case "ip4" | "ip6":
            return _range(name, rest)
        case "a" | "mx":
            return _hosts(HostAddresses if name == "a" else Exchanges, rest)
        case "ptr":
            optional = _optional_domain(rest)
            return optional if isinstance(optional, Malformed) else ReverseNames(optional)
        case "include" | "exists":
            domain = parse_domain_spec(rest[1:]) if rest.startswith(":") else Malformed("needs a domain")
            if isinstance(domain, Malformed):
                return domain
            return Include(domain) if name == "include" else Exists(domain)
        case _:
            return Malformed("an unknown mechanism")


def _hosts(kind: type[HostAddresses | Exchanges], rest: str) -> Mechanism | Malformed:
    match = _PREFIXES.fullmatch(rest)
    if match is None:
        return Malformed("not a prefix length")
    domain = _optional_domain(match["domain"])
    if isinstance(domain, Malformed):
        return domain
    ipv4 = _IPV4_BITS if match["ipv4"] is None else int(match["ipv4"])
    ipv6 = _IPV6_BITS if match["ipv6"] is None else int(match["ipv6"])
    if ipv4 > _IPV4_BITS or ipv6 > _IPV6_BITS:
        return Malformed("the prefix is too long")
    return kind(domain, ipv4, ipv6)


def _range(name: str, rest: str) -> AddressRange | Malformed:
    match = _NETWORK.fullmatch(rest)
    if match is None:
        return Malformed("not a network")
    try:
        address = IPv4Address(match["address"]) if name == "ip4" else IPv6Address(match["address"])
    except AddressValueError:
        return Malformed("not an address")
    prefix = address.max_prefixlen if match["prefix"] is None else int(match["prefix"])
    if prefix > address.max_prefixlen:
        return Malformed("the prefix is too long")
    if isinstance(address, IPv4Address):
        return AddressRange(IPv4Network((address, prefix), strict=False))
    return AddressRange(IPv6Network((address, prefix), strict=False))


def _optional_domain(rest: str) -> MacroString | Malformed | None:
    if not rest:
        return None
    return parse_domain_spec(rest[1:]) if rest.startswith(":") else Malformed("not a domain")
