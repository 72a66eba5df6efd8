"""The kinds of values in ``ptt.toml``: each reads one, or says in a sentence how it is written.

Sizes and durations carry their units, so that nobody has to guess them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ptt.errors import Malformed
from ptt.protocol.dns.addresses import is_address
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import parse_domain, parse_mailbox
from ptt.records.local_part import local_part_of_file

T = TypeVar("T")

SIZE_UNITS = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
DURATION_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
MAX_PORT = 65_535

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind. ``name`` is for the reference; ``each`` is the kind of the entries of a list."""

    name: str
    read: Callable[[object], T | Malformed]
    each: "Kind[str] | None" = None


def _text(value: object) -> str | Malformed:
    return value if isinstance(value, str) else Malformed('a text, in quotes: "like this"')


def _yes_no(value: object) -> bool | Malformed:
    return value if isinstance(value, bool) else Malformed("true or false, without quotes")


def _quantity(value: object, units: dict[str, int] | dict[str, float]) -> float | None:
    found = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    factor = {unit.lower(): factor for unit, factor in units.items()}.get(found[2].lower())
    return None if factor is None else float(found[1]) * factor


def _size(value: object) -> int | Malformed:
    octets = _quantity(value, SIZE_UNITS)
    if octets is None or octets < 1:
        return Malformed('a size is a number with B, kB, MB or GB, for example "25 MB"')
    return int(octets)


def _duration(value: object) -> float | Malformed:
    seconds = _quantity(value, DURATION_UNITS)
    if seconds is None:
        return Malformed('a duration is a number with ms, s, min, h or d, for example "30 s"')
    return seconds


def _domain(value: object) -> str | Malformed:
    if not isinstance(value, str) or isinstance(parse_domain(value), Malformed):
        return Malformed('a domain, for example "example.org"')
    return value.lower()


def _name(value: object) -> str | Malformed:
    if not isinstance(value, str) or isinstance(Name.parse(value), Malformed):
        return Malformed('a name of the DNS, for example "example.org."')
    return value


def _address(value: object) -> str | Malformed:
    if not isinstance(value, str) or not is_address(value):
        return Malformed('an IPv4 or IPv6 address, for example "192.0.2.10"')
    return value


def _recipient(value: object) -> str | Malformed:
    wrong = Malformed('a user ("alice") or an address ("alice@example.com")')
    if not isinstance(value, str):
        return wrong
    if "@" in value:
        return wrong if isinstance(parse_mailbox(value.encode(), allow_utf8=True), Malformed) else value
    return wrong if value and isinstance(local_part_of_file(value), Malformed) else value


TEXT: Kind[str] = Kind("text", _text)
PATH: Kind[str] = Kind("path", _text)
YES_NO: Kind[bool] = Kind("true or false", _yes_no)
SIZE: Kind[int] = Kind("size", _size)
DURATION: Kind[float] = Kind("duration", _duration)
DOMAIN: Kind[str] = Kind("domain", _domain)
NAME: Kind[str] = Kind("name", _name)
ADDRESS: Kind[str] = Kind("address", _address)
RECIPIENT: Kind[str] = Kind("user or address", _recipient)


def whole_number(least: int, most: int) -> Kind[int]:
    """A number between two bounds."""

    def read(value: object) -> int | Malformed:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        return Malformed(f"a whole number from {least} to {most}")

    return Kind("number", read)


PORT = whole_number(1, MAX_PORT)


def one_of(*words: str) -> Kind[str]:
    """One of a few words."""
    shown = " or ".join(f'"{word}"' for word in words)

    def read(value: object) -> str | Malformed:
        return value if isinstance(value, str) and value in words else Malformed(shown)

    return Kind(shown, read)


def list_of(each: Kind[str]) -> "Kind[tuple[str, ...]]":
    """Several of one kind; one alone may stand without brackets."""

    def read(value: object) -> tuple[str, ...] | Malformed:
        entries = [each.read(entry) for entry in (value if isinstance(value, list) else [value])]
        for entry in entries:
            if isinstance(entry, Malformed):
                return entry
        return tuple(entry for entry in entries if isinstance(entry, str))

    return Kind(f"list of {each.name}", read, each)
