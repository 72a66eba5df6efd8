"""Transfer encodings."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.mail.transfer import (
    decode_base64,
    decode_quoted_printable,
    decode_transfer,
    encode_base64,
)


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"", b""),
        (b"YWJj", b"abc"),
        (b"YW\r\nJj\r\n", b"abc"),
        (b"YQ==", b"a"),
        (b"YQ", b"a"),
        (b"YWI", b"ab"),
        (b"YWJjZ", b"abc"),
        (b"YQ== and a footer", b"a"),
        (b"YQ=\r\n= and a footer", b"a"),
        (b"YWI= and a footer", b"ab"),
        (b"=YWI= and a footer", b"ab"),
        (b"YQ=", b"a"),
        (b"YWJjYWJjYWJjYWJjYWJj!", b"abcabcabcabcabc"),
        (b"this is no base64, surely.", None),
        (b"?garbage?", None),
        (b"\xff\xfe", None),
    ],
)
def test_base64(data: bytes, decoded: bytes | None) -> None:
    assert decode_base64(data) == decoded


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"", b""),
        (b"a=20b", b"a b"),
        (b"a=\r\nb", b"ab"),
        (b"a=\nb", b"ab"),
        (b"a  \r\nb\t\n c ", b"a\r\nb\n c"),
        (b"a= \r\nb", b"ab"),
        (b"=C3=BC=c3=bc", "üü".encode()),
        (b"100=", b"100"),
        (b"a=XYb", b"a=XYb"),
        (b"a_b", b"a_b"),
    ],
)
def test_quoted_printable(data: bytes, decoded: bytes) -> None:
    assert decode_quoted_printable(data) == decoded


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        (b"YQ==", "base64", (b"a", True)),
        (b"?-?", "base64", (b"?-?", False)),
        (b"=41", "quoted-printable", (b"A", True)),
        (b"=41", "", (b"=41", True)),
        (b"=41", "7bit", (b"=41", True)),
        (b"=41", "8bit", (b"=41", True)),
        (b"=41", "binary", (b"=41", True)),
        (b"=41", "x-uuencode", (b"=41", False)),
    ],
)
def test_transfer(data: bytes, encoding: str, expected: tuple[bytes, bool]) -> None:
    assert decode_transfer(data, encoding) == expected


@given(st.binary(max_size=300))
def test_base64_is_read_back(data: bytes) -> None:
    encoded = encode_base64(data)
    assert decode_base64(encoded) == data
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    assert not encoded or encoded.endswith(b"\r\n")


@given(st.binary(max_size=100), st.sampled_from(["base64", "quoted-printable", "x"]))
def test_nothing_raises(data: bytes, encoding: str) -> None:
    decoded, is_right = decode_transfer(data, encoding)
    assert is_right or decoded == data


@pytest.mark.parametrize("piece", [b" ", b"=", b"\t\n", b"A", b"=4", b" x"])
def test_time_is_linear(piece: bytes) -> None:
    data = piece * (1024 * 1024 // len(piece))
    begin = time.process_time()
    decode_transfer(data, "base64")
    decode_transfer(data, "quoted-printable")
    assert time.process_time() - begin < 5
