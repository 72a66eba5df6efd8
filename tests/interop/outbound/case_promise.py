"""250 means delivered: by the clock, and with units killed at every step of the remote session.

All steps are tried at once: a server for each, which stops there, and a client for each. Then the unit is
killed, the client has 4yz or a lost connection, never 250; it sends again, and its mail is there: once; twice
only where the server had given its 250 (or was about to) and nobody was left to hear it.
"""

import signal
import smtplib
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import DEFAULTS, ScriptedServer, Step, Stop
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Scripted = Callable[..., ScriptedServer]

ALICE = "alice@mirage.org"
HELLO = b"250-scripted\r\n250 PIPELINING\r\n"
PATIENCE_S = 20.0
LARGE = b"0123456789abcdef\r\n" * 500_000  # 9 MB: more than all buffers on the way hold (tcp_wmem: 4 MB)
HELD = 65_536


def draft(mark: str, to: str, body: bytes = b"Hello\r\n") -> bytes:
    """A message as the client keeps it: the same octets at each try."""
    return (
        f"From: {ALICE}\r\nTo: {to}\r\nSubject: {mark}\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{mark}@mirage.org>\r\n\r\n"
    ).encode() + body


def send(site: Site, to: str, message: bytes) -> int:
    """Send once; the code that ended it, 0 where the connection was lost."""
    try:
        with site.client("alice") as client:
            for command in (f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{to}>"):
                code, _ = client.docmd(command)
                if code != 250:
                    return code
            return client.data(message)[0]
    except smtplib.SMTPDataError as refused:
        return refused.smtp_code
    except (smtplib.SMTPServerDisconnected, OSError):
        return 0


def test_the_clock(site: Site, scripted: Scripted, new_mark: NewMark) -> None:
    """A server that takes 2 s for its 250: swaks sees ours after it, and not 100 ms later."""
    server = scripted(1)
    server.script[Step.END] = slow(2.0)
    login = ["--auth-user", "alice", "--auth-password", site.domain.users["alice"], "--tls-on-connect"]
    mail = ["--from", ALICE, "--to", "bob@s1.test", "--header", f"Subject: {new_mark()}"]
    command = ["swaks", "--server", "mail.mirage.org", "--port", "465", *login, *mail]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as swaks:
        assert swaks.stdout is not None
        seen = [(time.monotonic(), line.rstrip()) for line in swaks.stdout]

    dot = next(at for at, line in seen if line == " ~> .")
    answer = next(at for at, line in seen if line.startswith("<~  250 2.0.0 Delivered. mx.s1.test: taken"))
    [taken] = server.messages
    assert taken.at <= answer < taken.at + 0.5
    assert answer - dot >= 2.0


def slow(seconds: float) -> Callable[[], bytes]:
    """The end of the data is answered late."""

    def answer() -> bytes:
        time.sleep(seconds)
        return DEFAULTS[Step.END]

    return answer


def test_the_clock_of_a_real_postfix(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    """Our 250 names what Postfix called the message, and Postfix had it when the client read that."""
    mark = new_mark()
    sent = site.swaks("--to", "bob@remote.com", "--header", f"Subject: {mark}")
    name = sent.output.partition("queued as ")[2].split(" ")[0]

    assert f"{name}: from=<{ALICE}>" in mx1.log()
    assert len(mx1.wait_messages("bob", mark.encode())) == 1


@dataclass
class Try:
    """A client and the server that stops at one step."""

    step: str
    to: str
    message: bytes
    server: ScriptedServer
    stop: Stop
    code: int = -1


STEPS = (Step.GREETING, Step.EHLO, Step.MAIL, Step.RCPT, Step.DATA, Step.BODY, Step.END, Step.TAKEN)
MAY_COUNT_TWICE = {Step.END, Step.TAKEN}


@pytest.fixture
def tries(scripted: Scripted, new_mark: NewMark) -> Iterator[list[Try]]:
    """Give a server for each step."""
    made = []
    for number, step in enumerate(STEPS, 1):
        stop = Stop(HELLO if step is Step.EHLO else DEFAULTS[step])
        to = f"bob@s{number}.test"
        message = draft(new_mark(), to, LARGE if step is Step.BODY else b"Hello\r\n")
        made.append(Try(step, to, message, scripted(number, {step: stop}, holds_octets=HELD), stop))
    yield made
    for each in made:
        each.stop.go.set()


def interrupt(site: Site, tries: list[Try], kill: Callable[[], None]) -> None:
    """Let every client send, kill when every server has reached its step; then the servers go on."""

    def one(each: Try) -> None:
        each.code = send(site, each.to, each.message)

    with ThreadPoolExecutor(len(tries)) as pool:
        running = [pool.submit(one, each) for each in tries]
        for each in tries:
            assert each.stop.reached.wait(PATIENCE_S), f"{each.step} was not reached: {each.code}"
        kill()
        for each in tries:
            each.stop.go.set()
        for future in running:
            future.result(PATIENCE_S)


def copies(each: Try) -> int:
    """How many have arrived, all of them whole."""
    return sum(taken.data.endswith(each.message.partition(b"\r\n\r\n")[2]) for taken in each.server.messages)


def retry(site: Site, tries: list[Try]) -> None:
    """Each client that has no 250 sends the same octets again."""
    site.wait_ready()
    tries = [each for each in tries if each.code != 250]
    with ThreadPoolExecutor(len(tries)) as pool:
        codes = list(pool.map(lambda each: send(site, each.to, each.message), tries))
    assert codes == [250] * len(tries)


def report(what: str, tries: list[Try]) -> None:
    """For who reads the run."""
    print(f"{what}: " + ", ".join(f"{each.step} {each.code} {copies(each)}x" for each in tries))


@pytest.fixture
def no_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills that are minutes apart in life: the host waits no longer from one to the next."""
    monkeypatch.setattr("ptt.host.supervisor.LASTED_S", 0.0)


@pytest.mark.parametrize("unit", ["relay", "signer", "submission"])
def test_a_unit_is_killed_at_every_step(site: Site, tries: list[Try], no_long_wait: None, unit: str) -> None:
    interrupt(site, tries, lambda: site.kill(unit))
    before = Counter({each.step: copies(each) for each in tries})
    for each in tries:
        # After the server's 250 the answer was under way: then, and only then, it may have come.
        assert each.code == 0 or 400 <= each.code < 500 or (each.code, each.step) == (250, Step.TAKEN), (
            each.code
        )
        assert each.code != 250 or before[each.step] == 1
    retry(site, tries)
    report(f"{unit} killed", tries)
    for each in tries:
        at_most = 2 if unit == "relay" and each.step in MAY_COUNT_TWICE else 1
        assert 1 <= copies(each) <= at_most, each.step


def test_the_relay_is_killed_while_it_connects(
    site: Site, scripted: Scripted, new_mark: NewMark, no_long_wait: None
) -> None:
    """The server's queue of new connections is full, as behind a wall that drops packets."""
    address, to = ("203.0.113.115", 25), "bob@s15.test"
    message = draft(new_mark(), to)
    with ThreadPoolExecutor(1) as pool, socket.socket() as listening:
        listening.bind(address)
        listening.listen(0)
        with socket.create_connection(address):
            sending = pool.submit(send, site, to, message)
            time.sleep(0.5)
            assert not sending.done()
            site.kill("relay")
            assert 400 <= sending.result(PATIENCE_S) < 500
    server = scripted(15)
    site.wait_ready()

    assert send(site, to, message) == 250
    assert len(server.messages) == 1


def test_the_relay_is_killed_between_the_250_and_its_ledger(
    site: Site, scripted: Scripted, new_mark: NewMark, no_long_wait: None
) -> None:
    """The relay stands still when the 250 arrives and dies before it reads it: one extra copy, no more."""
    stop = Stop(DEFAULTS[Step.END])
    to, message = "bob@s12.test", draft(new_mark(), "bob@s12.test")
    server = scripted(12, {Step.END: stop})
    one = Try(Step.END, to, message, server, stop)

    def kill() -> None:
        site.signal("relay", signal.SIGSTOP)
        stop.go.set()
        while not server.messages:
            time.sleep(0.01)
        site.kill("relay")

    interrupt(site, [one], kill)
    assert one.code == 0 or 400 <= one.code < 500
    assert copies(one) == 1
    retry(site, [one])
    report("relay killed before the ledger", [one])
    assert copies(one) == 2
    server.script.clear()
    assert send(site, to, draft(new_mark(), to)) == 250  # and what is new is no copy


def test_all_units_are_killed_and_the_mail_was_delivered(
    site: Site, scripted: Scripted, new_mark: NewMark, no_long_wait: None
) -> None:
    """Everything dies but the host, which kept the ledger: the retry makes no second copy."""
    to, message = "bob@s13.test", draft(new_mark(), "bob@s13.test")
    server = scripted(13)
    client = site.client("alice")
    client.docmd("MAIL", f"FROM:<{ALICE}>")
    client.docmd("RCPT", f"TO:<{to}>")
    client.docmd("DATA")
    client.send(message + b".\r\n")
    while not server.messages:
        time.sleep(0.01)
    time.sleep(
        0.3
    )  # the relay has told the host; the client has not read its 250, so nothing says that it has
    site.kill("submission", "signer", "relay")
    client.close()
    retry(site, [Try(Step.TAKEN, to, message, server, Stop(b""))])

    assert len(server.messages) == 1


def test_a_mail_by_the_old_relay_and_the_same_by_the_new_one(
    site: Site, scripted: Scripted, new_mark: NewMark
) -> None:
    """The old one has the recipient, the new one owns the ledger: one of them delivers, both know it."""
    server = scripted(1)
    server.script[Step.END] = slow(2.0)
    mark, to = new_mark(), "bob@s1.test"
    message = draft(mark, to)
    with ThreadPoolExecutor(1) as pool, site.client("alice") as first:
        assert [first.docmd(f"MAIL FROM:<{ALICE}>")[0], first.docmd(f"RCPT TO:<{to}>")[0]] == [250, 250]
        assert site.background.call(site.host.replace("relay"))
        second = pool.submit(send, site, to, message)
        codes = (first.data(message)[0], second.result())
    assert codes == (250, 250)
    assert len(server.messages) == 1


def test_the_next_unit_is_down(site: Site, scripted: Scripted, new_mark: NewMark, no_long_wait: None) -> None:
    """4yz at once, and the same connection delivers when the unit is back [S13]."""
    server = scripted(14)
    with site.client("alice") as client:
        for unit in ("relay", "signer"):
            site.kill(unit)
            client.docmd("MAIL", f"FROM:<{ALICE}>")
            assert client.docmd("RCPT", "TO:<bob@s14.test>")[0] // 100 == 4
            client.rset()
            site.wait_ready()
        client.sendmail(ALICE, ["bob@s14.test"], draft(new_mark(), "bob@s14.test"))

    assert len(server.messages) == 1
