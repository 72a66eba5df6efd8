"""Scenarios of Deckard and Unbound (``dns-resolver``): simulated servers, questions, the answers expected.

The resolver is driven as it is, without a network: what it sends is answered from the scenario, time passes
when nothing else happens. A scenario passes when every CHECK_ANSWER does.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from ptt.protocol.dns.delegation import Delegation
from ptt.protocol.dns.knowledge import ResolverSettings
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.resolver import Answer, Asked, Effect, Received, Resolver, SendQuery, Tick
from ptt.protocol.dns.stub_server import StubQuestion, read_question, write_answer
from ptt.protocol.dns.work import Transport

FLAGS = {"QR", "AA", "TC", "RD", "RA", "AD", "CD"}
MAX_TURNS = 5000

# Options of a scenario's configuration that ask for what this resolver does not do (on purpose or yet), and
# kinds of steps that play the network by hand.
FOREIGN_OPTIONS = re.compile(
    r"^\s*(forward-|trust-anchor(?!-signaling)|auto-trust|serve-expired: *\"?yes|serve-original|"
    r"prefetch: *\"?yes|"
    r"features|feature-list|cache-m|stub-first|stub-prime|private-|local-zone|tcp-upstream|max-global-quota|"
    r"val-|access-control|edns-client-string|harden-unverified-glue)",
    re.MULTILINE,
)
FOREIGN_STEPS = {"REPLY", "TIMEOUT", "CHECK_OUT_QUERY", "ASSIGN", "CHECK_AUTOTRUST", "INFRA_RTT"}

ROOT_A = dns.rrset.RRset(dns.name.root, dns.rdataclass.IN, dns.rdatatype.A)

_GLUE = "works only by glue from outside the answering zone, which is never believed here"
_TYPE = "its servers know the minimised names as type NS only; we ask for A (RFC 9156 §2.1)"
DEVIATIONS = {
    "deckard/iter_cycle_noh.rpl": _GLUE,
    "unbound/iter_cycle_noh.rpl": _GLUE,
    "deckard/iter_minim_a_nxdomain.rpl": _TYPE,
    "deckard/iter_minim_nonempty.rpl": _TYPE,
    "unbound/iter_dname_yx.rpl": "YXDOMAIN is given on as SERVFAIL: temporary for mail either way",
    "unbound/iter_pcnamech.rpl": "a server that only the child names; the parent's delegation counts here",
}


@dataclass
class Entry:
    match: set[str] = field(default_factory=set)
    adjust: set[str] = field(default_factory=set)
    reply: list[str] = field(default_factory=list)
    sections: dict[str, list[dns.rrset.RRset]] = field(default_factory=dict)

    @property
    def question(self) -> dns.rrset.RRset:
        return self.sections["QUESTION"][0] if self.sections.get("QUESTION") else ROOT_A

    @property
    def flags(self) -> int:
        return sum(dns.flags.Flag[word] for word in self.reply if word in FLAGS)

    @property
    def rcode(self) -> dns.rcode.Rcode:
        codes = [word for word in self.reply if word in dns.rcode.Rcode.__members__]
        return dns.rcode.from_text(codes[-1]) if codes else dns.rcode.NOERROR

    def fits(self, query: dns.message.Message, transport: Transport) -> bool:
        asked = query.question[0]
        return not (
            ("qname" in self.match and asked.name != self.question.name)
            or ("qtype" in self.match and asked.rdtype != self.question.rdtype)
            or ("subdomain" in self.match and not asked.name.is_subdomain(self.question.name))
            or ("tcp" in self.match and transport is not Transport.TCP)
            or ("udp" in self.match and transport is not Transport.UDP)
        )

    def response(self, query: dns.message.Message) -> dns.message.Message:
        message = dns.message.Message(id=query.id)  # some entries forget copy_id
        message.flags = dns.flags.Flag(self.flags)
        message.set_rcode(self.rcode)
        message.question = list(
            query.question if "copy_query" in self.adjust else self.sections.get("QUESTION", [])
        )
        message.answer = self.sections.get("ANSWER", [])
        message.authority = self.sections.get("AUTHORITY", [])
        message.additional = self.sections.get("ADDITIONAL", [])
        return message


@dataclass
class Range:
    first: int
    last: int
    addresses: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Step:
    number: int
    kind: str
    rest: list[str]
    entry: Entry | None = None


@dataclass
class Scenario:
    config: str
    first_range_counts: bool
    ranges: list[Range] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def roots(self) -> list[str]:
        return re.findall(r"stub-addr:\s*\"?([0-9a-fA-F.:]+)", self.config)

    @property
    def minimise(self) -> bool:
        found = re.search(r"(?:qname-minimisation|query-minimization):\s*\"?(\w+)", self.config)
        return found is not None and found[1] in {"yes", "on"}

    @property
    def is_foreign(self) -> bool:
        return bool(
            FOREIGN_OPTIONS.search(self.config)
            or self.config.count("stub-zone:") > 1
            or any(step.kind in FOREIGN_STEPS for step in self.steps)
        )


def lines_of(text: str) -> Iterator[str]:
    for line in text.splitlines():
        bare = re.sub(r"(?:^|\s);.*|;(?=\s).*|\s#.*", "", line).strip() if '"' not in line else line.strip()
        if bare and not bare.startswith((";", "#")):
            yield bare


def read_scenario(path: Path) -> Scenario:  # noqa: C901, PLR0912 - one branch for each word of the format
    config, _, body = path.read_text(encoding="latin-1").partition("CONFIG_END")
    scenario = Scenario("\n".join(lines_of(config)), path.parent.name == "deckard")
    entry: Entry | None = None
    section = ""
    where: Range | None = None
    for line in lines_of(body):
        word, *rest = line.split()
        if word == "RANGE_BEGIN":
            where = Range(int(rest[0]), int(rest[1]))
            scenario.ranges.append(where)
        elif word == "RANGE_END":
            where = None
        elif word == "ADDRESS" and where is not None:
            where.addresses.add(rest[0])
        elif word == "ENTRY_BEGIN":
            entry = Entry()
            if where is not None:
                where.entries.append(entry)
            else:
                scenario.steps[-1].entry = entry
        elif word == "ENTRY_END":
            entry = None
        elif word == "STEP":
            scenario.steps.append(Step(int(rest[0]), rest[1], rest[2:]))
        elif entry is None:
            continue
        elif word == "MATCH":
            entry.match |= {each.lower() for each in rest}
        elif word == "ADJUST":
            entry.adjust |= {each.lower() for each in rest}
        elif word in {"REPLY", "FLAGS"}:
            entry.reply += [each.upper() for each in rest]
        elif word == "SECTION":
            section = rest[0].upper()
            entry.sections.setdefault(section, [])
        elif section == "QUESTION":
            rdtype = dns.rdatatype.from_text(rest[-1])
            entry.sections[section].append(
                dns.rrset.RRset(dns.name.from_text(word), dns.rdataclass.IN, rdtype)
            )
        else:
            add(entry.sections.setdefault(section, []), read_record(line))
    return scenario


def read_record(line: str) -> dns.rrset.RRset:
    name, *rest = line.split(maxsplit=1)
    rest = rest[0].split(maxsplit=1)
    ttl = 3600
    while rest[0].isdigit() or rest[0].upper() == "IN":
        ttl = int(rest[0]) if rest[0].isdigit() else ttl
        rest = rest[1].split(maxsplit=1)
    text = rest[1] if len(rest) > 1 else ""
    rdata = dns.rdata.from_text("IN", rest[0], text, origin=dns.name.root, relativize=False)
    return dns.rrset.from_rdata(dns.name.from_text(name), ttl, rdata)


def add(section: list[dns.rrset.RRset], rrset: dns.rrset.RRset) -> None:
    for there in section:
        if (there.name, there.rdtype) == (rrset.name, rrset.rdtype):
            for rdata in rrset:
                there.add(rdata)
            return
    section.append(rrset)


class Player:
    """Plays one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        # Where ranges overlap Deckard takes the first, Unbound the last.
        self.ranges = scenario.ranges if scenario.first_range_counts else scenario.ranges[::-1]
        self.now = 0.0
        self.step = 0
        servers = tuple(Name.of(f"root{n}.invalid") for n in range(len(scenario.roots)))
        root = Delegation(Name(()), servers, dict(zip(servers, ((a,) for a in scenario.roots), strict=True)))
        settings = ResolverSettings(
            root=root,
            ipv6="do-ip6: no" not in scenario.config.replace('"', ""),
            minimise=scenario.minimise,
            mix_case=False,
            private_servers=True,
            reserved=frozenset(),
        )
        counter = iter(range(1, 1_000_000))
        self.resolver = Resolver(settings, lambda n: next(counter).to_bytes(max(n, 4), "big")[-n:])
        self.last: dns.message.Message | None = None

    def play(self) -> str | None:
        """Give the first fault; None when all went well."""
        for step in self.scenario.steps:
            self.step = step.number
            match step.kind:
                case "QUERY" if step.entry is not None:
                    self.ask(step.entry)
                case "TIME_PASSES":
                    self.now += float(step.rest[-1])
                    self.carry_out(self.resolver.handle(self.now, Tick()), None)
                case "CHECK_ANSWER" if step.entry is not None:
                    fault = compare(step.entry, self.last)
                    if fault is not None:
                        return f"step {step.number}: {fault}"
        return None

    def ask(self, entry: Entry) -> None:
        query = dns.message.Message(id=7)
        query.flags = dns.flags.Flag(entry.flags)
        query.question = entry.sections["QUESTION"]
        if "DO" in entry.reply:
            query.use_edns(0, dns.flags.DO)
        question = read_question(query.to_wire())
        if not isinstance(question, StubQuestion):
            self.last = dns.message.from_wire(question or b"")
            return
        self.last = None
        self.carry_out(self.resolver.handle(self.now, Asked(1, question.name, question.rdtype)), question)
        while not self.is_answered():
            assert self.resolver.next_wakeup is not None
            self.now = max(self.now, self.resolver.next_wakeup)
            self.carry_out(self.resolver.handle(self.now, Tick()), question)

    def is_answered(self) -> bool:
        return self.last is not None

    def carry_out(self, effects: list[Effect], question: StubQuestion | None) -> None:
        waiting = list(effects)
        for _ in range(MAX_TURNS):
            if not waiting:
                return
            effect = waiting.pop(0)
            if isinstance(effect, Answer) and question is not None:
                self.last = dns.message.from_wire(write_answer(question, effect.resolved))
            elif isinstance(effect, SendQuery):
                wire = self.server_says(effect)
                if wire is not None:
                    waiting += self.resolver.handle(self.now, Received(effect.number, wire))
        raise AssertionError("no end")

    def server_says(self, sent: SendQuery) -> bytes | None:
        query = dns.message.from_wire(sent.wire)
        for where in self.ranges:
            if not where.first <= self.step <= where.last:
                continue
            if where.addresses and sent.address not in where.addresses:
                continue
            for entry in where.entries:
                if entry.fits(query, sent.transport):
                    return entry.response(query).to_wire()
        return None


