"""Names that are answered here and never asked of the Internet (RFC 6303, RFC 6761) [Q8].

``localhost`` has the loopback's addresses; the other zones are empty: their apex exists, nothing below does.
``onion`` (RFC 7686), ``alt`` (RFC 9476) and ``home.arpa`` (RFC 8375) belong to the same kind.
"""

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from ptt.protocol.dns.lookup import RecordType, Security
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Empty, Found, Missing, Outcome
from ptt.protocol.dns.records import RRset

LOCAL_TTL_S = 10_800  # RFC 6303 §3

_REVERSE_V4 = (
    "0",
    "10",
    *(f"{n}.172" for n in range(16, 32)),
    "168.192",
    "127",
    "254.169",
    "2.0.192",
    "100.51.198",
    "113.0.203",
    "255.255.255.255",
    *(f"{n}.100" for n in range(64, 128)),  # RFC 7793
)
_REVERSE_V6 = (
    "0." * 32,
    "1." + "0." * 31,
    "d.f.",
    "8.e.f.",
    "9.e.f.",
    "a.e.f.",
    "b.e.f.",
    "8.b.d.0.1.0.0.2.",
)

LOCALHOST = Name.of("localhost")
RESERVED_ZONES = frozenset(
    [
        LOCALHOST,
        *map(Name.of, ("invalid", "test", "onion", "alt", "local", "home.arpa")),
        *(Name.of(f"{prefix}.in-addr.arpa") for prefix in _REVERSE_V4),
        *(Name.of(f"{prefix}ip6.arpa") for prefix in _REVERSE_V6),
    ]
)


def local_outcome(name: Name, rdtype: int, zones: frozenset[Name] = RESERVED_ZONES) -> Outcome | None:
    """The answer to a question about a reserved name; None: ask the Internet."""
    zone = next((each for each in (name, *name.parents()) if each in zones), None)
    if zone is None:
        return None
    if zone == LOCALHOST:  # RFC 6761 §6.3: all names below are the loopback too
        return _found(name, rdtype, {RecordType.A: "127.0.0.1", RecordType.AAAA: "::1"}, zone)
    if name == zone:
        apex = {RecordType.SOA: _soa_text(zone), RecordType.NS: f"{zone}."}
        return _found(name, rdtype, apex, zone)
    return Missing(name, _soa(zone), Security.INSECURE)


def _found(name: Name, rdtype: int, records: dict[RecordType, str], zone: Name) -> Outcome:
    for kind, text in records.items():
        if kind == rdtype:
            return Found(_rrset(name, rdtype, text), Security.INSECURE)
    return Empty(_soa(zone), Security.INSECURE)


def _rrset(name: Name, rdtype: int, text: str) -> RRset:
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.RdataType.make(rdtype), text)
    return RRset(name, rdtype, LOCAL_TTL_S, (rdata,))


def _soa_text(zone: Name) -> str:
    return f"{zone}. nobody.invalid. 1 3600 1200 604800 {LOCAL_TTL_S}"  # RFC 6303 §3


def _soa(zone: Name) -> RRset:
    return _rrset(zone, RecordType.SOA, _soa_text(zone))
