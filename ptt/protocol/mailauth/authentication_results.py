"""The Authentication-Results field: written, read, and recognised when forged (RFC 8601).

Readers behind us trust a field by its authserv-id, so every incoming one that claims ours is taken out,
whatever its shape (§5): folded, quoted, with comments, in capitals, as U-label. One whose authserv-id cannot
be read goes as well, since nobody can say whom a careless reader would see in it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Field
from ptt.protocol.mail.tokens import Kind, Token, tokenize
from ptt.protocol.mailauth.field_text import address_value, comment, folded_field, quoted, value

FIELD_NAME = "Authentication-Results"


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What one method came to, such as ``dkim=pass header.d=example.org``.

    ``properties`` are pairs of ``ptype.property`` and value; ``note`` is written as a comment and never read.
    """

    method: str
    result: str
    reason: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """A field: who says it, and what. Without results it says ``none``."""

    authserv_id: str
    results: tuple[MethodResult, ...]


def authentication_results(authserv_id: str, results: Sequence[MethodResult]) -> bytes:
    """Write one field, CRLF at the end."""
    return folded_field(FIELD_NAME, results_text(authserv_id, results))


def results_text(authserv_id: str, results: Sequence[MethodResult]) -> list[str]:
    """The parts of the value, between which lines may be folded (§2.2)."""
    groups = (
        [[value(authserv_id)], *([*_parts(result)] for result in results)]
        if results
        else [
            [value(authserv_id)],
            ["none"],
        ]
    )
    for group in groups[:-1]:
        group[-1] += ";"
    return [part for group in groups for part in group]


def _parts(result: MethodResult) -> list[str]:
    parts = [f"{result.method}={result.result}"]
    if result.note:
        parts.append(comment(result.note))
    if result.reason:
        parts.append(f"reason={quoted(result.reason)}")
    return parts + [f"{name}={address_value(text)}" for name, text in result.properties]


def claims_authserv_id(field: Field, ours: str) -> bool:
    """Whether this is an Authentication-Results that says, or may be taken to say, it is from ``ours``."""
    if field.lower != FIELD_NAME.lower().encode():
        return False
    claimed = _authserv_id(field.value)
    return isinstance(claimed, Malformed) or _normal(claimed) == _normal(ours)


def parse_authentication_results(text: bytes) -> AuthenticationResults | Malformed:
    """Read the value of a field, folded or not; comments fall away."""
    tokens = tokenize(text)
    if isinstance(tokens, Malformed):
        return tokens
    quotes: list[str] = []
    groups = _groups(tokens, quotes)
    authserv_id = _AUTHSERV_ID.fullmatch(groups[0])
    if authserv_id is None:
        return Malformed("no authserv-id")
    results: list[MethodResult] = []
    for group in groups[1:]:
        if group.lower() == "none" or not group:
            continue
        result = _method_result(group, quotes)
        if isinstance(result, Malformed):
            return result
        results.append(result)
    return AuthenticationResults(_unquoted(authserv_id[1], quotes), tuple(results))


# In the texts that these patterns see, comments are gone and a quoted string is its number in quotes.
_AUTHSERV_ID = re.compile(r'("\d+"|[^\s;"=]+)(?: +\d+)?')
_METHOD = re.compile(
    r"(?P<method>[A-Za-z][A-Za-z0-9_-]*) ?(?:/ ?\d+ ?)?= ?(?P<result>[A-Za-z][A-Za-z0-9_-]*)"
)
_PROPERTY = re.compile(
    r" (?:(?P<reason>reason)|(?P<name>[A-Za-z][A-Za-z0-9_-]* ?\. ?[A-Za-z][A-Za-z0-9_-]*)) ?= ?"
    r'(?P<value>(?:"\d+"|[^\s;"]+)(?:@[^\s;"]+)?)',
    re.IGNORECASE,
)


def _authserv_id(text: bytes) -> str | Malformed:
    """What stands first, comments aside; the rest may be as broken as it likes."""
    tokens = tokenize(text)
    if isinstance(tokens, Malformed):
        tokens = tokenize(text.partition(b";")[0])
    if isinstance(tokens, Malformed):
        return tokens
    quotes: list[str] = []
    match = re.match(r'("\d+"|[^\s;"=]+)', _groups(tokens, quotes)[0])
    return Malformed("no authserv-id") if match is None else _unquoted(match[1], quotes)


def _groups(tokens: Sequence[Token], quotes: list[str]) -> list[str]:
    """The text between semicolons, with single blanks; quoted strings go to ``quotes``."""
    groups, group, is_spaced = [], "", False
    for token in tokens:
        is_spaced = is_spaced or token.spaced or token.kind is Kind.COMMENT
        if token.kind is Kind.COMMENT:
            continue
        if token.is_special(b";"):
            groups.append(group)
            group = ""
        elif token.kind in {Kind.QUOTED_STRING, Kind.DOMAIN_LITERAL}:
            group += f'{" " if group and is_spaced else ""}"{len(quotes)}"'
            octets = token.text if token.kind is Kind.QUOTED_STRING else token.raw
            quotes.append(octets.decode("utf-8", "replace"))
        else:
            group += (" " if group and is_spaced else "") + token.raw.decode("utf-8", "replace")
        is_spaced = False
    return [*groups, group]


def _method_result(group: str, quotes: Sequence[str]) -> MethodResult | Malformed:
    match = _METHOD.match(group)
    if match is None:
        return Malformed("not a result of a method")
    reason, properties, position = "", [], match.end()
    while position < len(group):
        found = _PROPERTY.match(group, position)
        if found is None:
            return Malformed("not a property")
        text = _unquoted(found["value"], quotes)
        if found["reason"] is not None:
            reason = text
        else:
            properties.append((found["name"].replace(" ", "").lower(), text))
        position = found.end()
    return MethodResult(match["method"].lower(), match["result"].lower(), reason, tuple(properties))


def _unquoted(text: str, quotes: Sequence[str]) -> str:
    return re.sub(r'"(\d+)"', lambda match: quotes[int(match[1])], text)


def _normal(authserv_id: str) -> str:
    name = Name.parse(authserv_id)
    return authserv_id.lower() if isinstance(name, Malformed) else name.text
