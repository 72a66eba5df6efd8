"""Which server of a domain gets a mail, and how: order, fail-over, families, TLS."""

import smtplib
from collections.abc import Callable

import pytest

from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import LEAVE, ScriptedServer, Step
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Scripted = Callable[..., ScriptedServer]

MX1, MX2 = "203.0.113.51", "203.0.113.52"
LARGE = "0123456789abcdef\r\n" * 100_000  # 1.8 MB: streamed


def post(site: Site, to: str, mark: str, user: str = "alice", body: str = "Hello\r\n") -> tuple[int, bytes]:
    """Send a mail; the code and words of the first refusal, or of the 250."""
    author = f"{user}@mirage.org"
    with site.client(user) as client:
        client.docmd("MAIL", f"FROM:<{author}>")
        answer = client.docmd("RCPT", f"TO:<{to}>")
        if answer[0] != 250:
            return answer
        return client.data(f"From: {author}\r\nTo: {to}\r\nSubject: {mark}\r\n\r\n{body}")


def test_the_best_server_gets_the_mail(site: Site, scripted: Scripted, new_mark: NewMark) -> None:
    first, second = scripted(MX1), scripted(MX2)
    code, text = post(site, "bob@two.test", new_mark())

    assert (code, text.startswith(b"2.0.0 Delivered. mx1.two.test: taken [")) == (250, True), text
    assert (len(first.messages), second.talks) == (1, [])


def test_a_refused_connection(site: Site, scripted: Scripted, new_mark: NewMark) -> None:
    mark = new_mark()
    second = scripted(MX2)
    code, text = post(site, "bob@two.test", mark)

    assert (code, b"mx2.two.test" in text) == (250, True)
    [taken] = second.messages
    assert taken.data.endswith(f"Subject: {mark}\r\n\r\nHello\r\n".encode())


@pytest.mark.parametrize(
    ("step", "says", "body"),
    [
        (Step.GREETING, b"554 5.3.2 not today\r\n", "Hello\r\n"),
        (Step.GREETING, b"421 4.3.2 not now\r\n", "Hello\r\n"),
        (Step.GREETING, LEAVE, "Hello\r\n"),
        (Step.EHLO, LEAVE, "Hello\r\n"),
        (Step.MAIL, LEAVE, "Hello\r\n"),
        (Step.MAIL, b"451 4.3.0 not now\r\n", LARGE),
        (Step.RCPT, LEAVE, "Hello\r\n"),
        (Step.DATA, LEAVE, "Hello\r\n"),
        (Step.DATA, LEAVE, LARGE),
        (Step.BODY, LEAVE, "Hello\r\n"),
        (Step.BODY, LEAVE, LARGE),
    ],
    ids=lambda value: str(value)[:20].strip(),
)
def test_fail_over_before_the_dot(
    site: Site, scripted: Scripted, new_mark: NewMark, step: Step, says: bytes, body: str
) -> None:
    """The second server gets the complete mail, once; 451 first where the loss was not seen in time."""
    mark = new_mark()
    first, second = scripted(MX1, {step: says}), scripted(MX2)
    code, text = post(site, "bob@two.test", mark, body=body)

    assert first.messages == []
    if step is Step.BODY and code == 451:
        assert second.messages == []
        first.stop()
        code, text = post(site, "bob@two.test", mark, body=body)
    assert (code, b"mx2.two.test" in text) == (250, True), text
    [taken] = second.messages
    assert taken.data.endswith(f"Subject: {mark}\r\n\r\n{body}".encode())
    assert taken.data.startswith(b"Received: from signer by mail.mirage.org")


def test_no_fail_over_after_the_dot(site: Site, scripted: Scripted, new_mark: NewMark) -> None:
    """Nobody knows whether it was taken: the client is told so, and no second server gets a copy."""
    first, second = scripted(MX1, {Step.END: LEAVE}), scripted(MX2)
    code, _ = post(site, "bob@two.test", new_mark())

    assert code == 451
    assert (len(first.talks), second.talks) == (1, [])


def test_a_permanent_refusal_at_mail_is_the_answer(site: Site, scripted: Scripted, new_mark: NewMark) -> None:
    scripted(MX1, {Step.MAIL: b"550 5.1.8 bad sender\r\n"})
    second = scripted(MX2)

    assert post(site, "bob@two.test", new_mark())[0] // 100 in {4, 5}
    assert second.talks == []


def test_nobody_answers(site: Site, new_mark: NewMark) -> None:
    code, text = post(site, "bob@two.test", new_mark())

    assert (code, text[:5]) == (451, b"4.4.1")


