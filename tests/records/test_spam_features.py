"""What a message shows of itself, part by part; and what must not be seen."""

import pytest

from ptt.errors import Malformed
from ptt.records import spam_features
from ptt.records.spam_features import MAX_TEXT_OCTETS, MAX_TOKENS, Features, read_features

HEADER = b"From: Bob <bob@mail.one.example>\r\nSubject: Hello\r\n"


def features(message: bytes, *rest: bytes) -> Features:
    found = read_features(message, rest)
    assert isinstance(found, Features)
    return found


def tokens(message: bytes) -> frozenset[str]:
    return features(message).tokens


def of_text(content_type: bytes, body: bytes, *more: bytes) -> frozenset[str]:
    fields = b"".join(line + b"\r\n" for line in (b"Content-Type: " + content_type, *more))
    return tokens(HEADER + fields + b"\r\n" + body)


def test_words_of_the_text() -> None:
    found = of_text(b"text/plain", b"Earn $500 NOW! 100% don't re-use\r\na (quick) 2002 'test' x_yz\r\n")

    assert found >= {"earn", "$500", "now!", "100%", "don't", "re-use", "quick", "'test'"}
    assert found.isdisjoint({"a", "2002", "x_yz", "(quick)"})


@pytest.mark.parametrize(
    ("content_type", "encoding", "body"),
    [
        (b"text/plain; charset=utf-8", b"8bit", "Grüße".encode()),
        (b"text/plain; charset=iso-8859-1", b"quoted-printable", b"Gr=FC=DFe"),
        (b"text/plain; charset=utf-8", b"base64", b"R3LDvMOfZQ=="),
        (b"text/html; charset=us-ascii", b"7bit", b"<b>Gr&uuml;&szlig;e</b>"),
    ],
)
def test_encodings_and_charsets_are_undone(content_type: bytes, encoding: bytes, body: bytes) -> None:
    found = of_text(content_type, body, b"Content-Transfer-Encoding: " + encoding)

    assert "grüße" in found
    assert f"encoding:{encoding.decode()}" in found


def test_quotes_of_type_setters_are_no_part_of_words() -> None:
    found = of_text(b"text/plain; charset=utf-8", "„Kauf“ don’t wait…".encode())

    assert found >= {"kauf", "don't", "wait"}


def test_html_is_taken_off() -> None:
    body = (
        b"<html><STYLE>p { hidden: much }</style><p class=secret>vi<!-- x -->agra <a href="
        b"'http://www.pills.example:80/buy?a=b'>cheap</a> 3 < 4"
    )
    found = of_text(b"text/html", body)

    assert found >= {"viagra", "cheap", "tag:html", "tag:p", "tag:a", "http:www.pills.example"}
    assert "http:pills.example" in found
    assert found.isdisjoint({"hidden", "much", "secret", "class", "href", "example"})


def test_a_script_without_its_end_hides_the_rest() -> None:
    found = of_text(b"text/html", b"before <script>never shown")

    assert "before" in found
    assert "shown" not in found


def test_hosts_of_links_in_plain_text() -> None:
    found = of_text(
        b"text/plain",
        b"see https://a.b.c.d.example/x and http://127.0.0.1/ and ftp://me@localhost 7://x ftp://",
    )

    assert found >= {"https:b.c.d.example", "https:d.example", "http:address", "ftp:localhost"}
    assert not any(token.endswith(":x") for token in found)


def test_long_words() -> None:
    long = "long:x2"
    found = of_text(
        b"text/plain; charset=utf-8", b"x" * 25 + b" " + "".join(map(chr, range(0x4E00, 0x4E20))).encode()
    )

    assert found >= {long, "\u4e00\u4e01", "\u4e1e\u4e1f"}


def test_the_subject() -> None:
    found = tokens(b"Subject: =?utf-8?b?QlVZ?= NOW! " + b"x" * 70 + b"\r\n\r\n")

    assert found >= {"subject:buy", "subject:now!", "subject:!"}
    assert "subject:shouts" not in found
    assert "subject:shouts" in tokens(b"Subject: BUY NOW!\r\n\r\n")
    assert not any(token.startswith("subject:") for token in tokens(b"Subject: 1\r\n\r\n") - {"subject:1"})


