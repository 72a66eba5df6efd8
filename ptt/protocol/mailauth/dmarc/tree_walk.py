"""The DNS tree walk: which records there are above a name, and its organizational domain (RFC 9989 §4.10).

A walk asks the name itself and, in one go, the names above it: at most eight questions, of longer names only
the last seven labels. Who sends a message chooses the names, so the answers are shared by the walks of one
message and the number of walks is bounded.
"""

from dataclasses import dataclass
from enum import Enum, auto

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Answer, Lookup, Question, Rcode, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.dmarc.record import DmarcRecord, Psd, is_dmarc_record, parse_dmarc_record

MAX_WALK_LABELS = 7  # §4.10: after the name itself, no name of more labels is asked
MAX_WALKS = 10  # ours: the author, MAIL FROM and as many signatures as are verified


class Missing(Enum):
    """Why there is no record: there is none, or nobody knows."""

    NONE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Found:
    """A record and the name (without ``_dmarc``) that publishes it."""

    name: Name
    record: DmarcRecord


@dataclass(frozen=True, slots=True)
class Walk:
    """The records on the way from ``start`` upwards, the longest name first.

    ``is_complete``: no question failed before the walk ended.
    """

    start: Name
    found: tuple[Found, ...]
    is_complete: bool

    @property
    def organizational_domain(self) -> Name | None:
        """The organizational domain of ``start`` (§4.10.2); None if a failed question hides it."""
        if not self.is_complete:
            return None
        if not self.found:
            return self.start
        last = self.found[-1]  # the one with the fewest labels, and the only one that can have psd=y or n
        if last.record.psd is Psd.YES and last.name != self.start:
            return Name(self.start.labels[-len(last.name.labels) - 1 :])
        return last.name

    @property
    def applicable(self) -> Found | None:
        """The record that applies to mail of ``start`` (§4.10.1): its own, its organization's, its PSD's."""
        organization = self.organizational_domain
        for name in (self.start, organization):
            for each in self.found:
                if each.name == name:
                    return each
        if self.found and self.found[-1].record.psd is Psd.YES:
            return self.found[-1]
        return None


class TreeWalks:
    """The walks of one message: each name is asked once."""

    def __init__(self, lookup: Lookup, max_walks: int = MAX_WALKS) -> None:
        self.lookup = lookup
        self._walks_left = max_walks
        self._answers: dict[Name, Answer] = {}
        self._walks: dict[Name, Walk] = {}

    async def record_at(self, name: Name) -> DmarcRecord | Missing:
        """The record of this very name."""
        await self._ask([name])
        return self._record(name)

    async def walk(self, start: Name) -> Walk:
        """Walk up from ``start``; past the bound on walks it is incomplete without a question."""
        if start in self._walks:
            return self._walks[start]
        if not self._walks_left:
            return Walk(start, (), is_complete=False)
        self._walks_left -= 1
        self._walks[start] = walk = await self._walked(start)
        return walk

    def is_known_to_exist(self, name: Name) -> bool:
        """Whether an answer about ``_dmarc`` below ``name`` shows that ``name`` exists."""
        answer = self._answers.get(name)
        return answer is not None and not answer.is_failure and answer.rcode is Rcode.NOERROR

    async def _walked(self, start: Name) -> Walk:
        found: list[Found] = []
        first = start.labels[-min(len(start.labels) - 1, MAX_WALK_LABELS) :] if len(start.labels) > 1 else ()
        above = [Name(first[skip:]) for skip in range(len(first))]
        for names in ([start], above):
            await self._ask(names)
            for name in names:
                record = self._record(name)
                if record is Missing.FAILED:
                    return Walk(start, tuple(found), is_complete=False)
                if isinstance(record, DmarcRecord):
                    found.append(Found(name, record))
                    if record.psd is not Psd.UNKNOWN:
                        return Walk(start, tuple(found), is_complete=True)
        return Walk(start, tuple(found), is_complete=True)

    async def _ask(self, names: list[Name]) -> None:
        owners = {name: name.below(b"_dmarc") for name in names if name not in self._answers}
        questions = {name: owner for name, owner in owners.items() if isinstance(owner, Name)}
        answers = await self.lookup.many([Question(owner, RecordType.TXT) for owner in questions.values()])
        self._answers.update(zip(questions, answers, strict=True))

    def _record(self, name: Name) -> DmarcRecord | Missing:
        answer = self._answers.get(name)
        if answer is None:
            return Missing.NONE  # a name so long that there is no room for _dmarc
        if answer.is_failure:
            return Missing.FAILED
        texts = [record.joined for record in answer.of(Txt) if is_dmarc_record(record.joined)]
        if len(texts) != 1:
            return Missing.NONE  # §4.10: of several none counts
        record = parse_dmarc_record(texts[0])
        return Missing.NONE if isinstance(record, Malformed) else record
