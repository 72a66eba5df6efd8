"""One entry of the ledger: what is known of a delivery, and the form in which the host keeps it.

An entry is about one (recipient, target) of one message. The host keeps it under its exact key, unread; what
comes back and cannot be ours is not read.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import msgspec

from ptt.boot import KeepState
from ptt.errors import MisuseError
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.outcome import Delivered, Failed, Outcome, Refused

STATE_PREFIX = "ledger/"

DOUBT = Reply(451, "4.3.0", "It is not known what became of this message. Please try again later.")


class Phase(StrEnum):
    """What is known of an entry's delivery."""

    RUNNING = "running"
    DELIVERED = "delivered"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Ending(StrEnum):
    """How the last transaction that carried an entry ended, as far as we told it."""

    OPEN = "open"
    WITHOUT_250 = "without 250"
    WITH_250 = "with 250"


class _Stored(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An entry as the host keeps it."""

    exact: bytes
    loose: bytes | None
    names_itself: bool
    phase: Phase
    ending: Ending
    ended_at: float
    expires_at: float
    traces: tuple[str, ...]
    reply: tuple[int, str | None, tuple[str, ...]] | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)


@dataclass(slots=True, eq=False)
class Entry:
    """One (recipient, target) of one message; changed by the ledger alone."""

    exact: bytes
    loose: bytes | None
    names_itself: bool
    expires_at: float
    phase: Phase = Phase.RUNNING
    ending: Ending = Ending.OPEN
    ended_at: float = 0.0
    traces: tuple[str, ...] = ()
    reply: Reply | None = None
    is_forgotten: bool = False
    is_elsewhere: bool = False
    """It runs in an earlier generation, from which the outcome will come."""
    is_ending_elsewhere: bool = False
    """So does the transaction that carries it."""
    runner: str = ""
    """The transaction of an earlier generation that we have told to deliver it."""


def outcome_of(entry: Entry) -> Outcome | None:
    """What an entry says of its target; None while it is running."""
    match entry.phase:
        case Phase.RUNNING:
            return None
        case Phase.DELIVERED:
            return Delivered("ledger", "delivered by an earlier try")
        case Phase.REFUSED:
            return Refused(entry.reply or DOUBT)
        case Phase.UNKNOWN:
            return Failed("unknown", DOUBT, is_open=True)
        case _:  # pragma: no cover - the checker knows that there is no other
            assert_never(entry.phase)


def state_key(entry: Entry) -> str:
    """What the host keeps it under."""
    return STATE_PREFIX + entry.exact.hex()


def exact_of(key: str) -> tuple[bytes, ...]:
    """The exact key in a state key; none in one that we have not written."""
    try:
        return (bytes.fromhex(key.removeprefix(STATE_PREFIX)),)
    except ValueError:
        return ()


def frame_of(entry: Entry) -> KeepState:
    """What is said to the host of an entry."""
    return KeepState(state_key(entry), stored(entry))


def stored(entry: Entry) -> bytes:
    """An entry as the host keeps it."""
    reply = None if entry.reply is None else (entry.reply.code, entry.reply.enhanced, entry.reply.text)
    value = _Stored(
        entry.exact,
        entry.loose,
        entry.names_itself,
        entry.phase,
        entry.ending,
        entry.ended_at,
        entry.expires_at,
        entry.traces,
        reply,
    )
    return _encoder.encode(value)


def read_entry(value: bytes) -> Entry | None:
    """Rebuild an entry; None for one that we cannot have written."""
    try:
        kept = _decoder.decode(value)
        reply = None if kept.reply is None else Reply(kept.reply[0], kept.reply[1], *kept.reply[2])
    except (msgspec.DecodeError, UnicodeDecodeError, MisuseError):
        return None
    if (kept.phase is Phase.REFUSED) != (reply is not None and reply.is_permanent):
        return None
    return Entry(
        kept.exact,
        kept.loose,
        kept.names_itself,
        kept.expires_at,
        kept.phase,
        kept.ending,
        kept.ended_at,
        kept.traces,
        reply,
    )
