"""Mail programs of our users, scripted: patience, what they do when it ends, and how they try again.

The two kinds of retry are those of specs/clients.md section 7: the same octets again, or everything made
anew (Date, Message-ID, boundary) as Thunderbird and FairEmail do. Like those, a program drops the whole
message at the first refused recipient. Written on plain lines.
"""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from enum import Enum

from ptt.net.world import Endpoint
from ptt.rehearsal.simulation.chronicle import Chronicle
from ptt.rehearsal.simulation.raw_lines import RawLines
from ptt.rehearsal.simulation.talking import GoneError, Talker
from ptt.rehearsal.simulation.world import BEGINNING, SimulatedWorld

CONNECT_TIMEOUT_S = 20.0
COMMAND_PATIENCE_S = 100.0  # Thunderbird's (specs/clients.md section 8)
DELIVERED = 250  # RFC 5321 §4.2.3


class Naming(Enum):
    """What a program does about Message-ID and Date."""

    KEEPS = "the same octets with each try"
    RENEWS = "a new Date and Message-ID with each try"
    LEAVES = "no Date and no Message-ID: submission adds them"


@dataclass(frozen=True, slots=True)
class Habits:
    """How a program behaves. ``patience_s`` is for the answer after the data."""

    patience_s: float = 100.0
    naming: Naming = Naming.KEEPS
    pipelines: bool = True
    keeps_connection: bool = False
    leaves_in_order: bool = True
    """When its patience ends: by an orderly end, not by a reset."""
    quits: bool = True
    """Says QUIT after the last mail, instead of just closing."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail as its author means it; ``token`` is in its Subject and nowhere else."""

    recipients: tuple[str, ...]
    token: str
    body: bytes = b"Hello\r\n"

    def written(self, sender: str, number: int, naming: Naming) -> bytes:
        """The octets of a try."""
        head = [f"From: <{sender}>", f"To: {', '.join(self.recipients)}", f"Subject: {self.token}"]
        if naming is not Naming.LEAVES:
            version = number if naming is Naming.RENEWS else 0
            date = BEGINNING + timedelta(minutes=version)
            head += [
                f"Message-ID: <{self.token}.{version}@program.example>",
                f"Date: {format_datetime(date)}",
            ]
        return "\r\n".join([*head, "", ""]).encode() + self.body


@dataclass(slots=True)
class Try:
    """One transaction as the program saw it.

    ``replies`` are those to RCPT; ``final`` is the last word, None when the program left before it or lost
    the connection.
    """

    started_at: float
    ended_at: float = 0.0
    replies: dict[str, str] = field(default_factory=dict)
    final: str | None = None
    has_sent_all: bool = False

    @property
    def code(self) -> int:
        """The final reply's code; 0: none."""
        return int(self.final[:3]) if self.final else 0

    @property
    def is_250(self) -> bool:
        """Whether the program was told that the mail is delivered."""
        return self.code == DELIVERED


class MailProgram(Talker):
    """A user's program; ``submissions`` is our port with implicit TLS."""

    def __init__(
        self,
        world: SimulatedWorld,
        submissions: Endpoint,
        address: str,
        password: str,
        chronicle: Chronicle,
        habits: Habits = Habits(),
    ) -> None:
        super().__init__(
            world,
            chronicle,
            address,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            patience_s=COMMAND_PATIENCE_S,
        )
        self.habits = habits
        self.tries: list[Try] = []
        self._submissions = submissions
        self._address = address
        self._password = password

    async def send(self, draft: Draft, number: int = 0) -> Try:
        """Try once. ``number``: which try of this draft it is."""
        attempt = Try(self._world.now())
        self.tries.append(attempt)
        try:
            lines = await self._connected()
            await self._transaction(lines, draft, number, attempt)
        except GoneError as gone:
            self._drop(str(gone))
        attempt.ended_at = self._world.now()
        self._tell(f"try {number} of {draft.token}: {attempt.final or 'no answer'}")
        if not self.habits.keeps_connection:
            await self.leave()
        return attempt

    async def send_until_taken(
        self, draft: Draft, pauses_s: Sequence[float], until: Sequence[int] = (2, 5)
    ) -> list[Try]:
        """Try again after each pause, until the answer is 2yz or 5yz."""
        tries = [await self.send(draft)]
        for number, pause_s in enumerate(pauses_s, 1):
            if tries[-1].code // 100 in until:
                break
            await asyncio.sleep(pause_s)
            tries.append(await self.send(draft, number))
        return tries

    # Within

    @property
    def _quits(self) -> bool:
        return self.habits.quits

    @property
    def _leaves_in_order(self) -> bool:
        return self.habits.leaves_in_order

    async def _connected(self) -> RawLines:
        """A connection that is logged in: the one that is open, or a new one."""
        if self._lines is not None and not self._lines.is_ended:
            return self._lines
        lines = await self._open(self._submissions)
        await self._secure(lines)
        await self._expect(lines, "2")
        await self._ask(lines, "EHLO [192.168.1.5]", "2")
        secret = base64.b64encode(f"\0{self._address}\0{self._password}".encode()).decode()
        await self._ask(lines, f"AUTH PLAIN {secret}", "2")
        return lines

    async def _transaction(self, lines: RawLines, draft: Draft, number: int, attempt: Try) -> None:
        mail = f"MAIL FROM:<{self._address}>"
        commands = [f"RCPT TO:<{recipient}>" for recipient in draft.recipients]
        if self.habits.pipelines:
            lines.say(mail, *commands)
        else:
            lines.say(mail)
        sender = await self._reply(lines)
        if sender[0] != "2":
            attempt.final = sender
            return
        for recipient, command in zip(draft.recipients, commands, strict=True):
            if not self.habits.pipelines:
                lines.say(command)
            attempt.replies[recipient] = await self._reply(lines)
        refused = [reply for reply in attempt.replies.values() if reply[0] != "2"]
        if refused:
            attempt.final = refused[0]
            await self._ask(lines, "RSET", "2")
            return
        lines.say("DATA")
        go_ahead = await self._reply(lines)
        if go_ahead[0] != "3":
            attempt.final = go_ahead
            return
        self._write(lines, draft.written(self._address, number, self.habits.naming))
        attempt.has_sent_all = True
        attempt.final = await self._reply(lines, self.habits.patience_s)
