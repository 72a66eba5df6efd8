"""Units are killed while a Postfix sends: its mail arrives once in the end, whatever happens.

Every step of the target's session at once: a server for each that stops there, a message for each. Then the
unit dies, the servers go on, Postfix tries again. Where the target had given its 250 (or was about to) and
the relay was not there to remember it, one more copy is allowed; it is counted.
"""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import DEFAULTS, ScriptedServer, Step, Stop
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
Send = Callable[..., Any]
MakeScripted = Callable[..., ScriptedServer]

BOB = "bob@remote.com"
PATIENCE_S = 20.0
HELLO = b"250-scripted\r\n250-8BITMIME\r\n250 PIPELINING\r\n"
STEPS = (Step.GREETING, Step.EHLO, Step.MAIL, Step.RCPT, Step.DATA, Step.BODY, Step.END, Step.TAKEN)
MAY_COUNT_TWICE = {Step.END, Step.TAKEN}
FIRST = 29
LARGE = b"0123456789abcdef\r\n" * 500_000  # 9 MB: more than all buffers on the way hold (tcp_wmem: 4 MB)
HELD = 65_536


@dataclass
class Try:
    """A message and the server that stops at one step of its session."""

    step: Step
    to: str
    message: bytes
    server: ScriptedServer
    stop: Stop

    @property
    def copies(self) -> int:
        """How many have arrived, whole."""
        return sum(taken.data.endswith(self.message) for taken in self.server.messages)


@pytest.fixture
def tries(scripted: MakeScripted, draft: Draft, new_mark: NewMark) -> Iterator[list[Try]]:
    """Give a server for each step."""
    made = []
    for number, step in enumerate(STEPS, FIRST):
        stop = Stop(HELLO if step is Step.EHLO else DEFAULTS[step])
        message = draft(new_mark()) + (LARGE if step is Step.BODY else b"")
        made.append(
            Try(
                step,
                f"s{number}@mirage.org",
                message,
                scripted(number, {step: stop}, holds_octets=HELD),
                stop,
            )
        )
    yield made
    for each in made:
        each.stop.go.set()


@pytest.fixture
def no_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills that are minutes apart in life: the host waits no longer from one to the next."""
    monkeypatch.setattr("ptt.host.supervisor.LASTED_S", 0.0)


def until_empty(postfix: Postfix) -> None:
    """Flush until nothing is left."""
    deadline = time.monotonic() + PATIENCE_S
    while postfix.queued():
        assert time.monotonic() < deadline, postfix.log()[-3000:]
        postfix.flush()
        time.sleep(0.3)


def interrupt(remote: Postfix, send: Send, tries: list[Try], kill: Callable[[], None]) -> None:
    """Postfix sends all; when every server has reached its step the unit dies, and the servers go on."""
    for each in tries:
        send(remote, BOB, [each.to], each.message)
    for each in tries:
        assert each.stop.reached.wait(PATIENCE_S), f"{each.step} was not reached\n{remote.log()[-2000:]}"
    kill()
    for each in tries:
        each.stop.go.set()


@pytest.mark.parametrize("unit", ["receiver", "spam_filter", "relay"])
def test_a_unit_is_killed_at_every_step(
    site: Site, remote: Postfix, send: Send, tries: list[Try], no_long_wait: None, unit: str
) -> None:
    interrupt(remote, send, tries, lambda: site.kill(unit))
    site.wait_ready()
    until_empty(remote)

    print(f"{unit} killed: " + ", ".join(f"{each.step} {each.copies}x" for each in tries))
    for each in tries:
        at_most = 2 if unit == "relay" and each.step in MAY_COUNT_TWICE else 1
        assert 1 <= each.copies <= at_most, each.step


def test_the_relay_is_killed_between_the_250_and_its_ledger(
    site: Site,
    remote: Postfix,
    scripted: MakeScripted,
    send: Send,
    draft: Draft,
    new_mark: NewMark,
    no_long_wait: None,
) -> None:
    """It stands still when the 250 arrives and is killed before it reads it: one extra copy, no more."""
    stop, message = Stop(DEFAULTS[Step.END]), draft(new_mark())
    one = Try(Step.END, "s37@mirage.org", message, scripted(37, {Step.END: stop}), stop)

    def kill() -> None:
        site.signal("relay", signal.SIGSTOP)
        stop.go.set()
        while not one.server.messages:
            time.sleep(0.01)
        site.kill("relay")

    interrupt(remote, send, [one], kill)
    site.wait_ready()
    until_empty(remote)
    print(f"relay killed before the ledger: {one.copies}x")
    assert one.copies == 2


def test_all_units_are_killed_after_the_delivery(
    site: Site,
    remote: Postfix,
    scripted: MakeScripted,
    send: Send,
    draft: Draft,
    new_mark: NewMark,
    no_long_wait: None,
) -> None:
    """The receiver stands still, so Postfix has no 250; the host kept the ledger: no second copy."""
    server, message = scripted(38), draft(new_mark())
    held = Stop(DEFAULTS[Step.END])
    server.script[Step.END] = held
    send(remote, BOB, ["s38@mirage.org"], message)
    assert held.reached.wait(PATIENCE_S)
    site.signal("receiver", signal.SIGSTOP)
    held.go.set()
    while not server.messages:
        time.sleep(0.01)
    time.sleep(0.3)  # the relay tells the host
    site.kill("receiver", "spam_filter", "relay")
    site.wait_ready()
    until_empty(remote)

    assert len(server.messages) == 1
