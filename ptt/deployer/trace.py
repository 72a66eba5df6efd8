"""What became of one message: the journal's lines of all units with its trace id, and a plain sentence.

The sentence is about the outcome: who has the mail, or who refused it, why, and who still has it. It says no
more than the lines do; the edge unit's outcome is what the sender was told, the relay's detail is what the
servers of the recipients said.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ptt import topology
from ptt.records.journal import JournalLine

EDGES = frozenset({topology.OUTBOUND[0].name, topology.INBOUND[0].name})
DELIVERER = topology.OUTBOUND[-1].name
_ORDER = {
    manifest.name: number
    for chain in (topology.OUTBOUND, topology.INBOUND)
    for number, manifest in enumerate(chain)
}
_WORD = re.compile(r"(?:^|; )(\S+@\S+?): (.*?)(?=; \S+@\S+?: |$)", re.DOTALL)
_SAID = re.compile(r"(\S+) at ([^:]+): (.*)", re.DOTALL)
_CODE = re.compile(r"([245])\d\d\b")


@dataclass(frozen=True, slots=True)
class Word:
    """The last word about one target: the server's own (``host`` and ``stage``), or why there is none."""

    target: str
    host: str
    stage: str
    text: str

    @property
    def kind(self) -> str:
        """``2``, ``4`` or ``5``; ``4`` where no server has spoken: doubt is temporary."""
        found = _CODE.match(self.text)
        return found[1] if found else "4"


@dataclass(frozen=True, slots=True)
class Step:
    """What one unit did. ``offset_ms`` counts from when the first one began."""

    line: JournalLine
    offset_ms: float

    @property
    def words(self) -> list[Word]:
        """What the servers of the recipients said, in the relay's step."""
        return read_words(self.line.detail or "") if self.line.unit == DELIVERER else []


@dataclass(frozen=True, slots=True)
class Trace:
    """A message's way, edge first. ``began`` is when the first unit heard of it."""

    id: str
    sentence: str
    began: datetime
    steps: tuple[Step, ...]


def read_words(detail: str) -> list[Word]:
    """Read the relay's detail back into words."""
    words = []
    for target, text in _WORD.findall(detail):
        said = _SAID.fullmatch(text)
        words.append(Word(target, *said.groups()) if said else Word(target, "", "", text))
    return words


def make_trace(trace_id: str, lines: Iterable[JournalLine]) -> Trace | None:
    """Put the lines in order; None where there is none of this id."""
    mine = [line for line in lines if line.trace == trace_id and line.event == "transaction"]
    if not mine:
        return None
    began = min(map(_began, mine))
    ordered = sorted(mine, key=lambda line: (_ORDER.get(line.unit, len(_ORDER)), line.at))
    steps = tuple(Step(line, (_began(line) - began) / timedelta(milliseconds=1)) for line in ordered)
    return Trace(trace_id, _sentence(ordered, steps), began, steps)


def _began(line: JournalLine) -> datetime:
    return line.at - timedelta(milliseconds=line.duration_ms or 0.0)


def _sentence(lines: Sequence[JournalLine], steps: Sequence[Step]) -> str:
    edge = next((line for line in lines if line.unit in EDGES), None)
    words = [word for step in steps for word in step.words]
    if edge is None:
        return f"The end is not known here: {lines[-1].unit} tells last ({lines[-1].outcome})."
    told = _CODE.match(edge.outcome or "")
    kind = told[1] if told else ""
    mail = _mail(edge)
    if kind == "2":
        return f"Delivered: {mail} is at {_hosts(words) or 'its recipients'}.{_left_over(words)}"
    failed = [word for word in words if word.kind != "2"]
    if not kind and not failed:
        return f"Not sent: {mail} was given up by {_sender(edge)} before it was whole."
    if not kind:  # after a refusal at RCPT the sender gives up by itself
        kind = "5" if all(word.kind == "5" for word in failed) else "4"
    by = _by(failed, edge)
    if kind == "5":
        return f"Refused by {by}. {_then(edge, is_final=True)}"
    return f"Not taken for now by {by}. {_then(edge, is_final=False)}"


def _mail(edge: JournalLine) -> str:
    to = ", ".join(edge.forward_paths[:3]) or "nobody"
    more = f" and {edge.forward_path_count - 3} others" if edge.forward_path_count > 3 else ""  # noqa: PLR2004 - as above
    return f"{edge.login or edge.reverse_path or 'a bounce'}'s mail to {to}{more}"


def _hosts(words: Sequence[Word]) -> str:
    return ", ".join(dict.fromkeys(word.host for word in words if word.kind == "2" and word.host))


def _left_over(words: Sequence[Word]) -> str:
    """Targets that did not get what others got."""
    failed = [word for word in words if word.kind != "2"]
    return f" Not at {', '.join(f'{word.target}: {_quoted(word)}' for word in failed)}." if failed else ""


def _by(failed: Sequence[Word], edge: JournalLine) -> str:
    if not failed:
        because = f" ({edge.detail})" if edge.detail else ""
        return f"us: {_text(edge.outcome or '')}{because}"
    hosts = {word.host for word in failed}
    if len(failed) == 1 or len(hosts) == 1:
        word = failed[0]
        return f"{word.host or word.target}: {_quoted(word)}"
    return "; ".join(f"{word.host or word.target}: {_quoted(word)}" for word in failed)


def _quoted(word: Word) -> str:
    return f'"{_text(word.text)}"'


def _text(reply: str) -> str:
    """A reply without its codes, the first line of several."""
    return re.sub(r"^[245]\d\d( [245]\.\d+\.\d+)? ", "", reply.partition(" / ")[0]).strip().rstrip(".")


def _sender(edge: JournalLine) -> str:
    return f"{edge.login}'s mail program" if edge.login else f"the server at {edge.peer or 'the other end'}"


def _then(edge: JournalLine, *, is_final: bool) -> str:
    who = _sender(edge)
    who = who[0].upper() + who[1:]
    if is_final:
        return f"{who} was told so, and still has the mail."
    return f"{who} still has the mail and can send it again." if edge.login else f"{who} will try again."
