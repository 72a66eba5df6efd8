"""The ledger's one owner, and how an older relay asks it (DESIGN section 10, "switchboard").

During an overlap the ledger belongs to the relay that is published; the old one asks it before each end of
data, by way of the host. What it is told it enters in its own ledger, and what becomes of that goes the way
of everything that a relay keeps: to the host, and from there to the owner. Here are the questions and their
answers, in msgpack, and what the owner does about them. Whatever does not read is ``Malformed``: both ends
are ours, so it is an alarm, and the matter stays open (451).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, assert_never

import msgspec

from ptt.boot import KeepState
from ptt.errors import Malformed
from ptt.units.relay.entry import Entry, stored
from ptt.units.relay.ledger import Begun, Deliver, Given, Join, Keys, Known, Ledger

T = TypeVar("T")

MAX_KEYS = 2000  # of a transaction: 100 recipients (``MAX_RECIPIENTS``) with twenty targets each
MAX_TRACES = 1000  # reported at once; the edge units report some tens


class _Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    exact: bytes
    loose: bytes | None
    names_itself: bool


class Begin(msgspec.Struct, frozen=True, tag="begin", forbid_unknown_fields=True):
    """A transaction is about to give the end of its data: who is to be delivered to? ``Decided``."""

    trace_id: str
    keys: tuple[_Key, ...]


class GiveUp(msgspec.Struct, frozen=True, tag="give-up", forbid_unknown_fields=True):
    """No answer to ``Begin`` came in time: that transaction delivers nothing."""

    trace_id: str


class Look(msgspec.Struct, frozen=True, tag="look", forbid_unknown_fields=True):
    """What has become of an entry that runs with the owner? ``Seen``."""

    exact: bytes


class Taken(msgspec.Struct, frozen=True, tag="taken", forbid_unknown_fields=True):
    """The 250 of these transactions was taken."""

    trace_ids: tuple[str, ...]


Question = Begin | GiveUp | Look | Taken


class Kind(StrEnum):
    """What the ledger decided."""

    DELIVER = "deliver"
    JOIN = "join"
    KNOWN = "known"


class _Decision(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    kind: Kind
    entry: bytes


class Decided(msgspec.Struct, frozen=True, tag="decided", forbid_unknown_fields=True):
    """A decision for each key, in their order, with the entry as the host keeps it."""

    decisions: tuple[_Decision, ...]


class Seen(msgspec.Struct, frozen=True, tag="seen", forbid_unknown_fields=True):
    """The entry as the host keeps it; None: it is forgotten."""

    entry: bytes | None


class Noted(msgspec.Struct, frozen=True, tag="noted", forbid_unknown_fields=True):
    """There is nothing to say."""


_Reply = Decided | Seen | Noted

_encoder = msgspec.msgpack.Encoder()
_questions: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
_replies: msgspec.msgpack.Decoder[_Reply] = msgspec.msgpack.Decoder(_Reply)


@dataclass(frozen=True, slots=True)
class Answered:
    """The reply, what is to be kept before it is sent, and entries whose run has ended by it."""

    reply: bytes
    frames: tuple[KeepState, ...] = ()
    settled: tuple[Entry, ...] = ()


# Who asks -------------------------------------------------------------------------------------------


def ask_begin(trace_id: str, keys: Sequence[Keys]) -> bytes:
    """The question before an end of data."""
    asked = tuple(_Key(each.exact, each.loose, each.names_itself) for each in keys)
    return _encoder.encode(Begin(trace_id, asked))


def say_gave_up(trace_id: str) -> bytes:
    """Word that a transaction has not begun after all."""
    return _encoder.encode(GiveUp(trace_id))


def ask_look(exact: bytes) -> bytes:
    """The question for an entry that runs with the owner."""
    return _encoder.encode(Look(exact))


def say_taken(trace_ids: Sequence[str]) -> bytes:
    """Word that 250s were taken."""
    return _encoder.encode(Taken(tuple(trace_ids)))


def read_decided(reply: bytes, count: int) -> tuple[Given, ...] | Malformed:
    """The owner's decisions about so many keys."""
    read = _read(_replies, reply)
    if isinstance(read, Malformed):
        return read
    if not isinstance(read, Decided) or len(read.decisions) != count:
        return Malformed("not a decision for each key")
    kinds: dict[Kind, type[Deliver | Join | Known]] = {
        Kind.DELIVER: Deliver, Kind.JOIN: Join, Kind.KNOWN: Known,
    }  # fmt: skip
    return tuple(Given(kinds[each.kind], each.entry) for each in read.decisions)


def read_seen(reply: bytes) -> Seen | Malformed:
    """What the owner sees of an entry."""
    read = _read(_replies, reply)
    return read if isinstance(read, Seen | Malformed) else Malformed("not what was looked for")


# Who owns -------------------------------------------------------------------------------------------


def answer(ledger: Ledger, payload: bytes, now: float) -> Answered | Malformed:
    """Do what an older relay's question asks for."""
    question = _read(_questions, payload)
    match question:
        case Malformed():
            return question
        case Begin(trace_id, keys):
            if len(keys) > MAX_KEYS:
                return Malformed(f"{len(keys)} keys")
            asked = [Keys(each.exact, each.loose, each.names_itself) for each in keys]
            return _decided(ledger.begin_elsewhere(trace_id, asked, now))
        case GiveUp(trace_id):
            frames, settled = ledger.give_up_elsewhere(trace_id)
            return Answered(_encoder.encode(Noted()), frames, settled)
        case Look(exact):
            return Answered(_encoder.encode(Seen(ledger.look(exact))))
        case Taken(trace_ids):
            if len(trace_ids) > MAX_TRACES:
                return Malformed(f"{len(trace_ids)} transactions")
            return Answered(_encoder.encode(Noted()), ledger.taken(trace_ids))
        case _:  # pragma: no cover - the checker knows that there is no other
            assert_never(question)


def _decided(begun: Begun) -> Answered:
    decisions = tuple(_Decision(_kind(each), stored(each.entry)) for each in begun.decisions)
    return Answered(_encoder.encode(Decided(decisions)), begun.frames)


def _kind(decision: Deliver | Join | Known) -> Kind:
    match decision:
        case Deliver():
            return Kind.DELIVER
        case Join():
            return Kind.JOIN
        case Known():
            return Kind.KNOWN
        case _:  # pragma: no cover - the checker knows that there is no other
            assert_never(decision)


def _read(decoder: msgspec.msgpack.Decoder[T], payload: bytes) -> T | Malformed:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Malformed(str(error))
