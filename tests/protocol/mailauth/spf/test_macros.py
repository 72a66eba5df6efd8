"""Macro strings: the examples of RFC 7208 §7.4 and what is no macro."""

from ipaddress import ip_address

import pytest

from ptt.errors import Malformed
from ptt.protocol.mailauth.spf.macros import (
    MacroString,
    MacroValues,
    expand,
    parse_domain_spec,
    parse_macro_string,
)


def values(address: str = "192.0.2.3", local_part: str = "strong-bad") -> MacroValues:
    return MacroValues(
        local_part,
        "email.example.com",
        "email.example.com",
        ip_address(address),
        "mx.example.org",
        "unknown",
        "us.example",
        7,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{h}%%%_%-", "mx.example.org% %20"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{p}", "unknown"),
        ("", ""),
    ],
)
def test_examples(text: str, expected: str) -> None:
    macros = parse_macro_string(text)
    assert isinstance(macros, MacroString)
    assert macros.text == text
    assert expand(macros, values()) == expected
    assert macros.needs_validated_name == ("{p" in text)


def test_ipv6() -> None:
    macros = parse_macro_string("%{ir}.%{v}")
    assert isinstance(macros, MacroString)
    assert (
        expand(macros, values("2001:db8::cb01"))
        == "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6"
    )


def test_explanations() -> None:
    macros = parse_macro_string("see %{c} at %{r}, %{t}", is_explanation=True)
    assert isinstance(macros, MacroString)
    assert expand(macros, values("2001:db8::1")) == "see 2001:db8::1 at us.example, 7"


@pytest.mark.parametrize(
    "text", ["%", "%x", "%{", "%{d", "%{x}", "%{c}", "%{d0}", "%{d1000}", "%{d2x}", "a b", "ü", "%(d)"]
)
def test_what_is_no_macro_string(text: str) -> None:
    assert isinstance(parse_macro_string(text), Malformed)


@pytest.mark.parametrize(
    "text", ["%{d}", "a.example", "a.example.", "%{l}.a-1.x-2", "_spf.%{d2}", "a%%", "a.%%%%", "x.1a"]
)
def test_domain_specs(text: str) -> None:
    assert isinstance(parse_domain_spec(text), MacroString)


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.", "a..", "a.1", "a.-b", "a.b-", "a.b_", "%{d}com", "a.%{x}", "x%%{d}", "x%%-", "a.b/"],
)
def test_what_is_no_domain_spec(text: str) -> None:
    assert isinstance(parse_domain_spec(text), Malformed)
