"""Whether an address may send for a domain: ``check_host`` (RFC 7208 §4, §5).

Limits (§4.6.4): ten terms that ask the DNS, includes and redirects counted together, two answers that hold
nothing, ten MX hosts a term: past them it is permerror. Of more than ten PTR names the rest is left out. A
failed look-up is temperror; a name that DNS cannot hold matches nothing.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import assert_never

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import A, Aaaa, Answer, Lookup, Mx, Ptr, Question, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.results import SpfResult
from ptt.protocol.mailauth.spf.macros import MacroString, MacroValues, expand, parse_macro_string
from ptt.protocol.mailauth.spf.record import (
    AddressRange,
    All,
    Directive,
    Exchanges,
    Exists,
    HostAddresses,
    Include,
    Mechanism,
    ReverseNames,
    SpfRecord,
    is_spf_record,
    parse_spf_record,
)

MAX_TERMS = 10  # §4.6.4: each term may ask for up to 10 addresses
MAX_VOID_ANSWERS = 2  # §4.6.4
MAX_EXCHANGES = 10  # §4.6.4
MAX_REVERSE_NAMES = 10  # §4.6.4
MAX_EXPANDED_CHARS = 253  # §7.3: left-most labels are dropped until a name fits

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class SpfQuery:
    """Who wants to send for whom. A null reverse-path is ``postmaster`` at the HELO name (§2.4).

    ``helo`` is the name as the client gave it; ``receiver`` is our own name and ``now`` in seconds, for the
    macros of explanations.
    """

    address: Address
    local_part: str
    domain: Name
    helo: str
    receiver: str
    now: int
    is_for_helo: bool = False
    """Whether ``domain`` is the HELO name, as it is for a null reverse-path."""


@dataclass(frozen=True, slots=True)
class SpfVerdict:
    """What the policy comes to.

    ``mechanism`` is the text of what matched, ``default`` if nothing did; ``explanation`` (§6.2) is a
    stranger's text.
    """

    result: SpfResult
    reason: str = ""
    mechanism: str | None = None
    explanation: str | None = None


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What ends the evaluation before a mechanism matches."""

    result: SpfResult
    reason: str


async def check_host(query: SpfQuery, lookup: Lookup, *, wants_explanation: bool = False) -> SpfVerdict:
    """Evaluate the policy of ``query.domain``. The explanation costs look-ups: it is fetched on request."""
    mapped = query.address.ipv4_mapped if isinstance(query.address, IPv6Address) else None
    if mapped is not None:
        query = replace(query, address=mapped)  # §5: an IPv4 client behind an IPv6 socket
    evaluation = _Evaluation(query, lookup)
    verdict = await evaluation.check(query.domain)
    if wants_explanation and verdict.result is SpfResult.FAIL:
        return replace(verdict, explanation=await evaluation.explanation())
    return verdict


