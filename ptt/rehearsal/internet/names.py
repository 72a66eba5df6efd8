"""The names of the pretend Internet, written down once: records by owner, and the zones made of them.

Everything below a delegation is in the zone of the nearest origin above it; each zone gets its SOA, its NS
and, in the zone above, the delegation with glue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

STRING_OCTETS = 250  # a character-string holds 255 at most (RFC 1035 §3.3)
HEAD = "$TTL 60\n@ SOA {server} hostmaster.{server} 1 3600 600 86400 60\n@ NS {server}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One record; names absolute without the final dot. ``data``: an address, ``10 host``, or plain text."""

    owner: str
    kind: str
    data: str

    @property
    def line(self) -> str:
        """As a line of a zone file."""
        match self.kind:
            case "TXT":
                size = STRING_OCTETS
                parts = [self.data[start : start + size] for start in range(0, len(self.data), size)]
                data = " ".join(f'"{part}"' for part in parts)
            case "MX" | "NS" | "PTR":
                data = f"{self.data}."
            case _:
                data = self.data
        return f"{self.owner}. {self.kind} {data}"


def fixed_zone(entries: Iterable[Entry]) -> str:
    """The same records for ``ptt.net.fixed_lookup``."""
    return "\n".join(
        f'{entry.owner} TXT "{entry.data}"'
        if entry.kind == "TXT"
        else f"{entry.owner} {entry.kind} {entry.data}"
        for entry in entries
    )


@dataclass(frozen=True, slots=True)
class ZoneServer:
    """Which server has a zone: name (absolute, without final dot) and address."""

    name: str
    address: str


def zone_files(entries: Iterable[Entry], servers: Mapping[str, ZoneServer]) -> dict[str, str]:
    """The text of each zone. ``servers`` by origin ("" is the root)."""
    lines: dict[str, list[str]] = {
        origin: [HEAD.format(server=f"{server.name}.")] for origin, server in servers.items()
    }
    for entry in entries:
        lines[_zone_of(entry.owner, servers)].append(entry.line)
    for origin, server in servers.items():
        glue = Entry(server.name, "A", server.address).line
        home = _zone_of(server.name, servers)
        lines[home].append(glue)
        if origin:
            above = _zone_of(origin.partition(".")[2], servers)
            lines[above].append(Entry(origin, "NS", server.name).line)
            if above != home and f".{server.name}".endswith(f".{origin}"):
                lines[above].append(glue)
    return {origin: "\n".join([*dict.fromkeys(text), ""]) for origin, text in lines.items()}


def _zone_of(name: str, servers: Mapping[str, ZoneServer]) -> str:
    """The longest origin at or above a name."""
    while name not in servers:
        name = name.partition(".")[2]
    return name
