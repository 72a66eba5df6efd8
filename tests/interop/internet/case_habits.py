"""Programs with little patience, or an odd way to come again: one copy in the end, whatever they do."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ptt.protocol.mail.address import mailbox
from ptt.rehearsal.internet.habits import CLIENTS, SERVERS, Habit, bring
from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer, Step, Stop
from ptt.rehearsal.site import Site, run

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
People = Callable[..., Any]
Require = Callable[[str], str]

TAKEN = b"250 2.0.0 taken\r\n"
PATIENCE_S = 0.4  # what every program's is shortened to
SENDERS = ("198.51.100.61", "198.51.100.62", "198.51.100.63")


def copies(slow: ScriptedServer, mark: str) -> int:
    """How many have arrived."""
    return len([taken for taken in slow.messages if mark.encode() in taken.data])


def give_up_once(
    site: Site, slow: ScriptedServer, habit: Habit, senders: list[Any], author: str, to: str, draft: Any
) -> list[Any]:
    """The target waits with its 250 until the program has given up and comes again."""
    stop = Stop(TAKEN)
    slow.script[Step.END] = stop

    def open_later() -> None:
        stop.reached.wait(30)
        time.sleep(PATIENCE_S * 1.5)
        stop.go.set()

    threading.Thread(target=open_later, daemon=True).start()
    scale = PATIENCE_S / habit.patience_s
    work = bring(habit, senders, mailbox(author), mailbox(to), draft, scale)
    return list(site.background.call(work))


def renewing(habit: Habit, draft: Draft, mark: str, author: str, to: str) -> Callable[[int], bytes]:
    """What the program writes each time."""

    def write(number: int) -> bytes:
        message = draft(mark, author, to, number if habit.renews_message_id else 1)
        return message if habit.renews_date else re.sub(rb"10:00:0\d", b"10:00:01", message)

    return write


@pytest.mark.parametrize("habit", CLIENTS, ids=lambda habit: habit.program)
def test_a_client_gives_up_and_sends_again(
    site: Site, slow: ScriptedServer, people: People, draft: Draft, new_mark: NewMark, habit: Habit
) -> None:
    """Some renew Date and Message-ID: it is the same letter all the same [R8]."""
    mark = new_mark()
    author, to = "alice@mirage.org", "box@slow.net"
    write = renewing(habit, draft, mark, author, to)
    heard = give_up_once(site, slow, habit, [people()], author, to, write)

    assert heard[0].reply is None or heard[0].reply.is_temporary
    if not heard[-1].is_accepted:  # all of its attempts ended too early: its user presses Send again
        heard += site.background.call(bring(habit, [people()], mailbox(author), mailbox(to), write, 1.0))
    assert heard[-1].is_accepted, heard
    assert copies(slow, mark) == 1


@pytest.mark.parametrize("habit", SERVERS, ids=lambda habit: habit.program)
def test_a_server_gives_up_and_comes_again(
    site: Site, slow: ScriptedServer, people: People, draft: Draft, new_mark: NewMark, habit: Habit
) -> None:
    """Some come from another address then."""
    mark = new_mark()
    author, to = "bob@sender.net", "alice@mirage.org"
    write = renewing(habit, draft, mark, author, to)
    senders = [people(address) for address in SENDERS]
    heard = give_up_once(site, slow, habit, senders, author, to, write)

    if not heard[-1].is_accepted:
        heard += site.background.call(bring(habit, senders, mailbox(author), mailbox(to), write, 1.0))
    assert heard[-1].is_accepted, heard
    assert copies(slow, mark) == 1


@pytest.fixture(scope="module")
def postfix(site: Site, open_place: Path, require_program: Require) -> Iterator[Postfix]:
    """Give a Postfix that knows two addresses of ours, and tries the second as soon as the first says no."""
    require_program("postfix")
    server = Postfix(
        open_place / "sender",
        "mx.sender.net",
        SENDERS[0],
        ["sender.net"],
        ["bob"],
        settings={
            "relayhost": "[192.0.2.10], [2001:db8:10::10]",
            "inet_protocols": "all",
            "smtp_bind_address6": "2001:db8:61::25",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtp_tls_security_level": "may",
        },
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()


def test_postfix_tries_our_next_address(
    site: Site, slow: ScriptedServer, postfix: Postfix, draft: Draft, new_mark: NewMark, wait: Any
) -> None:
    """451 after the data: the same letter comes at once by our other address, and is delivered once."""
    mark = new_mark()
    said = iter([b"451 4.3.0 not now\r\n"])
    slow.script[Step.END] = lambda: next(said, TAKEN)
    message = draft(mark, "bob@sender.net", "alice@mirage.org").replace(b"\r\n", b"\n").decode()
    command = ["/usr/sbin/sendmail", "-C", str(postfix.folder / "etc"), "-f", "bob@sender.net"]
    assert run(*command, "alice@mirage.org", stdin=message).code == 0

    wait(lambda: "status=sent" in postfix.log())
    assert "status=deferred" not in postfix.log()
    assert "relay=2001:db8:10::10" in postfix.log()
    assert copies(slow, mark) == 1


def test_mutt(
    site: Site, slow: ScriptedServer, new_mark: NewMark, require_program: Require, open_place: Path
) -> None:
    """A mail program for a terminal, with SASL of its own: its letter arrives, a refusal reaches its user."""
    require_program("mutt")
    mark = new_mark()
    home = open_place / "mutt"
    home.mkdir()
    rc = home / "muttrc"
    rc.write_text(
        f"set smtp_url=smtps://alice@mail.mirage.org:465/ smtp_pass='{site.domain.users['alice']}'\n"
        f"set ssl_ca_certificates_file={site.anchor} ssl_usesystemcerts=no ssl_force_tls=yes\n"
        "set from=alice@mirage.org use_envelope_from=yes envelope_from_address=alice@mirage.org\n"
        f"set copy=no record='' folder={home} spoolfile={home}/box header_cache=''\n"
    )
    command = ["mutt", "-F", str(rc), "-n", "-s", mark]
    env = {"HOME": str(home), "TERM": "dumb"}
    sent = run(*command, "box@slow.net", stdin="Hello\n", env=env)

    assert sent.code == 0, sent.output
    assert copies(slow, mark) == 1
    slow.script[Step.RCPT] = b"550 5.1.1 nobody here\r\n"
    refused = run(*command, "nobody@slow.net", stdin="Hello\n", env=env)
    assert refused.code != 0
    assert "nobody@slow.net" in refused.output, refused.output
