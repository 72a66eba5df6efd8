"""Encoded words (RFC 2047, language tags by RFC 2231 §5): reading what programs write, and writing our own.

Reading is tolerant: words inside quotes, words that touch other text and blanks in a Q word are decoded too,
and a character may be split between words of one charset. Other octets are UTF-8 (RFC 6532), else guessed.
"""

import binascii
import re

from ptt.protocol.mail.charsets import decode, guess, is_known
from ptt.protocol.mail.transfer import decode_base64

MAX_WORD_OCTETS = 75  # RFC 2047 §2

_WORD = re.compile(rb"=\?([^?\s*]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?\r\n]*)\?=")
_PREFIX = b"=?utf-8?b?"
_SUFFIX = b"?="
_ROOM = (MAX_WORD_OCTETS - len(_PREFIX) - len(_SUFFIX)) // 4 * 3  # octets that fit into one word


def decode_words(value: bytes) -> str:
    """Decode an unfolded value: encoded words, and everything between them."""
    pieces: list[str] = []
    charset, pending = "", b""  # octets of the last words, all of one charset
    end = 0
    for match in _WORD.finditer(value):
        between = value[end : match.start()]
        name = match[1].decode("ascii", "replace").lower()
        if not is_known(name):
            continue
        octets = _octets_of(match)
        if end and not between.strip() and name == charset:
            pending += octets
        else:
            pieces += [decode(pending, charset), "" if end and not between.strip() else guess(between)]
            charset, pending = name, octets
        end = match.end()
    return "".join([*pieces, decode(pending, charset), guess(value[end:])])


def encode_words(text: str) -> bytes:
    """Write text for a phrase or an unstructured value: encoded unless it is printable ASCII."""
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text.encode()
    words, room = [b""], _ROOM
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(octets) > room:
            words.append(b"")
            room = _ROOM
        words[-1] += octets
        room -= len(octets)
    return b" ".join(_PREFIX + binascii.b2a_base64(word, newline=False) + _SUFFIX for word in words)


def _octets_of(word: re.Match[bytes]) -> bytes:
    if word[2] in b"Bb":
        return decode_base64(word[3]) or b""
    return binascii.a2b_qp(word[3], header=True)
