"""The two canonical forms of RFC 6376 §3.4."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.mailauth.dkim.canonicalization import (
    PIECE_OCTETS,
    BodyHash,
    Buffer,
    Canonicalization,
    HashAlgorithm,
    canonical_field,
)

SIMPLE, RELAXED = Canonicalization.SIMPLE, Canonicalization.RELAXED


def canonical_body(form: Canonicalization, body: bytes) -> bytes:
    """RFC 6376 §3.4.3 and §3.4.4 line by line: slow and evident."""
    lines = body.split(b"\r\n")
    if form is RELAXED:
        lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    canonical = b"".join(line + b"\r\n" for line in lines)
    return b"\r\n" if form is SIMPLE and not canonical else canonical


def hashed(form: Canonicalization, *buffers: Buffer, limit: int | None = None) -> bytes:
    body_hash = BodyHash(form, HashAlgorithm.SHA256, limit)
    for buffer in buffers:
        body_hash.update(buffer)
    assert body_hash.digest() == body_hash.digest()
    return body_hash.digest()


def sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


@pytest.mark.parametrize(
    ("form", "body", "expected"),
    [
        # the example of RFC 6376 §3.4.5
        (RELAXED, b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
        (SIMPLE, b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n"),
        (RELAXED, b"", b""),
        (SIMPLE, b"", b"\r\n"),
        (RELAXED, b"\r\n\r\n", b""),
        (SIMPLE, b"\r\n\r\n", b"\r\n"),
        (RELAXED, b" \t\r\n \r\n", b""),
        (RELAXED, b" ", b""),
        (RELAXED, b"no end", b"no end\r\n"),
        (SIMPLE, b"no end", b"no end\r\n"),
        (RELAXED, b"blank at the end \t", b"blank at the end\r\n"),
        (SIMPLE, b"blank at the end ", b"blank at the end \r\n"),
        (RELAXED, b"cr \r", b"cr \r\r\n"),
        (SIMPLE, b"cr\r", b"cr\r\r\n"),
        (RELAXED, b"x\n\r\n\r\n", b"x\n\r\n"),
        (RELAXED, b"x\r\r\n\r\n", b"x\r\r\n"),
        (SIMPLE, b"\r\n\r\nx\r\n\r\n", b"\r\n\r\nx\r\n"),
    ],
)
def test_body_forms(form: Canonicalization, body: bytes, expected: bytes) -> None:
    assert canonical_body(form, body) == expected
    assert hashed(form, body) == sha256(expected)
    assert hashed(form, *(body[at : at + 1] for at in range(len(body)))) == sha256(expected)


@given(
    st.sampled_from(Canonicalization),
    st.lists(st.text(alphabet=" \t\r\na", max_size=8).map(str.encode), max_size=12),
)
def test_where_a_body_is_cut_does_not_matter(form: Canonicalization, buffers: list[bytes]) -> None:
    assert hashed(form, *buffers) == sha256(canonical_body(form, b"".join(buffers)))


@given(
    st.sampled_from(Canonicalization),
    st.lists(st.text(alphabet=" \r\na", max_size=8).map(str.encode), max_size=6),
    st.integers(0, 20),
)
def test_no_more_than_the_limit_is_hashed(form: Canonicalization, buffers: list[bytes], limit: int) -> None:
    canonical = canonical_body(form, b"".join(buffers))
    assert hashed(form, *buffers, limit=limit) == sha256(canonical[:limit])
    body_hash = BodyHash(form, limit_octets=limit)
    for buffer in buffers:
        body_hash.update(buffer)
    assert body_hash.length_octets() == len(canonical)


@pytest.mark.parametrize("form", list(Canonicalization))
@pytest.mark.parametrize("size", [PIECE_OCTETS - 1, PIECE_OCTETS, PIECE_OCTETS + 1, 3 * PIECE_OCTETS])
def test_large_buffers(form: Canonicalization, size: int) -> None:
    for pattern in (b"x \r\n", b"\r\n", b" ", b"a  b\t\r\n\r\n", b"\r"):
        body = (pattern * (size // len(pattern) + 1))[:size]
        assert hashed(form, body) == sha256(canonical_body(form, body))
        assert hashed(form, memoryview(bytearray(body))) == sha256(canonical_body(form, body))


def test_what_is_held_back_stays_small() -> None:
    body_hash = BodyHash(RELAXED)
    for _ in range(1000):
        body_hash.update(b"\r\n \t\r\n" * 100)
    assert len(body_hash._held) < 3
    body_hash.update(b"x")
    assert body_hash.digest() == sha256(b"\r\n" * 200_000 + b"x\r\n")


def test_sha1_for_old_mail() -> None:
    body_hash = BodyHash(SIMPLE, HashAlgorithm.SHA1)
    assert body_hash.digest() == hashlib.sha1(b"\r\n", usedforsecurity=False).digest()


@pytest.mark.parametrize(
    ("name", "value", "simple", "relaxed"),
    [
        (b"A", b" X", b"A: X\r\n", b"a:X\r\n"),
        (b"B ", b" Y\t\r\n\tZ  ", b"B : Y\t\r\n\tZ  \r\n", b"b:Y Z\r\n"),
        (b"SUBJect", b"\r\n x\r\n \r\n", b"SUBJect:\r\n x\r\n \r\n\r\n", b"subject:x\r\n"),
        (b"Empty", b"", b"Empty:\r\n", b"empty:\r\n"),
        (b"Colons", b" a:  b", b"Colons: a:  b\r\n", b"colons:a: b\r\n"),
        (
            b"utf",
            " ü\u00a0ö".encode(),
            " ü\u00a0ö".encode().join((b"utf:", b"\r\n")),
            "utf:ü\u00a0ö\r\n".encode(),
        ),
    ],
)
def test_field_forms(name: bytes, value: bytes, simple: bytes, relaxed: bytes) -> None:
    assert canonical_field(SIMPLE, name, value) == simple
    assert canonical_field(RELAXED, name, value) == relaxed