@pytest.mark.parametrize(
    ("to", "address"),
    [
        ("bob@no-mx.test", "203.0.113.53"),
        ("bob@no-mx6.test", "2001:db8:53::25"),
        ("bob@six.test", "2001:db8:54::25"),
        ("bob@[203.0.113.55]", "203.0.113.55"),
        ("bob@[IPv6:2001:db8:54::25]", "2001:db8:54::25"),
    ],
)
def test_a_server_without_mx_by_ipv6_or_by_its_address(
    site: Site, scripted: Scripted, new_mark: NewMark, to: str, address: str
) -> None:
    """And each family leaves by our published address."""
    server = scripted(address)

    assert post(site, to, new_mark())[0] == 250
    [taken] = server.messages
    assert taken.forward_paths == [to]
    assert server.talks[0].caller == ("2001:db8:10::10" if ":" in address else "192.0.2.10")


def test_a_null_mx(site: Site, new_mark: NewMark) -> None:
    assert post(site, "bob@null.test", new_mark())[0] == 556


def test_tls_wherever_it_is_offered(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    """Also by a server whose certificate nobody vouches for [R6]."""
    mark = new_mark()

    assert post(site, "bob@remote.com", mark, user="bruno")[0] == 250
    [arrived] = mx1.wait_messages("bob", mark.encode())
    assert b"(using TLSv1.3 with cipher" in arrived


def test_a_user_without_the_right_sends_nothing_in_clear(
    site: Site, scripted: Scripted, new_mark: NewMark
) -> None:
    server = scripted(4)
    code, text = post(site, "bob@s4.test", new_mark(), user="bruno")

    assert (code, text.split(b" ")[0]) == (550, b"5.7.10")
    [talk] = server.talks
    assert [command.split(" ")[0] for command in talk.commands] in (["EHLO", "QUIT"], ["EHLO"])
    assert b"bruno" not in talk.clear
    assert post(site, "bob@s4.test", new_mark(), user="alice")[0] == 250
    assert len(server.messages) == 1


@pytest.mark.parametrize("says", [b"454 4.7.0 no TLS now\r\n", b"220 go on\r\n"], ids=["refused", "broken"])
def test_a_handshake_that_fails(site: Site, scripted: Scripted, new_mark: NewMark, says: bytes) -> None:
    """Who may send in clear does; who may not is asked to try again, and nothing was said."""
    server = scripted(5, {Step.STARTTLS: says}, offers=("STARTTLS",))
    code, text = post(site, "bob@s5.test", new_mark(), user="bruno")

    assert (code, text.split(b" ")[0]) == (451, b"4.7.5")
    assert b"bruno" not in b"".join(talk.clear for talk in server.talks)
    assert post(site, "bob@s5.test", new_mark(), user="alice")[0] == 250


def test_what_a_mail_needs_of_tls_is_said_under_tls(
    site: Site, scripted: Scripted, new_mark: NewMark
) -> None:
    server = scripted(6, certificate=Authority().issue("mx.s6.test"))

    assert post(site, "bob@s6.test", new_mark(), user="bruno")[0] == 250
    [talk] = server.talks
    assert talk.tls == "TLSv1.3"
    assert talk.clear == b"EHLO mail.mirage.org\r\nSTARTTLS\r\n"


def test_a_connection_carries_several_mails(site: Site, scripted: Scripted, new_mark: NewMark) -> None:
    server = scripted(7)

    assert [post(site, "bob@s7.test", new_mark())[0] for _ in range(3)] == [250] * 3
    assert (len(server.talks), len(server.messages)) == (1, 3)


def test_a_server_that_closed_an_idle_connection_costs_nothing(
    site: Site, scripted: Scripted, new_mark: NewMark
) -> None:
    server = scripted(8, {Step.TAKEN: LEAVE})

    assert [post(site, "bob@s8.test", new_mark())[0] for _ in range(3)] == [250] * 3
    assert (len(server.talks), len(server.messages)) == (3, 3)


def test_mixed_fates(site: Site, scripted: Scripted, new_mark: NewMark) -> None:
    """One server takes it, one refuses for good: one true answer, no bounce; a retry makes no second copy."""
    good, bad = scripted(9), scripted(10, {Step.END: b"550 5.7.1 no\r\n"})
    message = (
        f"From: alice@mirage.org\r\nSubject: {new_mark()}\r\nMessage-ID: <mixed@mirage.org>\r\n\r\nHello\r\n"
    )
    for _ in range(2):
        with site.client("alice") as client, pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("alice@mirage.org", ["bob@s9.test", "bob@s10.test"], message)
        assert refused.value.smtp_code == 554
        assert isinstance(refused.value.smtp_error, bytes)
        first, *_, last = refused.value.smtp_error.splitlines()
        for line in (first, last):
            assert b"Delivered to <bob@s9.test>; not delivered to <bob@s10.test>" in line
    assert (len(good.messages), len(bad.messages)) == (1, 0)
