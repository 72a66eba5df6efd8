"""Name servers of others, scripted: what each does with the next questions, when it does not just answer.

They answer from ``zones``. As with targets, ``will`` queues troubles for the next questions and ``always``
sets what is done when none is queued. Whatever is not scripted goes well.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum

from ptt.net.dns_server import DnsDatagrams
from ptt.net.world import Endpoint
from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.framing import MessageCutter, framed
from ptt.protocol.dns.message import HEADER_OCTETS
from ptt.rehearsal.simulation.chronicle import Chronicle
from ptt.rehearsal.simulation.network import Listener, Network

PORT = 53
MOMENT = 1_772_366_400  # TSIG is not spoken here: any time of day will do

_FORGED_ADDRESS = bytes((203, 0, 113))
_TRUE_ADDRESS = bytes((198, 51, 100))
_SERVFAIL, _REFUSED = 2, 5


class Trouble(Enum):
    """What becomes of a question."""

    NONE = "answers"
    SILENCE = "says nothing"
    SERVFAIL = "answers SERVFAIL"
    LAME = "answers REFUSED, as a server that does not have the zone"
    TRUNCATION = "truncates, over UDP"
    FORGERY = "answers after somebody else's answer with another id and another address"
    NOISE = "answers with octets that are no message"


class NameServer:
    """See the module. ``asked`` counts questions, by transport."""

    def __init__(self, network: Network, host: str, authority: Authority, chronicle: Chronicle) -> None:
        self.host = host
        self.asked = {"udp": 0, "tcp": 0}
        self._authority = authority
        self._chronicle = chronicle
        self._queued: deque[Trouble] = deque()
        self._usual = Trouble.NONE
        where = Endpoint(host, PORT)
        self._listeners = (network.bind_datagrams(where), network.bind(where))
        self._reader = self._listeners[0].serve(lambda: _Datagrams(self))
        self._server = _tcp(self._listeners[1], self)

    def will(self, *troubles: Trouble) -> None:
        """Do these with the next questions."""
        self._queued.extend(troubles)

    def always(self, trouble: Trouble) -> None:
        """Do this whenever nothing is queued."""
        self._usual = trouble

    def calm(self) -> None:
        """Answer from now on."""
        self._queued.clear()
        self._usual = Trouble.NONE

    def close(self) -> None:
        """Be gone."""
        self._reader.close()
        self._server()
        for listener in self._listeners:
            listener.close()

    def answers(self, wire: bytes, transport: str) -> list[bytes]:
        """What is sent for a message, in order."""
        self.asked[transport] += 1
        trouble = self._queued.popleft() if self._queued else self._usual
        if trouble is not Trouble.NONE:
            self._chronicle.tell(f"name server {self.host}", trouble.value)
        return _sent(trouble, self._authority, wire, transport)


def _sent(trouble: Trouble, authority: Authority, wire: bytes, transport: str) -> list[bytes]:
    is_stream = transport == "tcp"
    match trouble:
        case Trouble.SILENCE:
            return []
        case Trouble.SERVFAIL:
            return [_refusal(wire, _SERVFAIL)]
        case Trouble.LAME:
            return [_refusal(wire, _REFUSED)]
        case Trouble.NOISE:
            return [b"noise"]
        case Trouble.TRUNCATION if not is_stream:
            return [_refusal(wire, 0, flags=0x8600)]
        case _:
            answers = list(authority.handle(MOMENT, wire, stream=is_stream).messages)
            return [*map(_forged, answers), *answers] if trouble is Trouble.FORGERY else answers


def _refusal(wire: bytes, rcode: int, flags: int = 0x8000) -> bytes:
    """The header and the question of a query, alone (RFC 1035 §4.1.1)."""
    end = HEADER_OCTETS
    while wire[end]:
        end += wire[end] + 1
    counts = (1).to_bytes(2, "big") + bytes(6)
    return wire[:2] + (flags | rcode).to_bytes(2, "big") + counts + wire[HEADER_OCTETS : end + 5]


def _forged(answer: bytes) -> bytes:
    return bytes((answer[0] ^ 1, answer[1])) + answer[2:].replace(_TRUE_ADDRESS, _FORGED_ADDRESS)


class _Datagrams(DnsDatagrams):
    """Sends as many messages for one as it is told."""

    def __init__(self, server: NameServer) -> None:
        super().__init__(lambda _wire: None)
        self._name_server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer, or not."""
        for answer in self._name_server.answers(data, "udp"):
            self._transport.sendto(answer, addr)


class _Stream(asyncio.Protocol):
    """One connection; it is closed by who asks."""

    def __init__(self, server: NameServer) -> None:
        self._name_server = server
        self._cutter = MessageCutter()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # asyncio's type is wider than what it gives

    def data_received(self, data: bytes) -> None:
        for message in self._cutter.feed(data):
            for answer in self._name_server.answers(message, "tcp"):
                self._transport.write(framed(answer))


def _tcp(listener: Listener, server: NameServer) -> Callable[[], None]:
    return listener.serve(lambda: _Stream(server)).abort
