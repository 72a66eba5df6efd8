"""The grammar of DMARC records."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.mailauth.dmarc.record import (
    DmarcRecord,
    Policy,
    Psd,
    is_dmarc_record,
    parse_dmarc_record,
)


def record(text: str) -> DmarcRecord:
    parsed = parse_dmarc_record(text.encode())
    assert isinstance(parsed, DmarcRecord), parsed
    return parsed


def test_defaults() -> None:
    parsed = record("v=DMARC1; p=reject")
    assert parsed.policy is Policy.REJECT
    assert (parsed.subdomain_policy, parsed.nonexistent_policy) == (None, None)
    assert (parsed.psd, parsed.is_testing) == (Psd.UNKNOWN, False)
    assert (parsed.is_dkim_strict, parsed.is_spf_strict) == (False, False)
    assert (parsed.rua, parsed.ruf, parsed.failure_options) == ((), (), frozenset({"0"}))


def test_all_tags() -> None:
    parsed = record(
        "v = DMARC1 ; rua=mailto:A@Example.com!10m , https://x.example/y,bogus; "
        "RUF=mailto:b@x.example; SP = None; p=Quarantine;np=REJECT; psd=N; t=Y; adkim=S; aspf=s; "
        "fo=1:d : S; pct=7; ri=1; junk; =x;"
    )
    assert parsed.policy is Policy.QUARANTINE
    assert parsed.subdomain_policy is Policy.NONE
    assert parsed.nonexistent_policy is Policy.REJECT
    assert (parsed.psd, parsed.is_testing) == (Psd.NO, True)
    assert (parsed.is_dkim_strict, parsed.is_spf_strict) == (True, True)
    assert parsed.rua == ("mailto:A@Example.com", "https://x.example/y")
    assert parsed.ruf == ("mailto:b@x.example",)
    assert parsed.failure_options == frozenset({"1", "d", "s"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=DMARC2; p=none",
        "v=dmarc1; p=none",
        " v=DMARC1; p=none",
        "p=none; v=DMARC1",
        "v=DMARC1x",
        "v=DMARC1 p=none",
    ],
)
def test_what_is_no_record(text: str) -> None:
    assert not is_dmarc_record(text.encode())
    assert isinstance(parse_dmarc_record(text.encode()), Malformed)


@pytest.mark.parametrize("text", ["v=DMARC1", "V=DMARC1;", "v\t=\tDMARC1\t;"])
def test_what_is_one(text: str) -> None:
    assert is_dmarc_record(text.encode())


def test_a_tag_twice_spoils_the_record() -> None:
    assert isinstance(parse_dmarc_record(b"v=DMARC1; p=none; P=none"), Malformed)


@pytest.mark.parametrize(
    "bad", ["", "p=bogus", "p=", "p=reject; sp=bogus", "p=reject; np=bogus", "p=rej\xffect"]
)
def test_bad_policies(bad: str) -> None:
    assert record(f"v=DMARC1; {bad}").policy is None
    watched = record(f"v=DMARC1; {bad}; rua=mailto:a@example.com; adkim=s")
    assert watched.policy is Policy.NONE
    assert (watched.subdomain_policy, watched.nonexistent_policy) == (None, None)
    assert watched.is_dkim_strict


@pytest.mark.parametrize("value", ["2", "0:1", "d:d", "", "01", "d:"])
def test_bad_failure_options(value: str) -> None:
    assert record(f"v=DMARC1; p=none; fo={value}").failure_options == frozenset({"0"})


@pytest.mark.parametrize(
    "uri",
    [
        "bogus",
        "mailto:",
        "mailto:a@x.example!",
        "mailto:a@x.example!10p",
        "mailto:a b@x.example",
        "1x:y",
        "mailto:a%4@x",
        "mailto:ü@x",
    ],
)
def test_bad_uris(uri: str) -> None:
    assert record(f"v=DMARC1; p=none; rua={uri}").rua == ()
