"""A domain name (RFC 1035 §3.1), compared without regard to case (RFC 4343).

Small and free of dependencies because units that never speak DNS still handle names. Labels are
bytes, so any wire name can be held; text input may hold U-labels, which become A-labels (RFC 5891).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import idna
import idna.uts46data  # imported late by idna: nothing is imported once a unit is closed

from ptt.errors import Malformed, MisuseError

MAX_LABEL_OCTETS = 63  # RFC 1035 §2.3.4
MAX_NAME_OCTETS = 255  # RFC 1035 §2.3.4, length octets and the root's included
MAX_OCTET = 0xFF
MAX_TEXT_LENGTH = 4 * MAX_NAME_OCTETS  # every octet written as \\DDD; longer input is not worth a look


@dataclass(frozen=True)
class Name:
    """An absolute name: labels in lower case, without the root's empty label. ``Name(())`` is the root."""

    labels: tuple[bytes, ...]

    @staticmethod
    def parse(text: str) -> "Name | Malformed":
        r"""Read presentation form (``a.example.``; the final dot may be missing).

        U-labels become A-labels. ``\DDD`` and ``\X`` escapes (RFC 1035 §5.1) are read, in ASCII text alone.
        """
        if len(text) > MAX_TEXT_LENGTH:
            return Malformed(f"the name is longer than {MAX_NAME_OCTETS} octets")
        if text in {"", "."}:
            return Malformed("an empty name") if not text else Name(())
        if "\\" in text:
            labels = _split_escaped(text)
        else:
            labels = [_to_a_label(part) for part in text.removesuffix(".").split(".")]
        return _checked(labels)

    @staticmethod
    def of(text: str) -> "Name":
        """Read a name that we wrote ourselves; a malformed one is our bug."""
        name = Name.parse(text)
        if isinstance(name, Malformed):
            raise MisuseError(f"{text!r}: {name.reason}")
        return name

    @cached_property
    def text(self) -> str:
        """Presentation form without the final dot; the root is ``.``."""
        return ".".join(_escape(label) for label in self.labels) or "."

    def __str__(self) -> str:
        return self.text

    def parents(self) -> Iterator["Name"]:
        """The enclosing names from the nearest one up to, and with, the root."""
        for start in range(1, len(self.labels) + 1):
            yield Name(self.labels[start:])

    def is_at_or_below(self, ancestor: "Name") -> bool:
        """Whether ``ancestor`` is this name or one that encloses it."""
        count = len(ancestor.labels)
        return count == 0 or self.labels[-count:] == ancestor.labels

    def below(self, *labels: bytes) -> "Name | Malformed":
        """``labels`` put in front of this name."""
        return _checked([*labels, *self.labels])


def _checked(labels: "list[bytes] | Malformed") -> "Name | Malformed":
    if isinstance(labels, Malformed):
        return labels
    if any(not label for label in labels):
        return Malformed("an empty label")
    if any(len(label) > MAX_LABEL_OCTETS for label in labels):
        return Malformed(f"a label is longer than {MAX_LABEL_OCTETS} octets")
    if sum(len(label) + 1 for label in labels) + 1 > MAX_NAME_OCTETS:
        return Malformed(f"the name is longer than {MAX_NAME_OCTETS} octets")
    return Name(tuple(label.lower() for label in labels))


def _to_a_label(label: str) -> bytes:
    if label.isascii():
        return label.encode("ascii")
    try:
        a_label = idna.encode(label, uts46=True)
    except (idna.IDNAError, UnicodeError):
        return b""  # refused as an empty label by the caller
    return b"" if b"." in a_label else a_label  # an ideographic full stop is no dot (RFC 5890 §2.3.2.3)


def _split_escaped(text: str) -> "list[bytes] | Malformed":
    if not text.isascii():
        return Malformed("escapes beside characters that are not ASCII")
    labels, label, position = [], bytearray(), 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == ".":
            labels.append(bytes(label))
            label.clear()
        elif char != "\\":
            label += char.encode()
        elif text[position : position + 3].isdigit() and len(text) >= position + 3:
            value = int(text[position : position + 3])
            if value > MAX_OCTET:
                return Malformed("an escape above \\255")
            label.append(value)
            position += 3
        elif position < len(text):
            label += text[position].encode()
            position += 1
        else:
            return Malformed("a backslash at the end")
    return [*labels, bytes(label)] if label else labels


def _escape(label: bytes) -> str:
    if label.isalnum():
        return label.decode("ascii")
    return "".join(
        chr(octet)
        if octet in _PLAIN
        else f"\\{chr(octet)}"
        if 0x20 < octet < 0x7F  # noqa: PLR2004 - printable ASCII
        else f"\\{octet:03d}"
        for octet in label
    )


_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_/*+=")
