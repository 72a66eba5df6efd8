r"""Regular expressions of aliases, and targets with parts of what they matched [C6].

An expression is matched against a whole local part, whatever its case. A part of Python's language is taken,
small enough that a match takes a bounded number of steps whatever a stranger writes: characters, ``.``,
classes, ``\d \w``, groups, ``|``, and repetition of single characters; no repeated groups, no references, no
looking around. How many ways there are to match is counted when the expression is read. In a target's local
part ``$1`` to ``$9`` stand for the groups, ``$0`` for the whole, ``$$`` for a dollar; the domain is always
the operator's.
"""

import math
import re
from dataclasses import dataclass, field

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import (
    MAX_LOCAL_PART_OCTETS,
    Mailbox,
    make_mailbox,
    parse_domain,
    quote_local_part,
)

MAX_PATTERN_CHARACTERS = 200
MAX_WAYS = 50_000  # of matching a local part of 64 octets; all of them are tried in about 2 ms
MAX_DEPTH = 5  # of groups in groups
MANY = 3  # a repetition of more lengths than these counts as free
MAX_GROUPS = 9  # $1 to $9

_CLASS = re.compile(r"\[\^?(?:(?!--|&&|~~|\|\|)[^\[\]\\]|\\[\\\]\[^.+\-dw])+\]")
_ESCAPE = re.compile(r"\\[dw.+*?()\[\]{}|^$\\/_@&'#%!=~`-]")
_LITERAL = re.compile(r"[^\\\[\](){}*+?|^$]")  # the dot too: it is one character, any
_QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d{1,2})(?:(,)(\d{1,2})?)?\})(\??)")
_PLACE = re.compile(r"\$(.?)")


@dataclass(frozen=True, slots=True)
class _Cost:
    """Ways to match: ``choices`` times all ways to give ``free`` repetitions their lengths."""

    choices: int = 1
    free: int = 0

    @property
    def ways(self) -> int:
        return self.choices * math.comb(MAX_LOCAL_PART_OCTETS + self.free, self.free)

    def then(self, other: "_Cost") -> "_Cost":
        return _Cost(self.choices * other.choices, self.free + other.free)

    def otherwise(self, other: "_Cost") -> "_Cost":
        return _Cost(self.choices + other.choices, max(self.free, other.free))


@dataclass(frozen=True, slots=True)
class AliasPattern:
    """An expression that was read; equal when the texts are."""

    text: str
    compiled: "re.Pattern[str]" = field(compare=False, repr=False)

    @property
    def groups(self) -> int:
        """How many groups there are to refer to."""
        return self.compiled.groups

    def match(self, folded_local_part: str) -> tuple[str, ...] | None:
        """The whole and each group, where the expression is all of the local part."""
        # The number of ways holds for local parts of the usual length; there are no others on the wire.
        if len(folded_local_part) > MAX_LOCAL_PART_OCTETS:
            return None
        found = self.compiled.fullmatch(folded_local_part)
        return None if found is None else (found.group(), *(group or "" for group in found.groups()))


