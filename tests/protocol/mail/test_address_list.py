"""Address lists of header fields: common and obsolete forms, and what readers read differently."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.address_list import Group, NamedMailbox, parse_address_list, parse_named_addresses

ALICE = mailbox("alice@example.org")
BOB = mailbox("bob@example.com")


@pytest.mark.parametrize(
    "value",
    [
        b"alice@example.org",
        b"<alice@example.org>",
        b" Alice <alice@EXAMPLE.org> ",
        b'"Alice, the first" <alice@example.org>',
        b"Alice B. Carroll <alice@example.org>",
        b"=?utf-8?q?Alice,_B.?= <alice@example.org>",
        b"alice@example.com <alice@example.org>",
        b"[list] Alice <alice@example.org>",
        b"\xc4lice <alice@example.org>",
        b"alice@example.org (Alice)",
        b"(x) alice (y) @ (z) example . org",
        b"alice\r\n @example\r\n .org",
        b'"alice"@example.org',
        b"<@relay.example,@relay2.example:alice@example.org>",
        b"<@relay.example:alice@example.org>",
        b"<,@relay.example:alice@example.org>",
        b", alice@example.org,,",
        b"Friends: alice@example.org;",
        b'"My Friends": Alice <alice@example.org>, ;',
        b"None:;, alice@example.org",
        b"None:; alice@example.org",
    ],
)
def test_one_mailbox(value: bytes) -> None:
    assert parse_address_list(value) == (ALICE,)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b",",
        b"(alice@example.org)",
        b"Alice",
        b"Alice, B. <alice@example.org>",
        b"alice@",
        b"@example.org",
        b"alice@example.org bob@example.com",
        b"<alice@example.org> <bob@example.com>",
        b"<alice@example.org> Alice",
        b"alice@example.org>",
        b"a> <alice@example.org>",
        b"<alice@example.org",
        b"<<alice@example.org>>",
        b"<>",
        b"<@relay.example>",
        b"<relay.example:alice@example.org>",
        b"alice b@example.org",
        b"alice.@example.org",
        b".alice@example.org",
        b"alice..b@example.org",
        b'alice@"example.org"',
        b"alice@-example.org",
        b"alice@example-.org",
        b"alice@example.org.",
        b"alice@example..org",
        b"alice@[192.0.2]",
        b"alice@[\\192.0.2.1]",
        b"alice@[192.0.2.1].org",
        b"a\xc4lice@example.org",
        b"alice@ex\xc4mple.org",
        b"=?utf-8?q?a,b?=@example.org",
        b'"a\x07"@example.org',
        b'"a\\\x7f"@example.org',
        b"alice@" + b"x" * 64,
        b"Friends: alice@example.org",
        b"Friends:",
        b": alice@example.org;",
        b"alice@example.org: bob@example.com;",
        b"a <b>: bob@example.com;",
        b"A: B: alice@example.org;;",
        b"alice@example.org;",
        b"A: alice;",
        b"(alice@example.org",
        b"alice@example.org\r\n",
    ],
)
def test_malformed(value: bytes) -> None:
    assert isinstance(parse_address_list(value), Malformed)


def test_lists_keep_their_order() -> None:
    assert parse_address_list(b"bob@example.com, A: alice@example.org;, <bob@example.com>") == (
        BOB,
        ALICE,
        BOB,
    )


def test_a_group_may_be_empty() -> None:
    assert parse_address_list(b"undisclosed-recipients:;") == ()


def test_names_comments_and_groups() -> None:
    value = (
        b'"Alice  \\"A\\"" Carroll.B <alice@example.org> (one) (two),'
        b"\r\n Best Friends (x): bob@example.com (=?utf-8?q?Bob?=),"
        b" =?utf-8?q?A?= =?utf-8?q?B?= <alice@example.org>;"
    )
    assert parse_named_addresses(value) == (
        NamedMailbox(ALICE, b'Alice  "A" Carroll.B', b"two", None),
        Group(b"Best Friends"),
        NamedMailbox(BOB, b"", b"=?utf-8?q?Bob?=", b"Best Friends"),
        NamedMailbox(ALICE, b"=?utf-8?q?A?= =?utf-8?q?B?=", b"", b"Best Friends"),
    )


def test_the_mailbox_has_the_form_of_an_envelope() -> None:
    found = parse_address_list(b'(x) "a b" . c @ (y) EXAMPLE.org')
    assert not isinstance(found, Malformed)
    assert found[0].local_part == "a b.c"
    assert found[0].wire == b'"a b.c"@example.org'


def test_utf8() -> None:
    assert parse_address_list("Bü <bücher@bücher.example>".encode()) == (mailbox("bücher@bücher.example"),)


def test_header_fields_may_name_what_an_envelope_may_not() -> None:
    found = parse_address_list(b"x" * 100 + b"@under_score.example")
    assert not isinstance(found, Malformed)
    assert found[0].domain.text == "under_score.example"


def test_many_addresses() -> None:
    found = parse_address_list(b", ".join([b"alice@example.org"] * 10_000))
    assert found == (ALICE,) * 10_000
