"""HTTPS requests to servers of the Internet (RFC 9110, RFC 9112): few, small, each on its own connection.

Names are asked of our resolver, addresses are tried one after the other, the certificate must be valid for
the name by the roots given (RFC 9110 §4.3.4). Redirects are not followed: neither ACME nor MTA-STS
(RFC 8461 §3.3) wants it. Bodies and times are bounded; nothing is raised for what a network or server does.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

from ptt.errors import Malformed
from ptt.net.tls import verifying_client_context
from ptt.net.world import ConnectFailed, Endpoint, TlsFailed, TlsRole, World
from ptt.protocol.dns.lookup import A, Aaaa, Lookup, RecordType
from ptt.protocol.dns.name import Name

HTTPS_PORT = 443
CONNECT_TIMEOUT_S = 8.0  # per address
HANDSHAKE_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 30.0  # from the name to the last octet of the body; authorities are slow to issue
MAX_BODY_OCTETS = 256 * 1024
MAX_HEADER_OCTETS = 32 * 1024
MAX_ADDRESSES = 6
USER_AGENT = b"PTT"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """``headers`` by name in lower case; of several with one name the last."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpFailed:
    """No response. ``reason`` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Target:
    name: Name
    port: int
    path: bytes

    @property
    def host(self) -> bytes:
        """The Host field (RFC 9110 §7.2)."""
        port = b"" if self.port == HTTPS_PORT else b":%d" % self.port
        return self.name.text.encode("ascii") + port


class HttpsClient:
    """Requests of one unit; ``roots_pem`` empty: the system's trust anchors, read once, now."""

    def __init__(
        self,
        world: World,
        lookup: Lookup,
        roots_pem: str = "",
        *,
        max_body_octets: int = MAX_BODY_OCTETS,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self._world = world
        self._lookup = lookup
        self._context: ssl.SSLContext = verifying_client_context(roots_pem or None)
        self._context.set_alpn_protocols(["http/1.1"])
        self._max_body_octets = max_body_octets
        self._timeout_s = timeout_s

    async def request(
        self, method: str, url: str, body: bytes = b"", content_type: str = ""
    ) -> HttpResponse | HttpFailed:
        """Make a request; never raises for the network."""
        target = _target_of(url)
        if isinstance(target, Malformed):
            return HttpFailed(target.reason)
        fields = [(b"Host", target.host), (b"User-Agent", USER_AGENT), (b"Connection", b"close")]
        if content_type:
            fields += [(b"Content-Type", content_type.encode("ascii"))]
        if body or method == "POST":
            fields += [(b"Content-Length", b"%d" % len(body))]
        head = h11.Request(method=method, target=target.path, headers=fields)
        exchange = _Exchange(head, body, self._max_body_octets)
        try:
            async with asyncio.timeout(self._timeout_s):
                failed = await self._connect(target, exchange)
                return failed if failed is not None else await exchange.outcome
        except TimeoutError:
            return HttpFailed(f"{target.name} did not answer within {self._timeout_s:g} s")
        finally:
            exchange.close()

    async def _connect(self, target: _Target, exchange: "_Exchange") -> HttpFailed | None:
        """Open a connection under TLS and send; None: the outcome is on its way."""
        addresses = await self._addresses(target.name)
        reason = f"{target.name} has no address"
        for address in addresses[:MAX_ADDRESSES]:
            opened = await self._world.connect(
                Endpoint(address, target.port), lambda: exchange, CONNECT_TIMEOUT_S
            )
            if isinstance(opened, ConnectFailed):
                reason = opened.reason
                continue
            role = TlsRole(server_side=False, context=self._context, server_name=target.name.text)
            upgraded = await self._world.start_tls(exchange.transport, exchange, role, HANDSHAKE_TIMEOUT_S)
            if isinstance(upgraded, TlsFailed):
                return HttpFailed(f"{target.name}: {upgraded.reason}")
            exchange.send(upgraded[0])
            return None
        return HttpFailed(reason)

    async def _addresses(self, name: Name) -> list[str]:
        """IPv4 and IPv6 in turn: whichever a host lacks is refused at once."""
        four, six = await asyncio.gather(
            self._lookup.query(name, RecordType.A), self._lookup.query(name, RecordType.AAAA)
        )
        fours = [] if four.is_failure else [str(each.address) for each in four.of(A)]
        sixes = [] if six.is_failure else [str(each.address) for each in six.of(Aaaa)]
        return [*fours[:1], *sixes[:1], *fours[1:], *sixes[1:]]


class _Exchange(asyncio.Protocol):
    """One request and its response on one connection."""

    def __init__(self, head: h11.Request, body: bytes, max_body_octets: int) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_OCTETS)
        self._head = head
        self._to_send = body
        self._max_body_octets = max_body_octets
        self._response: h11.Response | None = None
        self._body = bytearray()
        self._is_sent = False
        self._transport: asyncio.Transport | None = None
        self.outcome: asyncio.Future[HttpResponse | HttpFailed] = asyncio.get_running_loop().create_future()

    @property
    def transport(self) -> asyncio.Transport:
        """The connection, once it is made."""
        if self._transport is None:
            raise RuntimeError("not connected")
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # uvloop's are none by inheritance

    def send(self, transport: asyncio.Transport) -> None:
        """Send the request over the connection that is secured now."""
        self._transport, self._is_sent = transport, True
        pieces = [self._http.send(self._head)]
        if self._to_send:
            pieces.append(self._http.send(h11.Data(data=self._to_send)))
        pieces.append(self._http.send(h11.EndOfMessage()))
        transport.write(b"".join(piece or b"" for piece in pieces))

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        if self._is_sent:
            self._take(b"")
        self._end(HttpFailed("the connection was lost before the end of the answer"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, data: bytes) -> None:
        if self.outcome.done() or not self._is_sent:
            return
        try:
            self._http.receive_data(data)
            while self._read_event():
                pass
        except h11.RemoteProtocolError as error:
            self._end(HttpFailed(f"not HTTP: {error}"))

    def _read_event(self) -> bool:
        """Take the next event; False: there is none now."""
        match self._http.next_event():
            case h11.Response() as response:
                self._response = response
            case h11.InformationalResponse():
                pass
            case h11.Data(data=data):
                self._body += data
                if len(self._body) > self._max_body_octets:
                    self._end(HttpFailed(f"an answer of more than {self._max_body_octets} octets"))
                    return False
            case h11.EndOfMessage() if self._response is not None:
                headers = {
                    name.decode("latin-1"): value.decode("latin-1") for name, value in self._response.headers
                }
                self._end(HttpResponse(self._response.status_code, headers, bytes(self._body)))
                return False
            case _:
                return False
        return True

    def _end(self, outcome: HttpResponse | HttpFailed) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def _target_of(url: str) -> _Target | Malformed:
    """Where an https URL leads (RFC 9110 §4.2.2); userinfo is refused (§4.2.4), a fragment is dropped."""
    try:
        parts = urlsplit(url)
        port = parts.port or HTTPS_PORT
    except ValueError as error:
        return Malformed(f"not a URL: {error}")
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or not url.isascii():
        return Malformed("not an https URL with a host name")
    name = Name.parse(parts.hostname)
    if isinstance(name, Malformed):
        return Malformed(f"the host of a URL: {name.reason}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isprintable() or " " in path:
        return Malformed("a URL with characters that none may hold")
    return _Target(name, port, path.encode("ascii"))
