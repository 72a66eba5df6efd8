"""The files of ``zone.git`` as zones: one file a zone, named after it; what is broken stays as it was [P12].

Files that begin with a dot, and ``_keys`` files, are no zones. A commit without a single zone is not taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.zone import Zone, is_newer, next_serial
from ptt.protocol.dns.zonefile import ZoneFault, read_zone
from ptt.records.compressed import compress, decompress

KEYS_SUFFIX = "_keys"
MAX_KEPT_OCTETS = 8 * 1024 * 1024  # compressed
MAX_FILES_OCTETS = 64 * 1024 * 1024  # unpacked: twice what is taken from a repository


@dataclass(frozen=True, slots=True)
class ZoneFiles:
    """``files`` as they hold, of a broken one the last good content; ``zones`` that have changed."""

    files: Mapping[str, bytes]
    zones: tuple[Zone, ...]
    gone: tuple[Name, ...] = ()
    alarms: tuple[str, ...] = field(default=())


def succeed(former: Mapping[str, bytes], files: Mapping[str, bytes]) -> ZoneFiles | Malformed:
    """Judge the files of a new commit beside those that hold."""
    holding: dict[str, bytes] = {}
    zones: list[Zone] = []
    alarms: list[str] = []
    for name, content in sorted(files.items()):
        if name.startswith(".") or name.endswith(KEYS_SUFFIX):
            continue
        zone = _read(name, content)
        if isinstance(zone, Zone):
            holding[name] = content
            zones += [zone] if former.get(name) != content else []
            continue
        if name in former:
            holding[name] = former[name]
        consequence = "the last good file stays in force" if name in former else "it is not served"
        alarms.append(f"{zone.where}: {zone.reason}; {consequence}")
    if not holding:
        return Malformed("there is no zone that can be read")
    gone = tuple(Name.of(name.rstrip(".")) for name in former if name not in holding)
    return ZoneFiles(holding, tuple(zones), gone, tuple(alarms))


def raised(zone: Zone, served: Zone | None) -> tuple[Zone, bool]:
    """The zone with a serial above the one that is served, and whether its own was not."""
    if served is None or is_newer(zone.serial, served.serial):
        return zone, False
    return zone.with_serial(next_serial(served.serial)), True


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """The files as the host keeps them; nothing where they are too large for that."""
    packed = compress(msgspec.msgpack.encode(dict(files)))
    return packed if len(packed) <= MAX_KEPT_OCTETS else b""


def unpack_files(value: bytes) -> Mapping[str, bytes] | None:
    """What ``pack_files`` gave; None for what it did not."""
    whole = decompress(value, MAX_FILES_OCTETS)
    try:
        return None if whole is None else msgspec.msgpack.decode(whole, type=dict[str, bytes])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _read(name: str, content: bytes) -> Zone | ZoneFault:
    origin = Name.parse(name.rstrip("."))
    if isinstance(origin, Malformed):
        return ZoneFault(name, "the file's name is no name of a zone")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return ZoneFault(f"{name}:{line}", "it is no text")
    return read_zone(text, origin, name)
