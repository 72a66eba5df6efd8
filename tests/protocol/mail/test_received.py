"""Received: what ours says and hides, folding, and what is read of other people's."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from ptt.errors import MisuseError
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.mail.address_list import parse_address_list
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mail.received import (
    ReceivedInfo,
    count_received,
    format_received,
    loop_tokens,
    with_protocol,
)

PLAIN = ReceivedInfo("mx.example.org", "ESMTP", "abc", datetime(2003, 7, 1, 10, 52, 37, tzinfo=UTC))
FULL = replace(
    PLAIN,
    protocol="ESMTPS",
    from_name="client.example.com",
    from_address=ip_address("2001:db8::1"),
    tls=("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    for_=mailbox("alice@example.org"),
    digest="sha256:0123456789abcdef",
    tokens=("first_Token-1", "second"),
)


def header(block: bytes) -> Header:
    parsed = parse_header(block + b"\r\n")
    assert isinstance(parsed, Header)
    return parsed


def test_all_facts() -> None:
    assert format_received(FULL) == (
        b"Received: from client.example.com ([IPv6:2001:db8::1]) by mx.example.org\r\n"
        b"\t(PTT sha256:0123456789abcdef) with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid abc (loop first_Token-1) (loop second) for <alice@example.org>;\r\n"
        b"\tTue, 01 Jul 2003 10:52:37 +0000\r\n"
    )


def test_few_facts() -> None:
    assert format_received(PLAIN) == (
        b"Received: by mx.example.org with ESMTP id abc; Tue, 01 Jul 2003 10:52:37 +0000\r\n"
    )


def test_the_client_can_be_hidden() -> None:
    written = format_received(replace(FULL, hide_client=True))
    assert written.startswith(b"Received: by mx.example.org")
    assert b"client" not in written
    assert b"2001" not in written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("client", b"from client ("),
        ("[IPv6:2001:db8::1]", b"from [IPv6:2001:db8::1] ("),
        ("[192.0.2.1]", b"from [192.0.2.1] ("),
        (None, b"from unknown ("),
        ("", b"from unknown ("),
        ("a\r\nSubject: b", b"from unknown ("),
        ("(a", b"from unknown ("),
        ("bücher", b"from unknown ("),
        ("x" * 256, b"from unknown ("),
    ],
)
def test_what_the_client_says_of_itself_does_no_harm(name: str | None, written: bytes) -> None:
    assert written in format_received(replace(FULL, from_name=name))


def test_a_client_without_an_address() -> None:
    assert b"from client by " in format_received(replace(PLAIN, from_name="client"))


def test_utf8_addresses() -> None:
    idn = mailbox("alice@bücher.example")
    assert b"for <alice@xn--bcher-kva.example>" in format_received(replace(PLAIN, for_=idn))
    utf8 = format_received(replace(PLAIN, protocol="UTF8SMTPS", for_=idn))
    assert b"for <alice@xn--bcher-kva.example>" in utf8
    utf8_local_part = mailbox("bü@example.org")
    assert b"for" not in format_received(replace(PLAIN, for_=utf8_local_part))
    assert "for <bü@example.org>".encode() in format_received(
        replace(PLAIN, for_=utf8_local_part, protocol="UTF8SMTP")
    )


def test_lines_are_short() -> None:
    longest = replace(
        FULL,
        by="x" * 255,
        id="y" * 255,
        digest="z" * 255,
        from_name="v" * 255,
        for_=mailbox("w" * 64 + "@" + ".".join(["d" * 46] * 4)),
        tokens=tuple("t" * 64 for _ in range(50)),
    )
    lines = format_received(longest).split(b"\r\n")
    assert lines.pop() == b""
    assert max(len(line) for line in lines) < 300
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert all(len(line) <= 78 for line in format_received(FULL).split(b"\r\n"))


@pytest.mark.parametrize(
    "info",
    [
        replace(PLAIN, by="a b"),
        replace(PLAIN, id="a)"),
        replace(PLAIN, id="x" * 256),
        replace(PLAIN, protocol=""),
        replace(PLAIN, digest="a\r\n"),
        replace(PLAIN, tokens=("a b",)),
        replace(PLAIN, tls=("TLSv1.3", "(")),
        replace(PLAIN, when=datetime(2003, 7, 1)),  # noqa: DTZ001 - that is the mistake
    ],
)
def test_our_own_words_are_right_or_a_bug(info: ReceivedInfo) -> None:
    with pytest.raises(MisuseError):
        format_received(info)


def test_only_mailboxes_of_an_envelope() -> None:
    found = parse_address_list(b"x" * 1000 + b"@example.org")
    assert isinstance(found, tuple)
    assert isinstance(found[0], Mailbox)
    with pytest.raises(MisuseError, match="envelope"):
        format_received(replace(PLAIN, for_=found[0]))


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("SMTP", {"extended": False}),
        ("SMTP", {"extended": False, "tls": True}),
        ("ESMTP", {}),
        ("ESMTPS", {"tls": True}),
        ("ESMTPA", {"authenticated": True}),
        ("ESMTPSA", {"tls": True, "authenticated": True}),
        ("UTF8SMTP", {"utf8": True}),
        ("UTF8SMTPSA", {"utf8": True, "tls": True, "authenticated": True}),
        ("LMTP", {"lmtp": True}),
        ("LMTPS", {"lmtp": True, "tls": True}),
        ("LMTPSA", {"lmtp": True, "tls": True, "authenticated": True}),
        ("UTF8LMTPS", {"lmtp": True, "tls": True, "utf8": True}),
    ],
)
def test_with_protocol(name: str, facts: dict[str, bool]) -> None:
    assert with_protocol(**facts) == name


def test_count() -> None:
    assert count_received(header(b"")) == 0
    assert count_received(header(b"Received: x\r\nFrom: a@b\r\nRECEIVED: by y\r\nX-Received: z\r\n")) == 2


def test_loop_tokens_are_found_again() -> None:
    block = (
        b"Received: by x (loop foreign) (loop bad token)\r\n" + format_received(FULL) + format_received(PLAIN)
    )
    assert loop_tokens(header(block)) == {"foreign", "first_Token-1", "second"}
    assert loop_tokens(header(b"Subject: (loop x)\r\n")) == frozenset()