class _Evaluation:
    def __init__(self, query: SpfQuery, lookup: Lookup) -> None:
        self.query = query
        self.lookup = lookup
        self.terms_left = MAX_TERMS
        self.void_answers_left = MAX_VOID_ANSWERS
        self.address_type = RecordType.A if isinstance(query.address, IPv4Address) else RecordType.AAAA
        self.reverse_names: list[Name] | None = None
        self.explained_by: tuple[MacroString, Name] | None = None

    async def check(self, domain: Name) -> SpfVerdict:
        if len(domain.labels) < 2:  # noqa: PLR2004 - §4.3: one label is not a domain that sends
            return SpfVerdict(SpfResult.NONE, "not a full domain name")
        record = await self._record(domain)
        if isinstance(record, SpfVerdict):
            return record
        self.explained_by = None if record.explanation is None else (record.explanation, domain)
        for directive in record.directives:
            matches = await self._matches(directive.mechanism, domain)
            if isinstance(matches, _Trouble):
                return SpfVerdict(matches.result, f"{directive.text}: {matches.reason}")
            if matches:
                return self._verdict(directive, record, domain)
        if record.redirect is not None:
            return await self._redirected(record.redirect, domain)
        return SpfVerdict(SpfResult.NEUTRAL, mechanism="default")  # §4.7

    def _verdict(self, directive: Directive, record: SpfRecord, domain: Name) -> SpfVerdict:
        # An include may have left its own explanation behind
        self.explained_by = None if record.explanation is None else (record.explanation, domain)
        return SpfVerdict(directive.result, mechanism=directive.text)

    async def _record(self, domain: Name) -> SpfRecord | SpfVerdict:
        answer = await self.lookup.query(domain, RecordType.TXT)
        if answer.is_failure:
            return SpfVerdict(SpfResult.TEMPERROR, f"the record of {domain} could not be looked up")
        texts = [record.joined for record in answer.of(Txt) if is_spf_record(record.joined)]
        if not texts:
            return SpfVerdict(SpfResult.NONE, f"{domain} has no SPF record")
        if len(texts) > 1:
            return SpfVerdict(SpfResult.PERMERROR, f"{domain} has more than one SPF record")  # §4.5
        record = parse_spf_record(texts[0])
        if isinstance(record, Malformed):
            return SpfVerdict(SpfResult.PERMERROR, f"the SPF record of {domain}: {record.reason}")
        return record

    async def _redirected(self, target: MacroString, domain: Name) -> SpfVerdict:
        if trouble := self._spend_term():
            return SpfVerdict(trouble.result, trouble.reason)
        name = await self._name(target, domain)
        verdict = None if name is None else await self.check(name)
        if verdict is None or verdict.result is SpfResult.NONE:
            return SpfVerdict(SpfResult.PERMERROR, "redirect leads to no record")  # §6.1
        return verdict

    async def _matches(self, mechanism: Mechanism, domain: Name) -> bool | _Trouble:
        match mechanism:
            case All():
                return True
            case AddressRange(network):
                return self.query.address in network
            case Include(target):
                return await self._include(target, domain)
            case HostAddresses():
                return await self._hosts(mechanism, domain)
            case Exchanges():
                return await self._exchanges(mechanism, domain)
            case ReverseNames(target):
                return await self._reverse(target, domain)
            case Exists(target):
                return await self._exists(target, domain)
            case _:
                assert_never(mechanism)

    async def _include(self, target: MacroString, domain: Name) -> bool | _Trouble:
        if trouble := self._spend_term():
            return trouble
        name = await self._name(target, domain)
        if name is None:
            return _Trouble(SpfResult.PERMERROR, "not a name")
        verdict = await self.check(name)
        match verdict.result:  # §5.2
            case SpfResult.PASS:
                return True
            case SpfResult.TEMPERROR | SpfResult.PERMERROR:
                return _Trouble(verdict.result, verdict.reason)
            case SpfResult.NONE:
                return _Trouble(SpfResult.PERMERROR, verdict.reason)
            case _:
                return False

    async def _hosts(self, mechanism: HostAddresses, domain: Name) -> bool | _Trouble:
        if trouble := self._spend_term():
            return trouble
        name = await self._name(mechanism.domain, domain)
        if name is None:
            return False
        answer = await self.lookup.query(name, self.address_type)
        if trouble := self._judge(answer, _addresses(answer)):
            return trouble
        return self._is_in(answer, mechanism)

    async def _exchanges(self, mechanism: Exchanges, domain: Name) -> bool | _Trouble:
        if trouble := self._spend_term():
            return trouble
        name = await self._name(mechanism.domain, domain)
        if name is None:
            return False
        answer = await self.lookup.query(name, RecordType.MX)
        exchanges = sorted(answer.of(Mx), key=lambda record: record.preference)
        if trouble := self._judge(answer, exchanges):
            return trouble
        if len(exchanges) > MAX_EXCHANGES:
            return _Trouble(SpfResult.PERMERROR, f"more than {MAX_EXCHANGES} MX hosts")
        hosts = [record.exchange for record in exchanges if record.exchange.labels]
        answers = await self.lookup.many([Question(host, self.address_type) for host in hosts])
        for each in answers:
            if each.is_failure:
                return _Trouble(SpfResult.TEMPERROR, "an MX host could not be looked up")
            if self._is_in(each, mechanism):
                return True
        return False

    async def _reverse(self, target: MacroString | None, domain: Name) -> bool | _Trouble:
        if trouble := self._spend_term():
            return trouble
        name = await self._name(target, domain)
        return name is not None and any(each.is_at_or_below(name) for each in await self._validated_names())

    async def _exists(self, target: MacroString, domain: Name) -> bool | _Trouble:
        if trouble := self._spend_term():
            return trouble
        name = await self._name(target, domain)
        if name is None:
            return False
        answer = await self.lookup.query(name, RecordType.A)  # §5.7: A, whatever the client's family
        if trouble := self._judge(answer, answer.of(A)):
            return trouble
        return bool(answer.of(A))

    def _spend_term(self) -> _Trouble | None:
        if not self.terms_left:
            return _Trouble(SpfResult.PERMERROR, f"more than {MAX_TERMS} terms ask the DNS")
        self.terms_left -= 1
        return None

    def _judge(self, answer: Answer, found: object) -> _Trouble | None:
        if answer.is_failure:
            return _Trouble(SpfResult.TEMPERROR, "the look-up failed")
        if not found:
            if not self.void_answers_left:
                return _Trouble(SpfResult.PERMERROR, f"more than {MAX_VOID_ANSWERS} names hold nothing")
            self.void_answers_left -= 1
        return None

    def _is_in(self, answer: Answer, mechanism: HostAddresses | Exchanges) -> bool:
        return any(
            self.query.address in _network(address, mechanism.ipv4_prefix, mechanism.ipv6_prefix)
            for address in _addresses(answer)
        )

    async def _validated_names(self) -> list[Name]:
        """The names of the client that lead back to it (§5.5); failures count as none."""
        if self.reverse_names is not None:
            return self.reverse_names
        pointer = Name.of(self.query.address.reverse_pointer)
        answer = await self.lookup.query(pointer, RecordType.PTR)
        found = [] if answer.is_failure else answer.of(Ptr)
        names = [record.target for record in found[:MAX_REVERSE_NAMES]]
        answers = await self.lookup.many([Question(name, self.address_type) for name in names])
        self.reverse_names = [
            name
            for name, each in zip(names, answers, strict=True)
            if not each.is_failure and self.query.address in _addresses(each)
        ]
        return self.reverse_names

    async def _expanded(self, macros: MacroString, domain: Name) -> str:
        validated = "unknown"
        if macros.needs_validated_name:
            names = await self._validated_names()
            # §7.3: the domain itself, else a name below it, else any
            names = sorted(names, key=lambda name: (name != domain, not name.is_at_or_below(domain)))
            validated = names[0].text if names else "unknown"
        query = self.query
        values = MacroValues(
            query.local_part,
            query.domain.text,
            domain.text,
            query.address,
            query.helo,
            validated,
            query.receiver,
            query.now,
        )
        return expand(macros, values)

    async def _name(self, macros: MacroString | None, domain: Name) -> Name | None:
        """The domain that a term means; None if it is a name that DNS cannot hold (§4.3, §7.3)."""
        if macros is None:
            return domain
        text = (await self._expanded(macros, domain)).removesuffix(".")
        while len(text) > MAX_EXPANDED_CHARS and "." in text:
            text = text.partition(".")[2]
        if not text.isascii():
            return None  # RFC 8616 §4: a local-part in UTF-8 matches nothing
        name = Name(()).below(*text.encode("ascii").split(b"."))
        return None if isinstance(name, Malformed) else name

    async def explanation(self) -> str | None:
        """The text of exp= (§6.2); None where there is none or anything is wrong with it."""
        if self.explained_by is None:
            return None
        macros, domain = self.explained_by
        name = await self._name(macros, domain)
        if name is None:
            return None
        texts = (await self.lookup.query(name, RecordType.TXT)).of(Txt)
        if len(texts) != 1 or not texts[0].joined.isascii():
            return None
        explanation = parse_macro_string(texts[0].joined.decode("ascii"), is_explanation=True)
        return None if isinstance(explanation, Malformed) else await self._expanded(explanation, domain)


def _addresses(answer: Answer) -> list[Address]:
    return [*(record.address for record in answer.of(A)), *(record.address for record in answer.of(Aaaa))]


def _network(address: Address, ipv4_prefix: int, ipv6_prefix: int) -> IPv4Network | IPv6Network:
    if isinstance(address, IPv4Address):
        return IPv4Network((address, ipv4_prefix), strict=False)
    return IPv6Network((address, ipv6_prefix), strict=False)
