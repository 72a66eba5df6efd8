"""Mail servers of strangers, scripted: how they send, what they make of an answer, when they try again.

In the manner of Postfix and of Exim, as far as we can tell the difference (specs/clients.md section 7): who
is answered 4yz, or not at all, stays in the queue and is tried at the next address at once (Postfix) or after
a while; who is answered 2yz or 5yz is done with. A queue never changes a message: each try has the same
octets. Both addresses of ours lead to the same listener. Written on plain lines.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from ptt.net.world import Endpoint
from ptt.rehearsal.simulation.chronicle import Chronicle
from ptt.rehearsal.simulation.raw_lines import RawLines
from ptt.rehearsal.simulation.talking import GoneError, Talker
from ptt.rehearsal.simulation.world import SimulatedWorld

CONNECT_TIMEOUT_S = 30.0  # Postfix's smtp_connect_timeout
COMMAND_PATIENCE_S = 300.0  # both (RFC 5321 §4.5.3.2)
ADDRESSES = 2  # of ours, as an IPv4 and an IPv6 one
MAX_TRIES = 14  # of a letter; the last of them more than half a day after the first


@dataclass(frozen=True, slots=True)
class Manner:
    """How a server sends. ``pauses_s``: between tries from the queue, the last of them again and again."""

    pauses_s: tuple[float, ...]
    patience_s: float = 600.0
    """For the answer after the data (RFC 5321 §4.5.3.2.6)."""
    tries_next_address: bool = True
    """After a 4yz too, not only where nobody answers."""
    pipelines: bool = True
    declares_size: bool = True
    asks_prdr: bool = False
    """Wants an answer for each recipient after the data."""
    keeps_connection: bool = False
    quits: bool = True
    leaves_in_order: bool = True
    """When its patience ends."""


POSTFIX = Manner((300.0, 600.0, 1200.0, 2400.0, 4000.0))
EXIM = Manner((900.0, 900.0, 1800.0, 3600.0), tries_next_address=False, pipelines=False, asks_prdr=True)


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it lies in a stranger's queue; ``token`` is in its Subject and nowhere else.

    ``reverse_path`` empty: a bounce.
    """

    recipients: tuple[str, ...]
    token: str
    body: bytes = b"Hello\r\n"
    reverse_path: str = "bob@remote.example"
    author: str = "bob@remote.example"
    is_named: bool = True
    """Has a Message-ID."""
    extra: tuple[str, ...] = ()
    """Lines in front of the header."""

    @property
    def octets(self) -> bytes:
        """The message."""
        head = [*self.extra, f"From: <{self.author}>", f"To: {', '.join(self.recipients)}"]
        head += [f"Subject: {self.token}", "Date: Sun, 1 Mar 2026 12:00:00 +0000"]
        head += [f"Message-ID: <{self.token}@remote.example>"] if self.is_named else []
        return "\r\n".join([*head, "", ""]).encode() + self.body


@dataclass(slots=True)
class Attempt:
    """One transaction as the server saw it; ``answers`` has the last word for each recipient, if any came."""

    started_at: float
    recipients: tuple[str, ...]
    ended_at: float = 0.0
    answers: dict[str, str] = field(default_factory=dict)
    has_sent_all: bool = False
    is_refused: bool = False
    """By MAIL or by DATA, or not served at all."""

    def code(self, recipient: str) -> int:
        """The answer's code; 0: none."""
        return int(self.answers.get(recipient, "000")[:3])

    @property
    def codes(self) -> list[int]:
        """In the order of the recipients."""
        return [self.code(recipient) for recipient in self.recipients]


@dataclass(slots=True)
class Delivery:
    """A letter and what became of it. ``ended``: each recipient's last answer, 2yz or 5yz."""

    letter: Letter
    attempts: list[Attempt] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)

    @property
    def open_recipients(self) -> tuple[str, ...]:
        """Who is still in the queue."""
        return tuple(recipient for recipient in self.letter.recipients if recipient not in self.ended)

    @property
    def codes(self) -> list[int]:
        """The last answers in the order of the recipients; 0: none."""
        return [int(self.ended.get(recipient, "000")[:3]) for recipient in self.letter.recipients]

    def note(self, attempt: Attempt) -> None:
        """Take over the answers that end it for somebody."""
        self.attempts.append(attempt)
        for recipient, answer in attempt.answers.items():
            if answer[0] in "25":
                self.ended[recipient] = answer


