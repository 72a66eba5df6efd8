"""A unit's two inputs: the boot record (one frame on standard input) and the control stream's frames.

A frame is a length (4 octets, big-endian) and a msgpack value; on the control stream the value is one of the
tagged structs below. Both are msgspec structs, so a frame of the wrong shape is refused with a reason, never
half read. Listeners travel beside their ``Publish`` frame as file descriptors (SCM_RIGHTS), one a listener,
in order. The host keeps and passes ``State`` on unread.
"""

from typing import Any, TypeVar

import msgspec

from ptt.errors import Malformed

T = TypeVar("T")

LENGTH_OCTETS = 4
MAX_FRAME_OCTETS = 16 * 1024 * 1024  # a user list of 10,000 people or a ledger handed over is a few MB


class Rights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a unit keeps when it closes; the host derives it from the manifest. By default nothing."""

    connect_ports: tuple[int, ...] = ()
    """TCP ports that it may connect to: those of its callees, and those that it may call on the Internet."""
    internet: bool = False
    """It calls servers there: it may choose its source address, and knows the system's authorities."""
    udp: bool = False
    """It may open sockets for datagrams."""
    own_user: bool = False
    """Its user id is nobody else's, so that limits per user are limits of this unit."""


class BootRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a unit is told before it serves. ``secrets`` holds exactly what its manifest names."""

    unit: str
    generation: int
    host_name: str
    """The name in greetings, EHLO and Received; forward-confirmed by PTR where the Internet sees it."""
    digest: str
    """Of the code that runs, stamped into Received [B4]."""
    settings: dict[str, Any]
    """Unit-specific; the unit converts it to its own struct and refuses what it does not know."""
    secrets: dict[str, str]
    rights: Rights = Rights()


class Listener(msgspec.Struct, frozen=True):
    """One listening socket, as named in the manifest; ``host`` and ``port`` are what it is bound to."""

    name: str
    host: str
    port: int
    transport: str = "tcp"
    """``udp``: a bound socket for datagrams."""


class Peer(msgspec.Struct, frozen=True):
    """The other end of a call: where it listens and the certificate (DER) that it must show."""

    unit: str
    generation: int
    host: str
    port: int
    certificate: bytes


# Host to unit ---------------------------------------------------------------------------------------


class Publish(msgspec.Struct, frozen=True, tag="publish"):
    """Serve on these listeners; their descriptors come with the frame."""

    listeners: tuple[Listener, ...]


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw"):
    """Read from these listeners no more; what is open goes on, and they may be published again."""

    names: tuple[str, ...]


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Finish what is open, then say ``Drained`` and end: full service, then 421, then the cap."""

    deadline_s: float


class Peers(msgspec.Struct, frozen=True, tag="peers"):
    """All callers and callees that live now; a new connection goes to the newest callee."""

    callers: tuple[Peer, ...]
    callees: tuple[Peer, ...]


class GiveState(msgspec.Struct, frozen=True, tag="give-state"):
    """What an earlier generation left with the host, in the order written.

    ``predecessor_runs``: one still does, and what it has open may still come; when the last one has ended,
    the host says so by a frame that may be empty.
    """

    entries: tuple[tuple[str, bytes], ...]
    predecessor_runs: bool = False


