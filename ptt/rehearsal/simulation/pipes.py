"""One direction of a connection: octets on their way, with latency, a rate, pieces of any size, and a window.

Order is kept, as TCP keeps it (RFC 9293 §3.4); what is drawn by seed is where a piece ends and how long it
takes. The receiver's side of the window holds what has arrived and is not read yet: a reader that pauses
stops the writer after that much. ``unacknowledged`` is what the writer's kernel has sent and not heard of:
it falls one latency after arrival, and with everything that comes back on the other direction.

A story has some hundred pieces, so timers are set only where something happens: acknowledgements and the
window's widening are noted with their time, and counted when somebody asks.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

SMALL_PIECE_OCTETS = 16  # pieces as small as this cut commands and line ends apart


@dataclass(frozen=True, slots=True)
class Shape:
    """How a path behaves. A piece takes ``latency_s`` and up to ``jitter_s`` more, never overtaking another.

    On average one piece in ``small_every`` is smaller than 17 octets, the others are of 1 to
    ``piece_octets``.
    """

    latency_s: float = 0.02
    jitter_s: float = 0.005
    octets_per_s: float = 12_500_000.0
    piece_octets: int = 16_384
    small_every: int = 8
    window_octets: int = 262_144


class Mark(Enum):
    """What travels between octets."""

    END = "the writer has finished (FIN)"
    RESET = "the writer is gone (RST)"
    CUT = "what is between them breaks here"


@dataclass(frozen=True, slots=True)
class Hello:
    """One flight of the handshake that stands for TLS: which side it is from and the certificate shown."""

    server_side: bool
    is_last: bool
    certificate: bytes
    server_name: str | None


Item = bytes | Mark | Hello


class Pipe:
    """Carries items from one end to the other. ``deliver`` is called for each, in order, as it arrives."""

    def __init__(self, shape: Shape, seed: random.Random) -> None:
        self._loop = asyncio.get_running_loop()
        self._shape = shape
        self._random = seed
        self._waiting: deque[memoryview | Mark | Hello] = deque()
        self._under_way: deque[tuple[Item, int]] = deque()
        self._next_send: asyncio.TimerHandle | None = None
        self._last_arrival = 0.0
        self._free_at = 0.0
        """When the piece that was sent last has left."""
        self._window_used = 0
        self._reads: deque[tuple[float, int]] = deque()
        """When the writer hears of octets that were read, and how many."""
        self._acknowledgements: deque[tuple[float, int]] = deque()
        """When it hears of what had arrived, and how much in all."""
        self._limit: int | None = None
        self._is_dead = False
        self._is_silent = False
        self._is_cut = False
        self._is_closed = False
        self.buffered = 0
        """Octets that the writer has handed over and that are not on their way yet."""
        self.sent = 0
        self.acknowledged = 0
        self.arrived = 0
        self.on_sent: Callable[[], None] = _nothing
        self.on_cut: Callable[[], None] = _nothing
        self.deliver: Callable[[Item], None] = _drop
        self.reverse: Pipe | None = None
        """The other direction, whose arrivals carry what has arrived here."""

    @property
    def unacknowledged(self) -> int:
        """Octets sent of whose arrival the writer has not heard."""
        self._hear_acknowledgements()
        return self.sent - self.acknowledged

    @property
    def is_drained(self) -> bool:
        """Whether everything handed over is on its way."""
        return not self._waiting

    def push(self, item: Item) -> None:
        """Hand an item over."""
        if self._is_dead:
            return
        if isinstance(item, bytes):
            self.buffered += len(item)
            self._waiting.append(memoryview(item))
        else:
            self._waiting.append(item)
        self._schedule()

    def drop(self, last: Mark | None = None) -> None:
        """Forget what is not on its way yet; ``last`` is the last thing that is sent, if any."""
        self._waiting.clear()
        self.buffered = 0
        if last is not None and not self._is_dead:
            self._send(last)
        self.kill()

    def kill(self) -> None:
        """Send nothing more; what is under way still arrives."""
        self._is_dead = True
        if self._next_send is not None:
            self._next_send.cancel()
            self._next_send = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing arrives any more."""
        return self._is_silent

    def swallow(self) -> None:
        """Let nothing more arrive, not even what is under way, and tell nobody; hand-overs pile up."""
        self._hear_acknowledgements()
        self._acknowledgements.clear()
        self._reads.clear()
        self._is_silent = True
        self._window_used = self._shape.window_octets

    def cut_after(self, octets: int) -> None:
        """Let this many more octets arrive, then call ``on_cut``."""
        self._limit = octets
        self._schedule()

    def close(self) -> None:
        """The reader is gone: what arrives from now on is acknowledged to nobody (RFC 9293 §3.10.7.1)."""
        self._is_closed = True

    def read(self, octets: int) -> None:
        """The reader has taken octets that had arrived; the writer hears of it one latency later."""
        if self._is_silent:
            return
        self._reads.append((self._loop.time() + self._shape.latency_s, octets))
        if self._waiting and self._next_send is None:
            self._schedule(self._reads[0][0])

    def _widen(self) -> None:
        now = self._loop.time()
        while self._reads and self._reads[0][0] <= now:
            self._window_used -= self._reads.popleft()[1]

    def _schedule(self, earliest: float = 0.0) -> None:
        if self._next_send is None and not self._is_dead:
            at = max(self._loop.time(), self._free_at, earliest)
            self._next_send = self._loop.call_at(at, self._send_next)

    def _send_next(self) -> None:
        """Put the next piece on its way and come back when the rate allows another."""
        self._next_send = None
        if self._limit == 0 and not self._is_cut:
            self._is_cut = True
            self._send(Mark.CUT)
        if self._is_cut or not self._waiting:
            return
        item = self._waiting.popleft()
        if not isinstance(item, memoryview):
            self._send(item)
        elif not self._send_piece(item):
            if self._reads:  # else until the reader reads
                self._schedule(self._reads[0][0])
            return
        if self._waiting or self._limit == 0:
            self._schedule()
        self.on_sent()

    def _send_piece(self, data: memoryview) -> bool:
        self._widen()
        room = self._shape.window_octets - self._window_used
        size = min(self._piece_size(), room, len(data))
        if self._limit is not None:
            size = min(size, self._limit)
        if size < len(data):
            self._waiting.appendleft(data[size:])
        if size == 0:
            return False
        self.buffered -= size
        self.sent += size
        self._window_used += size
        if self._limit is not None:
            self._limit -= size
        transmission_s = size / self._shape.octets_per_s
        self._free_at = self._loop.time() + transmission_s
        self._send(bytes(data[:size]), transmission_s)
        return True

    def _piece_size(self) -> int:
        if self._random.randrange(self._shape.small_every) == 0:
            return self._random.randint(1, SMALL_PIECE_OCTETS)
        return self._random.randint(1, self._shape.piece_octets)

    def _send(self, item: Item, transmission_s: float = 0.0) -> None:
        delay_s = transmission_s + self._shape.latency_s + self._random.uniform(0.0, self._shape.jitter_s)
        # Two timers of one time fire in any order; what arrives is taken from the queue, so order is kept.
        self._last_arrival = max(self._last_arrival, self._loop.time() + delay_s)
        self._under_way.append((item, self.reverse.arrived if self.reverse is not None else 0))
        self._loop.call_at(self._last_arrival, self._arrive)

    def _arrive(self) -> None:
        item, acknowledged = self._under_way.popleft()
        if self._is_silent:
            return
        if self.reverse is not None:
            self.reverse.acknowledged = max(self.reverse.acknowledged, acknowledged)
        if item is Mark.CUT:
            self.on_cut()
            return
        if isinstance(item, bytes) and not self._is_closed:
            self.arrived += len(item)
            self._hear_acknowledgements()
            self._acknowledgements.append((self._loop.time() + self._shape.latency_s, self.arrived))
        self.deliver(item)

    def _hear_acknowledgements(self) -> None:
        now = self._loop.time()
        while self._acknowledgements and self._acknowledgements[0][0] <= now:
            self.acknowledged = max(self.acknowledged, self._acknowledgements.popleft()[1])


def _nothing() -> None:
    """Do nothing."""


def _drop(_item: Item) -> None:
    """Lose an item."""
