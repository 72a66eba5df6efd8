"""What MAIL asks of a server, and what a lack means."""

import pytest

from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import BodyType, MailParameters
from ptt.protocol.smtp.extensions import Extensions, Keyword
from ptt.units.relay.security import (
    NO_EIGHT_BIT,
    NO_UTF8,
    TOO_LARGE,
    Envelope,
    for_wire,
    lack_reply,
)

ALICE, BOB = mailbox("alice@example.org"), mailbox("bob@remote.example")
UMLAUT, U_LABEL = mailbox("bäb@remote.example"), mailbox("bob@bücher.example")


def offer(*keywords: Keyword, size: str | None = None) -> Extensions:
    offered: dict[str, tuple[str, ...]] = dict.fromkeys(keywords, ())
    return Extensions("mx", offered if size is None else {**offered, Keyword.SIZE: (size,)})


ALL = offer(Keyword.EIGHTBITMIME, Keyword.SMTPUTF8, size="1000")
NOTHING = offer()


@pytest.mark.parametrize(
    ("envelope", "recipients", "extensions", "expected"),
    [
        (Envelope(None), (BOB,), ALL, Mail(None, MailParameters())),
        (Envelope(ALICE, size=1000), (BOB,), ALL, Mail(ALICE, MailParameters(size=1000))),
        (Envelope(ALICE, size=1001), (BOB,), ALL, Keyword.SIZE),
        (Envelope(ALICE, size=1001), (BOB,), NOTHING, Mail(ALICE, MailParameters(size=1001))),
        (Envelope(ALICE, declares_eight_bit=True), (BOB,), NOTHING, Mail(ALICE, MailParameters())),
        (Envelope(ALICE, eight_bit=True), (BOB,), NOTHING, Keyword.EIGHTBITMIME),
        (Envelope(ALICE), (BOB, UMLAUT), NOTHING, Keyword.SMTPUTF8),
        (Envelope(ALICE, utf8_header=True), (BOB,), NOTHING, Keyword.SMTPUTF8),
        (Envelope(ALICE), (UMLAUT,), ALL, Mail(ALICE, MailParameters(smtputf8=True))),
        (Envelope(UMLAUT), (BOB,), ALL, Mail(UMLAUT, MailParameters(smtputf8=True))),
        (Envelope(U_LABEL), (BOB,), NOTHING, Mail(U_LABEL, MailParameters())),
        (
            Envelope(ALICE, declares_eight_bit=True),
            (BOB,),
            ALL,
            Mail(ALICE, MailParameters(body=BodyType.EIGHT_BIT_MIME)),
        ),
        (
            Envelope(ALICE, eight_bit=True, utf8_header=True),
            (BOB,),
            ALL,
            Mail(ALICE, MailParameters(body=BodyType.EIGHT_BIT_MIME, smtputf8=True)),
        ),
    ],
)
def test_extensions_are_asked_for_where_the_bytes_need_them(
    envelope: Envelope, recipients: tuple[Mailbox, ...], extensions: Extensions, expected: Mail | Keyword
) -> None:
    assert envelope.mail(extensions, recipients) == expected


def test_the_bytes_decide_when_they_are_here() -> None:
    before = Envelope(ALICE, size=10)

    assert before.with_bytes(header_is_ascii=True, body_is_ascii=True, size=None) == before
    assert before.with_bytes(header_is_ascii=False, body_is_ascii=True, size=20) == Envelope(
        ALICE, eight_bit=True, utf8_header=True, size=20
    )
    assert before.with_bytes(header_is_ascii=True, body_is_ascii=False, size=20) == Envelope(
        ALICE, eight_bit=True, size=20
    )


def test_a_mailbox_goes_in_ascii_where_that_says_the_same() -> None:
    assert for_wire(BOB) is BOB
    assert for_wire(UMLAUT) is UMLAUT
    assert for_wire(U_LABEL).wire == b"bob@xn--bcher-kva.example"


def test_each_lack_has_its_refusal() -> None:
    assert lack_reply(Keyword.SMTPUTF8) == NO_UTF8
    assert lack_reply(Keyword.EIGHTBITMIME) == NO_EIGHT_BIT
    assert lack_reply(Keyword.SIZE) == TOO_LARGE
