"""Who serves a zone, as the zone's parent says: names of servers and the addresses that came with them.

RFC 1034 §4.2.1. Glue is used to reach the zone's servers and for nothing else; it is never an answer.
"""

from dataclasses import dataclass, field

from ptt.protocol.dns.name import Name

MAX_SERVER_NAMES = 20  # the root has 13; more do not fit into a referral that is meant well
MAX_ADDRESSES_EACH = 8


@dataclass(frozen=True, slots=True)
class Delegation:
    """A zone, its servers and their glue (addresses in text form, by server name)."""

    zone: Name
    servers: tuple[Name, ...]
    glue: dict[Name, tuple[str, ...]] = field(default_factory=dict)
    ttl: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses that came with it, in order, each once."""
        return tuple(dict.fromkeys(each for name in self.servers for each in self.glue.get(name, ())))

    @property
    def without_glue(self) -> tuple[Name, ...]:
        """Servers whose addresses must be asked for."""
        return tuple(name for name in self.servers if name not in self.glue)


def root_delegation(hints: tuple[tuple[str, str, str], ...]) -> Delegation:
    """The root's servers from hints (name, IPv4 and IPv6 address; an empty text where there is none)."""
    glue = {Name.of(name): tuple(address for address in addresses if address) for name, *addresses in hints}
    return Delegation(Name(()), tuple(glue), glue)


ROOT_HINTS = (  # https://www.internic.net/domain/named.root; servers answer at old addresses for years
    ("a.root-servers.net.", "198.41.0.4", "2001:503:ba3e::2:30"),
    ("b.root-servers.net.", "170.247.170.2", "2801:1b8:10::b"),
    ("c.root-servers.net.", "192.33.4.12", "2001:500:2::c"),
    ("d.root-servers.net.", "199.7.91.13", "2001:500:2d::d"),
    ("e.root-servers.net.", "192.203.230.10", "2001:500:a8::e"),
    ("f.root-servers.net.", "192.5.5.241", "2001:500:2f::f"),
    ("g.root-servers.net.", "192.112.36.4", "2001:500:12::d0d"),
    ("h.root-servers.net.", "198.97.190.53", "2001:500:1::53"),
    ("i.root-servers.net.", "192.36.148.17", "2001:7fe::53"),
    ("j.root-servers.net.", "192.58.128.30", "2001:503:c27::2:30"),
    ("k.root-servers.net.", "193.0.14.129", "2001:7fd::1"),
    ("l.root-servers.net.", "199.7.83.42", "2001:500:9f::42"),
    ("m.root-servers.net.", "202.12.27.33", "2001:dc3::35"),
)
