"""The outbound line for who has one user id and no rights: the same processes, servers that follow a script.

What is said of real mail servers is in the folder ``outbound``; no Postfix runs under a single user id.
"""

import os
import smtplib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ptt import topology
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.our_service import Domain
from ptt.rehearsal.peers.scripted import LEAVE, ScriptedServer, Step
from ptt.rehearsal.site import Site, run

NewMark = Callable[[], str]

ALICE = "alice@mirage.org"
BETTER, WORSE = "203.0.113.51", "203.0.113.52"
ZONE = f"""
two.test      MX 10 mx1.two.test
two.test      MX 20 mx2.two.test
mx1.two.test  A {BETTER}
mx2.two.test  A {WORSE}
"""


@pytest.fixture(scope="module")
def site(open_place: Path) -> Iterator[Site]:
    """Give our service."""
    add_addresses([BETTER, WORSE])
    domain = Domain(users={"alice": "correct horse battery staple"}, has_scram=True)
    with Site(open_place, domain, {"relay": {"zone": ZONE}}, units=topology.OUTBOUND) as running:
        yield running


@pytest.fixture
def better() -> Iterator[ScriptedServer]:
    """Give the server that is asked first."""
    with ScriptedServer(BETTER, certificate=Authority().issue("mx1.two.test")) as server:
        yield server


@pytest.fixture
def worse() -> Iterator[ScriptedServer]:
    """Give the one that is asked when that fails."""
    with ScriptedServer(WORSE, certificate=Authority().issue("mx2.two.test")) as server:
        yield server


def draft(mark: str) -> bytes:
    """A message."""
    return f"From: {ALICE}\r\nSubject: {mark}\r\nMessage-ID: <{mark}@mirage.org>\r\n\r\n.Hello\r\n".encode()


def send(site: Site, message: bytes, port: int = 465) -> int:
    """Send it; the code of the answer."""
    with site.client("alice", port) as client:
        try:
            client.sendmail(ALICE, ["bob@two.test"], message)
        except smtplib.SMTPDataError as refused:
            return refused.smtp_code
        except smtplib.SMTPRecipientsRefused as refused:
            return next(iter(refused.recipients.values()))[0]
    return 250


def test_who_we_are(site: Site) -> None:
    """The units run as whoever started them: they need nothing more."""
    for unit in ("submission", "signer", "relay"):

        async def ask(unit: str = unit) -> int:
            return site.host.pid(unit)

        owner = Path(f"/proc/{site.background.call(ask())}").stat().st_uid
        assert owner == os.getuid() or os.getuid() == 0


@pytest.mark.parametrize("port", [465, 587])
def test_a_mail_arrives_signed(site: Site, better: ScriptedServer, new_mark: NewMark, port: int) -> None:
    message = draft(new_mark())

    assert send(site, message, port) == 250
    [taken] = better.messages
    assert taken.data.endswith(message.partition(b"\r\n")[2])
    assert taken.data.count(b"DKIM-Signature:") == 2
    assert better.talks[0].tls == "TLSv1.3"
    assert better.talks[0].caller == "192.0.2.10"


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "plain", "login"])
def test_msmtp_logs_in_by_every_mechanism(
    site: Site,
    better: ScriptedServer,
    new_mark: NewMark,
    require_program: Callable[[str], str],
    open_place: Path,
    mechanism: str,
) -> None:
    """SCRAM is offered since every user has a verifier for it; msmtp does it by GNU SASL."""
    require_program("msmtp")
    configuration = open_place / f"msmtprc-{mechanism}"
    configuration.touch(0o600)
    configuration.write_text(
        f"account default\nhost mail.mirage.org\nport 465\ntls on\ntls_starttls off\n"
        f"tls_trust_file {site.anchor}\nauth {mechanism}\nuser alice\n"
        f"password {site.domain.users['alice']}\nfrom {ALICE}\n"
    )
    sent = run("msmtp", "-d", "-C", str(configuration), "bob@two.test", stdin=draft(new_mark()).decode())

    assert sent.code == 0, sent.output
    assert "AUTH PLAIN LOGIN SCRAM-SHA-256" in sent.output
    assert f"AUTH {mechanism.upper()}" in sent.output
    assert len(better.messages) == 1


@pytest.mark.parametrize("step", [Step.GREETING, Step.MAIL, Step.DATA])
def test_the_next_server_takes_over(
    site: Site, better: ScriptedServer, worse: ScriptedServer, new_mark: NewMark, step: Step
) -> None:
    better.script[step] = LEAVE

    assert send(site, draft(new_mark())) == 250
    assert (better.messages, len(worse.messages)) == ([], 1)


@pytest.mark.parametrize(
    ("step", "says", "code"),
    [
        (Step.RCPT, b"550 5.1.1 no such user\r\n", 550),
        (Step.END, b"554 5.7.1 no\r\n", 554),
        (Step.END, b"451 4.3.0 later\r\n", 451),
        (Step.END, LEAVE, 451),
    ],
)
def test_a_refusal_reaches_the_client(
    site: Site, better: ScriptedServer, new_mark: NewMark, step: Step, says: bytes, code: int
) -> None:
    better.script[step] = says

    assert send(site, draft(new_mark())) == code
    assert better.messages == []


def test_a_killed_unit_costs_a_retry_and_no_copy(
    site: Site, better: ScriptedServer, new_mark: NewMark
) -> None:
    message = draft(new_mark())

    is_dead = threading.Event()

    def die() -> bytes:
        site.kill("signer")
        is_dead.set()
        return b"250 2.0.0 taken\r\n"

    better.script[Step.END] = die
    assert send(site, message) == 451
    assert is_dead.wait(10)  # only now the host knows
    site.wait_ready()
    better.script.clear()
    assert send(site, message) == 250
    assert len(better.messages) == 1
