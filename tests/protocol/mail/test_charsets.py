"""Charsets: labels, guesses, and that no codec raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.mail.charsets import _CODECS, decode, guess, is_known


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (b"abc", "us-ascii", "abc"),
        ("ü".encode(), "us-ascii", "ü"),
        (b"\xfc", "US-ASCII", "ü"),
        ("ü".encode(), "UTF-8", "ü"),
        (b"\xff", "utf8", "\ufffd"),
        (b"\xfc\x80", "iso-8859-1", "ü€"),
        (b"\xfc\x81", "latin1", "ü\x81"),
        (b"\x80", "Windows-1252", "€"),
        (b"\xa4", "ISO-8859-15", "€"),
        (b"\xc4\xe3", "gb2312", "你"),
        (b"\x82\xa0", "Shift_JIS", "あ"),
        (b'\x1b$B$"\x1b(B', "iso-2022-jp", "あ"),
        (b"\xb0\xa1", "ks_c_5601-1987", "가"),
        (b"+APw-", "utf-7", "ü"),
        ("ü".encode("utf-16le"), "utf-16le", "ü"),
        (b"\xc1", "koi8-r", "а"),
        (b"\xfc", "no-such-charset", "ü"),
        (b"abc", "zip", "abc"),
        (b"abc", "rot13", "abc"),
        (b"abc", "", "abc"),
        (b"abc", "x" * 10_000, "abc"),
    ],
)
def test_decode(data: bytes, charset: str, text: str) -> None:
    assert decode(data, charset) == text


def test_known_labels() -> None:
    assert is_known("ISO_8859-1")
    assert not is_known("unicode_escape")
    assert not is_known("idna")


def test_guess() -> None:
    assert guess("ü".encode()) == "ü"
    assert guess(b"\xfc") == "ü"
    assert guess(b"\x81\xfc") == "\x81ü"


@given(st.sampled_from(sorted(_CODECS)), st.binary(max_size=60))
def test_no_charset_raises(charset: str, data: bytes) -> None:
    assert isinstance(decode(data, charset), str)
