"""Message identifiers (RFC 5322 §3.6.4): reading with tolerance, and making them.

What real programs write between the angle brackets is no ``dot-atom @ domain`` every time, so anything but
brackets is taken, and told apart by ``is_dot_atom``. Case makes no difference, as with other programs.
"""

import re
from dataclasses import dataclass

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name

MIN_RANDOM_OCTETS = 8  # two equal ones among a thousand million are as likely as one in 37; callers give 16

_ATEXT = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+"
_DOT_ATOM = _ATEXT + rb"(?:\." + _ATEXT + rb")*"
_DOT_ATOM_ID = re.compile(_DOT_ATOM + rb"@" + _DOT_ATOM)
_BRACKETED = re.compile(rb"<([^<>]+)>")
_FIRST = re.compile(rb"(?:\s|\([^()]*\))*<([^<>]+)>")


@dataclass(frozen=True, slots=True)
class MessageId:
    """``text`` is what stands between the brackets, as written."""

    text: bytes

    @property
    def is_dot_atom(self) -> bool:
        """Whether it has the form that RFC 5322 tells programs to write."""
        return _DOT_ATOM_ID.fullmatch(self.text) is not None

    def canonical(self) -> bytes:
        """The form to compare by: lower case, white space removed."""
        return b"".join(self.text.split()).lower()


def parse_message_id(value: bytes) -> MessageId | Malformed:
    """Read the value of Message-ID; what stands behind the identifier is ignored."""
    match = _FIRST.match(value)
    return MessageId(match[1]) if match else Malformed("not a message identifier")


def parse_message_ids(value: bytes) -> tuple[MessageId, ...]:
    """Give the identifiers of In-Reply-To or References; other words there are ignored (RFC 5322 §4.5.4)."""
    return tuple(MessageId(text) for text in _BRACKETED.findall(value))


def make_message_id(random: bytes, domain: Name) -> bytes:
    """Make an identifier, brackets included, from random octets (16 are a good number) and a name of ours."""
    if len(random) < MIN_RANDOM_OCTETS:
        raise MisuseError(f"a message identifier needs {MIN_RANDOM_OCTETS} random octets")
    return f"<{random.hex()}@{domain}>".encode()
