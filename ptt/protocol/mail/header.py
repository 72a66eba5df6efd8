"""The header of a message as spans over the octets that came (RFC 5322 §2.2, UTF-8 by RFC 6532 §3.2).

Nothing is ever rewritten: a field is a piece of the block as written, folded lines and line end included,
so all fields and the empty line, put together, are the block. Read with tolerance: blanks before the colon
(§4.5), 8-bit octets in values, bare LF as line end (files and embedded messages; the SMTP dialogue lets none
through). What is no field, no folded line and not the empty line is malformed. Limits: 256 KiB, 2,000 fields.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ptt.errors import Malformed

MAX_HEADER_OCTETS = 256 * 1024  # what Exchange takes by default; the largest real ones have some 100 kB
MAX_FIELDS = 2_000  # twice the 1,000 Received fields at which the most patient servers give up on a loop

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:.*(?:\n[ \t].*)*\n?")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_EMPTY_LINE_OCTETS = 3  # so much of it can stand in the buffer before


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``raw`` is all of it as written, with folded lines and the final line end (if there is)."""

    name: bytes
    lower: bytes
    raw: bytes
    start: int
    """Where ``raw`` begins in the block."""

    @property
    def value(self) -> bytes:
        """What stands behind the colon, unfolded (RFC 5322 §2.2.3), without blanks at the ends."""
        body = self.raw[self.raw.index(b":") + 1 :]
        return body.replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t")


@dataclass(frozen=True, slots=True)
class Header:
    """``block``: the octets of all fields and of the empty line, which is missing when nothing follows."""

    block: bytes = field(repr=False)
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Octets of the block: where the body begins."""
        return len(self.block)

    @property
    def has_nul(self) -> bool:
        """Whether a NUL is in it (RFC 5322 §4: forbidden, and what other programs stop at)."""
        return b"\0" in self.block

    def all(self, lower: bytes) -> list[Field]:
        """Give the fields of this name (in lower case) from the top."""
        return [each for each in self.fields if each.lower == lower]

    def first(self, lower: bytes) -> Field | None:
        """Give the topmost field of this name (in lower case)."""
        return next((each for each in self.fields if each.lower == lower), None)

    def count(self, lower: bytes) -> int:
        """How many fields have this name (in lower case)."""
        return sum(each.lower == lower for each in self.fields)

    def without(self, unwanted: Callable[[Field], bool]) -> list[bytes]:
        """Give the block without these fields as buffers, the empty line included, the body not."""
        kept, start = [], 0
        for each in self.fields:
            if unwanted(each):
                kept.append(self.block[start : each.start])
                start = each.start + len(each.raw)
        kept.append(self.block[start:])
        return [span for span in kept if span]


def parse_header(data: bytes) -> Header | Malformed:
    """Read the header at the start of ``data``; a body may follow it."""
    size = _size_of_header(data)
    if isinstance(size, Malformed):
        return size
    block = data[:size]
    fields, position = scan_fields(block, 0, size)
    if block[position:] not in {b"", b"\r\n", b"\n"}:
        line = block.count(b"\n", 0, position) + 1
        return Malformed(f"line {line} of the header is not a field")
    if len(fields) > MAX_FIELDS:
        return Malformed(f"more than {MAX_FIELDS} header fields")
    return Header(block, fields)


def scan_fields(data: bytes, start: int, end: int) -> tuple[tuple[Field, ...], int]:
    """Read fields from ``start`` up to the first line that is none; give them and where that line begins."""
    fields: list[Field] = []
    while match := _FIELD.match(data, start, end):
        name = match[1]
        fields.append(Field(name, name.lower(), match[0], start))
        start = match.end()
    return tuple(fields), start


def split_header(buffers: Sequence[bytes]) -> tuple[Header, tuple[bytes, ...]] | Malformed:
    """Read the header of a message that is a list of buffers; the body's buffers are handed back unjoined."""
    start, index = bytearray(), 0
    while index < len(buffers) and len(start) <= MAX_HEADER_OCTETS:
        seen = max(0, len(start) - _EMPTY_LINE_OCTETS)
        start += buffers[index]
        index += 1
        if start.startswith((b"\n", b"\r\n")) or _EMPTY_LINE.search(start, seen):
            break
    header = parse_header(bytes(start))
    if isinstance(header, Malformed):
        return header
    rest = bytes(start[header.size :])
    return header, ((rest,) if rest else ()) + tuple(buffers[index:])


def _size_of_header(data: bytes) -> int | Malformed:
    if data.startswith((b"\n", b"\r\n")):
        return data.index(b"\n") + 1
    end = _EMPTY_LINE.search(data, 0, MAX_HEADER_OCTETS)
    if end is not None:
        return end.end()
    if len(data) > MAX_HEADER_OCTETS:
        return Malformed(f"a header longer than {MAX_HEADER_OCTETS} octets")
    return len(data)
