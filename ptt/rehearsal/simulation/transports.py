"""The two ends of a connection of memory, as ``asyncio`` shows them to protocols.

They do what sockets and selector transports do: ``close`` sends what is buffered and then ends in order;
``abort``, and closing with something unread, resets (RFC 9293 §3.10.4, RFC 1122 §4.2.2.13), as does writing
to who has closed; an end that does not read hears of a reset when it reads on or writes. Callbacks come from
the loop, one item a turn.
"""

import asyncio
import errno
import random
from collections import deque
from collections.abc import Iterable
from typing import Any, cast

from ptt.errors import MisuseError
from ptt.rehearsal.simulation.pipes import Hello, Item, Mark, Pipe, Shape

HIGH_WATER_OCTETS = 65_536  # asyncio's own defaults
LOW_WATER_OCTETS = 16_384

Address = tuple[str, int]


class SimulatedTransport(asyncio.Transport):
    """One end. ``attach`` gives it its protocol; what arrives before waits."""

    def __init__(self, outgoing: Pipe, incoming: Pipe, local: Address, remote: Address) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._outgoing = outgoing
        self._incoming = incoming
        self._extras: dict[str, Any] = {"sockname": _socket_name(local), "peername": _socket_name(remote)}
        self._protocol: asyncio.BaseProtocol | None = None
        self._unread: deque[Item] = deque()
        self._delivery: asyncio.Handle | None = None
        self._taker: asyncio.Future[Item] | None = None
        self._is_paused = False
        self._is_handshaking = False
        self._is_secure = False
        self._is_writing_paused = False
        self._has_written_eof = False
        self._was_reset = False
        self._leaves_unread = False
        self._is_closing = False
        self._is_lost = False
        self._high, self._low = HIGH_WATER_OCTETS, LOW_WATER_OCTETS
        incoming.deliver = self._arrived
        outgoing.on_sent = self._sent

    # Before the protocol's time, and the handshake

    def attach(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell the protocol that it is connected, and begin to read."""
        self._protocol = protocol
        protocol.connection_made(self)
        self._schedule_delivery()

    def begin_handshake(self) -> None:
        """From now on what arrives is for ``take`` and not for the protocol."""
        self._is_handshaking = True
        if self._delivery is not None:
            self._delivery.cancel()
            self._delivery = None

    async def take(self) -> Item:
        """The next item that arrives, for the handshake; ``Mark.RESET`` when the connection is gone."""
        if self._is_closing:
            return Mark.RESET
        if self._unread:
            return self._taken(self._unread.popleft())
        self._taker = self._loop.create_future()
        try:
            return await self._taker
        finally:
            self._taker = None

    def show(self, hello: Hello) -> None:
        """Send a flight of the handshake."""
        if not self._is_closing:
            self._outgoing.push(hello)

    def end_handshake(self, **extras: str | bytes | None) -> None:
        """Read on as a secure connection, whether reading had been paused or not."""
        self._extras.update(extras)
        self._is_handshaking, self._is_secure, self._is_paused = False, True, False
        self._schedule_delivery()

    def cut(self) -> None:
        """The path broke, and this end has been told (ICMP, a reset by somebody between)."""
        if not self._is_lost:
            self._arrived(Mark.RESET)

    # What asyncio.Transport asks for

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``peername``, ``sockname``, ``unacknowledged``; with TLS ``peer_certificate``, ``server_name``.

        For scripts ``is_silent``: what is written arrives no more.
        """
        if name == "is_silent":
            return self._outgoing.is_silent
        if name == "unacknowledged":
            return self._outgoing.unacknowledged
        return self._extras.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand over to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol; asking before there is one is our mistake."""
        if self._protocol is None:
            raise MisuseError("a connection that nobody has accepted")
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._is_closing

    def is_reading(self) -> bool:
        """Whether the protocol is given what arrives."""
        return not (self._is_paused or self._is_closing)

    def pause_reading(self) -> None:
        """Give the protocol nothing more until ``resume_reading``."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Go on giving."""
        self._is_paused = False
        self._schedule_delivery()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the protocol is told to pause and to resume writing."""
        if high is None:
            high = HIGH_WATER_OCTETS if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) is not above low ({low})")
        self._high, self._low = high, low
        self._check_high_water()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high, in this order, as asyncio gives them."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """Octets that were written and are not on their way."""
        return self._outgoing.buffered

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; after the end nothing is sent and nobody is told, as with sockets."""
        if self._has_written_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._is_handshaking:
            raise MisuseError("written in the middle of a handshake")
        if self._is_closing or not data:
            return
        if self._was_reset:
            self._lose()
            return
        self._outgoing.push(bytes(data))
        self._check_high_water()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several buffers as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Without TLS one half can be closed alone."""
        return not self._is_secure

    def write_eof(self) -> None:
        """Send what is buffered and then the end; reading goes on."""
        if self._is_secure:
            raise NotImplementedError("TLS has no half-closed connections in asyncio")
        if not self._is_closing and not self._has_written_eof:
            self._has_written_eof = True
            self._outgoing.push(Mark.END)

    def close(self) -> None:
        """Send what is buffered, then end in order."""
        if self._is_closing:
            return
        self._is_closing = True
        self._wake_taker()
        if self._outgoing.is_drained:
            self._loop.call_soon(self._finish)

    def abort(self) -> None:
        """End at once; the other end sees a reset."""
        if not self._is_lost:
            self._is_closing = True
            self._outgoing.drop(Mark.RESET)
            self._end(None)

    # What the pipes say

    def _arrived(self, item: Item) -> None:
        if item is Mark.RESET:
            self._was_reset = True
            self._outgoing.drop()
            if self._is_closing:
                self._lose()
        if self._is_lost:
            if not isinstance(item, Mark):
                self._outgoing.drop(Mark.RESET)
        elif self._is_closing:
            self._leaves_unread = self._leaves_unread or not isinstance(item, Mark)
        elif self._taker is not None and not self._taker.done():
            self._taker.set_result(self._taken(item))
        else:
            self._unread.append(item)
            self._schedule_delivery()

    def _taken(self, item: Item) -> Item:
        if isinstance(item, bytes):
            self._incoming.read(len(item))
        return item

    def _sent(self) -> None:
        if self._is_writing_paused and self._outgoing.buffered <= self._low:
            self._is_writing_paused = False
            cast("asyncio.Protocol", self._protocol).resume_writing()
        if self._is_closing and self._outgoing.is_drained:
            self._finish()

    # Within

    def _check_high_water(self) -> None:
        if not self._is_writing_paused and self._outgoing.buffered > self._high:
            self._is_writing_paused = True
            cast("asyncio.Protocol", self._protocol).pause_writing()

    def _schedule_delivery(self) -> None:
        if self._unread and self._delivery is None and self._may_deliver():
            self._delivery = self._loop.call_soon(self._deliver)

    def _may_deliver(self) -> bool:
        return not (self._is_paused or self._is_handshaking or self._is_closing or self._protocol is None)

    def _deliver(self) -> None:
        self._delivery = None
        if not self._may_deliver():
            return
        item = self._unread.popleft()
        try:
            self._give(item)
        except Exception as error:  # noqa: BLE001 - as asyncio does: the connection ends, the loop lives
            self._fail(error)
        self._schedule_delivery()

    def _give(self, item: Item) -> None:
        protocol = cast("asyncio.Protocol | asyncio.BufferedProtocol", self._protocol)
        match item:
            case bytes():
                self._feed(protocol, item)
            case Hello():  # the client speaks TLS and this end does not: it sees what it takes for noise
                self._feed(protocol, b"\x16\x03\x01\x00\x05hello")
            case Mark.END:
                stays_open = protocol.eof_received()
                if self._is_secure or not stays_open:
                    self.close()
            case _:
                self._lose()

    def _feed(self, protocol: asyncio.Protocol | asyncio.BufferedProtocol, data: bytes) -> None:
        if not isinstance(protocol, asyncio.BufferedProtocol):
            self._incoming.read(len(data))
            protocol.data_received(data)
            return
        buffer = memoryview(cast("bytearray", protocol.get_buffer(len(data)))).cast("B")
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        self._incoming.read(size)
        if size < len(data):
            self._unread.appendleft(data[size:])
        protocol.buffer_updated(size)

    def _fail(self, error: Exception) -> None:
        self._loop.call_exception_handler(
            {
                "message": "a protocol failed",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        if not self._is_lost:
            self._outgoing.drop(Mark.RESET)
            self._is_closing = True
            self._end(error)

    def _finish(self) -> None:
        """All is sent: end in order, or by a reset when the other end wrote what nobody read."""
        if self._is_lost:
            return
        if self._leaves_unread or any(not isinstance(item, Mark) for item in self._unread):
            self._outgoing.drop(Mark.RESET)
        elif not self._has_written_eof:
            self._outgoing.push(Mark.END)
        self._end(None)

    def _lose(self) -> None:
        self._is_closing = True
        self._outgoing.drop()
        self._end(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    def _end(self, error: Exception | None) -> None:
        self._is_lost = True
        self._incoming.close()
        self._unread.clear()
        self._wake_taker()
        if self._protocol is not None:
            self._loop.call_soon(self._protocol.connection_lost, error)

    def _wake_taker(self) -> None:
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(Mark.RESET)


class Connection:
    """Both ends and what is between them."""

    def __init__(self, client: Address, server: Address, shape: Shape, seed: random.Random) -> None:
        self.to_server, self.to_client = Pipe(shape, seed), Pipe(shape, seed)
        self.to_server.reverse, self.to_client.reverse = self.to_client, self.to_server
        self.client = SimulatedTransport(self.to_server, self.to_client, client, server)
        self.server = SimulatedTransport(self.to_client, self.to_server, server, client)

    def __str__(self) -> str:
        ends = {"client": self.client, "server": self.server}
        still = " and ".join(f"{name}'s end" for name, end in ends.items() if not end.is_closing())
        return f"{still or 'no end'} of {self.client.get_extra_info('sockname')[0]}"

    @property
    def is_closed(self) -> bool:
        """Whether both ends are closed or about to be."""
        return self.client.is_closing() and self.server.is_closing()

    def reset(self) -> None:
        """Break it so that both ends are told."""
        self.client.cut()
        self.server.cut()

    def silence(self) -> None:
        """Break it so that nobody is told: nothing arrives any more."""
        self.to_server.swallow()
        self.to_client.swallow()


def _socket_name(address: Address) -> tuple[str, int] | tuple[str, int, int, int]:
    """The tuple that a socket of the address's family gives."""
    return (*address, 0, 0) if ":" in address[0] else address
