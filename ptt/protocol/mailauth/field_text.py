"""Writing values into structured header fields (RFC 5322 §3.2, RFC 8601 §2.2).

What stands in our trace fields comes from strangers: names, addresses, texts. Whatever they hold, a field
that is written here has the shape that we meant: quotes, parentheses and backslashes are escaped, control
characters become question marks, lines are folded.
"""

import re
from collections.abc import Sequence

LINE_OCTETS = 76  # RFC 5322 §2.1.1 asks for no more than 78

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9.-]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_IN_QUOTES = re.compile(r'(["\\])')
_IN_COMMENTS = re.compile(r"([()\\])")


def quoted(text: str) -> str:
    """A quoted-string."""
    return '"' + _IN_QUOTES.sub(r"\\\1", _CONTROLS.sub("?", text)) + '"'


def value(text: str) -> str:
    """A token where possible, else a quoted-string (RFC 2045 §5.1, RFC 8601 §2.2)."""
    return text if _TOKEN.fullmatch(text) else quoted(text)


def address_value(text: str) -> str:
    """``local-part@domain`` as RFC 8601 §2.2 lets it stand, anything else as ``value``."""
    return text if _ADDRESS.fullmatch(text) else value(text)


def comment(text: str) -> str:
    """A comment, parentheses included."""
    return "(" + _IN_COMMENTS.sub(r"\\\1", _CONTROLS.sub("?", text)) + ")"


def folded_field(name: str, parts: Sequence[str]) -> bytes:
    """A whole field, CRLF at the end: ``parts`` with a blank or a new line between them, none torn apart."""
    lines, line = [], f"{name}:"
    for part in parts:
        if len(line) + 1 + len(part) > LINE_OCTETS and line.strip():
            lines.append(line)
            line = f"\t{part}"
        else:
            line = f"{line} {part}"
    return ("\r\n".join([*lines, line]) + "\r\n").encode("utf-8", "replace")