class StrangersServer(Talker):
    """A stranger's mail server; ``smtp`` is our port 25."""

    def __init__(self, world: SimulatedWorld, smtp: Endpoint, chronicle: Chronicle, manner: Manner) -> None:
        super().__init__(
            world,
            chronicle,
            f"stranger {world.host}",
            connect_timeout_s=CONNECT_TIMEOUT_S,
            patience_s=COMMAND_PATIENCE_S,
        )
        self.manner = manner
        self.deliveries: list[Delivery] = []
        self._smtp = smtp
        self._offers: set[str] = set()

    async def deliver(self, letter: Letter, max_tries: int = MAX_TRIES) -> Delivery:
        """Deliver from the queue: until everybody is done with, or ``max_tries`` runs of it."""
        delivery = Delivery(letter)
        self.deliveries.append(delivery)
        pauses_s = self.manner.pauses_s
        for number in range(max_tries):
            if number:
                await asyncio.sleep(pauses_s[min(number, len(pauses_s)) - 1])
            await self._run_queue(delivery)
            if not delivery.open_recipients:
                break
        return delivery

    async def attempt(self, letter: Letter, recipients: Sequence[str] = ()) -> Attempt:
        """One transaction for these recipients, or for all."""
        attempt = Attempt(self._world.now(), tuple(recipients) or letter.recipients)
        try:
            await self._transaction(await self._connected(), letter, attempt)
        except GoneError as gone:
            self._drop(str(gone))
        attempt.ended_at = self._world.now()
        shown = ", ".join(f"{who}: {attempt.answers.get(who, 'no answer')}" for who in attempt.recipients)
        self._tell(f"{letter.token} {shown}")
        if not self.manner.keeps_connection:
            await self.leave()
        return attempt

    # Within

    @property
    def _quits(self) -> bool:
        return self.manner.quits

    @property
    def _leaves_in_order(self) -> bool:
        return self.manner.leaves_in_order

    async def _run_queue(self, delivery: Delivery) -> None:
        for address in range(ADDRESSES):
            attempt = await self.attempt(delivery.letter, delivery.open_recipients)
            delivery.note(attempt)
            if not delivery.open_recipients:
                return
            heard_something = bool(attempt.answers)
            if heard_something and not self.manner.tries_next_address:
                return
            if address == 0:
                await self.leave()

    async def _connected(self) -> RawLines:
        """A connection that has said EHLO under TLS: the one that is open, or a new one."""
        if self._lines is not None and not self._lines.is_ended:
            return self._lines
        lines = await self._open(self._smtp)
        await self._expect(lines, "2")
        await self._hello(lines)
        if "STARTTLS" in self._offers:
            await self._ask(lines, "STARTTLS", "2")
            await self._secure(lines)
            await self._hello(lines)
        return lines

    async def _hello(self, lines: RawLines) -> None:
        offers = await self._ask(lines, "EHLO mx.remote.example", "2")
        self._offers = {word.partition(" ")[0] for word in offers.split(" / ")}

    async def _transaction(self, lines: RawLines, letter: Letter, attempt: Attempt) -> None:
        message, manner = letter.octets, self.manner
        wants_each = manner.asks_prdr and "PRDR" in self._offers and len(attempt.recipients) > 1
        mail = f"MAIL FROM:<{letter.reverse_path}>"
        mail += f" SIZE={len(message)}" if manner.declares_size else ""
        mail += " PRDR" if wants_each else ""
        commands = [mail, *(f"RCPT TO:<{recipient}>" for recipient in attempt.recipients)]
        if manner.pipelines:
            lines.say(*commands)
        replies = []
        for command in commands:
            if not manner.pipelines:
                lines.say(command)
            replies.append(await self._reply(lines))
            if replies[0][0] != "2" and not manner.pipelines:
                break
        if replies[0][0] != "2":
            attempt.is_refused = True
            attempt.answers = dict.fromkeys(attempt.recipients, replies[0])
            return
        answered = dict(zip(attempt.recipients, replies[1:], strict=True))
        attempt.answers = {who: reply for who, reply in answered.items() if reply[0] != "2"}
        accepted = [who for who, reply in answered.items() if reply[0] == "2"]
        if not accepted:
            await self._ask(lines, "RSET", "2")
            return
        lines.say("DATA")
        go_ahead = await self._reply(lines)
        if go_ahead[0] != "3":
            attempt.is_refused = True
            attempt.answers |= dict.fromkeys(accepted, go_ahead)
            return
        self._write(lines, message)
        attempt.has_sent_all = True
        attempt.answers |= await self._verdicts(lines, accepted, each=wants_each)

    async def _verdicts(self, lines: RawLines, accepted: Sequence[str], *, each: bool) -> dict[str, str]:
        """The answers after the data; with PRDR a 4yz for all makes each 250 one to be tried again."""
        first = await self._reply(lines, self.manner.patience_s)
        if not each or not first.startswith("353"):
            return dict.fromkeys(accepted, first)
        answers = {who: await self._reply(lines, self.manner.patience_s) for who in accepted}
        whole = await self._reply(lines, self.manner.patience_s)
        if whole[0] == "2":
            return answers
        return {who: whole if whole[0] == "5" or said[0] == "2" else said for who, said in answers.items()}
