"""The first zones of a domain, and what only its owner can enter elsewhere.

Besides the domain's own zone there is one for rewritten envelope senders, ``srs.DOMAIN``, with a policy of
its own (``psd=n``, RFC 9989 §4.7), so that a forged author of ours never passes by our own envelope. What is
mail's: RFC 5321 §5.1 (MX), RFC 7208 (SPF, for the name of our greeting too), RFC 6376 §3.6.2 (keys), RFC
6186 §3.1 and RFC 8314 §5.1 (where mail programs find us).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

TTL_S = 3600
NEGATIVE_TTL_S = 300  # how long a name that is not there is remembered: short while things are being set up
STRING_OCTETS = 250  # a character-string holds 255 at most (RFC 1035 §3.3)
SRS_LABEL = "srs"

SPF = "v=spf1 mx -all"
HELO_SPF = "v=spf1 a -all"
DMARC = "v=DMARC1; p=reject; aspf=s; adkim=s"
SRS_DMARC = "v=DMARC1; p=reject; psd=n"


@dataclass(frozen=True, slots=True)
class Naming:
    """What the zones are made of; names without the final dot. ``keys``: TXT records of DKIM by owner."""

    domain: str
    host_name: str
    addresses: tuple[str, ...]
    keys: Mapping[str, str]

    @property
    def name_server(self) -> str:
        """Our own."""
        return f"ns1.{self.domain}"

    @property
    def srs_domain(self) -> str:
        """Where rewritten envelope senders are."""
        return f"{SRS_LABEL}.{self.domain}"


def first_zones(naming: Naming) -> dict[str, bytes]:
    """The text of each zone file by the file's name."""
    own, srs = _own(naming), _srs(naming)
    return {
        naming.domain: "\n".join([*own, ""]).encode("ascii"),
        naming.srs_domain: "\n".join([*srs, ""]).encode("ascii"),
    }


def for_registrar(naming: Naming) -> tuple[str, ...]:
    """Name server and glue, as records of the zone above."""
    lines = [_record(naming.domain, "NS", f"{naming.name_server}.")]
    return (*lines, *address_records(naming.name_server, naming))


def for_provider(naming: Naming) -> tuple[str, ...]:
    """The reverse names of the addresses."""
    return tuple(reverse_record(address, naming) for address in naming.addresses)


def reverse_record(address: str, naming: Naming) -> str:
    """The reverse name of an address."""
    return _record(ip_address(address).reverse_pointer, "PTR", f"{naming.host_name}.")


def mx_record(domain: str, host_name: str) -> str:
    """Where mail for a domain goes."""
    return _record(domain, "MX", f"10 {host_name}.")


def address_records(owner: str, naming: Naming) -> Iterator[str]:
    """Our addresses, under a name."""
    for address in naming.addresses:
        yield _record(owner, "AAAA" if ":" in address else "A", address)


def text_record(owner: str, text: str) -> str:
    """A TXT record, in pieces that fit."""
    pieces = [text[start : start + STRING_OCTETS] for start in range(0, len(text), STRING_OCTETS)]
    return _record(owner, "TXT", " ".join(f'"{piece}"' for piece in pieces))


def _own(naming: Naming) -> Iterator[str]:
    domain, host = naming.domain, naming.host_name
    yield f"; {domain}: made by ptt init, yours to change: commit and push"
    yield from _head(naming)
    yield from address_records(naming.name_server, naming)
    if host.endswith(f".{domain}"):
        yield from address_records(host, naming)
        yield text_record(host, HELO_SPF)
    yield ""
    yield mx_record(domain, host)
    yield text_record(domain, SPF)
    yield text_record(f"_dmarc.{domain}", DMARC)
    for owner, record in naming.keys.items():
        yield text_record(owner, record)
    yield ""
    yield _record(f"_submissions._tcp.{domain}", "SRV", f"0 1 465 {host}.")
    yield _record(f"_submission._tcp.{domain}", "SRV", f"1 1 587 {host}.")
    yield ""
    yield "; the way back of forwarded mail, a zone of its own"
    yield _record(naming.srs_domain, "NS", f"{naming.name_server}.")


def _srs(naming: Naming) -> Iterator[str]:
    srs = naming.srs_domain
    yield f"; envelope senders of mail that {naming.domain} forwards: made by ptt init"
    yield from _head(naming, srs)
    yield mx_record(srs, naming.host_name)
    yield text_record(srs, SPF)
    yield text_record(f"_dmarc.{srs}", SRS_DMARC)


def _head(naming: Naming, zone: str = "") -> Iterator[str]:
    zone = zone or naming.domain
    times = f"1 3600 900 1209600 {NEGATIVE_TTL_S}"  # serial, refresh, retry, expire (RFC 1912 §2.2)
    yield f"$TTL {TTL_S}"
    yield _record(zone, "SOA", f"{naming.name_server}. hostmaster.{naming.domain}. {times}")
    yield _record(zone, "NS", f"{naming.name_server}.")


def _record(owner: str, kind: str, data: str) -> str:
    return f"{owner}. {kind} {data}"
