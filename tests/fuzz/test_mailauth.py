"""No input gives a verification anything but a defined result."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.mailauth.dkim.key_record import KeyRecord, parse_key_record
from ptt.protocol.mailauth.dkim.keys import load_signing_key
from ptt.protocol.mailauth.dkim.signature import Signature, parse_signature, without_signature
from ptt.protocol.mailauth.tag_list import parse_tag_list

TAGS = st.sampled_from(
    [b"v", b"a", b"b", b"bh", b"c", b"d", b"h", b"i", b"l", b"q", b"s", b"t", b"x", b"k", b"p", b"n"]
)
VALUES = st.sampled_from(
    [
        b"1",
        b"DKIM1",
        b"rsa-sha256",
        b"ed25519-sha256",
        b"AAAA",
        b"relaxed/simple",
        b"example.org",
        b"from:to",
        b"@example.org",
        b"rsa",
        b"0",
    ]
) | st.binary(max_size=12)
LISTS = st.lists(st.tuples(TAGS, VALUES), max_size=14).map(
    lambda tags: b";".join(b"%b=%b" % tag for tag in tags)
)
OCTETS = LISTS | st.binary(max_size=200)


@given(OCTETS)
def test_tag_lists(text: bytes) -> None:
    tags = parse_tag_list(text)
    assert isinstance(tags, dict | Malformed)


@given(OCTETS)
def test_signatures(text: bytes) -> None:
    assert isinstance(parse_signature(text), Signature | Malformed)
    assert without_signature(without_signature(text)) == without_signature(text)


@given(OCTETS)
def test_key_records(text: bytes) -> None:
    assert isinstance(parse_key_record(text), KeyRecord | Malformed)


@given(st.text(max_size=200))
def test_signing_keys(text: str) -> None:
    key: Any = load_signing_key(text)
    assert isinstance(key, Malformed)
