"""A small HTTPS server of the pretend Internet (RFC 9112, by h11): one handler for all requests."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import h11

from ptt.net.tls import public_server_context
from ptt.rehearsal.certificates import ServerCertificate
from ptt.rehearsal.internet.acme_authority import Reply

READ_OCTETS = 65_536
HTTPS_PORT = 443

Handler = Callable[[str, str, bytes], Awaitable[Reply]]
"""Gets method, path and body."""


class HttpsServer:
    """``serve`` and ``close`` may alternate: a server that is down for a while."""

    def __init__(
        self, address: str, certificate: ServerCertificate, handler: Handler, port: int = HTTPS_PORT
    ) -> None:
        self._where = (address, port)
        self._handler = handler
        self._context: ssl.SSLContext = public_server_context(
            certificate.chain_pem.encode(), certificate.key_pem.encode(), tickets=False
        )
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self) -> None:
        """Listen and answer."""
        address, port = self._where
        self._server = await asyncio.start_server(self.answer, address, port, ssl=self._context)

    @property
    def port(self) -> int:
        """The port that is bound, where any was asked for."""
        sockets = self._server.sockets if self._server is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else self._where[1]

    async def close(self) -> None:
        """Listen no more; what is open is cut off."""
        if self._server is not None:
            self._server.close()
            for writer in self._open:
                writer.transport.abort()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer all requests of a connection that is secured."""
        self._open.add(writer)
        http = h11.Connection(h11.SERVER)
        try:
            while await self._one(http, reader, writer):
                http.start_next_cycle()
        except (OSError, h11.RemoteProtocolError):
            pass  # the client's own affair
        finally:
            self._open.discard(writer)
            writer.close()

    async def _one(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One request and its answer; False: that was the last."""
        request, body = None, bytearray()
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            match event:
                case h11.NEED_DATA:
                    http.receive_data(await reader.read(READ_OCTETS))
                case h11.Request():
                    request = event
                case h11.Data(data=data):
                    body += data
                case _:
                    return False
        if request is None:
            return False
        method, target = request.method.decode("ascii"), request.target.decode("ascii")
        reply = await self._handler(method, target, bytes(body))
        headers = [("Content-Length", str(len(reply.body))), *reply.headers]
        if reply.content_type:
            headers.append(("Content-Type", reply.content_type))
        writer.write(http.send(h11.Response(status_code=reply.status, headers=headers)) or b"")
        if method != "HEAD":
            writer.write(http.send(h11.Data(data=reply.body)) or b"")
        writer.write(http.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        return http.our_state is h11.DONE and http.their_state is h11.DONE
