"""Logins and as whom they may send [S8]."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.records.address_rules import AnyOf, address_rule_text
from ptt.records.logins import (
    Login,
    login_file,
    may_send_as,
    parse_compatible_login,
    parse_login,
)
from ptt.records.passwords import make_blake2b

VERIFIER = make_blake2b("x")
DIGEST = VERIFIER.text.encode()
OURS = {Name.of("example.org"), Name.of("example.net")}


def test_a_file() -> None:
    content = (
        b'{"verifier":"%b","send_as":["Info@example.org","@example.com","*@b.example"],"domains":["example.org"],"later":1}'
        % DIGEST
    )
    assert parse_login("alice", content) == Login(
        "alice",
        VERIFIER,
        (mailbox("Info@example.org"), AnyOf(Name.of("example.com")), AnyOf(Name.of("b.example"))),
        (Name.of("example.org"),),
    )


def test_only_the_verifier_must_be_there() -> None:
    assert parse_login("alice", b'{"verifier":"%b"}' % DIGEST) == Login("alice", VERIFIER)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (".a", b"{}", "name"),
        ("a", b"{", "not JSON"),
        ("a", b"{}", "`verifier`"),
        ("a", b'{"verifier":"geheim"}', "`verifier`"),
        ("a", b'{"verifier":"%b","send_as":["info"]}' % DIGEST, "`send_as[0]`"),
        ("a", b'{"verifier":"%b","send_as":["@"]}' % DIGEST, "`send_as[0]`"),
        ("a", b'{"verifier":"%b","send_as":["a@b","*@-"]}' % DIGEST, "`send_as[1]`"),
        ("a", b'{"verifier":"%b","domains":[""]}' % DIGEST, "`domains[0]`"),
    ],
)
def test_malformed(name: str, content: bytes, reason: str) -> None:
    login = parse_login(name, content)
    assert isinstance(login, Malformed)
    assert reason in login.reason
    assert "geheim" not in login.reason


def test_a_file_of_the_original_logs_in() -> None:
    content = b'{"targets":["a@b.example"],"password":"%b","insecure":false}' % DIGEST
    assert parse_compatible_login("alice", content) == Login("alice", VERIFIER)


def test_a_password_that_has_moved() -> None:
    assert parse_compatible_login("alice", b'{"targets":["a@b.example"],"insecure":false}') is None


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("a b", b"{}", "name"), ("a", b"[]", "object"), ("a", b'{"password":"ab12"}', "`password`")],
)
def test_malformed_files_of_the_original(name: str, content: bytes, reason: str) -> None:
    login = parse_compatible_login(name, content)
    assert isinstance(login, Malformed)
    assert reason in login.reason


def test_writing() -> None:
    entries = (mailbox("info@example.org"), AnyOf(Name.of("example.com")))
    assert [address_rule_text(entry) for entry in entries] == ["info@example.org", "@example.com"]
    assert address_rule_text(mailbox("*@example.org")) == '"*"@example.org'
    file = login_file(VERIFIER, entries, b'{"later":1,"verifier":"old"}')
    assert file == b'{"later":1,"verifier":"%b","send_as":["info@example.org","@example.com"]}' % DIGEST
    assert isinstance(file, bytes)
    assert parse_login("a", file) == Login("a", VERIFIER, entries)
    changed = login_file(make_blake2b("y"), None, file)
    assert isinstance(changed, bytes)
    assert b'"send_as":["info@example.org","@example.com"]' in changed
    assert isinstance(login_file(VERIFIER, None, b"x"), Malformed)


ALICE = Login("Alice", VERIFIER, (mailbox("Info@example.org"), AnyOf(Name.of("lists.example"))))


@pytest.mark.parametrize(
    ("sender", "may"),
    [
        ("alice@example.org", True),
        ("ALICE@Example.Net", True),
        ("alice+news@example.org", True),
        ("alice+a+b@example.org", True),
        ("alice@example.com", False),
        ("alice@sub.example.org", False),
        ("alice@[192.0.2.1]", False),
        ("bob@example.org", False),
        ("bob+alice@example.org", False),
        ("alic@example.org", False),
        ('"alice"@example.org', True),
        ('"alice "@example.org', False),
        ("info@example.org", True),
        ("info+x@example.org", False),
        ("info@example.net", False),
        ("anybody@lists.example", True),
        ("anybody@x.lists.example", False),
    ],
)
def test_may_send_as(sender: str, may: bool) -> None:
    assert may_send_as(ALICE, OURS, mailbox(sender)) is may


def test_a_login_of_some_domains_only() -> None:
    login = Login("alice", VERIFIER, (), (Name.of("example.net"),))
    assert may_send_as(login, OURS, mailbox("alice@example.net"))
    assert not may_send_as(login, OURS, mailbox("alice@example.org"))


def test_a_login_with_a_tag_is_not_the_one_without() -> None:
    login = Login("alice+shop", VERIFIER)
    assert may_send_as(login, OURS, mailbox("alice+shop@example.org"))
    assert not may_send_as(login, OURS, mailbox("alice@example.org"))
    assert not may_send_as(login, OURS, mailbox("alice+other@example.org"))
