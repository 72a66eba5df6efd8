"""The grammar of SPF records."""

from ipaddress import IPv4Network, IPv6Network

import pytest

from ptt.errors import Malformed
from ptt.protocol.mailauth.results import SpfResult
from ptt.protocol.mailauth.spf.record import (
    AddressRange,
    All,
    Exchanges,
    Exists,
    HostAddresses,
    Include,
    ReverseNames,
    SpfRecord,
    is_spf_record,
    parse_spf_record,
)


def record(text: str) -> SpfRecord:
    parsed = parse_spf_record(text.encode())
    assert isinstance(parsed, SpfRecord), parsed
    return parsed


def test_a_record_of_everything() -> None:
    parsed = record(
        "V=SPF1  +IP4:192.0.2.7/24 -ip6:2001:DB8::/32 ~a ?A:x.example/16//48 mx//64 mx:%{d} ptr "
        "ptr:x.example exists:%{i}.x.example INCLUDE:y.example new.thing=%{s} redirect=z.example "
        "exp=e.example all "
    )
    mechanisms = [directive.mechanism for directive in parsed.directives]
    assert mechanisms[0] == AddressRange(IPv4Network("192.0.2.0/24"))
    assert mechanisms[1] == AddressRange(IPv6Network("2001:db8::/32"))
    assert mechanisms[2] == HostAddresses(None, 32, 128)
    assert isinstance(mechanisms[3], HostAddresses)
    assert (mechanisms[3].ipv4_prefix, mechanisms[3].ipv6_prefix) == (16, 48)
    assert mechanisms[4] == Exchanges(None, 32, 64)
    assert isinstance(mechanisms[5], Exchanges)
    assert mechanisms[6] == ReverseNames(None)
    assert isinstance(mechanisms[7], ReverseNames)
    assert isinstance(mechanisms[8], Exists)
    assert isinstance(mechanisms[9], Include)
    assert mechanisms[10] == All()
    assert [directive.result for directive in parsed.directives[:4]] == [
        SpfResult.PASS,
        SpfResult.FAIL,
        SpfResult.SOFTFAIL,
        SpfResult.NEUTRAL,
    ]
    assert parsed.directives[3].text == "A:x.example/16//48"
    assert parsed.redirect is not None
    assert parsed.redirect.text == "z.example"
    assert parsed.explanation is not None


@pytest.mark.parametrize(
    "term",
    [
        "all:x.example",
        "all/8",
        "ip4",
        "ip4:",
        "ip4:192.0.2.1/33",
        "ip4:192.0.2.1/032",
        "ip4:192.0.2",
        "ip4:192.0.2.01",
        "ip6:2001:db8::1/129",
        "ip6:192.0.2.1",
        "ip6:fe80::1%eth0",
        "ip4=192.0.2.1x%",
        "a:",
        "a/33",
        "a//129",
        "a/",
        "a/8/8",
        "mx:x",
        "mx:x.example/y",
        "ptr/8",
        "ptr:",
        "include",
        "include:",
        "include/8",
        "exists",
        "exists:x",
        "unknown:x.example",
        "unknown",
        "-redirect=x.example",
        "redirect=",
        "exp=x",
        "redirect=a.example redirect=b.example",
        "exp=a.example EXP=b.example",
        "x=%",
        "!",
        "=",
        "a\tall",
        "*all",
        "ip4:192.0.2.1\n",
    ],
)
def test_what_is_malformed(term: str) -> None:
    assert isinstance(parse_spf_record(f"v=spf1 {term} -all".encode()), Malformed)


def test_what_is_a_record() -> None:
    assert is_spf_record(b"v=spf1")
    assert is_spf_record(b"V=Spf1 -all")
    assert not is_spf_record(b"v=spf10")
    assert not is_spf_record(b" v=spf1")
    assert isinstance(parse_spf_record(b"v=DKIM1"), Malformed)
    assert parse_spf_record("v=spf1 a:ü.example".encode()) == Malformed("not ASCII")
    assert record("v=spf1").directives == ()
