"""The tree of a MIME message as spans over its octets (RFC 2045, 2046), for judging, never for rewriting.

Every input has a tree. A delimiter is a whole line, so that boundaries which begin alike are told apart, and
one of an outer multipart ends all that is inside, even where a closing one is missing. A line that is no
field ends a part's header. Limits: depth 20, 1,000 parts; what goes beyond is not taken apart any further.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ptt.errors import Malformed
from ptt.protocol.mail.charsets import decode
from ptt.protocol.mail.content_type import TEXT_PLAIN, ContentType, parse_content_type
from ptt.protocol.mail.encoded_words import decode_words
from ptt.protocol.mail.header import Field, scan_fields
from ptt.protocol.mail.transfer import decode_transfer

MAX_DEPTH = 20  # mail programs nest five deep; each level costs a stack frame
MAX_PARTS = 1_000  # more are no mail but an attack on whoever reads them

MESSAGE = ContentType("message", "rfc822")
_MESSAGE_TYPES = {"message/rfc822", "message/global"}  # RFC 2046 §5.2.1, RFC 6532 §3.7
_ENCODED = {"base64", "quoted-printable"}
_MBOX_LINE = re.compile(rb">?From [^\n]*\n")
_EMPTY_LINE = re.compile(rb"\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """An entity: header ``data[start:body_start]``, body ``data[body_start:end]``, children in order.

    ``data`` is shared by all parts of a message, but for what an encoded ``message/rfc822`` holds: that is
    decoded. A message has its inner entity as its only child.
    """

    data: bytes = field(repr=False)
    start: int
    body_start: int
    end: int
    fields: tuple[Field, ...] = field(repr=False)
    content_type: ContentType
    children: tuple["Part", ...] = ()

    @property
    def body(self) -> bytes:
        """The body as it travelled."""
        return self.data[self.body_start : self.end]

    @property
    def encoding(self) -> str:
        """Content-Transfer-Encoding in lower case, or nothing."""
        value = self._value(b"content-transfer-encoding") or b""
        return value.split(b";")[0].strip().decode("ascii", "replace").lower()

    @property
    def disposition(self) -> ContentType | None:
        """Content-Disposition, None where there is none that can be read."""
        value = self._value(b"content-disposition")
        parsed = None if value is None else parse_content_type(value)
        return None if isinstance(parsed, Malformed) else parsed

    @property
    def filename(self) -> str | None:
        """What the sender calls the file, as text of any kind: never a path of ours."""
        value = self._value(b"content-disposition")
        # Also where the disposition itself is missing, as in `; filename=x`.
        parsed = None if value is None else parse_content_type(b"x; " + value)
        name = parsed.parameter("filename") if isinstance(parsed, ContentType) else None
        return name or self.content_type.parameter("name")

    @property
    def subject(self) -> str | None:
        """The decoded Subject."""
        value = self._value(b"subject")
        return None if value is None else decode_words(value)

    def content(self) -> bytes:
        """Give the body without its transfer encoding."""
        return decode_transfer(self.body, self.encoding)[0]

    def text(self) -> str:
        """Give the content as text by its charset, with LF as line end."""
        charset = self.content_type.parameter("charset") or "us-ascii"
        return decode(self.content(), charset).replace("\r\n", "\n")

    def walk(self) -> Iterator["Part"]:
        """Give this part and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def _value(self, lower: bytes) -> bytes | None:
        return next((each.value for each in self.fields if each.lower == lower), None)


def parse_mime(data: bytes) -> Part:
    """Read a message; the line with which mbox files begin each one is passed over."""
    start = _past_mbox_line(data, 0, len(data))
    return _Reader(MAX_PARTS).entity(data, start, len(data), TEXT_PLAIN, 0)


class _Reader:
    """Takes entities apart; knows how many it may still make."""

    def __init__(self, parts_left: int) -> None:
        self._parts_left = parts_left

    def entity(self, data: bytes, start: int, end: int, default: ContentType, depth: int) -> Part:
        """Read the entity that takes up ``data[start:end]``."""
        self._parts_left -= 1
        fields, body_start = scan_fields(data, start, end)
        empty_line = _EMPTY_LINE.match(data, body_start, end)
        body_start = empty_line.end() if empty_line else body_start
        part = Part(data, start, body_start, end, fields, _content_type(fields, default))
        if depth >= MAX_DEPTH:
            return part
        if part.content_type.type == "multipart":
            return replace(part, children=self._parts(part, depth + 1))
        if part.content_type.full_type in _MESSAGE_TYPES:
            return replace(part, children=self._message(part, depth + 1))
        return part

    def _parts(self, part: Part, depth: int) -> tuple[Part, ...]:
        boundary = (part.content_type.parameter("boundary") or "").rstrip().encode("utf-8", "replace")
        # RFC 2046 §5.1.5: in a digest everything is a message unless it says otherwise.
        default = MESSAGE if part.content_type.subtype == "digest" else TEXT_PLAIN
        spans = _spans(part.data, part.body_start, part.end, boundary) if boundary else []
        parts: list[Part] = []
        for start, end in spans:
            if self._parts_left <= 0:
                break
            parts.append(self.entity(part.data, start, end, default, depth))
        return tuple(parts)

    def _message(self, part: Part, depth: int) -> tuple[Part, ...]:
        data, start, end = part.data, part.body_start, part.end
        if part.encoding in _ENCODED:  # RFC 2046 §5.2.1 forbids it, and programs do it
            data = part.content()
            start, end = 0, len(data)
        if self._parts_left <= 0:
            return ()
        inner = self.entity(data, _past_mbox_line(data, start, end), end, TEXT_PLAIN, depth)
        return (inner,) if inner.fields else ()


def _spans(data: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
    """Give where each part of a multipart begins and ends."""
    spans: list[tuple[int, int]] = []
    begin: int | None = None
    dashes = b"--" + boundary
    position = data.find(dashes, start, end)
    while position >= 0:
        line_end = data.find(b"\n", position, end)
        after = end if line_end < 0 else line_end + 1
        tail = data[position + len(dashes) : after].rstrip()
        if tail in {b"", b"--"} and (position == start or data.startswith(b"\n", position - 1)):
            if begin is not None:
                spans.append((begin, _before_line_end(data, position)))
            begin = after
            if tail:
                break
        position = data.find(dashes, after, end)
    else:
        if begin is not None and begin < end:
            spans.append((begin, end))
    return [(first, last) for first, last in spans if first <= last]


def _before_line_end(data: bytes, position: int) -> int:
    """The line end before a delimiter belongs to it (RFC 2046 §5.1.1)."""
    if data.endswith(b"\r\n", 0, position):
        return position - 2
    return position - 1


def _past_mbox_line(data: bytes, start: int, end: int) -> int:
    line = _MBOX_LINE.match(data, start, end)
    return line.end() if line else start


def _content_type(fields: tuple[Field, ...], default: ContentType) -> ContentType:
    value = next((each.value for each in fields if each.lower == b"content-type"), None)
    parsed = default if value is None else parse_content_type(value)
    # RFC 2045 §5.2: what cannot be read is plain text; so is the bare "text" of old programs.
    if isinstance(parsed, Malformed):
        return TEXT_PLAIN
    return replace(parsed, subtype="plain") if parsed.full_type == "text" else parsed
