"""Authentication-Results: written, read by authres, recognised when forged."""

import authres
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.authentication_results import (
    AuthenticationResults,
    MethodResult,
    authentication_results,
    claims_authserv_id,
    parse_authentication_results,
)

RESULTS = (
    MethodResult("spf", "pass", "", (("smtp.mailfrom", "a.b@example.org"),)),
    MethodResult(
        "dkim",
        "fail",
        'the "body" was changed',
        (("header.d", "example.org"), ("header.b", "ab/cd+e=")),
        "x (y)",
    ),
    MethodResult("dmarc", "none"),
)


def read(field: bytes) -> AuthenticationResults | Malformed:
    header = parse_header(field)
    assert isinstance(header, Header)
    assert len(header.fields) == 1
    return parse_authentication_results(header.fields[0].value)


def test_one_field() -> None:
    assert authentication_results("mx.example.net", RESULTS) == (
        b"Authentication-Results: mx.example.net; spf=pass\r\n"
        b"\tsmtp.mailfrom=a.b@example.org; dkim=fail (x \\(y\\))\r\n"
        b'\treason="the \\"body\\" was changed" header.d=example.org header.b="ab/cd+e=";\r\n'
        b"\tdmarc=none\r\n"
    )


def test_no_results() -> None:
    field = authentication_results("mx.example.net", [])
    assert field == b"Authentication-Results: mx.example.net; none\r\n"
    assert read(field) == AuthenticationResults("mx.example.net", ())


def test_authres_reads_the_same() -> None:
    field = authentication_results("mx.example.net", RESULTS).decode().replace("\r\n", "\n").strip()
    parsed = authres.AuthenticationResultsHeader.parse(field)
    assert parsed.authserv_id == "mx.example.net"
    assert [(each.method, each.result) for each in parsed.results] == [
        ("spf", "pass"),
        ("dkim", "fail"),
        ("dmarc", "none"),
    ]
    assert parsed.results[0].smtp_mailfrom == "a.b@example.org"
    assert parsed.results[1].header_d == "example.org"
    assert parsed.results[1].reason == r"the \"body\" was changed"  # it leaves the backslashes in


WORDS = st.from_regex(r"\A[a-z][a-z0-9-]{0,8}\Z").filter(lambda word: not word.endswith("-"))
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30)
PROPERTIES = st.tuples(st.builds("{}.{}".format, WORDS, WORDS), TEXTS)
ANY_RESULT = st.builds(MethodResult, WORDS, WORDS, TEXTS, st.lists(PROPERTIES, max_size=3).map(tuple))


@given(TEXTS.filter(bool), st.lists(ANY_RESULT, max_size=4))
def test_what_is_written_is_read(authserv_id: str, results: list[MethodResult]) -> None:
    assert read(authentication_results(authserv_id, results)) == AuthenticationResults(
        authserv_id, tuple(results)
    )


FROM_RFC_8601_B7 = (
    "foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
    " policy (A dot can go here) . (like that) expired\r\n"
    " (this surprised me) = (as I wasn't expecting it) 1362471462"
)


@pytest.mark.parametrize(
    ("text", "results"),
    [
        # RFC 8601 appendix B
        ("example.org 1; none", []),
        (
            "example.com;\r\n spf=pass smtp.mailfrom=example.net",
            [("spf", "pass", [("smtp.mailfrom", "example.net")])],
        ),
        (
            "example.com;\r\n auth=pass (x) smtp.auth=s@example.net; spf=pass smtp.mailfrom=example.net",
            [
                ("auth", "pass", [("smtp.auth", "s@example.net")]),
                ("spf", "pass", [("smtp.mailfrom", "example.net")]),
            ],
        ),
        (FROM_RFC_8601_B7, [("dkim", "fail", [("policy.expired", "1362471462")])]),
        ("x; DKIM=Pass Header.I=@example.org;", [("dkim", "pass", [("header.i", "@example.org")])]),
        (
            'x; spf=pass smtp.mailfrom="a b"@example.org',
            [("spf", "pass", [("smtp.mailfrom", "a b@example.org")])],
        ),
        (
            "x; iprev=pass policy.iprev=2001:db8::1 policy.x=[a]",
            [("iprev", "pass", [("policy.iprev", "2001:db8::1"), ("policy.x", "[a]")])],
        ),
    ],
)
def test_what_others_write(text: str, results: list[tuple[str, str, list[tuple[str, str]]]]) -> None:
    parsed = parse_authentication_results(text.encode())
    assert isinstance(parsed, AuthenticationResults)
    assert [(each.method, each.result, list(each.properties)) for each in parsed.results] == results


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "x y; none",
        "x; spf",
        "x; spf=",
        "x; =pass",
        "x; spf=pass what",
        "x; (",
        'x; "',
        "spf=pass",
        'x; a=b c.d=["0"]"1"',
    ],
)
def test_what_is_malformed(text: str) -> None:
    assert isinstance(parse_authentication_results(text.encode()), Malformed)


def claims(field: str, ours: str = "mx.example.org") -> bool:
    header = parse_header(field.encode())
    assert isinstance(header, Header)
    return claims_authserv_id(header.fields[0], ours)


@pytest.mark.parametrize(
    "value",
    [
        "mx.example.org; spf=pass",
        "MX.Example.ORG;spf=pass",
        "mx.example.org 1; none",
        "mx.example.org",
        "mx.example.org.; none",
        '"mx.example.org"; none',
        '"mx.\\example.org" ; none',
        "(a (nested) comment) mx.example.org(another); none",
        "\r\n\tmx.example.org\r\n\t; none",
        "mx.example.org spf=pass",
        "mx.example.org; dkim=pass (never closed",
        "(never closed mx.example.org; none",
        '"mx.example.org; none',
        "",
        ";",
        "\x01 mx.example.org; none",
    ],
)
def test_forged_fields(value: str) -> None:
    assert claims(f"Authentication-Results: {value}\r\n")
    assert claims(f"AUTHENTICATION-results :{value}\r\n")


def test_international_names_are_compared_as_a_labels() -> None:
    assert claims("Authentication-Results: bücher.example; none\r\n", "xn--bcher-kva.example")
    assert claims("Authentication-Results: our host; none\r\n", "OUR")


@pytest.mark.parametrize(
    "field",
    [
        "Authentication-Results: mx.example.net; spf=pass\r\n",
        "Authentication-Results: example.org; spf=pass\r\n",
        "Authentication-Results: a.mx.example.org; spf=pass\r\n",
        "Authentication-Results: (mx.example.org) other; spf=pass\r\n",
        "Authentication-Results: spf=pass smtp.mailfrom=mx.example.org\r\n",
        "Authentication-Results: other; dkim=pass (never closed\r\n",
        "ARC-Authentication-Results: i=1; mx.example.org; spf=pass\r\n",
        "X-Authentication-Results: mx.example.org; spf=pass\r\n",
    ],
)
def test_fields_of_others(field: str) -> None:
    assert not claims(field)


def test_forged_fields_are_taken_out_whole() -> None:
    header = parse_header(
        b"Received: x\r\nAuthentication-Results: mx.example.org;\r\n spf=pass\r\nFrom: a@b\r\n"
        b"authentication-results: other;\r\n spf=pass\r\n\r\n"
    )
    assert isinstance(header, Header)
    kept = b"".join(header.without(lambda field: claims_authserv_id(field, "mx.example.org")))
    assert kept == b"Received: x\r\nFrom: a@b\r\nauthentication-results: other;\r\n spf=pass\r\n\r\n"