@dataclass(frozen=True, slots=True)
class TargetTemplate:
    """A target whose local part may name groups: its pieces and, between them, the numbers of groups."""

    pieces: tuple[str | int, ...]
    domain: Name

    def fill(self, groups: tuple[str, ...]) -> Mailbox | None:
        """The target for a match; None where it is no ordinary mailbox.

        A local part that needs quotes is none: no stranger makes one up that a target may read as a way
        somewhere else.
        """
        local_part = "".join(groups[piece] if isinstance(piece, int) else piece for piece in self.pieces)
        if quote_local_part(local_part) != local_part:
            return None
        made = make_mailbox(local_part, self.domain)
        return None if isinstance(made, Malformed) else made

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same whatever was matched."""
        return not any(isinstance(piece, int) for piece in self.pieces)


def parse_pattern(text: str) -> AliasPattern | Malformed:
    """Read an expression; ``^`` in front and ``$`` behind are taken and change nothing."""
    if not 0 < len(text) <= MAX_PATTERN_CHARACTERS:
        return Malformed(f"an expression of {len(text)} characters, not 1 to {MAX_PATTERN_CHARACTERS}")
    inner = text.removeprefix("^")
    if inner.endswith("$") and not inner.endswith("\\$"):
        inner = inner[:-1]
    reader = _Reader(inner)
    cost = reader.alternatives(0)
    if isinstance(cost, Malformed):
        return cost
    if reader.at != len(inner):
        return Malformed(f"a bracket too many at character {reader.at + 1} of the expression")
    if cost.ways > MAX_WAYS:
        return Malformed("an expression with too many ways to match; use fewer * and + and |")
    try:
        compiled = re.compile(inner, re.IGNORECASE)
    except re.error as error:
        return Malformed(f"not a regular expression: {error.msg}")
    if compiled.groups > MAX_GROUPS:
        return Malformed(f"an expression with more than {MAX_GROUPS} groups")
    return AliasPattern(text, compiled)


def parse_template(text: str, groups: int) -> TargetTemplate | Malformed:
    """Read a target of an alias with an expression of so many groups."""
    local_part, at, domain_text = text.rpartition("@")
    domain = parse_domain(domain_text)
    if not at or isinstance(domain, Malformed):
        return Malformed("not a mailbox; $1 may stand in its local part only")
    pieces: list[str | int] = []
    end = 0
    for place in _PLACE.finditer(local_part):
        pieces.append(local_part[end : place.start()])
        what = place.group(1)
        if what == "$":
            pieces.append("$")
        elif what.isdecimal() and what.isascii() and int(what) <= groups:
            pieces.append(int(what))
        else:
            return Malformed(f"there is no ${what} here: the expression has {groups} groups; a dollar is $$")
        end = place.end()
    pieces.append(local_part[end:])
    template = TargetTemplate(tuple(piece for piece in pieces if piece != ""), domain)
    return template if template.fill(("x",) * (groups + 1)) else Malformed("not a mailbox")


class _Reader:
    """Reads an expression from left to right and counts the ways to match it."""

    def __init__(self, text: str) -> None:
        self.at = 0
        self._text = text

    def alternatives(self, depth: int) -> _Cost | Malformed:
        """Sequences with ``|`` between them, up to a closing bracket or the end."""
        total = self._sequence(depth)
        while not isinstance(total, Malformed) and self._next() == "|":
            self.at += 1
            other = self._sequence(depth)
            total = other if isinstance(other, Malformed) else total.otherwise(other)
        return total

    def _next(self) -> str:
        return self._text[self.at : self.at + 1]

    def _sequence(self, depth: int) -> _Cost | Malformed:
        total = _Cost()
        while (char := self._next()) not in {"", "|", ")"}:
            cost = self._group(depth) if char == "(" else self._character()
            if isinstance(cost, Malformed):
                return cost
            total = total.then(cost)
        return total

    def _group(self, depth: int) -> _Cost | Malformed:
        if depth == MAX_DEPTH:
            return Malformed(f"an expression with groups more than {MAX_DEPTH} deep")
        start = self.at
        self.at += 3 if self._text.startswith("(?:", start) else 1
        if self._next() == "?":
            return Malformed("an expression with (?…) other than (?:…)")
        cost = self.alternatives(depth + 1)
        if isinstance(cost, Malformed):
            return cost
        if self._next() != ")":
            return Malformed(f"an expression with a bracket at character {start + 1} that is not closed")
        self.at += 1
        if self._next() == "?":
            self.at += 1
            cost = cost.otherwise(_Cost())
        if self._next() in {"*", "+", "{", "?"}:
            return Malformed("an expression that repeats a group; repeat single characters")
        return cost

    def _character(self) -> _Cost | Malformed:
        for form in (_LITERAL, _CLASS, _ESCAPE):
            if (found := form.match(self._text, self.at)) is not None:
                self.at = found.end()
                return self._repeated()
        return Malformed(f"what stands at character {self.at + 1} of the expression cannot be used here")

    def _repeated(self) -> _Cost | Malformed:
        found = _QUANTIFIER.match(self._text, self.at)
        if found is None:
            return _Cost()
        self.at = found.end()
        if self._next() in {"*", "+", "?", "{"}:
            return Malformed("an expression that repeats a repetition")
        sign, least, comma, most, _ = found.groups()
        if sign is not None:
            return _Cost(2) if sign == "?" else _Cost(free=1)
        if comma is None:
            return _Cost()
        if most is None:
            return _Cost(free=1)
        lengths = int(most) - int(least) + 1
        if lengths < 1:
            return Malformed("an expression with {m,n} in which m is more than n")
        return _Cost(lengths) if lengths <= MANY else _Cost(free=1)