class GiveAnswer(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to an ``Ask``; ``payload`` None: nobody could answer."""

    number: int
    payload: bytes | None


class PutQuestion(msgspec.Struct, frozen=True, tag="question"):
    """An ``Ask`` of unit ``asker`` for whoever is published; the unit says ``Answer`` with this number."""

    number: int
    asker: str
    payload: bytes


class Superseded(msgspec.Struct, frozen=True, tag="superseded"):
    """A newer generation is being published: what has one owner is that one's from now on."""


class Probe(msgspec.Struct, frozen=True, tag="probe"):
    """What the host will use to probe this generation (a one-time login, the key of the probe's MAC)."""

    kind: str
    payload: bytes


class Time(msgspec.Struct, frozen=True, tag="time"):
    """The host's clock, for units that have none of their own (microVMs)."""

    unix_s: float


class GiveStream(msgspec.Struct, frozen=True, tag="stream"):
    """The answer to ``OpenRepository``: the stream's descriptor comes with it, or a reason why not."""

    number: int
    reason: str = ""


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    """Something may have been pushed to this repository of the unit's (its name); look."""

    repository: str


HostFrame = (
    Publish
    | Withdraw
    | Drain
    | Peers
    | GiveState
    | GiveAnswer
    | PutQuestion
    | Superseded
    | GiveStream
    | Changed
    | Probe
    | Time
)

# Unit to host ---------------------------------------------------------------------------------------


class Closed(msgspec.Struct, frozen=True):
    """How far a unit is closed: what the kernel of this machine has let it give up."""

    landlock_abi: int = 0
    """0: the kernel has no Landlock. 1: no files. 4: TCP ports too. 6: signals and abstract sockets too."""
    seccomp: bool = False
    own_user: bool = False
    memory_locked: bool = False


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Closed and able to serve. ``certificate`` (DER) is this generation's on the private network."""

    certificate: bytes
    closed: Closed = Closed()


class Counters(msgspec.Struct, frozen=True, tag="counters"):
    """Monotonic counts and present gauges, by name."""

    values: dict[str, float]


class KeepState(msgspec.Struct, frozen=True, tag="state"):
    """Keep this for my successor; an empty value deletes the key."""

    key: str
    value: bytes


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A question to the owner of something exclusive (the ledger), by way of the host."""

    number: int
    to: str
    payload: bytes


class OpenRepository(msgspec.Struct, frozen=True, tag="open-repository"):
    """Give me a stream to a repository of my spec, for ``upload-pack`` or ``receive-pack``."""

    number: int
    name: str
    service: str


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    """Said after each ``Publish`` and ``Withdraw``, in their order: the listeners that are read from now."""

    names: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True, tag="reply"):
    """What is answered to a ``PutQuestion``; ``payload`` None: nothing can be said."""

    number: int
    payload: bytes | None


class Drained(msgspec.Struct, frozen=True, tag="drained"):
    """Nothing is open any more; the process ends."""


UnitFrame = Ready | Counters | KeepState | Ask | Answer | OpenRepository | Serving | Drained
Frame = HostFrame | UnitFrame

_encoder = msgspec.msgpack.Encoder()
_boot_decoder = msgspec.msgpack.Decoder(BootRecord)
_host_decoder: msgspec.msgpack.Decoder[HostFrame] = msgspec.msgpack.Decoder(HostFrame)
_unit_decoder: msgspec.msgpack.Decoder[UnitFrame] = msgspec.msgpack.Decoder(UnitFrame)


def encode(value: BootRecord | Frame) -> bytes:
    """One frame, length first."""
    body = _encoder.encode(value)
    return len(body).to_bytes(LENGTH_OCTETS, "big") + body


class FrameCutter:
    """Cuts a byte stream into frame bodies, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> "list[bytes] | Malformed":
        """Take a piece; give the bodies that are complete. ``Malformed``: the stream is lost, close it."""
        self._buffer += data
        bodies = []
        while len(self._buffer) >= LENGTH_OCTETS:
            length = int.from_bytes(self._buffer[:LENGTH_OCTETS], "big")
            if length > MAX_FRAME_OCTETS:
                return Malformed(f"a frame of {length} octets")
            end = LENGTH_OCTETS + length
            if len(self._buffer) < end:
                break
            bodies.append(bytes(self._buffer[LENGTH_OCTETS:end]))
            del self._buffer[:end]
        return bodies


def decode_boot_record(body: bytes) -> BootRecord | Malformed:
    """Read a frame's body as a boot record."""
    return _decode(_boot_decoder, body)


def decode_host_frame(body: bytes) -> HostFrame | Malformed:
    """Read a frame's body as something that a host says."""
    return _decode(_host_decoder, body)


def decode_unit_frame(body: bytes) -> UnitFrame | Malformed:
    """Read a frame's body as something that a unit says."""
    return _decode(_unit_decoder, body)


def _decode(decoder: msgspec.msgpack.Decoder[T], body: bytes) -> T | Malformed:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Malformed(str(error))
    except RecursionError:
        return Malformed("nested too deeply")
