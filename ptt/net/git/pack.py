"""Reading a pack (gitformat-pack(5)) with a bound on what it may become: all objects by id.

Small packs can hold large objects, and small deltas make larger ones: every size is compared with what is
left of the bound before anything is unpacked. What breaks the format ends in ``GitTroubleError``.
"""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ptt.net.git.failures import GitTroubleError

MAX_OBJECTS_OCTETS = 32 * 1024 * 1024  # unpacked, together: 60,000 users at 500 octets
MAX_OBJECTS = 200_000  # each costs us some 300 octets besides
PIECE_OCTETS = 16 * 1024  # fed to zlib at a time: it copies what it has not used
HEADER_OCTETS = 12
TRAILER_OCTETS = 20  # SHA-1 over all before it
KINDS = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
OFFSET_DELTA, REFERENCE_DELTA = 6, 7
VERSION = 2
MAX_NUMBER_OCTETS = 8  # of sizes and distances: 56 bits, far above every bound; longer ones only cost time


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object's kind and content."""

    kind: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    """An object as it stands in a pack; ``base``: an offset or an id, for deltas."""

    kind: int
    content: bytes
    base: int | bytes = 0


def read_pack(pack: bytes) -> Mapping[bytes, GitObject]:
    """All objects of a pack by id, in hexadecimal. Bases of deltas must be in the pack."""
    return _PackReader(pack).read()


def object_id(kind: bytes, content: bytes) -> bytes:
    """The id in hexadecimal. SHA-1 is Git's choice; the connection is what we trust."""
    return hashlib.sha1(b"%b %d\0" % (kind, len(content)) + content).hexdigest().encode()  # noqa: S324