def test_who_it_is_from() -> None:
    found = tokens(
        b"From: =?utf-8?q?J=C3=B6rg?= Smith <j@a.one.example>\r\nReply-To: other@two.example\r\n"
        b"Message-ID: <1@b.one.example>\r\n\r\n"
    )

    assert found >= {"from:jörg", "from:smith", "from:a.one.example", "from:one.example"}
    assert found >= {"reply-to:two.example", "reply-to:other", "message-id:same", "has:reply-to"}
    assert found >= {"no:to", "no:subject", "no:date", "no:mime-version"}


def test_answers_to_the_author_and_a_strange_identifier() -> None:
    found = tokens(b"From: j@one.example\r\nReply-To: <j@one.example>\r\nMessage-ID: <1@two.example>\r\n\r\n")

    assert found >= {"reply-to:same", "message-id:other"}


def test_programs_and_recipients() -> None:
    found = tokens(b"X-Mailer: Mutt 1.5 (Linux) i686\r\nTo: a@b.example, c@d.example\r\n\r\n")

    assert found >= {"mailer:mutt", "mailer:1.5", "mailer:linux", "to:2", "has:x-mailer"}
    assert "mailer:i686" not in found
    assert "mailer:pine" in tokens(b"User-Agent: Pine\r\n\r\n")


MULTIPART = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nordinary words\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n %s\r\n"
    b"\r\nx\r\n--c--\r\n--b--\r\n"
)


@pytest.mark.parametrize("name", [b'filename="two words.exe"', b"filename*=utf-8''two%20words%2Eexe"])
def test_a_program_is_found_in_nested_parts(name: bytes) -> None:
    found = features(HEADER + MULTIPART % name)

    assert found.is_dangerous
    assert found.tokens >= {"file:exe", "ordinary", "type:message/rfc822", "type:application/octet-stream"}


def test_an_ordinary_multipart_is_not_dangerous() -> None:
    assert not features(HEADER + MULTIPART % b"filename=two.pdf").is_dangerous


def test_a_program_behind_what_is_taken_apart() -> None:
    assert features(HEADER + b"\r\n", b"x\r\nContent-Type: a/b; name=c.exe\r\n").is_dangerous


def test_the_way_and_the_collector_are_not_seen() -> None:
    plain = HEADER + b"\r\nhello world\r\n"
    collected = (
        b"From zzzz@example.com  Mon Jul 29 11:22:06 2002\r\nReturn-Path: <x@y.example>\r\n"
        b"Delivered-To: zzzz@spamassassin.taint.org\r\nReceived: from localhost by taint.org\r\n"
        b"X-Spamtacus: no\r\nX-Spam-Status: Yes\r\n" + HEADER + b"\r\nhello world zzzz@netnoteinc.com\r\n"
        b"spamassassin.taint.org/ yyyy-list\r\n"
    )

    assert tokens(collected) - tokens(plain) == frozenset()


@pytest.mark.parametrize("author", [b"zzzz@example.com", b"yyyy-x@a.example", b"x@sub.taint.org"])
def test_a_collectors_address_is_no_author(author: bytes) -> None:
    found = tokens(b"From: " + author + b"\r\n\r\n")

    assert not any(token.startswith("from:") for token in found)


@pytest.mark.parametrize(
    "message", [b"", b"\r\n\r\nbody", b"no field\r\n\r\n", b"A: b\r\nno field\r\nC: d\r\n\r\n"]
)
def test_what_is_no_message(message: bytes) -> None:
    assert isinstance(read_features(message), Malformed)


def test_a_header_alone_is_a_message() -> None:
    assert isinstance(read_features(b"A: b"), Features)


def test_text_is_read_up_to_the_limit() -> None:
    part = b"--b\r\n\r\n%s\r\n"
    body = part % (b"first " + b"x" * MAX_TEXT_OCTETS + b" tail") + part % b"second"
    found = tokens(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body)

    assert "first" in found
    assert found.isdisjoint({"tail", "second"})


def test_tokens_are_bounded_and_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(f"{number:x}q" for number in range(100, 10_700))
    assert len(words) < MAX_TEXT_OCTETS
    message = HEADER + b"\r\n" + words.encode()

    assert len(tokens(message)) == MAX_TOKENS
    monkeypatch.setattr(spam_features, "MAX_TOKENS", 3)
    assert tokens(message) == {"1000q", "1001q", "1002q"}
