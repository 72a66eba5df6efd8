"""A remote mail server that follows a script, for what no real one does on demand.

At each step of a session it says what the script holds: octets, or what a function gives, which may wait,
since each connection has a thread of its own. It keeps what it was told, with times of ``time.monotonic``,
and the octets that came in clear: so a test sees that nothing was said before TLS.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Self

from ptt.net.tls import public_server_context
from ptt.rehearsal.certificates import ServerCertificate
from ptt.rehearsal.peers.accepting import Accepting

IDLE_S = 60.0  # a client that says nothing for so long is gone
BACKLOG = 64


class Step(StrEnum):
    """When the script is asked."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "body"
    """After the first line of the message; what is given is not said."""
    END = "end"
    """After the end of the data, before the verdict."""
    TAKEN = "taken"
    """After the verdict was written; what is given is not said."""


LEAVE = b""  # in a script: close the connection

Line = bytes | Callable[[], bytes]

DEFAULTS: Mapping[Step, bytes] = {
    Step.GREETING: b"220 scripted ESMTP\r\n",
    Step.STARTTLS: b"220 2.0.0 go on\r\n",
    Step.AUTH: b"235 2.7.0 welcome\r\n",
    Step.MAIL: b"250 2.1.0 ok\r\n",
    Step.RCPT: b"250 2.1.5 ok\r\n",
    Step.DATA: b"354 go on\r\n",
    Step.BODY: b"go on",
    Step.END: b"250 2.0.0 taken\r\n",
    Step.TAKEN: b"go on",
}
OFFERS = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass(slots=True)
class Stop:
    """A line of a script that waits: ``reached`` is set, then it goes on at ``go``."""

    says: bytes
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> bytes:
        """Wait."""
        self.reached.set()
        self.go.wait(IDLE_S)
        return self.says


@dataclass(slots=True)
class Taken:
    """A message that was answered by 250, and when that was written."""

    reverse_path: str
    forward_paths: list[str]
    data: bytes
    at: float


@dataclass(slots=True)
class Talk:
    """One connection: who called, what was said, whether under TLS, and the octets that came in clear."""

    caller: str
    commands: list[str] = field(default_factory=list)
    tls: str = ""
    clear: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class ScriptedServer:
    """See the module. ``script`` may change while it runs; what it does not name goes well."""

    address: str
    script: dict[Step, Line] = field(default_factory=dict)
    certificate: ServerCertificate | None = None
    """None: no STARTTLS is offered."""
    implicit_tls: bool = False
    port: int = 25
    offers: tuple[str, ...] = OFFERS
    holds_octets: int | None = None
    """What the system takes for it while it does not read; None: megabytes."""
    talks: list[Talk] = field(default_factory=list)
    messages: list[Taken] = field(default_factory=list)
    _accepting: Accepting | None = None
    _sessions: "list[_Session]" = field(default_factory=list)

    def start(self) -> None:
        """Listen."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        listening = socket.create_server((self.address, self.port), family=family, backlog=BACKLOG)
        if self.holds_octets is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.holds_octets)
        self._accepting = Accepting(listening, self._accepted)

    def stop(self) -> None:
        """Listen no more and hang up everywhere."""
        if self._accepting is not None:
            self._accepting.close()
            self._accepting = None
        for session in self._sessions:
            session.hang_up()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accepted(self, connection: socket.socket, caller: str) -> None:
        talk = Talk(caller)
        self.talks.append(talk)
        threading.Thread(target=self._serve, args=(connection, talk), daemon=True).start()

    def _serve(self, connection: socket.socket, talk: Talk) -> None:
        connection.settimeout(IDLE_S)
        session = _Session(self, connection, talk)
        self._sessions.append(session)
        with contextlib.suppress(OSError, EOFError, _Left):
            session.run()
        session.close()


class _Left(Exception):  # noqa: N818 - no error: the script or the client says that it is over
    """The session is over."""


class _Session:
    """One connection. Reads by lines; what a client sends beyond STARTTLS in the same breath is lost."""

    def __init__(self, server: ScriptedServer, connection: socket.socket, talk: Talk) -> None:
        self._server = server
        self._connection = connection
        self._talk = talk
        self._reverse_path = ""
        self._forward_paths: list[str] = []
        self._reader: BinaryIO = connection.makefile("rb")

    def run(self) -> None:
        """From the greeting to the end."""
        if self._server.implicit_tls:
            self._start_tls()
        self._say(Step.GREETING)
        for line in self._lines():
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            self._talk.commands.append(command)
            self._obey(command)

    def hang_up(self) -> None:
        """End it from outside: whoever reads or writes notices."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up for good."""
        self.hang_up()
        with contextlib.suppress(OSError, ValueError):
            self._reader.close()
        self._connection.close()

    def _obey(self, command: str) -> None:
        match command.upper().split(" ")[0].split(":")[0]:
            case "EHLO" | "HELO":
                self._say(Step.EHLO)
            case "STARTTLS":
                if self._say(Step.STARTTLS).startswith(b"2"):
                    self._start_tls()
            case "AUTH":
                self._say(Step.AUTH)
            case "MAIL":
                if self._say(Step.MAIL).startswith(b"2"):
                    self._reverse_path, self._forward_paths = _path(command), []
            case "RCPT":
                if self._say(Step.RCPT).startswith(b"2"):
                    self._forward_paths.append(_path(command))
            case "DATA":
                if self._say(Step.DATA).startswith(b"3"):
                    self._take()
            case "QUIT":
                self._write(b"221 2.0.0 bye\r\n")
                raise _Left
            case _:  # RSET, NOOP
                self._write(b"250 2.0.0 ok\r\n")

    def _take(self) -> None:
        lines: list[bytes] = []
        for line in self._lines():
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b"."))
            if len(lines) == 1:
                self._ask(Step.BODY)
        else:
            raise _Left  # the client left before the dot: nothing was given
        verdict = self._ask(Step.END)
        if verdict.startswith(b"2"):
            taken = Taken(self._reverse_path, self._forward_paths, b"".join(lines), time.monotonic())
            self._server.messages.append(taken)
        self._write(verdict)
        self._ask(Step.TAKEN)

    def _ask(self, step: Step) -> bytes:
        line = self._server.script.get(step)
        if line is None:
            line = self._hello() if step is Step.EHLO else DEFAULTS[step]
        said = line if isinstance(line, bytes) else line()
        if said == LEAVE:
            raise _Left
        return said

    def _say(self, step: Step) -> bytes:
        said = self._ask(step)
        self._write(said)
        return said

    def _hello(self) -> bytes:
        can_secure = self._server.certificate is not None and not self._talk.tls
        lines = ["scripted", *self._server.offers, *(["STARTTLS"] if can_secure else [])]
        return b"".join(
            f"250{' ' if number == len(lines) else '-'}{line}\r\n".encode()
            for number, line in enumerate(lines, 1)
        )

    def _start_tls(self) -> None:
        certificate = self._server.certificate
        if certificate is None:
            raise _Left
        context = public_server_context(
            certificate.chain_pem.encode(), certificate.key_pem.encode(), tickets=True
        )
        self._reader.close()
        secured: ssl.SSLSocket = context.wrap_socket(self._connection, server_side=True)
        self._talk.tls = secured.version() or ""
        self._connection = secured
        self._reader = secured.makefile("rb")

    def _write(self, said: bytes) -> None:
        self._connection.sendall(said)

    def _lines(self) -> Iterator[bytes]:
        while line := self._reader.readline():
            if not self._talk.tls:
                self._talk.clear += line
            yield line


def _path(command: str) -> str:
    return command.partition("<")[2].partition(">")[0]
