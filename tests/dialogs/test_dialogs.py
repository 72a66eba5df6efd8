r"""Dialogues as a person would write them down, run against the server at once and octet by octet.

A file has a title (``# …``), perhaps ``# settings: word…``, and lines. ``C:`` is what the client sends; lines
that stand together are sent as one piece, each with CRLF unless it ends with a backslash; ``\n``, ``\r``,
``\0`` and ``\xhh`` in them are octets. ``S:`` is what the server must say then, all of it; a ``*`` at the end
stands for anything. ``TLS`` is a handshake. Where the cut of the input decides, the settings say ``at-once``.

The server knows anne and bob, and her password, secret. nobody is refused, later is busy, full has no room
when the message has come.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import (
    DataFinished,
    DataRequested,
    LoginAttempted,
    MailReceived,
    RecipientsReceived,
    ServerEvent,
    ServerSettings,
)
from ptt.protocol.smtp.extensions import Flavour, Keyword
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.server import ServerDialogue

FILES = sorted(Path(__file__).parent.glob("*.txt"))
WORDS: dict[str, dict[str, Any]] = {
    "lmtp": {"flavour": Flavour.LMTP},
    "tolerant": {"tolerant": True},
    "tls-required": {"tls_required": True},
    "auth-required": {"auth_required": True},
    "no-offers": {"offers": frozenset()},
    "small": {"size_limit": 100},
    "impatient": {"max_bad_commands": 3},
    "two-recipients": {"max_recipients": 2},
}
OK = Reply(250, "2.1.5", "Good.")
BUSY = Reply(450, "4.2.1", "Busy.")
NOBODY = Reply(550, "5.1.1", "Nobody.")
FULL = Reply(452, "4.2.2", "Full.")
TAKEN = Reply(250, "2.0.0", "Taken.")
GO_AHEAD = Reply(354, None, "Go ahead.")
_OCTET = re.compile(r"\\(n|r|0|x[0-9a-f]{2})")


class Server:
    """A server with few users."""

    def __init__(self, words: list[str]) -> None:
        settings: dict[str, Any] = {"offers": frozenset(Keyword), "auth_mechanisms": ("PLAIN", "LOGIN")}
        for word in words:
            settings |= WORDS.get(word, {})
        self.dialogue = ServerDialogue(ServerSettings("mx.example", **settings), tls="tls" in words)
        self.dialogue.greeting()

    def send(self, octets: bytes, step: int) -> str:
        said = b""
        for start in range(0, len(octets), step):
            self.dialogue.receive_data(octets[start : start + step])
            said += self.take()
        return said.decode("ascii")

    def take(self) -> bytes:
        while (event := self.dialogue.next_event()) is not None:
            if self.dialogue.waits_for_reply:
                self.dialogue.reply(*self._replies(event))
        return b"".join(self.dialogue.data_to_send())

    def _replies(self, event: ServerEvent) -> list[Reply]:
        match event:
            case RecipientsReceived(recipients):
                answers = {"nobody": NOBODY, "later": BUSY}
                return [answers.get(recipient.local_part, OK) for recipient in recipients]
            case LoginAttempted(_, login, password):
                good = (login, password) == ("anne", "secret")
                return [wording.LOGGED_IN if good else wording.WRONG_CREDENTIALS]
            case DataRequested():
                return [GO_AHEAD]
            case DataFinished():
                return self._verdicts(self.dialogue.accepted_recipients)
            case _:
                assert isinstance(event, MailReceived)
                return [OK]

    def _verdicts(self, recipients: tuple[Mailbox, ...]) -> list[Reply]:
        each = [FULL if recipient.local_part == "full" else TAKEN for recipient in recipients]
        overall = FULL if FULL in each else TAKEN
        wanted = self.dialogue.replies_wanted
        return [overall] if wanted == 1 and len(each) != 1 else [*each, overall][:wanted]


def octets_of(line: str) -> bytes:
    named = {"n": b"\n", "r": b"\r", "0": b"\0"}
    parts = _OCTET.split(line.removesuffix("\\"))
    octets = b"".join(
        (named.get(part) or bytes.fromhex(part[1:])) if place % 2 else part.encode()
        for place, part in enumerate(parts)
    )
    return octets if line.endswith("\\") else octets + b"\r\n"


def play(text: str, step: int) -> None:
    """Play a dialogue; fails where the server says something else."""
    lines = text.splitlines()
    words = [word for line in lines if line.startswith("# settings:") for word in line.split()[2:]]
    unknown = set(words) - set(WORDS) - {"tls", "at-once"}
    assert not unknown, unknown
    server = Server(words)
    said, sending = server.take().decode("ascii"), b""
    for number, line in enumerate(lines, 1):
        if line.startswith("C: ") or line == "C:":
            assert not said, f"line {number}: before it the server said {said!r}"
            sending += octets_of(line[3:])
        elif line == "TLS":
            server.dialogue.tls_established()
        elif line.startswith("S: "):
            if sending:
                said, sending = said + server.send(sending, step or len(sending)), b""
            first, _, said = said.partition("\r\n")
            expected = line[3:]
            matches = first.startswith(expected[:-1]) if expected.endswith("*") else first == expected
            assert matches, f"line {number}: the server said {first!r}"
        else:
            assert line.startswith("#") or not line, f"line {number}: {line!r}"
    said += server.send(sending, step or max(len(sending), 1))
    assert not said, f"the server said {said!r} at the end"


CASES = [
    pytest.param(path, step, id=f"{path.stem}-{step or 'whole'}")
    for path in FILES
    for step in (0, 1, 7)
    if not step or "at-once" not in path.read_text("utf-8")
]


@pytest.mark.parametrize(("path", "step"), CASES)
def test_dialogue(path: Path, step: int) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("# "), "a dialogue has a title"
    play(text, step)


def test_there_are_dialogues() -> None:
    assert len(FILES) >= 25


@pytest.mark.parametrize(
    "text",
    [
        "S: 220 other",
        "S: 220 mx.example ESMTP PTT\nC: NOOP",
        "C: NOOP\nS: 220*",
        "S: 220*\nC: NOOP\nS: 500*",
        "# settings: nonsense",
        "nonsense",
    ],
)
def test_a_wrong_dialogue_fails(text: str) -> None:
    with pytest.raises(AssertionError):
        play(text, 0)
