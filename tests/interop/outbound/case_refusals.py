"""What a mail program is told when it may not or asks for too much; and that nothing is delivered."""

import base64
import smtplib
import time
from collections.abc import Callable

import pytest

from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Scripted = Callable[..., ScriptedServer]

HOST = "mail.mirage.org"
ALICE = "alice@mirage.org"
MESSAGE = "From: {author}\r\nTo: bob@remote.com\r\nSubject: {mark}\r\n\r\nHello\r\n"
SIZE_LIMIT = 10_000_000


def sends(client: smtplib.SMTP, mx1: Postfix, mark: str) -> bool:
    """Whether the connection is of use: a mail goes through."""
    client.sendmail(ALICE, ["bob@remote.com"], MESSAGE.format(author=ALICE, mark=mark))
    return len(mx1.wait_messages("bob", mark.encode())) == 1


def log_in(client: smtplib.SMTP, user: str, password: str) -> int:
    """Try one login."""
    return client.docmd("AUTH PLAIN", base64.b64encode(f"\0{user}\0{password}".encode()).decode())[0]


@pytest.mark.parametrize(
    ("user", "password", "source"),
    [
        ("alice", "wrong", "127.0.2.1"),
        ("nobody", "wrong", "127.0.2.2"),
        ("alice@else.org", "x", "127.0.2.3"),
    ],
)
def test_three_wrong_logins_end_the_connection(site: Site, user: str, password: str, source: str) -> None:
    with site.client(source=source) as client:
        client.ehlo()
        codes = [log_in(client, user, password) for _ in range(3)]
        assert codes[:2] == [535, 535]
        assert codes[2] in {421, 535}
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.docmd("NOOP")


