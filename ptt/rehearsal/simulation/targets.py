"""Mail servers of others, scripted: what each says at each step, how late, and how it leaves.

Whatever is not scripted goes well. ``will`` queues acts for the next times a step is reached, on whatever
connection; ``always`` sets what is done when none is queued. Written against RFC 5321 on plain lines and not
on a dialogue of ours, so that both sides are not wrong in the same way. What a target keeps is in ``taken``,
and ``said`` holds each refusal; the time of a 250 is when it was written, not when it arrived.
"""

import asyncio
import re
from collections import defaultdict, deque
from dataclasses import dataclass
from enum import Enum, StrEnum

from ptt.net.world import Endpoint, TlsFailed, TlsRole
from ptt.rehearsal.simulation.chronicle import Chronicle
from ptt.rehearsal.simulation.network import Network
from ptt.rehearsal.simulation.raw_lines import RawLines
from ptt.rehearsal.simulation.world import SimulatedWorld

SMTP_PORT = 25
SILENCE_S = 1500.0  # longer than anybody waits (RFC 5321 §4.5.3.2.6: 10 minutes)
TLS_TIMEOUT_S = 60.0

_TRACE = re.compile(rb"\sid ([0-9a-f]{20})\b")


class Step(StrEnum):
    """Where in a session a target acts."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "in the data"
    END = "end of data"


class Then(Enum):
    """What follows the reply."""

    GO_ON = "go on"
    CLOSE = "close in order"
    RESET = "reset the connection"
    SILENCE = "say and read nothing more"
    CUT = "the network breaks, so that the reply never arrives"


@dataclass(frozen=True, slots=True)
class Act:
    """What a target does at a step. ``reply``: None the usual one, "" none.

    ``takes``: whether the message is kept at the end of data; None: if the reply is 2yz. ``at_octets``: how
    much of the message has come when it acts in the data.
    """

    reply: str | None = None
    after_s: float = 0.0
    then: Then = Then.GO_ON
    takes: bool | None = None
    at_octets: int = 0

    def __str__(self) -> str:
        late = f"after {self.after_s:g} s " if self.after_s else ""
        kept = {True: ", keeps the message", False: ", drops the message", None: ""}[self.takes]
        return f"{late}{'the usual' if self.reply is None else repr(self.reply)}, {self.then.value}{kept}"


USUAL = Act()


def says(reply: str, *, after_s: float = 0.0, then: Then = Then.GO_ON, at_octets: int = 0) -> Act:
    """Another reply than the usual one."""
    return Act(reply, after_s, then, at_octets=at_octets)


def late(after_s: float) -> Act:
    """The usual reply, after a while."""
    return Act(after_s=after_s)


def silent(*, takes: bool = False) -> Act:
    """No word any more; the connection stays open."""
    return Act("", then=Then.SILENCE, takes=takes)


def closes(*, takes: bool = False, after_s: float = 0.0, at_octets: int = 0) -> Act:
    """Leave without a word, in order."""
    return Act("", after_s, Then.CLOSE, takes, at_octets)


def resets(*, takes: bool = False, at_octets: int = 0) -> Act:
    """Leave without a word, by a reset."""
    return Act("", then=Then.RESET, takes=takes, at_octets=at_octets)


def cut_off() -> Act:
    """Keep the message and say so, but the network breaks and the 250 never arrives."""
    return Act(then=Then.CUT)


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that a target keeps. ``at`` is the time of its 250; ``is_told``: the 250 was not cut off."""

    at: float
    host: str
    reverse_path: str
    recipients: tuple[str, ...]
    message: bytes
    is_told: bool

    @property
    def trace(self) -> str:
        """Our trace id, from the first ``Received`` that our edge wrote: the last of ours."""
        found: list[bytes] = _TRACE.findall(self.message)
        return found[-1].decode("ascii")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 4yz or 5yz that a target has said."""

    at: float
    step: Step
    reply: str
    recipient: str | None


class _OverError(Exception):
    """There is nothing more to do on a connection."""


class Target:
    """A mail server; see the module. ``host`` is its address, ``name`` what its MX record says."""

    def __init__(self, network: Network, host: str, name: str, chronicle: Chronicle) -> None:
        self.host = host
        self.name = name
        self.offers_tls = True
        self.taken: list[Taken] = []
        self.said: list[Refusal] = []
        self.connections = 0
        """How many were ever opened."""
        self.cuts: list[float] = []
        """When all of them broke by its script."""
        self._network = network
        self._world = SimulatedWorld(network, host)
        self._chronicle = chronicle
        self._queued: defaultdict[Step | str, deque[Act]] = defaultdict(deque)
        self._always: dict[Step | str, Act] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = network.bind(Endpoint(host, SMTP_PORT))
        self._server = self._listener.serve(self._make)

    def will(self, where: Step | str, *acts: Act) -> None:
        """Do these the next times; ``where`` is a step, or a recipient's address for its RCPT."""
        self._queued[where].extend(acts)

    def always(self, where: Step | str, act: Act) -> None:
        """Do this whenever nothing is queued."""
        self._always[where] = act

    def calm(self) -> None:
        """Do the usual from now on."""
        self._queued.clear()
        self._always.clear()

    def copies(self, token: bytes, recipient: str | None = None) -> int:
        """How many messages with ``token`` in them it keeps (for a recipient)."""
        return sum(
            token in taken.message and (recipient is None or recipient in taken.recipients)
            for taken in self.taken
        )

    async def close(self) -> None:
        """Be gone, with all that is open."""
        self._server.abort()
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # One connection

    def _make(self) -> RawLines:
        self.connections += 1
        lines = RawLines()
        task = asyncio.ensure_future(_Session(self, lines).serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return lines

    def act_at(self, step: Step, recipient: str | None = None) -> Act:
        """What it does now."""
        where: Step | str = step
        if recipient is not None and (self._queued.get(recipient) or recipient in self._always):
            where = recipient
        queued = self._queued.get(where)
        return queued.popleft() if queued else self._always.get(where, USUAL)

    def tell(self, what: str) -> None:
        """For the chronicle."""
        self._chronicle.tell(self.name, what)

    def refused(self, step: Step, reply: str, recipient: str | None) -> None:
        """Note a refusal."""
        self.said.append(Refusal(self._world.now(), step, reply, recipient))

    def keep(self, reverse_path: str, recipients: tuple[str, ...], message: bytes, *, is_told: bool) -> None:
        """Keep a message."""
        self.taken.append(Taken(self._world.now(), self.host, reverse_path, recipients, message, is_told))
        self.tell(f"keeps a message of {len(message)} octets for {', '.join(recipients)}")

    async def secure(self, lines: RawLines) -> bool:
        """The server's side of a handshake."""
        role = TlsRole(server_side=True, own_certificate=self.name.encode())
        return not isinstance(
            await self._world.start_tls(lines.transport, lines, role, TLS_TIMEOUT_S), TlsFailed
        )

    def cut(self) -> None:
        """Break all connections to this host; what is on its way is lost."""
        self.cuts.append(self._world.now())
        self._network.cut_now(self.host)


class _Session:
    """A target on one connection."""

    def __init__(self, target: Target, lines: RawLines) -> None:
        self._target = target
        self._lines = lines
        self._is_secure = False
        self._reverse_path: str | None = None
        self._recipients: list[str] = []

    async def serve(self) -> None:
        """Answer until it is over."""
        try:
            await asyncio.sleep(0)  # until the transport is there
            if await self._act(Step.GREETING, f"220 {self._target.name} ESMTP"):
                while (line := await self._lines.line()) is not None:
                    await self._command(line)
        except _OverError:
            pass
        finally:
            self._lines.transport.close()

    async def _command(self, line: str) -> None:
        verb = line[:4].upper()
        argument = line.partition("<")[2].partition(">")[0]
        match verb:
            case "EHLO":
                self._forget()
                await self._act(Step.EHLO, self._offer())
            case "STAR" if self._target.offers_tls and not self._is_secure:
                if await self._act(Step.STARTTLS, "220 go ahead"):
                    self._is_secure = await self._target.secure(self._lines)
            case "MAIL":
                self._forget()
                if await self._act(Step.MAIL, "250 2.1.0 ok"):
                    self._reverse_path = argument
            case "RCPT" if self._reverse_path is not None:
                if await self._act(Step.RCPT, "250 2.1.5 ok", argument):
                    self._recipients.append(argument)
            case "DATA" if self._recipients:
                if await self._act(Step.DATA, "354 go ahead"):
                    await self._message()
            case "RSET":
                self._forget()
                self._lines.say("250 2.0.0 ok")
            case "QUIT":
                self._lines.say("221 2.0.0 bye")
                raise _OverError
            case _:
                self._lines.say("503 5.5.1 not now")

    async def _message(self) -> None:
        target, lines = self._target, self._lines
        act = target.act_at(Step.BODY)
        if act != USUAL:
            if await lines.octets(act.at_octets) is None:
                raise _OverError
            await self._do(act, Step.BODY, "", None)
        message = await lines.body()
        if message is None:
            target.tell("the sender left in the data")
            raise _OverError
        act = target.act_at(Step.END)
        await asyncio.sleep(act.after_s)
        is_welcome = act.takes if act.takes is not None else (act.reply or "250")[0] == "2"
        if is_welcome:
            is_lost = lines.is_ended or lines.transport.get_extra_info("is_silent")
            is_told = act.reply != "" and act.then not in (Then.CUT, Then.RESET) and not is_lost
            target.keep(self._reverse_path or "", tuple(self._recipients), message, is_told=is_told)
        self._forget()
        await self._do(act, Step.END, "250 2.0.0 kept", None, has_waited=True)

    async def _act(self, step: Step, usual: str, recipient: str | None = None) -> bool:
        """Answer a command; whether it goes on."""
        return await self._do(self._target.act_at(step, recipient), step, usual, recipient)

    async def _do(
        self, act: Act, step: Step, usual: str, recipient: str | None, *, has_waited: bool = False
    ) -> bool:
        target, lines = self._target, self._lines
        if act != USUAL:
            target.tell(f"at {step}: {act}")
        if not has_waited:
            await asyncio.sleep(act.after_s)
        reply = usual if act.reply is None else act.reply
        if reply:
            lines.say(*reply.split("\n"))
        if reply[:1] in ("4", "5"):
            target.refused(step, reply, recipient)
        match act.then:
            case Then.CLOSE:
                raise _OverError
            case Then.RESET:
                lines.transport.abort()
                raise _OverError
            case Then.CUT:
                target.cut()
                raise _OverError
            case Then.SILENCE:
                await self._be_silent(step)
            case Then.GO_ON:
                pass
        if reply[:3] == "421":
            raise _OverError
        return reply[:1] in ("2", "3", "")

    async def _be_silent(self, step: Step) -> None:
        if step is Step.BODY:
            self._lines.transport.pause_reading()
            await asyncio.sleep(SILENCE_S)
            self._lines.transport.abort()
        else:
            await self._lines.wait_end()
        raise _OverError

    def _offer(self) -> str:
        lines = [self._target.name, "PIPELINING", "8BITMIME", "SIZE 50000000", "ENHANCEDSTATUSCODES"]
        if self._target.offers_tls and not self._is_secure:
            lines.append("STARTTLS")
        return "\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])

    def _forget(self) -> None:
        self._reverse_path = None
        self._recipients = []
