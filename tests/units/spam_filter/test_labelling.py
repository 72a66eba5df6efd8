"""The label, what is taken out for it, and that nothing else changes."""

import pytest

from ptt.records.spam_model import train
from ptt.units.spam_filter.labelling import label_message, without_labels


def mail(text: str, *fields: bytes) -> bytes:
    return b"".join((*fields, b"Subject: mail\r\n\r\n", text.encode(), b"\r\n"))


SPAM = [mail(f"cheap pills buy offer today winner number{n}") for n in range(10)]
HAM = [mail(f"meeting notes from project garden review number{n}") for n in range(10)]
MODEL = train(SPAM, HAM)


def joined(buffers: tuple[bytes, ...]) -> bytes:
    return b"".join(buffers)


@pytest.mark.parametrize(
    ("text", "label", "summary"),
    [
        ("buy cheap pills, winner", b"yes", "spam=yes"),
        ("notes from the garden project", b"no", "spam=no"),
        ("something else", b"unknown\r\nX-Spamtacus-Score: 0.500\r\n", "spam=unknown 0.500"),
    ],
)
def test_the_label_stands_in_front(text: str, label: bytes, summary: str) -> None:
    message = mail(text)
    labelled = label_message([message], MODEL)

    assert joined(labelled.message).startswith(b"X-Spamtacus: " + label)
    assert joined(labelled.message).endswith(message)
    assert joined(labelled.message).count(b"X-Spamtacus-Score: ") == 1
    assert labelled.summary.startswith(summary)


def test_without_a_model_nothing_is_said() -> None:
    labelled = label_message([SPAM[0]], None)

    assert labelled.message == (b"X-Spamtacus: unknown\r\n", SPAM[0])
    assert labelled.summary == "spam=unknown (no model)"


@pytest.mark.parametrize("message", [b"", b"no message at all", b"\r\n\r\n", b"A: b\r\nno field\r\n\r\nbody"])
def test_mail_that_cannot_be_read_passes(message: bytes) -> None:
    assert joined(label_message([message], MODEL).message) == b"X-Spamtacus: unknown\r\n" + message


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("buy cheap pills, winner", b"X-Spam-Status: Yes, score="),
        ("notes from the garden project", b"X-Spam-Status: No, score="),
        ("something else", b"X-Spam-Status: No, score=0.500\r\n"),
    ],
)
def test_the_field_that_other_programs_sort_by(text: str, status: bytes) -> None:
    message = mail(text, b"X-Spam-Status: No, by somebody else\r\n")
    written = joined(label_message([message], MODEL, x_spam_status=True).message)

    assert status in written
    assert written.count(b"X-Spam-Status:") == 1
    assert joined(label_message([message], None, x_spam_status=True).message).startswith(
        b"X-Spamtacus: unknown\r\nX-Spam-Status: No\r\nSubject"
    )


@pytest.mark.parametrize(
    "forged",
    [
        b"X-Spamtacus: no\r\n",
        b"x-SPAMTACUS : no\r\n",
        b"X-Spamtacus:\r\n no,\r\n\tnever\r\n",
        b"X-Spamtacus-Score: 0.0\r\n",
        b"X-Spamtacus: no\r\nX-Spamtacus: no\r\nX-Spamtacus-Score: 0\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", b"To: a@b.example\r\n", b"no field\r\n", b"A: b\r\n c\r\n"])
def test_forged_labels_are_taken_out_whole(forged: bytes, before: bytes) -> None:
    rest = b"Subject: x\r\n\r\nX-Spamtacus: no\r\n"

    assert joined(without_labels([before + forged + rest])) == before + rest


def test_a_forged_label_that_ends_the_message() -> None:
    assert joined(without_labels([b"A: b\r\nX-Spamtacus: no"])) == b"A: b\r\n"


@pytest.mark.parametrize(
    "message",
    [
        b"X-Spamtacus-Other: x\r\n\r\n",
        b"NX-Spamtacus: x\r\n\r\n",
        b"A: b\r\n X-Spamtacus: no\r\n\r\n",
        b"X-Spam-Status: Yes\r\n\r\n",
        b"\r\nX-Spamtacus: no\r\n",
    ],
)
def test_what_is_not_ours_stays(message: bytes) -> None:
    assert without_labels([message]) == (message,)


def test_a_message_in_pieces() -> None:
    message = mail("notes from the garden project" * 20_000, b"X-Spamtacus: yes\r\n")
    pieces = [message[at : at + 70_000] for at in range(0, len(message), 70_000)]
    written = label_message(pieces, MODEL).message

    assert joined(written[1:]) == message.removeprefix(b"X-Spamtacus: yes\r\n")
    assert written[0].startswith(b"X-Spamtacus: no")
    assert written[-1] is pieces[-1]  # what need not be joined is handed on as it is
