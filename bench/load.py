"""Sends mail as fast as a server takes it: ``sessions`` connections at a time, for some seconds.

Each connection says EHLO, logs in if it is told to, sends its messages one after the other, each command
after the answer to the one before (as mail programs do), and says QUIT. With no messages at all a connection
is nothing but its handshakes. Every message has a Message-ID of its own. A process of its own:
``python -m bench.load JSON``; the result is JSON on standard output.
"""

import asyncio
import ssl
import sys
import time
from base64 import b64encode
from random import Random

import msgspec
import uvloop

SEED = 7
LINE_LETTERS = 70
MARK = b"0123456789abcdef"  # where the number of a message stands in the template
WHOLE_CONNECTIONS = 100  # connections of up to so many messages are whole, whatever the time is
BUSY_PAUSE_S = 0.05  # before a login that was put off is tried again


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to do. ``limit`` stops after so many messages; ``login`` and ``password`` empty: none."""

    host: str
    port: int
    tls: bool = False
    login: str = ""
    password: str = ""
    sender: str = "alice@mirage.org"
    recipient: str = "bob@dest.example"
    sessions: int = 1
    messages_per_connection: int = 10
    size: int = 10_000
    seconds: float = 1.0
    limit: int = 0


class Result(msgspec.Struct, kw_only=True):
    """What happened; times are of the monotonic clock, answers in milliseconds from the dot."""

    sent: int = 0
    connections: int = 0
    put_off: int = 0
    failures: list[str] = []
    started_at: float = 0.0
    ended_at: float = 0.0
    answers_ms: list[float] = []


def template(order: Order) -> bytes:
    """A message of the wanted size with its final dot, whose Message-ID holds ``MARK``."""
    random = Random(SEED)
    head = (
        f"From: Alice <{order.sender}>\r\nTo: Bob <{order.recipient}>\r\nSubject: Minutes of the meeting\r\n"
        "Date: Tue, 01 Jul 2025 10:52:37 +0200\r\n"
        f"Message-ID: <{MARK.decode()}@mirage.org>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode()
    letters = "abcdefghijklmnopqrstuvwxyz     "
    line = "".join(random.choices(letters, k=LINE_LETTERS)).strip().encode() + b"\r\n"
    body = line * ((order.size - len(head)) // len(line) + 1)
    body = body[: max(order.size - len(head) - 2, 0)].rstrip(b"\r\n") + b"\r\n"
    return head + body + b".\r\n"


class Sender:
    """All sessions of an order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.result = Result()
        whole = template(order)
        at = whole.index(MARK)
        self._before, self._after = whole[:at], whole[at + len(MARK) :]
        self._number = 0
        self._stamp = f"{time.time_ns() & 0xFFFFFFFF:08x}"
        self.context: ssl.SSLContext | None = None
        if order.tls:
            self.context = ssl.create_default_context()
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE
        self.ends_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether no more connections are to be begun."""
        return time.monotonic() >= self.ends_at or self._is_at_limit

    @property
    def has_to_stop(self) -> bool:
        """Whether no more messages are to be sent: connections of some messages are brought to their end."""
        return self._is_at_limit or (
            self.order.messages_per_connection > WHOLE_CONNECTIONS and time.monotonic() >= self.ends_at
        )

    @property
    def _is_at_limit(self) -> bool:
        return self.order.limit > 0 and self._number >= self.order.limit

    def next_message(self) -> list[bytes]:
        """The next message, as buffers."""
        self._number += 1
        return [self._before, f"{self._stamp}{self._number:08x}".encode(), self._after]

    async def run(self) -> Result:
        """Send until the time is over."""
        result = self.result
        result.started_at = time.monotonic()
        self.ends_at = result.started_at + self.order.seconds
        await asyncio.gather(*(self._session() for _ in range(self.order.sessions)))
        result.ended_at = time.monotonic()
        return result

    async def _session(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.is_over:
            ended = loop.create_future()
            try:
                await loop.create_connection(
                    lambda ended=ended: Connection(self, ended),
                    self.order.host,
                    self.order.port,
                    ssl=self.context,
                )
                await ended
            except OSError as error:
                self.result.failures.append(str(error))
                await asyncio.sleep(BUSY_PAUSE_S)


class Connection(asyncio.Protocol):
    """One connection: a table of what is said after which answer."""

    def __init__(self, sender: Sender, ended: "asyncio.Future[None]") -> None:
        order = sender.order
        self._sender = sender
        self._ended = ended
        self._transport: asyncio.Transport
        self._rest = b""
        self._left = order.messages_per_connection
        self._state = "greeting"
        self._dot_at = 0.0
        self._mail = f"MAIL FROM:<{order.sender}>\r\n".encode()
        self._rcpt = f"RCPT TO:<{order.recipient}>\r\n".encode()
        secret = b64encode(f"\0{order.login}\0{order.password}".encode())
        self._auth = b"AUTH PLAIN " + secret + b"\r\n" if order.login else b""
        self._steps = {
            "greeting": self._greeted,
            "ehlo": self._ehlo_answered,
            "auth": self._auth_answered,
            "mail": self._mail_answered,
            "rcpt": self._rcpt_answered,
            "data": self._data_answered,
            "dot": self._dot_answered,
            "quit": self._quit_answered,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting."""
        self._transport = transport  # type: ignore[assignment] # uvloop's transports are none by inheritance
        self._sender.result.connections += 1

    def data_received(self, data: bytes) -> None:
        """Take an answer; the next step comes when its last line is here."""
        data = self._rest + data
        while (end := data.find(b"\n") + 1) > 0:
            line, data = data[:end], data[end:]
            if line[3:4] != b"-":
                self._steps[self._state](line)
        self._rest = data

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, wanted or not."""
        if self._state != "gone":
            self._fail(f"connection lost in {self._state}: {exc}")

    def _say(self, state: str, what: bytes) -> None:
        self._state = state
        self._transport.write(what)

    def _greeted(self, line: bytes) -> None:
        if line[:1] == b"2":
            self._say("ehlo", b"EHLO client.mirage.org\r\n")
        else:
            self._fail(line.decode())

    def _ehlo_answered(self, _line: bytes) -> None:
        if self._auth:
            self._say("auth", self._auth)
        else:
            self._next()

    def _auth_answered(self, line: bytes) -> None:
        if line[:1] == b"2":
            self._next()
        elif line[:1] == b"4":
            self._sender.result.put_off += 1
            asyncio.get_running_loop().call_later(BUSY_PAUSE_S, self._say, "auth", self._auth)
        else:
            self._fail(line.decode())

    def _next(self) -> None:
        if self._left <= 0 or self._sender.has_to_stop:
            self._say("quit", b"QUIT\r\n")
            return
        self._left -= 1
        self._say("mail", self._mail)

    def _mail_answered(self, line: bytes) -> None:
        self._go_on(line, "rcpt", self._rcpt)

    def _rcpt_answered(self, line: bytes) -> None:
        self._go_on(line, "data", b"DATA\r\n")

    def _go_on(self, line: bytes, state: str, what: bytes) -> None:
        if line[:1] == b"2":
            self._say(state, what)
        else:
            self._fail(line.decode())

    def _data_answered(self, line: bytes) -> None:
        if line[:1] != b"3":
            self._fail(line.decode())
            return
        self._state = "dot"
        self._transport.writelines(self._sender.next_message())
        self._dot_at = time.monotonic()

    def _dot_answered(self, line: bytes) -> None:
        if line[:1] != b"2":
            self._fail(line.decode())
            return
        result = self._sender.result
        result.sent += 1
        result.answers_ms.append((time.monotonic() - self._dot_at) * 1000)
        self._next()

    def _quit_answered(self, _line: bytes) -> None:
        self._state = "gone"
        self._transport.close()
        self._end()

    def _fail(self, why: str) -> None:
        self._sender.result.failures.append(why.strip())
        self._state = "gone"
        self._transport.abort()
        self._end()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def main(arguments: list[str]) -> int:
    """Do what the JSON says."""
    order = msgspec.json.decode(arguments[0], type=Order)
    result = uvloop.run(Sender(order).run())
    sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