def records(section: list[dns.rrset.RRset], *, ttl: bool) -> set[tuple[str, ...]]:
    return {
        (
            rrset.name.to_text().lower(),
            dns.rdatatype.to_text(rrset.rdtype),
            rdata.to_digestable().hex(),
            str(rrset.ttl) if ttl else "",
        )
        for rrset in section
        for rdata in rrset
    }


def compare(entry: Entry, got: dns.message.Message | None) -> str | None:
    if got is None:
        return "no answer"
    everything = "all" in entry.match
    if (everything or "rcode" in entry.match) and got.rcode() != entry.rcode:
        return f"rcode {dns.rcode.to_text(got.rcode())}, not {dns.rcode.to_text(entry.rcode)}"
    if (everything or "flags" in entry.match) and int(got.flags) & 0x87B0 != entry.flags:
        return f"flags {dns.flags.to_text(got.flags)}, not {dns.flags.to_text(entry.flags)}"
    for name in ("ANSWER", "AUTHORITY", "ADDITIONAL"):
        if everything or name.lower() in entry.match:
            ttl = "ttl" in entry.match
            expected = records(entry.sections.get(name, []), ttl=ttl)
            ours = records(getattr(got, name.lower()), ttl=ttl)
            if name != "ANSWER":  # our answers are minimal: nothing is added but the SOA of a denial
                expected = {record for record in expected if record in ours or record[1] == "SOA"}
            if expected != ours:
                return f"{name}: too much {sorted(ours - expected)}, missing {sorted(expected - ours)}"
    return None


@pytest.mark.parametrize("suite", ["deckard", "unbound"])
def test_scenarios(
    conformance: Callable[[str], Path], report: Callable[[str, int, Mapping[str, str]], None], suite: str
) -> None:
    """Run those that need neither validation nor what this resolver does not do."""
    folder = conformance("dns-resolver")
    index = json.loads((folder / "index.json").read_text())
    ran = 0
    failures: dict[str, str] = {}
    unreadable: list[str] = []
    for path in sorted((folder / suite).glob("*.rpl")):
        case = f"{suite}/{path.name}"
        if index.get(case, {}).get("has_trust_anchor", False):
            continue
        try:
            scenario = read_scenario(path)
        except (dns.exception.DNSException, LookupError, ValueError):
            unreadable.append(case)  # malformed records on purpose, which this reader cannot write
            continue
        if scenario.is_foreign or not scenario.roots:
            continue
        ran += 1
        fault = Player(scenario).play()
        if fault is not None and case not in DEVIATIONS:
            failures[case] = fault
    print(f"not read: {unreadable}")
    report(f"dns-resolver/{suite}", ran, failures)
