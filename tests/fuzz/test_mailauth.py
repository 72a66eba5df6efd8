"""No input gives a verification anything but a defined result."""

from ipaddress import ip_address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.mail.header import Field, Header, parse_header
from ptt.protocol.mailauth.arc.chain import highest_instance, parse_chain
from ptt.protocol.mailauth.authentication_results import (
    AuthenticationResults,
    claims_authserv_id,
    parse_authentication_results,
)
from ptt.protocol.mailauth.dkim.key_record import KeyRecord, parse_key_record
from ptt.protocol.mailauth.dkim.keys import load_signing_key
from ptt.protocol.mailauth.dkim.signature import Signature, parse_signature, without_signature
from ptt.protocol.mailauth.dmarc.record import DmarcRecord, is_dmarc_record, parse_dmarc_record
from ptt.protocol.mailauth.spf.macros import MacroString, MacroValues, expand, parse_macro_string
from ptt.protocol.mailauth.spf.record import SpfRecord, is_spf_record, parse_spf_record
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


SPF_WORDS = (
    "a mx ptr all ip4 ip6 include exists redirect= exp= x= : / // 24 %{d} %{ } %% 192.0.2.1 2001:db8::1"
)
SPF_PIECES = st.sampled_from(
    [*SPF_WORDS.split(), "example.org", ".", " ", " ", "-", "~", "?", "+"]
) | st.text(max_size=3)
SPF_TEXTS = st.lists(SPF_PIECES, max_size=20).map("".join)


@given(SPF_TEXTS)
def test_spf_records(text: str) -> None:
    octets = b"v=spf1 " + text.encode("utf-8", "surrogatepass")
    assert is_spf_record(octets)
    assert isinstance(parse_spf_record(octets), SpfRecord | Malformed)


@given(SPF_TEXTS, st.text(max_size=20), st.booleans())
def test_macro_strings(text: str, stranger: str, is_explanation: bool) -> None:
    macros = parse_macro_string(text, is_explanation=is_explanation)
    assert isinstance(macros, MacroString | Malformed)
    if isinstance(macros, MacroString):
        values = MacroValues(stranger, "a.example", "b.example", ip_address("::1"), stranger, "p", "r", 0)
        assert isinstance(expand(macros, values), str)


@given(
    st.lists(
        st.sampled_from(["p", "sp", "np", "rua", "fo", "t", "psd", "=", ";", "none", "mailto:a@b", ","])
        | st.text(max_size=4)
    )
)
def test_dmarc_records(pieces: list[str]) -> None:
    octets = b"v=DMARC1;" + "".join(pieces).encode("utf-8", "surrogatepass")
    assert is_dmarc_record(octets)
    assert isinstance(parse_dmarc_record(octets), DmarcRecord | Malformed)


FIELD_TEXTS = st.lists(
    st.sampled_from(
        [
            "mx.example.org",
            ";",
            "=",
            ".",
            "(",
            ")",
            '"',
            "[",
            "]",
            "\\",
            " ",
            "spf",
            "pass",
            "1",
            "0",
            "@",
            "/",
            ",",
        ]
    )
    | st.text(max_size=3),
    max_size=20,
).map("".join)


@given(FIELD_TEXTS)
def test_authentication_results(text: str) -> None:
    octets = text.encode("utf-8", "surrogatepass")
    parsed = parse_authentication_results(octets)
    assert isinstance(parsed, AuthenticationResults | Malformed)
    raw = b"Authentication-Results: " + octets.replace(b"\r", b" ").replace(b"\n", b" ") + b"\r\n"
    field = Field(b"Authentication-Results", b"authentication-results", raw, 0)
    is_ours = claims_authserv_id(field, "mx.example.org")
    if isinstance(parsed, AuthenticationResults) and parsed.authserv_id.lower() == "mx.example.org":
        assert is_ours


ARC_FIELDS = st.tuples(
    st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]), LISTS
).map(lambda each: b"%b: i=1; %b\r\n" % (each[0], each[1].replace(b"\r", b"").replace(b"\n", b"")))


@given(st.lists(ARC_FIELDS, max_size=6))
def test_chains(fields: list[bytes]) -> None:
    header = parse_header(b"".join(fields))
    assert isinstance(header, Header)
    assert isinstance(parse_chain(header), tuple | Malformed)
    assert highest_instance(header) in {0, 1}
