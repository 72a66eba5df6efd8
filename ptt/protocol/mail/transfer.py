"""Content-Transfer-Encoding (RFC 2045 §6): from what travelled to what was meant.

Decoding never fails: what is no base64 at all is given back as it came, with the word of ``False``; smaller
faults (stray characters, missing padding, bad ``=XY``) are passed over as every mail program does.
"""

import binascii
import re

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_NO_LETTERS = bytes(octet for octet in range(256) if octet not in _BASE64 or octet in b"= \t\r\n")
_PADDING = re.compile(rb"=([^A-Za-z0-9+/=]*=)?")
_SPACE_AT_LINE_END = re.compile(rb"(?<![ \t])[ \t]+(?=\r?\n|\Z)")
_MAX_STRAY_SHARE = 1 / 16  # more of them is text, or nothing that could be read
_OCTETS_OF_LINE = 57  # 76 characters
_GROUP = 4  # characters that make three octets


def decode_transfer(data: bytes, encoding: str) -> tuple[bytes, bool]:
    """Give the decoded octets, and whether they are what the encoding promised."""
    match encoding:
        case "base64":
            decoded = decode_base64(data)
            return (data, False) if decoded is None else (decoded, True)
        case "quoted-printable":
            return decode_quoted_printable(data), True
        case "" | "7bit" | "8bit" | "binary":
            return data, True
        case _:
            return data, False


def decode_base64(data: bytes) -> bytes | None:
    """Decode base64; None when there is text in it that cannot be meant so."""
    if len(data.translate(None, _BASE64)) > len(data) * _MAX_STRAY_SHARE:
        return None
    data = data[: _end_of_base64(data)]
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        pass
    letters = _NOT_BASE64.sub(b"", data)
    whole = len(letters) - (len(letters) % _GROUP == 1)
    return binascii.a2b_base64(letters[:whole] + b"=" * (-whole % _GROUP))


def _end_of_base64(data: bytes) -> int:
    """Find where a group is padded to its end: what follows is no base64 (RFC 2045 §6.8).

    ``binascii`` stops there in some versions of Python and reads on in others.
    """
    letters = at = 0
    for padding in _PADDING.finditer(data):
        letters += len(data[at : padding.start()].translate(None, _NO_LETTERS))
        at = padding.end()
        in_group = letters % _GROUP
        if in_group == _GROUP - 1 or (in_group == _GROUP - 2 and padding[1] is not None):
            return at
    return len(data)


def encode_base64(data: bytes) -> bytes:
    """Write base64 in lines of 76 characters, each with CRLF (RFC 2045 §6.8)."""
    lines = (data[at : at + _OCTETS_OF_LINE] for at in range(0, len(data), _OCTETS_OF_LINE))
    return b"".join(binascii.b2a_base64(line, newline=False) + b"\r\n" for line in lines)


def decode_quoted_printable(data: bytes) -> bytes:
    """Decode quoted-printable; white space at line ends was added on the way (RFC 2045 §6.7 rule 3)."""
    return binascii.a2b_qp(_SPACE_AT_LINE_END.sub(b"", data))
