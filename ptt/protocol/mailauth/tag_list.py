"""Tag lists: ``name=value; name=value`` (RFC 6376 §3.2), as DKIM and ARC fields and key records have them.

Names are compared to the letter, values keep their case and inner white space. A list with a tag twice,
with a piece that is no tag, or with octets outside the grammar is malformed as a whole. UTF-8 is let
through in values (RFC 8616 §4).
"""

import re

from ptt.errors import Malformed

WHITE_SPACE = b" \t\r\n"

_TAG = re.compile(rb"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=([\t\r\n -:<-~\x80-\xff]*)", re.DOTALL)
_BLANKS = re.compile(rb"[ \t\r\n]+")


def parse_tag_list(text: bytes) -> dict[bytes, bytes] | Malformed:
    """Read a list into name -> value, in the order written; values without white space at their ends."""
    pieces = text.split(b";")
    if not pieces[-1].strip(WHITE_SPACE):
        pieces.pop()  # the last semicolon may be there
    tags: dict[bytes, bytes] = {}
    for piece in pieces:
        match = _TAG.fullmatch(piece)
        if match is None:
            return Malformed("not a list of tags")
        name = match[1]
        if name in tags:
            return Malformed(f"the tag {name.decode()} twice")
        tags[name] = match[2].strip(WHITE_SPACE)
    return tags


def without_white_space(value: bytes) -> bytes:
    """A value in which folding white space means nothing, such as base64."""
    return _BLANKS.sub(b"", value)


def colon_list(value: bytes) -> list[bytes]:
    """The parts of ``a : b : c``."""
    return [part.strip(WHITE_SPACE) for part in value.split(b":")]
