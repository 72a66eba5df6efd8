"""What can be asked of a running host, and what it answers: the first form of its control protocol.

One question and one answer a connection, each a line of JSON (msgspec, tagged). A question of the wrong shape
gets ``Refusal``. Everything is bounded: a question by its length, an answer by the host's ring of lines.
"""

from datetime import datetime

import msgspec

from ptt.errors import Malformed

PROTOCOL_VERSION = 1
MAX_QUESTION_OCTETS = 4096
MAX_LINES = 10_000  # more than the host keeps


class AskStatus(msgspec.Struct, frozen=True, tag="status"):
    """Ask how the units are."""

    version: int = PROTOCOL_VERSION


class AskLogs(msgspec.Struct, frozen=True, tag="logs"):
    """Ask what a unit wrote; ``unit`` "" means all. What narrows the choice is empty by default.

    ``since``: an aware time (RFC 3339); ``after``: the number of a line that is known already; ``holding``:
    a text that must stand in the line, a trace id as a rule.
    """

    unit: str = ""
    count: int = 100
    version: int = PROTOCOL_VERSION
    since: str = ""
    after: int = 0
    holding: str = ""


class AskRestart(msgspec.Struct, frozen=True, tag="restart"):
    """Ask for a new generation of a unit in the place of the one that serves."""

    unit: str
    version: int = PROTOCOL_VERSION


class UnitStatus(msgspec.Struct, frozen=True):
    """One generation of a unit. ``memory_kb`` is PSS, 0 where the system does not tell."""

    unit: str
    generation: int
    state: str
    since_s: float
    pid: int
    memory_kb: int
    transactions: int
    last_trouble: str


class Status(msgspec.Struct, frozen=True, tag="told-status"):
    """All generations that run."""

    units: tuple[UnitStatus, ...]


class LogLine(msgspec.Struct, frozen=True):
    """A line that a unit wrote, or the host about it."""

    at: str
    unit: str
    generation: int
    text: str
    number: int = 0
    """Lines are counted from 1 since the host began."""


class Logs(msgspec.Struct, frozen=True, tag="told-logs"):
    """Lines, oldest first. ``newest`` is the number of the last line of all, asked for or not."""

    lines: tuple[LogLine, ...]
    newest: int = 0


class Restarted(msgspec.Struct, frozen=True, tag="restarted"):
    """The generation that serves now."""

    unit: str
    generation: int


class Refusal(msgspec.Struct, frozen=True, tag="refused"):
    """Why there is no answer."""

    reason: str


Question = AskStatus | AskLogs | AskRestart
Answer = Status | Logs | Restarted | Refusal

_questions: msgspec.json.Decoder[Question] = msgspec.json.Decoder(Question)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def encode(said: Question | Answer) -> bytes:
    """One line."""
    return msgspec.json.encode(said) + b"\n"


def decode_question(line: bytes) -> Question | Malformed:
    """Read a question."""
    if len(line) > MAX_QUESTION_OCTETS:
        return Malformed("the question is too long")
    try:
        question = _questions.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Malformed(str(error))
    if question.version != PROTOCOL_VERSION:
        return Malformed(f"version {question.version}, and this host speaks {PROTOCOL_VERSION}")
    if isinstance(question, AskLogs) and not 0 < question.count <= MAX_LINES:
        return Malformed(f"count must be from 1 to {MAX_LINES}")
    if isinstance(question, AskLogs) and question.since and read_time(question.since) is None:
        return Malformed(f"{question.since!r} is no time with its zone, as in 2026-01-05T10:00:00Z")
    return question


def read_time(text: str) -> datetime | None:
    """An aware time (RFC 3339), None where it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def decode_answer(line: bytes) -> Answer | Malformed:
    """Read an answer."""
    try:
        return _answers.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Malformed(str(error))
