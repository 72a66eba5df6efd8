"""Message identifiers."""

import pytest

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.message_id import MessageId, make_message_id, parse_message_id, parse_message_ids


@pytest.mark.parametrize(
    ("value", "canonical", "is_dot_atom"),
    [
        (b"<a.B@Example.org>", b"a.b@example.org", True),
        (b" (x) <a@b> (y)", b"a@b", True),
        (b"<a@b> c", b"a@b", True),
        (b"<a @ b>", b"a@b", False),
        (b"<a@[192.0.2.1]>", b"a@[192.0.2.1]", False),
        (b"<a>", b"a", False),
        (b"<a@b@c>", b"a@b@c", False),
        (b'<"a"@b>', b'"a"@b', False),
        (b"<a..b@c>", b"a..b@c", False),
    ],
)
def test_parse(value: bytes, canonical: bytes, is_dot_atom: bool) -> None:
    found = parse_message_id(value)
    assert isinstance(found, MessageId)
    assert found.canonical() == canonical
    assert found.is_dot_atom is is_dot_atom


@pytest.mark.parametrize("value", [b"", b"a@b", b"<>", b"<a@b", b"a@b>", b"x <a@b>", b"<<a@b>>", b"(<a@b>"])
def test_malformed(value: bytes) -> None:
    assert parse_message_id(value) == Malformed("not a message identifier")


def test_lists() -> None:
    assert parse_message_ids(b"<a@b>\r\n <c@d> word<e@f>") == (
        MessageId(b"a@b"),
        MessageId(b"c@d"),
        MessageId(b"e@f"),
    )
    assert parse_message_ids(b"Your letter of Monday") == ()


def test_what_is_made_is_read_back() -> None:
    made = make_message_id(bytes(range(16)), Name.of("example.org"))
    assert made == b"<000102030405060708090a0b0c0d0e0f@example.org>"
    found = parse_message_id(made)
    assert isinstance(found, MessageId)
    assert found.is_dot_atom


def test_too_little_randomness_is_a_bug() -> None:
    with pytest.raises(MisuseError, match="random"):
        make_message_id(b"1234567", Name.of("example.org"))
