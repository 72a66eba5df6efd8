"""Address lists of header fields (RFC 5322 §3.4, groups by RFC 6854, obsolete forms §4.4, UTF-8 by RFC 6532).

Tolerant where readers agree (comments, folding, routes, empty items, unquoted dots and at signs in display
names, a missing comma behind a group) and strict where they could see different addresses, since From decides
whom DMARC asks: text behind ``<…>``, two addresses without a comma and control characters are malformed.
"""

import re
from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox, parse_literal, quote_local_part
from ptt.protocol.mail.tokens import Kind, Token, tokenize

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ATEXT = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+")
_WORDS = {Kind.ATOM, Kind.ENCODED_WORD, Kind.QUOTED_STRING}


@dataclass(frozen=True, slots=True)
class NamedMailbox:
    """A mailbox with what stands beside it.

    ``display_name``: the phrase without its quotes, encoded words untouched, or empty. ``comment``: the last
    comment's text, which old programs use for the name, or empty. ``group``: the group's name, or None.
    """

    mailbox: Mailbox
    display_name: bytes = b""
    comment: bytes = b""
    group: bytes | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group's name; its members follow as ``NamedMailbox`` with this name."""

    name: bytes


def parse_address_list(value: bytes) -> tuple[Mailbox, ...] | Malformed:
    """Give the mailboxes of an address list, those in groups too; a value that names nobody is malformed."""
    entries = parse_named_addresses(value)
    if isinstance(entries, Malformed):
        return entries
    return tuple(entry.mailbox for entry in entries if isinstance(entry, NamedMailbox))


def parse_named_addresses(value: bytes) -> tuple[NamedMailbox | Group, ...] | Malformed:
    """Give mailboxes with their names, and groups, in the order written."""
    tokens = tokenize(value)
    if isinstance(tokens, Malformed):
        return tokens
    entries: list[NamedMailbox | Group] = []
    group: bytes | None = None
    for item in _split(tokens):
        if item.opens_group:
            if group is not None or not item.words or any(t.is_special(b"@<") for t in item.words):
                return Malformed("a colon that begins no group")
            group = phrase(item.words)
            entries.append(Group(group))
            continue
        if item.words:
            entry = _named_mailbox(item, group)
            if isinstance(entry, Malformed):
                return entry
            entries.append(entry)
        if item.closes_group:
            if group is None:
                return Malformed("a semicolon outside a group")
            group = None
    if group is not None:
        return Malformed("a group that does not end")
    return tuple(entries) if entries else Malformed("no address")


def phrase(words: list[Token]) -> bytes:
    """Put the words of a phrase together: quotes removed, white space between words as one blank."""
    pieces: list[bytes] = []
    for word in words:
        if pieces and word.spaced:
            pieces.append(b" ")
        pieces.append(word.text)
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class _Item:
    """What stands between two separators: ``words`` without comments, and what ended it."""

    words: list[Token]
    comments: list[Token]
    opens_group: bool = False
    closes_group: bool = False


def _split(tokens: list[Token]) -> list[_Item]:
    """Cut at commas, semicolons and colons that stand outside angle brackets (routes have both)."""
    items: list[_Item] = []
    words: list[Token] = []
    comments: list[Token] = []
    in_brackets = False
    for token in tokens:
        if token.kind is Kind.COMMENT:
            comments.append(token)
        elif in_brackets or not token.is_special(b",;:"):
            words.append(token)
            in_brackets = token.is_special(b"<") or (in_brackets and not token.is_special(b">"))
        else:
            items.append(_Item(words, comments, token.raw == b":", token.raw == b";"))
            words, comments = [], []
    items.append(_Item(words, comments))
    return items


def _named_mailbox(item: _Item, group: bytes | None) -> NamedMailbox | Malformed:
    words = item.words
    opening = next((at for at, token in enumerate(words) if token.is_special(b"<>")), None)
    if opening is None:
        mailbox, name = _addr_spec(words), b""
    elif words[opening].raw == b">" or not words[-1].is_special(b">"):
        return Malformed("an angle bracket that does not end the address")
    else:
        mailbox, name = _addr_spec(_without_route(words[opening + 1 : -1])), phrase(words[:opening])
    if isinstance(mailbox, Malformed):
        return mailbox
    return NamedMailbox(mailbox, name, item.comments[-1].text if item.comments else b"", group)


def _without_route(words: list[Token]) -> list[Token]:
    """Leave out ``@host,@host:`` (RFC 5322 §4.4), which nobody has had to follow since RFC 1123."""
    if words and words[0].is_special(b"@,"):
        end = next((at for at, token in enumerate(words) if token.is_special(b":")), None)
        return words if end is None else words[end + 1 :]
    return words


def _addr_spec(words: list[Token]) -> Mailbox | Malformed:
    at = next((place for place, token in enumerate(words) if token.is_special(b"@")), None)
    if at is None:
        return Malformed("an address without @")
    local, domain = _dotted(words[:at], _WORDS), _domain(words[at + 1 :])
    if isinstance(local, Malformed):
        return local
    if isinstance(domain, Malformed):
        return domain
    if _CONTROL.search(local):
        return Malformed("a control character in a local part")
    return Mailbox(local, domain, f"{quote_local_part(local)}@{domain}".encode())


def _domain(words: list[Token]) -> Name | AddressLiteral | Malformed:
    if len(words) == 1 and words[0].kind is Kind.DOMAIN_LITERAL:
        return parse_literal(words[0].raw[1:-1])
    text = _dotted(words, {Kind.ATOM, Kind.ENCODED_WORD})
    if isinstance(text, Malformed):
        return text
    if any(label.startswith("-") or label.endswith("-") for label in text.split(".")):
        return Malformed("a domain whose label begins or ends with a hyphen")
    return Name.parse(text)


def _dotted(words: list[Token], allowed: set[Kind]) -> str | Malformed:
    """Join ``word *("." word)``, white space and comments allowed beside the dots (RFC 5322 §4.4)."""
    if len(words) % 2 == 0 or not all(word.is_special(b".") for word in words[1::2]):
        return Malformed("not an address")
    for word in words[::2]:
        if word.kind not in allowed or (
            word.kind is not Kind.QUOTED_STRING and not _ATEXT.fullmatch(word.raw)
        ):
            return Malformed("not an address")
    try:
        return b".".join(word.text for word in words[::2]).decode()
    except UnicodeDecodeError:
        return Malformed("an address that is not UTF-8")
