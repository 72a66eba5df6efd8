"""How certificates go through the DNS, as in the original: TLSA records at ``_letsencrypt._tcp.HOST``.

The service of HOST puts its request there (PKCS #10 in DER, ``3 255 0``; 255 is for private use, RFC 6698
§7.3), the unit letsencrypt puts the certificate (``3 0 0``) and its issuers (``0 0 0``, as they came) beside
it. Whatever else stands there is nobody's business here. What is inside a record is not looked at: that a
certificate fits a request is decided by both sides each for itself.
"""

from dataclasses import dataclass
from enum import Enum

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TLSA

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset
from ptt.protocol.dns.rights import CERTIFICATE

TTL_S = 3600  # as the original writes them
MAX_RECORD_OCTETS = 65_535 - 3  # of a record's data (RFC 1035 §3.2.1) less its three numbers


class Part(Enum):
    """What a record holds, by its three numbers: usage, selector, matching type (RFC 6698 §2.1)."""

    REQUEST = (3, 255, 0)
    LEAF = (3, 0, 0)
    ISSUER = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What stands at the name: DER, in the order of the records, which the DNS does not keep."""

    requests: tuple[bytes, ...] = ()
    leaves: tuple[bytes, ...] = ()
    issuers: tuple[bytes, ...] = ()


def owner(host: Name) -> Name:
    """Where the exchange for a host is.

    Raises ``MisuseError`` for a host of more than 237 octets; ``has_room`` tells beforehand.
    """
    found = host.below(*CERTIFICATE)
    if isinstance(found, Malformed):
        raise MisuseError(f"{host}: no room for {b'.'.join(CERTIFICATE).decode()} in front of it")
    return found


def has_room(host: Name) -> bool:
    """Whether the name is short enough for an exchange."""
    return isinstance(host.below(*CERTIFICATE), Name)


def host_of(name: Name) -> Name | None:
    """The host whose exchange is at ``name``; None: it is no such name."""
    count = len(CERTIFICATE)
    return Name(name.labels[count:]) if name.labels[:count] == CERTIFICATE else None


def read_exchange(rrset: RRset | None) -> Exchange:
    """Read what stands at the name; None is nothing."""
    found: dict[Part, list[bytes]] = {part: [] for part in Part}
    for rdata in rrset.rdatas if rrset is not None else ():
        match rdata:
            case dns.rdtypes.ANY.TLSA.TLSA(usage=usage, selector=selector, mtype=mtype, cert=cert):
                numbers = (usage, selector, mtype)
                if numbers in _KNOWN:
                    found[Part(numbers)].append(cert)
            case _:
                pass
    return Exchange(*(tuple(found[part]) for part in Part))


def write_record(part: Part, der: bytes) -> dns.rdata.Rdata:
    """One record. Raises ``MisuseError`` for what no record can hold."""
    if len(der) > MAX_RECORD_OCTETS:
        raise MisuseError(f"{len(der)} octets in a TLSA record")
    usage, selector, matching = part.value
    return dns.rdtypes.ANY.TLSA.TLSA(  # type: ignore[no-untyped-call]
        dns.rdataclass.IN, dns.rdatatype.TLSA, usage, selector, matching, der
    )


def write_exchange(host: Name, exchange: Exchange) -> RRset:
    """All records of an exchange at its name."""
    parts = zip(Part, (exchange.requests, exchange.leaves, exchange.issuers), strict=True)
    rdatas = tuple(write_record(part, der) for part, ders in parts for der in ders)
    return RRset(owner(host), RecordType.TLSA, TTL_S, rdatas)


_KNOWN = frozenset(part.value for part in Part)
