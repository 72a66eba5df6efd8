"""The remote domains of the demonstration, their servers' manners, and the names that lead to everybody.

mirage.org is ours. Alice's own mailbox is at gmail-like.com; Bob is at remote.com, whose Exim asks back about
senders; careful.org has a Postfix with postscreen and greylisting, and OpenDMARC as a judge. Where a real
program cannot run, its model stands in. Everything has an address of its own here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

from ptt.rehearsal.internet.names import Entry, ZoneServer

OUR_ADDRESS = "192.0.2.10"
ALICE_AT_HOME = "192.0.2.77"  # where Alice's mail program runs
STRANGER = "198.51.100.99"  # an address without a name, of somebody who sends what he should not
GREYLISTED_S = 1.0  # a real server asks for five minutes; the demonstration does not
STUB = "127.0.0.1"  # who is asked by programs that have no resolver of their own


class Kind(Enum):
    """Whose manners a server has."""

    GMAIL = "modelled on Gmail: strict DMARC, PTR"
    OUTLOOK = "modelled on Outlook: blocks by address"
    YAHOO = "modelled on Yahoo: unknown users late"
    POSTFIX = "Postfix: postscreen, greylisting"
    EXIM = "Exim: callouts"

    @property
    def is_program(self) -> bool:
        """Whether there is such a program for everybody, so that a model is only its stand-in."""
        return self in {Kind.POSTFIX, Kind.EXIM}


@dataclass(frozen=True, slots=True)
class Place:
    """A remote domain."""

    domain: str
    host_name: str
    address: str
    users: tuple[str, ...]
    kind: Kind


GMAIL = Place("gmail-like.com", "mx.gmail-like.com", "203.0.113.25", ("alice", "grace"), Kind.GMAIL)
OUTLOOK = Place("outlook-like.com", "mx.outlook-like.com", "203.0.113.60", ("carol", "oscar"), Kind.OUTLOOK)
YAHOO = Place("yahoo-like.net", "mx.yahoo-like.net", "203.0.113.80", ("yolanda",), Kind.YAHOO)
CAREFUL = Place("careful.org", "mx.careful.org", "198.51.100.40", ("paul",), Kind.POSTFIX)
REMOTE = Place("remote.com", "mx1.remote.com", "198.51.100.25", ("bob", "carol"), Kind.EXIM)
PLACES = (GMAIL, OUTLOOK, YAHOO, CAREFUL, REMOTE)
PLAIN_DOMAIN = "plain.net"  # asks for DMARC and signs nothing: its mail cannot be forwarded

ROOT = ZoneServer("a.root", "198.51.100.1")
TOP = ZoneServer("a.tld", "198.51.100.2")
OURS = ZoneServer("ns1.mirage.org", OUR_ADDRESS)
REMOTE_NAMES = "203.0.113.53"  # one machine serves the zones of all remote domains
SERVERS = {
    "": ROOT,
    **dict.fromkeys(("org", "com", "net", "arpa"), TOP),
    "mirage.org": OURS,
    "srs.mirage.org": OURS,
    **{place.domain: ZoneServer(f"ns.{place.domain}", REMOTE_NAMES) for place in PLACES},
}


def entries(keys: Mapping[str, str]) -> tuple[Entry, ...]:
    """All records of the pretend Internet; ``keys`` are TXT records: everybody's DKIM keys."""
    found = [
        Entry("mirage.org", "MX", "10 mail.mirage.org"),
        Entry("mail.mirage.org", "A", OUR_ADDRESS),
        Entry("mirage.org", "TXT", "v=spf1 mx -all"),
        Entry("mail.mirage.org", "TXT", "v=spf1 a -all"),
        Entry("_dmarc.mirage.org", "TXT", "v=DMARC1; p=reject; aspf=s; adkim=s"),
        Entry("srs.mirage.org", "MX", "10 mail.mirage.org"),
        Entry("srs.mirage.org", "TXT", f"v=spf1 ip4:{OUR_ADDRESS} -all"),
        Entry("_dmarc.srs.mirage.org", "TXT", "v=DMARC1; p=reject; psd=n"),
        _reverse(OUR_ADDRESS, "mail.mirage.org"),
        Entry(PLAIN_DOMAIN, "MX", f"10 {PLAIN_DOMAIN}"),
        Entry(PLAIN_DOMAIN, "A", STRANGER),
        Entry(PLAIN_DOMAIN, "TXT", "v=spf1 a -all"),
        Entry(f"_dmarc.{PLAIN_DOMAIN}", "TXT", "v=DMARC1; p=reject"),
    ]
    for place in PLACES:
        found += [
            Entry(place.domain, "MX", f"10 {place.host_name}"),
            Entry(place.host_name, "A", place.address),
            Entry(place.domain, "TXT", "v=spf1 mx -all"),
            Entry(f"_dmarc.{place.domain}", "TXT", "v=DMARC1; p=reject"),
            _reverse(place.address, place.host_name),
        ]
    return (*found, *(Entry(name, "TXT", text) for name, text in keys.items()))


def addresses() -> list[str]:
    """Everybody's."""
    servers = {server.address for server in SERVERS.values()}
    return [OUR_ADDRESS, ALICE_AT_HOME, STRANGER, *(place.address for place in PLACES), *servers]


def _reverse(address: str, host_name: str) -> Entry:
    return Entry(ip_address(address).reverse_pointer, "PTR", host_name)
