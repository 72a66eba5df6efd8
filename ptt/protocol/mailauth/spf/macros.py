"""Macro strings: ``%{ir}.%{v}._spf.%{d2}`` (RFC 7208 §7).

Parsing checks the grammar, expanding only fills in: what a macro stands for is given, so that the one that
needs the DNS (``p``) is looked up by the caller. U-labels come as A-labels (RFC 8616 §4).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

from ptt.errors import Malformed

MAX_DIGITS = 3  # RFC 7208 §7.3: 128 has to be supported; a name has no more labels

_EVERYWHERE = "slodiphv"
_IN_EXPLANATIONS = "crt"  # RFC 7208 §7.2
_PART = re.compile(
    r"(?P<literal>[!-$&-~]+)|%(?P<escape>[%_-])"
    r"|%\{(?P<letter>[A-Za-z])(?P<digits>[0-9]*)(?P<reverse>[rR]?)(?P<delimiters>[.\-+,/_=]*)\}"
)
_PART_OR_SPACE = re.compile(_PART.pattern.replace("[!-$&-~]", "[ -$&-~]"))
_TOP_LABEL_OR_ESCAPE = re.compile(  # §7.1: a last label that no number can be mistaken for
    r"(?:\.(?:[0-9A-Za-z]*[A-Za-z][0-9A-Za-z]*|[0-9A-Za-z]+-[0-9A-Za-z-]*[0-9A-Za-z])\.?"
    r"|(?<!%)(?:%%)*%[%_-])\Z"
)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}


@dataclass(frozen=True, slots=True)
class Macro:
    """``%{letter digits r delimiters}``: the right-most ``keep`` parts, reversed before that if wanted."""

    letter: str
    keep: int | None
    is_reversed: bool
    delimiters: str
    is_escaped: bool


@dataclass(frozen=True, slots=True)
class MacroString:
    """Literal text and macros in their order; ``text`` is the whole as written."""

    parts: tuple[str | Macro, ...]
    text: str

    @property
    def needs_validated_name(self) -> bool:
        """Whether ``p`` is in it, which costs look-ups."""
        return any(isinstance(part, Macro) and part.letter == "p" for part in self.parts)


@dataclass(frozen=True, slots=True)
class MacroValues:
    """What the macros stand for (RFC 7208 §7.2). ``validated_name`` is ``unknown`` where there is none."""

    local_part: str
    sender_domain: str
    domain: str
    address: IPv4Address | IPv6Address
    helo: str
    validated_name: str
    receiver: str
    now: int


def parse_macro_string(text: str, *, is_explanation: bool = False) -> MacroString | Malformed:
    """Read a macro string. In the text of an explanation blanks and three more macros may stand."""
    pattern = _PART_OR_SPACE if is_explanation else _PART
    letters = _EVERYWHERE + _IN_EXPLANATIONS if is_explanation else _EVERYWHERE
    parts: list[str | Macro] = []
    position = 0
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            return Malformed("a macro that is not one")
        position = match.end()
        if match["letter"] is None:
            parts.append(match["literal"] or _ESCAPES[match["escape"]])
            continue
        macro = _macro(match, letters)
        if isinstance(macro, Malformed):
            return macro
        parts.append(macro)
    return MacroString(tuple(parts), text)


def parse_domain_spec(text: str) -> MacroString | Malformed:
    """Read the domain of a term: it ends in a last label or in a macro."""
    macros = parse_macro_string(text)
    if isinstance(macros, Malformed):
        return macros
    ends_in_macro = bool(macros.parts) and isinstance(macros.parts[-1], Macro)
    if not ends_in_macro and _TOP_LABEL_OR_ESCAPE.search(text) is None:
        return Malformed("the domain does not end as one")
    return macros


def _macro(match: re.Match[str], letters: str) -> Macro | Malformed:
    letter, digits = match["letter"], match["digits"]
    if letter.lower() not in letters:
        return Malformed(f"the macro {letter} does not exist here")
    if len(digits) > MAX_DIGITS or (digits and int(digits) == 0):
        return Malformed("a macro with an impossible number of parts")
    return Macro(
        letter.lower(),
        int(digits) if digits else None,
        bool(match["reverse"]),
        match["delimiters"] or ".",
        letter.isupper(),
    )


def expand(macro_string: MacroString, values: MacroValues) -> str:
    """Fill in the values (RFC 7208 §7.3)."""
    return "".join(part if isinstance(part, str) else _expanded(part, values) for part in macro_string.parts)


def _expanded(macro: Macro, values: MacroValues) -> str:
    parts = re.split(f"[{re.escape(macro.delimiters)}]", _value(macro.letter, values))
    if macro.is_reversed:
        parts.reverse()
    text = ".".join(parts if macro.keep is None else parts[-macro.keep :])
    return quote(text, safe="") if macro.is_escaped else text


def _value(letter: str, values: MacroValues) -> str:
    match letter:
        case "s":
            return f"{values.local_part}@{values.sender_domain}"
        case "l":
            return values.local_part
        case "o":
            return values.sender_domain
        case "d":
            return values.domain
        case "i":
            if isinstance(values.address, IPv4Address):
                return str(values.address)
            return ".".join(values.address.exploded.replace(":", ""))
        case "p":
            return values.validated_name
        case "v":
            return "in-addr" if isinstance(values.address, IPv4Address) else "ip6"
        case "h":
            return values.helo
        case "c":
            return str(values.address)
        case "r":
            return values.receiver
        case _:
            return str(values.now)  # "t"; the parser lets no other letter through
