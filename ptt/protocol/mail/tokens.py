"""The tokens of structured header fields (RFC 5322 §3.2, obsolete forms §4.1, UTF-8 by RFC 6532 §3.2).

Atoms, quoted strings, comments (nested, to a bound), domain literals and specials; white space and folding
fall away and leave a mark at the next token. An encoded word (RFC 2047) is one token even where it holds
commas or parentheses, as careless programs write it; not where it holds ``<``, ``>``, ``@`` or quotes: nobody
hides an address in one. Works on values as written or unfolded, in time linear in their length.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from ptt.errors import Malformed

MAX_COMMENT_DEPTH = 32  # nobody nests comments on purpose more than twice; a bound keeps nonsense out

# Each repeated group begins with an octet that the class before it leaves out: no backtracking into it. (Not
# possessive quantifiers: Python 3.11 before 3.11.5 matches groups under them wrongly.)
_PAIR_OR_FOLD = rb"(?:\\[^\r\n]|\r?\n(?=[ \t]))"
_SPACE = re.compile(rb"[ \t]+(?:\r?\n[ \t]+)*|(?:\r?\n[ \t]+)+")
_COMMENT_PIECE = re.compile(rb"[^()\\\r\n]*(?:" + _PAIR_OR_FOLD + rb"[^()\\\r\n]*)*([()])")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_TOKEN = re.compile(
    rb"(?P<encoded>=\?[^?\s<>@\"\\]+\?[BbQq]\?[^?\s<>@\"\\]*\?=)"
    rb"|(?P<atom>[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]+)"
    rb'|(?P<quoted>"[^"\\\r\n]*(?:' + _PAIR_OR_FOLD + rb'[^"\\\r\n]*)*")'
    rb"|(?P<literal>\[[^\[\]\\\r\n]*(?:" + _PAIR_OR_FOLD + rb"[^\[\]\\\r\n]*)*\])"
    rb"|(?P<special>[<>:;@,.])"
)


class Kind(Enum):
    """What a token is."""

    ATOM = auto()
    ENCODED_WORD = auto()
    QUOTED_STRING = auto()
    COMMENT = auto()
    DOMAIN_LITERAL = auto()
    SPECIAL = auto()


_KINDS = {
    "encoded": Kind.ENCODED_WORD,
    "atom": Kind.ATOM,
    "quoted": Kind.QUOTED_STRING,
    "literal": Kind.DOMAIN_LITERAL,
    "special": Kind.SPECIAL,
}


@dataclass(frozen=True, slots=True)
class Token:
    """``raw`` is the token as written, delimiters included; ``spaced``: white space before it."""

    kind: Kind
    raw: bytes
    spaced: bool

    @property
    def text(self) -> bytes:
        """What the token stands for: delimiters, backslashes and folding removed."""
        if self.kind in {Kind.ATOM, Kind.ENCODED_WORD, Kind.SPECIAL}:
            return self.raw
        inner = self.raw[1:-1].replace(b"\r\n", b"").replace(b"\n", b"")
        return _QUOTED_PAIR.sub(rb"\1", inner)

    def is_special(self, characters: bytes) -> bool:
        """Whether this is one of these specials."""
        return self.kind is Kind.SPECIAL and self.raw in characters


def tokenize(value: bytes) -> list[Token] | Malformed:
    """Cut a field's value into tokens, comments among them."""
    tokens: list[Token] = []
    position, end = 0, len(value)
    while position < end:
        space = _SPACE.match(value, position)
        if space is not None:
            position = space.end()
        if position == end:
            break
        if value.startswith(b"(", position):
            close = _end_of_comment(value, position)
            if isinstance(close, Malformed):
                return close
            tokens.append(Token(Kind.COMMENT, value[position:close], space is not None))
            position = close
            continue
        match = _TOKEN.match(value, position)
        if match is None or match.lastgroup is None:
            return Malformed(f"octet {position + 1} of the value begins no token")
        tokens.append(Token(_KINDS[match.lastgroup], match[0], space is not None))
        position = match.end()
    return tokens


def without_comments(value: bytes) -> bytes | Malformed:
    """Put a blank in place of each comment; for fields that hold no quoted strings, such as Date."""
    kept, position = [], 0
    while (opening := value.find(b"(", position)) >= 0:
        kept.append(value[position:opening])
        close = _end_of_comment(value, opening)
        if isinstance(close, Malformed):
            return close
        position = close
    return b" ".join([*kept, value[position:]])


def _end_of_comment(value: bytes, opening: int) -> int | Malformed:
    depth, position = 1, opening + 1
    while depth:
        piece = _COMMENT_PIECE.match(value, position)
        if piece is None:
            return Malformed("a comment that does not end")
        depth += 1 if piece[1] == b"(" else -1
        if depth > MAX_COMMENT_DEPTH:
            return Malformed(f"comments nested deeper than {MAX_COMMENT_DEPTH}")
        position = piece.end()
    return position
