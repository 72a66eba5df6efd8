"""A mail server that takes everything and keeps nothing, for measuring those who send to it.

It reads no more than it must: commands by line, the message by its end. How much has come is told to whoever
connects to the second port, as JSON. With a certificate it offers STARTTLS. Run as a process of its own:
``python -m bench.sink ADDRESS PORT REPORT_PORT [CERTIFICATE]``.
"""

import asyncio
import ssl
import sys
import time
from dataclasses import dataclass

import msgspec
import uvloop

END = b"\r\n.\r\n"
REPORT_HOST = "127.0.0.1"


@dataclass(slots=True)
class Tally:
    """What has come. ``last_at`` is the monotonic clock, which all processes of a machine share."""

    messages: int = 0
    octets: int = 0
    signatures: int = 0
    connections: int = 0
    last_at: float = 0.0


class SinkProtocol(asyncio.Protocol):
    """One connection; commands may be pipelined anywhere, behind the end of the data too."""

    def __init__(self, tally: Tally, context: ssl.SSLContext | None) -> None:
        self._tally = tally
        self._context = context
        self._transport: asyncio.Transport
        self._rest = b""
        self._in_data = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, but not again after STARTTLS."""
        self._transport = transport  # type: ignore[assignment] # uvloop's transports are none by inheritance
        self._tally.connections += 1
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Take commands and data as they come."""
        while data:
            data = self._data(data) if self._in_data else self._commands(data)

    def _data(self, data: bytes) -> bytes:
        """Take a piece of a message; what stands behind its end is given back."""
        tally = self._tally
        if self._tail == b"\r\n":  # the beginning: the header is here, or most of it
            tally.signatures += data.count(b"DKIM-Signature:", 0, 8192)
        seam = self._tail + data[:4]
        at = seam.find(END)
        end = at + len(END) - len(self._tail) if at >= 0 else data.find(END) + len(END)
        if end < len(END) and at < 0:
            self._tail = (self._tail + data)[-4:] if len(data) < 4 else data[-4:]
            tally.octets += len(data)
            return b""
        tally.octets += end
        tally.messages += 1
        tally.last_at = time.monotonic()
        self._in_data = False
        self._transport.write(b"250 2.0.0 taken\r\n")
        return data[end:]

    def _commands(self, data: bytes) -> bytes:
        """Answer whole lines up to DATA; what stands behind it is given back."""
        data = self._rest + data
        self._rest = b""
        answers = []
        while (end := data.find(b"\n") + 1) > 0:
            verb = data[:4].upper()
            line, data = data[:end], data[end:]
            answers.append(self._answer(verb))
            if verb == b"DATA":
                self._in_data, self._tail = True, b"\r\n"
                break
            if verb == b"STAR":
                self._transport.write(b"".join(answers))
                asyncio.ensure_future(self._start_tls())  # noqa: RUF006 - the connection holds it
                return b""
            if verb == b"QUIT" or not line:
                self._transport.write(b"".join(answers))
                self._transport.close()
                return b""
        self._transport.write(b"".join(answers))
        if not self._in_data:
            self._rest, data = data, b""
        return data

    def _answer(self, verb: bytes) -> bytes:
        match verb:
            case b"EHLO":
                offers = b"" if self._context is None else b"250-STARTTLS\r\n"
                return (
                    b"250-sink\r\n"
                    + offers
                    + b"250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
                )
            case b"DATA":
                return b"354 go ahead\r\n"
            case b"STAR":
                return b"220 2.0.0 ready\r\n"
            case b"QUIT":
                return b"221 2.0.0 bye\r\n"
            case _:
                return b"250 2.0.0 ok\r\n"

    async def _start_tls(self) -> None:
        assert self._context is not None
        inner = SinkProtocol(self._tally, None)
        upgraded = await asyncio.get_running_loop().start_tls(
            self._transport, inner, self._context, server_side=True
        )
        if upgraded is not None:
            inner._transport = upgraded


class Report(asyncio.Protocol):
    """Tells the tally and closes."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell it."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        transport.write(msgspec.json.encode(self._tally))
        transport.close()


async def serve(address: str, port: int, report_port: int, certificate: str | None) -> None:
    """Serve for ever."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    tally = Tally()
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(lambda: SinkProtocol(tally, context), address, port, backlog=1024)
    await loop.create_server(lambda: Report(tally), REPORT_HOST, report_port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await mail.serve_forever()


if __name__ == "__main__":
    _, at, mail_port, tally_port, *more = sys.argv
    uvloop.run(serve(at, int(mail_port), int(tally_port), more[0] if more else None))
