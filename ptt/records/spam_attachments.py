"""Whether a file that comes with a message is a program by its name [F2].

The name is read as MIME has it: quoted, in sections and charsets of RFC 2231, encoded words, in nested parts
and embedded messages. What is inside a file is not looked at. Limits: in a message longer than what is taken
apart, the rest is searched for the lines alone that give names.
"""

import re
from collections.abc import Iterable, Iterator

from ptt.errors import Malformed
from ptt.protocol.mail.content_type import parse_content_type
from ptt.protocol.mail.mime import Part

# What a system runs when it is opened; nobody has a reason to send it as it is. Archives are not among them.
DANGEROUS = frozenset(
    (
        *("ade", "adp", "bat", "chm", "cmd", "com", "cpl", "exe", "hta", "ins", "isp", "jar", "js", "jse"),
        *("lib", "lnk", "mde", "msc", "msi", "msp", "mst", "pif", "ps1", "reg", "scr", "sct", "shb", "sys"),
        *("vb", "vbe", "vbs", "vxd", "wsc", "wsf", "wsh"),
    )
)
MAX_EXTENSION = 10  # characters; what is longer is no extension
MAX_NAMES = 1_000  # as many as a message may have parts

_END_OF_NAME = " .\t\r\n\0\"'"  # Windows drops blanks and dots there
_NAMING_LINE = re.compile(rb"\n[Cc]ontent-(?:[Tt]ype|[Dd]isposition)[ \t]*:(.*(?:\n[ \t].*){0,50})")


def extension(name: str) -> str:
    """Give the extension in lower case, or nothing."""
    _, dot, last = name.rstrip(_END_OF_NAME).rpartition(".")
    last = last.lower()
    return last if dot and len(last) <= MAX_EXTENSION and last.isalnum() else ""


def is_dangerous(name: str) -> bool:
    """Whether a file of this name is run when it is opened."""
    return extension(name) in DANGEROUS


def part_names(part: Part) -> tuple[str, ...]:
    """Both names that a part may have: programs differ in which they show."""
    both = (part.filename, part.content_type.parameter("name"))
    return tuple(dict.fromkeys(name for name in both if name))


def names_in(buffers: Iterable[bytes]) -> Iterator[str]:
    """The names that stand in buffers which nobody takes apart."""
    left = MAX_NAMES
    for buffer in buffers:
        for match in _NAMING_LINE.finditer(buffer):
            if left == 0:
                return
            left -= 1
            parsed = parse_content_type(match[1])
            if not isinstance(parsed, Malformed):
                both = (parsed.parameter("filename"), parsed.parameter("name"))
                yield from (name for name in both if name)
