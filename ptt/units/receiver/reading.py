"""A message from anybody, read with tolerance: its header, what is behind it, who its authors claim to be.

Real mail has broken headers; they are passed on as they are, and judged by what a reader may see in them. The
header ends at the first line that is no field, as Postfix has it; but a From line that stands behind such a
line, and before the first empty one, may be shown by some reader and counts as a claim, too.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address_list import parse_address_list
from ptt.protocol.mail.header import MAX_HEADER_OCTETS, Header, scan_fields, split_header

_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_FROM_LINE = re.compile(rb"^from[ \t]*:(.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
_DOMAIN = re.compile(rb"@[ \t]*([A-Za-z0-9._-]+)")


@dataclass(frozen=True, slots=True)
class Reading:
    """``body`` is everything behind ``header``, in buffers; ``fault`` says what is wrong with the header."""

    header: Header
    body: tuple[bytes, ...]
    claimed_authors: frozenset[Name]
    """The domains in all From fields, well-formed or not."""
    fault: str | None = None


def read_message(buffers: Sequence[bytes]) -> Reading:
    """Read a message, whatever it is."""
    split = split_header(buffers)
    if not isinstance(split, Malformed):
        header, body = split
        return Reading(header, body, _claims(field.value for field in header.all(b"from")))
    start, rest = _beginning(buffers)
    fields, end = scan_fields(start, 0, len(start))
    empty = _EMPTY_LINE.search(start)
    region = start[: empty.start() if empty else len(start)]
    claims = _claims(match[1] for match in _FROM_LINE.finditer(region))
    body = (start[end:], *rest) if start[end:] else tuple(rest)
    return Reading(Header(start[:end], fields), body, claims, split.reason)


def _beginning(buffers: Sequence[bytes]) -> tuple[bytes, tuple[bytes, ...]]:
    """The first octets, enough for any header that is served, and the rest."""
    start, index = bytearray(), 0
    while index < len(buffers) and len(start) <= MAX_HEADER_OCTETS:
        start += buffers[index]
        index += 1
    return bytes(start), tuple(buffers[index:])


def _claims(values: Iterable[bytes]) -> frozenset[Name]:
    found: set[Name] = set()
    for value in values:
        mailboxes = parse_address_list(value)
        if isinstance(mailboxes, Malformed):
            names = (Name.parse(match.decode("ascii")) for match in _DOMAIN.findall(value))
            found.update(name for name in names if isinstance(name, Name))
        else:
            found.update(mailbox.domain for mailbox in mailboxes if isinstance(mailbox.domain, Name))
    return frozenset(found)
