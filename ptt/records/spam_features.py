"""What a message shows of itself to the spam filter: a set of tokens [F2 F3].

Words of its texts (transfer encoding and charset undone, HTML roughly taken off) and of its Subject, hosts of
its links, domains of From and Reply-To, kinds of its parts, extensions of its files, and facts of those
header fields that an author's program writes. Fields of the way (Received, Delivered-To, Return-Path, what
other filters wrote) are never read: in a collection of mail they tell who collected it. Limits: 64 kB of
text, 10,000 tokens, 200 parts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from itertools import pairwise

from ptt.errors import Malformed
from ptt.protocol.mail.charsets import decode
from ptt.protocol.mail.encoded_words import decode_words
from ptt.protocol.mail.header import Field
from ptt.protocol.mail.mime import Part, parse_mime
from ptt.protocol.mail.transfer import decode_transfer
from ptt.records.spam_attachments import extension, is_dangerous, names_in, part_names

MAX_TEXT_OCTETS = 64 * 1024  # spam is short: what the 20th page says decides nothing
MAX_TOKENS = 10_000  # 64 kB of text have some 3,000 different words
MAX_PARTS = 200  # of which tokens are taken; file names are looked at in all
MAX_VALUE_OCTETS = 1_000  # of a header field
SHORTEST, LONGEST = 3, 14  # characters of a word that is a token as it stands
SHOUTING = 0.5  # the share of capitals in a subject that shouts
MAX_NAME_WORDS = 5  # of the author's display name
MAX_TOKEN = 60  # characters of a token that is no word, such as the name of a host

# Mail of public collections was made anonymous: these addresses and hosts tell the collector, not the spam.
COLLECTORS = ("spamassassin.taint.org", "labs.netnoteinc.com", "taint.org", "netnoteinc.com", "jmason.org")
_COLLECTED = re.compile(r"\b(?:zzzz|yyyy)[\w.-]{0,30}(?:@[\w.-]{0,60})?")

_NO_WORD = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) not in "$%!'-"}
_NO_WORD_OCTET = bytes(32 if code in _NO_WORD else code for code in range(256))
_NO_WORD |= {ord(sign): " " for sign in "\u201c\u201d\u201e\u2018\u2026\u2013\u2014\u2022\u00ab\u00bb\u00b7"}
_NO_WORD[0x2019] = "'"  # the apostrophe of type-setters
_NOT_IN_TOKEN = re.compile(r"[^\w.+/-]+")
_TAG_NAME = re.compile(r"<([a-z][a-z0-9]{0,9})")
_COMMENT = re.compile(r"<![^<>]*>")
_SCHEME = re.compile(r"[a-z]{1,8}\Z")
_PLACE = re.compile(r"[^\s/\"'<>?#]{1,100}")
_ADDRESS = re.compile(rb"([^\s<>@,;:\"]{0,64})@([A-Za-z0-9.-]{1,100})")
_HIDDEN = (("<style", "</style"), ("<script", "</script"))

_EXPECTED = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version")
_TELLING = (
    *(b"in-reply-to", b"references", b"reply-to", b"sender", b"cc", b"organization", b"errors-to"),
    *(b"list-id", b"list-post", b"list-unsubscribe", b"precedence", b"importance", b"x-priority"),
    *(b"x-msmail-priority", b"x-mailer", b"user-agent", b"x-mimeole", b"disposition-notification-to"),
    *(b"auto-submitted", b"mail-followup-to", b"x-accept-language", b"content-class"),
)
_READ = frozenset((*_EXPECTED, *_TELLING))


@dataclass(frozen=True, slots=True)
class Features:
    """What was found. ``is_dangerous``: a file comes along that is run when it is opened."""

    tokens: frozenset[str]
    is_dangerous: bool


def read_features(start: bytes, rest: Sequence[bytes] = ()) -> Features | Malformed:
    """Read a message: ``start`` is taken apart, in ``rest`` only names of files are looked for."""
    root = parse_mime(start)
    if (fault := _fault(root)) is not None:
        return fault
    parts = list(root.walk())
    names = [name for part in parts for name in part_names(part)]
    names += names_in(rest)
    tokens = _tokens(root, parts, names)
    if len(tokens) > MAX_TOKENS:
        tokens = set(sorted(tokens)[:MAX_TOKENS])
    return Features(frozenset(tokens), any(map(is_dangerous, names)))


def _fault(root: Part) -> Malformed | None:
    """What has no header, or a line in it that is no field, is no message that can be judged."""
    if not root.fields:
        return Malformed("no header field")
    last = root.fields[-1]
    if last.start + len(last.raw) == root.body_start < root.end:
        return Malformed("a line of the header is not a field")
    return None


def _tokens(root: Part, parts: Sequence[Part], names: Sequence[str]) -> set[str]:
    tokens = _header_tokens(root.fields)
    tokens.update(f"file:{extension(name)}" for name in names[:MAX_PARTS])
    left = MAX_TEXT_OCTETS
    for part in parts[:MAX_PARTS]:
        tokens.add(f"type:{_atom(part.content_type.full_type)}")
        if part.content_type.type == "text" and left > 0:
            octets = _octets(part, left)
            left -= len(octets)
            charset = part.content_type.parameter("charset") or "us-ascii"
            tokens |= {f"charset:{_atom(charset)}", f"encoding:{_atom(part.encoding)}"}
            text = _without_collectors(decode(octets, charset).lower())
            tokens |= _link_tokens(text)
            tokens |= _html_tokens(text) if part.content_type.subtype == "html" else _text_tokens(text)
    return tokens


def _octets(part: Part, limit: int) -> bytes:
    """The first octets of a text, decoded; no more is decoded than may be needed."""
    start = part.body_start
    octets, _ = decode_transfer(part.data[start : min(part.end, start + 2 * limit)], part.encoding)
    return octets[:limit]


# Text


def _html_tokens(text: str) -> set[str]:
    return {f"tag:{name}" for name in _TAG_NAME.findall(text)} | _text_tokens(_shown(text))


def _text_tokens(text: str) -> set[str]:
    words = set(_words(text))
    tokens = {word for word in words if SHORTEST <= len(word) <= LONGEST and not word.isdigit()}
    for word in words:
        if len(word) > LONGEST:
            tokens |= _long_word_tokens(word)
    return tokens


def _words(text: str) -> list[str]:
    if text.isascii():  # the same in half the time
        return text.encode().translate(_NO_WORD_OCTET).decode().split()
    return text.translate(_NO_WORD).split()


def _long_word_tokens(word: str) -> set[str]:
    """Scripts without blanks between words in pairs of characters; of others that it was long."""
    if word.isascii():
        return {f"long:{word[0]}{len(word) // 10}"}
    return set(map("".join, pairwise(word)))


def _link_tokens(text: str) -> set[str]:
    tokens: set[str] = set()
    for before, after in pairwise(text.split("://")):
        scheme, place = _SCHEME.search(before[-8:]), _PLACE.match(after)
        if scheme and place:
            tokens |= _host_tokens(f"{scheme[0]}:", place[0].rpartition("@")[2].partition(":")[0])
    return tokens


def _without_collectors(text: str) -> str:
    for host in COLLECTORS:
        text = text.replace(host, " ")
    return _COLLECTED.sub(" ", text) if "zzzz" in text or "yyyy" in text else text


def _shown(text: str) -> str:
    """The words of HTML that a reader is shown, roughly."""
    for opening, closing in _HIDDEN:
        text = _without(text, opening, closing)
    if "<!" in text:
        text = _COMMENT.sub("", text)  # put between letters to hide a word
    text = " ".join([piece[piece.find(">") + 1 :] for piece in text.split("<")])
    return unescape(text).lower() if "&" in text else text


def _without(text: str, opening: str, closing: str) -> str:
    kept, position = [], 0
    while (begin := text.find(opening, position)) >= 0:
        kept.append(text[position:begin])
        position = text.find(closing, begin)
        if position < 0:
            return " ".join(kept)
    return " ".join([*kept, text[position:]])


def _host_tokens(kind: str, host: str) -> set[str]:
    """A host and the domains above it, the top level apart."""
    labels = _atom(host).split(".")
    if labels[-1].isdigit():
        return {f"{kind}address"}
    starts = range(max(0, len(labels) - 4), max(1, len(labels) - 1))
    return {kind + ".".join(labels[start:]) for start in starts}


# Header


def _header_tokens(fields: Sequence[Field]) -> set[str]:
    values: dict[bytes, bytes] = {}
    for field in fields:
        if field.lower in _READ and field.lower not in values:
            values[field.lower] = field.value[:MAX_VALUE_OCTETS]
    tokens = {f"no:{name.decode()}" for name in _EXPECTED if name not in values}
    tokens.update(f"has:{name.decode()}" for name in _TELLING if name in values)
    mailer = values.get(b"x-mailer") or values.get(b"user-agent") or b""
    tokens.update(f"mailer:{_atom(word)}" for word in decode(mailer, "utf-8").split()[:3])
    tokens.add(f"to:{min(values.get(b'to', b'').count(b'@'), 4)}")
    return tokens | _subject_tokens(decode_words(values.get(b"subject", b""))) | _sender_tokens(values)


def _subject_tokens(subject: str) -> set[str]:
    subject = _without_collectors(subject)
    tokens = {f"subject:{sign}" for sign in "!?$%*" if sign in subject}
    letters = [letter for letter in subject if letter.isalpha()]
    if letters and sum(map(str.isupper, letters)) > len(letters) * SHOUTING:
        tokens.add("subject:shouts")
    tokens.update(f"subject:{word}" for word in _words(subject.lower()) if len(word) <= LONGEST)
    return tokens


def _sender_tokens(values: dict[bytes, bytes]) -> set[str]:
    sender = values.get(b"from", b"")
    name = _without_collectors(decode_words(sender.rpartition(b"<")[0]).lower())
    tokens = {f"from:{word}" for word in _words(name)[:MAX_NAME_WORDS] if len(word) <= LONGEST}
    author, answers, identifier = map(_domain, (sender, values.get(b"reply-to"), values.get(b"message-id")))
    if author:
        tokens |= _host_tokens("from:", author)
    if answers:
        tokens |= _host_tokens("reply-to:", answers)
        tokens.add(f"reply-to:{'same' if answers == author else 'other'}")
    if author and identifier:
        tokens.add(f"message-id:{'same' if _end_alike(author, identifier) else 'other'}")
    return tokens


def _domain(value: bytes | None) -> str:
    """The domain of the first address, nothing where it is a collector's."""
    match = _ADDRESS.search(value or b"")
    if match is None or match[1].lower().startswith((b"zzzz", b"yyyy")):
        return ""
    domain = match[2].decode("ascii").lower().strip(".")
    return "" if domain.endswith(COLLECTORS) else domain


def _end_alike(one: str, other: str) -> bool:
    return one.split(".")[-2:] == other.split(".")[-2:]


def _atom(text: str) -> str:
    return _NOT_IN_TOKEN.sub("", text.lower())[:MAX_TOKEN]
