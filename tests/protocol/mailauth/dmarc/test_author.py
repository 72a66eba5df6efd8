"""The Author Domain."""

import pytest

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.dmarc.author import NoAuthor, author_domain
from ptt.protocol.mailauth.results import DmarcResult


def author(header: str) -> Name | NoAuthor:
    parsed = parse_header(header.encode())
    assert isinstance(parsed, Header)
    return author_domain(parsed)


@pytest.mark.parametrize(
    "header",
    [
        "From: a@example.org\r\n",
        "From: a@Example.ORG, b@example.org\r\n",
        'FROM : "x@y.example, z" (c@d.example)\r\n\t<"a@b"@example.org>\r\n',
        "From: team: a@example.org, b@example.org;\r\n",
        "Sender: x@example.net\r\nFrom: =?utf-8?q?x=40y=2Eexample?= <a@example.org>\r\n",
    ],
)
def test_one_domain(header: str) -> None:
    assert author(header) == Name.of("example.org")


def test_international_domains() -> None:
    assert author("From: a@faß.example\r\n") == Name.of("xn--fa-hia.example")


@pytest.mark.parametrize(
    ("header", "result"),
    [
        ("Subject: x\r\n", DmarcResult.PERMERROR),
        ("From: a@example.org\r\nFrom: a@example.org\r\n", DmarcResult.PERMERROR),
        ("From: a@example.org, b@example.net\r\n", DmarcResult.PERMERROR),
        ("From:\r\n", DmarcResult.PERMERROR),
        ("From: Alice\r\n", DmarcResult.PERMERROR),
        ("From: nobody:;\r\n", DmarcResult.PERMERROR),
        ("From: a@example.org b@example.org\r\n", DmarcResult.PERMERROR),
        ("From: a@[192.0.2.1]\r\n", DmarcResult.NONE),
    ],
)
def test_no_domain(header: str, result: DmarcResult) -> None:
    found = author(header)
    assert isinstance(found, NoAuthor)
    assert found.result is result
