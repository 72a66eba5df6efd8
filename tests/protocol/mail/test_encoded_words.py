"""Encoded words: reading and writing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.mail.encoded_words import MAX_WORD_OCTETS, decode_words, encode_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", ""),
        (b"plain text", "plain text"),
        ("ünicode".encode(), "ünicode"),
        (b"\xfcnicode", "ünicode"),
        (b"=?utf-8?q?=C3=BC?=", "ü"),
        (b"=?UTF-8?Q?a_b?=", "a b"),
        (b"=?utf-8?B?w7w=?=", "ü"),
        (b"=?utf-8?b?w7w?=", "ü"),
        (b"=?iso-8859-1*de?q?=FC?=", "ü"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\t =?iso-8859-1?q?=FC?=", "aü"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?utf-8?b?w7?= =?utf-8?b?w=?=", "\ufffd"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        (b"x=?utf-8?q?a?=y", "xay"),
        (b"=?iso-8859-1?q?this is some text?=", "this is some text"),
        (b"=?no-such?q?a?=", "=?no-such?q?a?="),
        (b"=?no-such?q?a?= =?utf-8?q?b?=", "=?no-such?q?a?= b"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?b?-?-?=", "=?utf-8?b?-?-?="),
        (b"=?utf-8?b?....?=", ""),
        (b"=?", "=?"),
    ],
)
def test_decode(value: bytes, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", b""),
        ("plain text", b"plain text"),
        ("ü", b"=?utf-8?b?w7w=?="),
        ("a=?b", b"=?utf-8?b?YT0/Yg==?="),
        ("a\r\nb", b"=?utf-8?b?YQ0KYg==?="),
        ("\udc80", b"=?utf-8?b?Pw==?="),
    ],
)
def test_encode(text: str, value: bytes) -> None:
    assert encode_words(text) == value


@given(st.text(max_size=200))
def test_what_is_written_is_read_back(text: str) -> None:
    written = encode_words(text)
    assert decode_words(written) == text
    assert written.isascii()
    if written.startswith(b"=?"):
        assert all(len(word) <= MAX_WORD_OCTETS for word in written.split(b" "))


@given(
    st.binary(max_size=100)
    | st.lists(st.sampled_from([b"=?", b"?=", b"utf-8", b"?q?", b"?B?", b"=C3", b" "])).map(b"".join)
)
def test_nothing_raises(value: bytes) -> None:
    assert isinstance(decode_words(value), str)
