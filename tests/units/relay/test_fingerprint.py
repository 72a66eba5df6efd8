"""Fingerprints: what makes two messages the same, and that pieces do not matter."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.header import MAX_HEADER_OCTETS
from ptt.units.relay import fingerprint
from ptt.units.relay.fingerprint import Fingerprint, FingerprintReader

ALICE, BOB, CAROL = (mailbox(f"{name}@example.org") for name in ("alice", "bob", "carol"))

MESSAGE = (
    b"Received: from a by b; Wed, 25 Nov 2026 10:00:00 +0000\r\n"
    b"From: Alice <alice@example.org>\r\nSubject: The\r\n plan\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=abc\r\n\r\n"
    b'--abc\r\nContent-Type: multipart/alternative;\r\n boundary="def"\r\n\r\n'
    b"--def\r\n\r\nHello\r\n--def--\r\n--abc--\r\n"
)


def read(*pieces: bytes, key: bytes = b"secret") -> Fingerprint:
    reader = FingerprintReader(key)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def exact(message: bytes, key: bytes = b"secret") -> bytes:
    return read(message, key=key).exact_key(ALICE, BOB, BOB)


def loose(message: bytes) -> bytes:
    return read(message).loose_key("alice", BOB, BOB)


@given(st.lists(st.integers(0, len(MESSAGE)), max_size=8))
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(MESSAGE)]
    pieces = [MESSAGE[a:b] for a, b in pairwise(places)]

    assert read(*pieces) == read(MESSAGE)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_octets_have_a_fingerprint(message: bytes, cut: int) -> None:
    assert read(message[:cut], message[cut:]) == read(message)
    assert read(message).size == len(message)


def test_each_part_of_the_envelope_counts() -> None:
    seen = read(MESSAGE)
    keys = {
        seen.exact_key(ALICE, BOB, BOB),
        seen.exact_key(None, BOB, BOB),
        seen.exact_key(ALICE, CAROL, BOB),
        seen.exact_key(ALICE, BOB, CAROL),
        seen.loose_key("alice", BOB, BOB),
        seen.loose_key("carol", BOB, BOB),
        seen.loose_key("alice", CAROL, BOB),
        seen.loose_key("alice", BOB, CAROL),
        exact(MESSAGE, b"another key"),
    }

    assert len(keys) == 9


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<1@", b"<2@"),
        (b"Date: Wed", b"Date: Thu"),
        (b"Alice <", b"Alicia <"),
        (b"Hello", b"Hullo"),
        (b"plan", b"plane"),
        (b"Subject:", b"To: bob@example.com\r\nSubject:"),
    ],
)
def test_what_the_author_wrote_counts_exactly(old: bytes, new: bytes) -> None:
    assert exact(MESSAGE.replace(old, new)) != exact(MESSAGE)


def test_trace_fields_and_signatures_count_nowhere() -> None:
    other = b"DKIM-Signature: v=1; t=1\r\nReceived: from c by d; now\r\n" + MESSAGE

    assert (exact(other), loose(other)) == (exact(MESSAGE), loose(MESSAGE))


def test_the_looser_key_outlives_renewal() -> None:
    """FairEmail renews Message-ID, Date and boundaries with each try (specs/clients.md section 5b)."""
    renewed = (
        MESSAGE.replace(b"<1@", b"<2@")
        .replace(b"10:00:00", b"10:05:00")
        .replace(b"abc", b"xyz_1")
        .replace(b"def", b"u/v")
    )

    assert exact(renewed) != exact(MESSAGE)
    assert loose(renewed) == loose(MESSAGE)


@pytest.mark.parametrize(("old", "new"), [(b"plan", b"place"), (b"Alice <", b"Al <"), (b"Hello", b"Bye")])
def test_the_looser_key_holds_to_what_is_said(old: bytes, new: bytes) -> None:
    assert loose(MESSAGE.replace(old, new)) != loose(MESSAGE)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Message-ID: <1@a>\r\n", True),
        (b"Message-ID:\r\n", False),
        (b"Subject: x\r\n", False),
        (b"Message-ID: <1@a>\r\nMessage-ID: <2@a>\r\n", False),
        (b"Message-ID: <1@a>\r\nno field\r\n", False),
    ],
)
def test_a_message_names_itself_by_one_message_id(header: bytes, expected: bool) -> None:
    assert read(header + b"\r\nbody\r\n").names_itself is expected


def test_a_header_that_cannot_be_read_counts_as_a_whole() -> None:
    first, second = b"no field\r\n\r\nbody\r\n", b"no such field\r\n\r\nbody\r\n"

    assert exact(first) != exact(second)
    assert loose(first) != loose(second)


@pytest.mark.parametrize(
    ("message", "header_is_ascii", "body_is_ascii"),
    [
        (b"Subject: a\r\n\r\nb\r\n", True, True),
        ("Subject: ä\r\n\r\nb\r\n".encode(), False, True),
        ("Subject: a\r\n\r\nbä\r\nc\r\n".encode(), True, False),
        ("\r\nbä".encode(), True, False),
        (b"Subject: a", True, True),
    ],
)
def test_where_8_bit_octets_stand_is_noted(
    message: bytes, header_is_ascii: bool, body_is_ascii: bool
) -> None:
    seen = read(message)

    assert (seen.is_ascii_header, seen.is_ascii_body) == (header_is_ascii, body_is_ascii)


def test_a_header_without_end_is_no_reason_to_keep_it() -> None:
    reader = FingerprintReader(b"secret")
    reader.feed(b"X: " + b"x" * MAX_HEADER_OCTETS)

    assert not reader.in_header
    assert not reader.finish().names_itself


def test_a_line_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "MAX_CARRIED_LINE", 10)
    message = b"\r\n" + b"x" * 11 + b"y\r\n"

    assert loose(message) == loose(b"\r\n" + b"x" * 11 + b"y\r\n")
    assert read(b"\r\n", b"x" * 11, b"y\r\n").loose_key("alice", BOB, BOB) == loose(message)
