"""A Git server behind a web server (gitprotocol-http(5), "smart"): requests of a blocking connection by h11.

One connection serves both requests where the server keeps it, else another is opened. Redirects are not
followed and no cookies kept: the settings name the place. Answers are bounded by ``Wire``'s count.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from socket import socket

import h11
from dulwich.client import AbstractHttpGitClient

from ptt.net.git.failures import GitTroubleError
from ptt.net.git.wire import MAX_RECEIVED_OCTETS, PIECE_OCTETS, STEP_S, Connect
from ptt.net.tls import verifying_client_context
from ptt.records.repository import HTTP_PORT, HTTPS_PORT, HttpPlace

USER_AGENT = "git/2.40 (PTT)"  # some servers show a page for people to whoever does not begin with git/
OK = 200


class HttpAnswer:
    """What dulwich asks of an answer."""

    def __init__(self, response: h11.Response, close: Callable[[], None]) -> None:
        fields = {name.decode("ascii"): value.decode("latin-1") for name, value in response.headers}
        self.status = response.status_code
        self.content_type = fields.get("content-type")
        self.redirect_location = ""
        self.close = close


class HttpClient(AbstractHttpGitClient):
    """Dulwich's rules over our connection."""

    def __init__(self, connect: Connect, place: HttpPlace) -> None:
        scheme = "https" if place.is_secure else "http"
        usual = HTTPS_PORT if place.is_secure else HTTP_PORT
        host = f"[{place.host}]" if ":" in place.host else place.host
        self._host_field = host if place.port == usual else f"{host}:{place.port}"
        self._connect = connect
        self._place = place
        self._context = verifying_client_context(place.trust_anchors_pem) if place.is_secure else None
        self._stream: socket | None = None
        self._protocol = h11.Connection(h11.CLIENT)
        self._received = 0
        super().__init__(f"{scheme}://{self._host_field}/", thin_packs=False)

    def _http_request(  # type: ignore[override] # what it gives has all that is used of urllib3's answer
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: FBT001, FBT002, ARG002 - dulwich's signature
    ) -> tuple[HttpAnswer, Callable[[int], bytes]]:
        body = data if data is None or isinstance(data, bytes) else b"".join(data)
        target = "/" + url.split("/", 3)[3]
        fields = {"Host": self._host_field, "User-Agent": USER_AGENT, **(headers or {})}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        stream = self._open()
        request = h11.Request(
            method="GET" if body is None else "POST", target=target, headers=list(fields.items())
        )
        sent = [self._protocol.send(request), self._protocol.send(h11.Data(body or b""))]
        sent.append(self._protocol.send(h11.EndOfMessage()))
        stream.sendall(b"".join(piece or b"" for piece in sent))
        response = self._next(stream)
        while isinstance(response, h11.InformationalResponse):
            response = self._next(stream)
        if not isinstance(response, h11.Response):
            raise GitTroubleError(f"{self._place.host} has closed the connection")
        if response.status_code != OK:
            raise GitTroubleError(f"{self._place.host} answers {response.status_code} for {target}")
        return HttpAnswer(response, self._finish), _Body(lambda: self._piece(stream)).read

    def close(self) -> None:
        """Close the connection."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self) -> socket:
        if self._stream is not None and self._protocol.our_state is h11.IDLE:
            return self._stream
        self.close()
        stream = self._connect()
        if self._context is not None:
            try:
                stream = self._context.wrap_socket(stream, server_hostname=self._place.host)
            except ssl.SSLCertVerificationError as error:
                stream.close()
                raise GitTroubleError(
                    f"the certificate of {self._place.host} was not accepted: {error.verify_message}",
                    needs_operator=True,
                ) from error
            stream.settimeout(STEP_S)
        self._stream, self._protocol = stream, h11.Connection(h11.CLIENT)
        return stream

    def _next(self, stream: socket) -> h11.Event | type[h11.PAUSED]:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            data = stream.recv(PIECE_OCTETS)
            self._received += len(data)
            if self._received > MAX_RECEIVED_OCTETS:
                raise GitTroubleError("the repository's head is too large", needs_operator=True)
            self._protocol.receive_data(data)
        return event  # type: ignore[return-value] # NEED_DATA is out

    def _piece(self, stream: socket) -> bytes:
        event = self._next(stream)
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    def _finish(self) -> None:
        """Read an answer to its end, so that the connection can be used again."""
        stream = self._stream
        if stream is None:
            return
        with suppress(OSError, h11.RemoteProtocolError):
            while self._piece(stream):
                pass
            if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
                self._protocol.start_next_cycle()


class _Body:
    """The body of an answer, read exactly."""

    def __init__(self, piece: Callable[[], bytes]) -> None:
        self._piece = piece
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """``size`` octets; fewer only at the end. -1: everything."""
        pieces, have = [self._rest], len(self._rest)
        while (size < 0 or have < size) and (piece := self._piece()):
            pieces.append(piece)
            have += len(piece)
        whole = b"".join(pieces)
        end = have if size < 0 else size
        self._rest = whole[end:]
        return whole[:end]