class _PackReader:
    def __init__(self, pack: bytes) -> None:
        self._pack = pack
        self._at = 0
        self._left = MAX_OBJECTS_OCTETS
        self._entries: dict[int, _Entry] = {}
        self._whole: dict[int, GitObject] = {}
        self._objects: dict[bytes, GitObject] = {}

    def read(self) -> Mapping[bytes, GitObject]:
        if len(self._pack) < HEADER_OCTETS + TRAILER_OCTETS or self._pack[:4] != b"PACK":
            raise _broken("it is no pack")
        version, count = (int.from_bytes(self._pack[at : at + 4], "big") for at in (4, 8))
        if version != VERSION:
            raise _broken(f"version {version}")
        if count > MAX_OBJECTS:
            raise _too_large(f"{count} objects")
        self._at = HEADER_OCTETS
        for _ in range(count):
            offset = self._at
            self._entries[offset] = self._entry(offset)
        body, digest = self._pack[: self._at], self._pack[self._at :]
        if hashlib.sha1(body).digest() != digest:  # noqa: S324 - see object_id
            raise _broken("the checksum is wrong")
        self._resolve()
        return self._objects

    def _entry(self, offset: int) -> _Entry:
        octet = self._octet()
        kind, size = (octet >> 4) & 7, octet & 15
        if octet & 0x80:
            more, self._at = _size_at(self._pack, self._at)
            size |= more << 4
        base: int | bytes = 0
        if kind == OFFSET_DELTA:
            base = offset - self._distance()
        elif kind == REFERENCE_DELTA:
            base = self._pack[self._at : self._at + TRAILER_OCTETS].hex().encode()
            self._at += TRAILER_OCTETS
        elif kind not in KINDS:
            raise _broken(f"an object of kind {kind}")
        return _Entry(kind, self._inflate(size), base)

    def _octet(self) -> int:
        if self._at >= len(self._pack):
            raise _broken("it ends too early")
        self._at += 1
        return self._pack[self._at - 1]

    def _distance(self) -> int:
        value = -1
        for _ in range(MAX_NUMBER_OCTETS):
            octet = self._octet()
            value = ((value + 1) << 7) | (octet & 0x7F)
            if not octet & 0x80:
                return value
        raise _broken("a number without end")

    def _inflate(self, size: int) -> bytes:
        self._spend(size)
        inflater = zlib.decompressobj()
        made = bytearray()
        while not inflater.eof:
            piece = self._pack[self._at : self._at + PIECE_OCTETS]
            if not piece:
                raise _broken("it ends too early")
            try:
                # One octet more than announced shows a lie without unpacking it.
                made += inflater.decompress(piece, size + 1 - len(made))
            except zlib.error as error:
                raise _broken("an object cannot be unpacked") from error
            if len(made) > size or inflater.unconsumed_tail:
                raise _broken("an object is larger than announced")
            self._at += len(piece) - len(inflater.unused_data)
        if len(made) != size:
            raise _broken("an object is smaller than announced")
        return bytes(made)

    def _spend(self, octets: int) -> None:
        self._left -= octets
        if self._left < 0:
            raise _too_large(f"more than {MAX_OBJECTS_OCTETS // 1024 // 1024} MB of files")

    def _resolve(self) -> None:
        """Make every object, each delta as soon as its base is there, in whatever order they stand."""
        waiting: dict[int | bytes, list[int]] = {}
        ready: list[int] = []
        for offset, entry in self._entries.items():
            (ready if entry.kind in KINDS else waiting.setdefault(entry.base, [])).append(offset)
        while ready:
            offset = ready.pop()
            made = self._make(self._entries[offset])
            name = object_id(made.kind, made.content)
            self._whole[offset] = self._objects[name] = made
            ready += (*waiting.pop(offset, ()), *waiting.pop(name, ()))
        if waiting:
            raise _broken("a delta has no base")

    def _make(self, entry: _Entry) -> GitObject:
        """The object of an entry whose base, if it has one, is there."""
        if entry.kind in KINDS:
            return GitObject(KINDS[entry.kind], entry.content)
        base = self._whole[entry.base] if isinstance(entry.base, int) else self._objects[entry.base]
        return GitObject(base.kind, self._apply(base.content, entry.content))

    def _apply(self, base: bytes, delta: bytes) -> bytes:
        base_size, at = _size_at(delta, 0)
        size, at = _size_at(delta, at)
        self._spend(size)
        if base_size != len(base):
            raise _broken("a delta of something else")
        made = bytearray()
        while at < len(delta):
            operation, at = delta[at], at + 1
            if operation & 0x80:
                start, length, at = _copy_at(delta, at, operation)
                made += base[start : start + length]
            elif operation:
                made += delta[at : at + operation]
                at += operation
            else:
                raise _broken("a delta of a later version")
            if len(made) > size:
                raise _broken("a delta makes more than announced")
        if len(made) != size:
            raise _broken("a delta makes less than announced")
        return bytes(made)


def _size_at(octets: bytes, at: int) -> tuple[int, int]:
    """A size, seven bits an octet, and where it ends."""
    size = 0
    for place in range(MAX_NUMBER_OCTETS):
        if at >= len(octets):
            raise _broken("a size ends too early")
        octet, at = octets[at], at + 1
        size |= (octet & 0x7F) << 7 * place
        if not octet & 0x80:
            return size, at
    raise _broken("a number without end")


def _copy_at(delta: bytes, at: int, operation: int) -> tuple[int, int, int]:
    """Start and length of a copy, and where the next operation is."""
    values = [0] * 7
    for bit in range(7):
        if operation & (1 << bit):
            if at >= len(delta):
                raise _broken("a delta ends too early")
            values[bit], at = delta[at], at + 1
    start = int.from_bytes(bytes(values[:4]), "little")
    return start, int.from_bytes(bytes(values[4:]), "little") or 0x10000, at


def _broken(what: str) -> GitTroubleError:
    return GitTroubleError(f"the pack cannot be read: {what}")


def _too_large(what: str) -> GitTroubleError:
    return GitTroubleError(f"the repository's head is too large: {what}", needs_operator=True)