def test_a_right_login_after_a_wrong_one(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    with site.client() as client:
        client.ehlo()
        assert client.docmd("AUTH PLAIN", "AGFsaWNlAHdyb25n")[0] == 535
        client.login("alice", site.domain.users["alice"])
        assert sends(client, mx1, new_mark())


def test_an_unknown_user_takes_as_long_as_a_wrong_password(site: Site) -> None:
    """The least of some tries, as the machine does other things too."""
    spent: dict[str, list[float]] = {"alice": [], "nobody": []}
    for turn in range(4):
        for user, times in spent.items():
            with site.client(source=f"127.0.3.{turn}") as client:
                client.ehlo()
                for _ in range(2):
                    begun = time.monotonic()
                    assert log_in(client, user, "wrong") == 535
                    times.append(time.monotonic() - begun)
    known, unknown = (min(times) for times in spent.values())

    assert 0.5 < unknown / known < 2


def test_who_guesses_is_not_listened_to_and_the_owner_is(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    with site.client("alice", source="127.0.4.1"):
        pass
    codes = []
    for _ in range(5):
        with site.client(source="127.0.4.2") as client:
            client.ehlo()
            codes += [log_in(client, "alice", f"guess {number}") for number in range(3)]

    assert codes[:9].count(454) == 0
    assert codes[-3:] == [454] * 3
    with site.client(source="127.0.4.2") as client:
        client.ehlo()
        assert log_in(client, "alice", site.domain.users["alice"]) == 454
    with site.client("alice", source="127.0.4.1") as client:
        assert sends(client, mx1, new_mark())


def test_no_login(site: Site) -> None:
    with site.client() as client:
        client.ehlo()
        code, text = client.docmd("MAIL", f"FROM:<{ALICE}>")

    assert (code, text[:5]) == (530, b"5.7.0")


@pytest.mark.parametrize("sender", ["bruno@mirage.org", "alice@remote.com", "alice@sub.mirage.org"])
def test_a_foreign_sender_in_the_envelope(site: Site, mx1: Postfix, new_mark: NewMark, sender: str) -> None:
    with site.client("alice") as client:
        code, text = client.docmd("MAIL", f"FROM:<{sender}>")
        assert (code, text[:5]) == (553, b"5.7.1")
        assert sends(client, mx1, new_mark())


@pytest.mark.parametrize(
    "author", ["bruno@mirage.org", f"{ALICE}, bruno@mirage.org", "Alice <alice@remote.com>"]
)
def test_a_foreign_sender_in_the_header(site: Site, mx1: Postfix, new_mark: NewMark, author: str) -> None:
    mark = new_mark()
    with site.client("alice") as client:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(ALICE, ["bob@remote.com"], MESSAGE.format(author=author, mark=mark))
        assert refused.value.smtp_code == 553
        assert isinstance(refused.value.smtp_error, bytes)
        assert refused.value.smtp_error.startswith(b"5.7.1")
        assert sends(client, mx1, new_mark())
    assert mx1.wait_messages("bob", mark.encode(), count=0) == []


@pytest.mark.parametrize(
    ("recipient", "code", "text"),
    [
        ("nobody@remote.com", 550, b"5.1.1"),
        ("bob@no-such-domain.test", 550, b"5.1.2"),
        ("bob@null.test", 556, b"5.1.10"),
    ],
)
def test_recipients_that_are_not_there(
    site: Site, mx1: Postfix, new_mark: NewMark, recipient: str, code: int, text: bytes
) -> None:
    """In the session, before the message; Postfix's own words for who is unknown to it."""
    with site.client("alice") as client:
        assert client.docmd("MAIL", f"FROM:<{ALICE}>")[0] == 250
        refused = client.docmd("RCPT", f"TO:<{recipient}>")
        assert (refused[0], refused[1].split(b" ")[0]) == (code, text)
        assert recipient != "nobody@remote.com" or b"User unknown in virtual mailbox table" in refused[1]
        assert client.docmd("DATA")[0] in {503, 554}
        client.rset()
        assert sends(client, mx1, new_mark())
    assert mx1.queued() == 0


def test_a_size_over_the_limit(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    with site.client("alice") as client:
        code, _ = client.docmd("MAIL", f"FROM:<{ALICE}> SIZE={SIZE_LIMIT + 1}")
        assert code == 552
        assert sends(client, mx1, new_mark())


def test_a_message_over_the_limit(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    """The client says nothing of its size; the whole of it is read, and the connection stays of use."""
    mark = new_mark()
    body = b"0123456789" * 7 + b"\r\n"
    message = MESSAGE.format(author=ALICE, mark=mark).encode() + body * (SIZE_LIMIT // len(body))
    with site.client("alice") as client:
        client.docmd("MAIL", f"FROM:<{ALICE}>")
        client.docmd("RCPT", "TO:<bob@remote.com>")
        assert client.data(message)[0] == 552
        assert sends(client, mx1, new_mark())
    assert not [each for each in mx1.messages("bob") if mark.encode() in each]
    assert mx1.queued() == 0


def test_the_hundred_and_first_recipient(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    mark = new_mark()
    with site.client("alice") as client:
        client.docmd("MAIL", f"FROM:<{ALICE}>")
        replies = [client.docmd("RCPT", f"TO:<u{number}@remote.com>")[0] for number in range(100)]
        assert replies == [250] * 100
        assert client.docmd("RCPT", "TO:<bob@remote.com>")[0] == 452
        assert client.data(MESSAGE.format(author=ALICE, mark=mark))[0] == 250

    assert [len(mx1.wait_messages(f"u{number}", mark.encode())) for number in range(100)] == [1] * 100
    assert not [each for each in mx1.messages("bob") if mark.encode() in each]


def test_twenty_five_bad_commands(site: Site) -> None:
    with site.client("alice") as client:
        codes = [client.docmd("NONSENSE")[0] for _ in range(25)]
        assert set(codes[:24]) <= {500, 502}
        assert codes[24] in {421, 500, 554}
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.docmd("NOOP")


@pytest.mark.parametrize("reply", [b"554 5.7.1 no\r\n", b"550 5.2.2 mailbox full\r\n", b"452 4.2.2 full\r\n"])
def test_the_remote_refuses_after_the_data(
    site: Site, scripted: Scripted, new_mark: NewMark, reply: bytes
) -> None:
    """Its code and words in the session; nobody composes a bounce."""
    server = scripted(1, {"end": reply})
    with site.client("alice") as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(ALICE, ["x@s1.test"], MESSAGE.format(author=ALICE, mark=new_mark()))

    assert refused.value.smtp_code == int(reply[:3])
    assert isinstance(refused.value.smtp_error, bytes)
    assert reply.split(b" ", 2)[2].strip() in refused.value.smtp_error
    assert server.messages == []
    assert len(server.talks) == 1


def test_what_cannot_be_signed_is_not_sent(site: Site, scripted: Scripted, new_mark: NewMark) -> None:
    """4yz, not unsigned: the mend is ours [N9]."""
    server = scripted(12)
    author = "alice@keyless.test"
    with site.client("alice") as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(author, ["x@s12.test"], MESSAGE.format(author=author, mark=new_mark()))

    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (451, b"4.7.5")
    assert server.messages == []
