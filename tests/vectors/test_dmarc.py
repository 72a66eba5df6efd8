"""DMARC: evaluation, discovery, report destinations and public suffixes (conformance/dmarc)."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import A, Answer, Question, Rcode, Record, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.dmarc.author import NoAuthor, author_domain
from ptt.protocol.mailauth.dmarc.evaluation import DkimIdentifier, DmarcVerdict, SpfIdentifier, evaluate
from ptt.protocol.mailauth.dmarc.report_destination import Consent, authorization_of
from ptt.protocol.mailauth.dmarc.tree_walk import Found, TreeWalks
from ptt.protocol.mailauth.public_suffix import parse_public_suffixes
from ptt.protocol.mailauth.results import DkimResult, SpfResult

# Fields of the recorded expectations that say nothing about DMARC as RFC 9989 has it.
FIELDS_NOT_OURS = {
    "pct": "RFC 9989 §A.6: pct is historic",
    "ri": "RFC 9989: ri is historic",
    "error": "the words of an error are an implementation's own",
    "status.comment": "RFC 9989: ARC changes no result; comments are an implementation's own",
    "alignment.dkim.underSized": "a signature that leaves text unsigned does not pass here (RFC 6376 §8.2)",
    "tagonly": "RFC 9989 §4.7: a piece that is no tag is skipped",
    "false": "RFC 9989 §4.7: a piece that is no tag is skipped",
}
# Cases that rest on RFC 7489, found by words of their id.
CASES_OF_RFC_7489 = {
    "does not inherit the org policy when the author domain publishes multiple records": (
        "RFC 9989 §4.10: several records are as good as none, and the walk goes on"
    ),
    "headerFrom array with multiple elements": (
        "RFC 9989 §5.3.1: several mailboxes of one domain are one Author Domain"
    ),
}


class Zone:
    """All that the DNS of one case holds."""

    def __init__(self, zone: Mapping[str, Mapping[str, Any]]) -> None:
        self.zone = {Name.of(name): records for name, records in zone.items()}

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        if name not in self.zone:
            exists = any(known.is_at_or_below(name) for known in self.zone)
            return Answer(Rcode.NOERROR if exists else Rcode.NXDOMAIN)
        found = self.zone[name].get(record_type.name, [])
        if isinstance(found, str):
            return Answer(Rcode.SERVFAIL)
        return Answer(Rcode.NOERROR, tuple(self.record(record_type, each) for each in found), name)

    @staticmethod
    def record(record_type: RecordType, value: Any) -> Record:
        if record_type is RecordType.TXT:
            return Txt(tuple(part.encode() for part in ([value] if isinstance(value, str) else value)))
        return A(IPv4Address("192.0.2.1"))

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        return [await self.query(each.name, each.record_type) for each in questions]


def run(verification: Any) -> Any:
    """Drive a verification that never really waits."""
    with pytest.raises(StopIteration) as stop:
        verification.send(None)
    return stop.value.value


def verdict_of(case: Mapping[str, Any]) -> DmarcVerdict | NoAuthor:
    given = case["input"]
    senders = given["header_from"] if isinstance(given["header_from"], list) else [given["header_from"]]
    header = parse_header(f"From: {', '.join(senders)}\r\n".encode())
    assert isinstance(header, Header)
    author = author_domain(header)
    if isinstance(author, NoAuthor):
        return author
    dkim = [DkimIdentifier(Name.of(each["domain"]), DkimResult.PASS) for each in given["dkim_pass_domains"]]
    spf = [SpfIdentifier(Name.of(each["domain"]), SpfResult.PASS) for each in given["spf_pass_domains"]]
    found = run(evaluate(author, dkim, spf[0] if spf else None, TreeWalks(Zone(case["zone"]))))
    assert isinstance(found, DmarcVerdict)
    return found


def observed_verdict(verdict: DmarcVerdict | NoAuthor) -> dict[str, Any]:
    """Our verdict under the names of the recorded expectations."""
    if isinstance(verdict, NoAuthor):
        return {}
    organization = verdict.organizational_domain or verdict.policy_domain
    fields: dict[str, Any] = {
        "status.result": verdict.result.value,
        "status.header.from": str(verdict.author),
        "alignment.dkim.result": str(organization) if verdict.aligned_dkim else False,
        "alignment.spf.result": str(organization) if verdict.is_spf_aligned else False,
    }
    if verdict.policy is not None and verdict.record is not None:
        fields |= {
            "policy": verdict.policy.value,
            "domain": str(organization),
            "status.header.d": str(verdict.policy_domain),
            "rr": verdict.record.text,
            "alignment.dkim.strict": verdict.record.is_dkim_strict,
            "alignment.spf.strict": verdict.record.is_spf_strict,
        }
    return fields


def observed_record(case: Mapping[str, Any]) -> dict[str, Any]:
    domain = Name.of(case["input"]["domain"])
    found = run(TreeWalks(Zone(case["zone"])).walk(domain)).applicable
    if found is None:
        return {}
    assert isinstance(found, Found)
    record = found.record
    fields = {"v": "DMARC1", "rr": record.text, "isOrgRecord": found.name != domain}
    for name, policy in (
        ("p", record.policy),
        ("sp", record.subdomain_policy),
        ("np", record.nonexistent_policy),
    ):
        fields |= {name: policy.value} if policy is not None else {}
    fields |= {
        "adkim": "s" if record.is_dkim_strict else "r",
        "aspf": "s" if record.is_spf_strict else "r",
        "fo": ":".join(sorted(record.failure_options)),
        "t": "y" if record.is_testing else "n",
        "psd": record.psd.value,
        "rua": ",".join(record.rua),
        "ruf": ",".join(record.ruf),
    }
    return fields


def holds(fields: Mapping[str, Any], expectation: Mapping[str, Any]) -> bool:
    """Whether our fields fulfil one expectation; the field named "" is the answer as a whole."""
    got = fields.get(expectation["field"]) if expectation["field"] else dict(fields) or False
    match expectation["op"]:
        case "equal":
            return bool(got == expectation["value"])
        case "true" | "ok":
            return bool(got)
        case "false" | "not.ok":
            return not got
        case "contain" | "include":
            return expectation["value"] in str(got or "")
        case "property":
            return expectation["value"] in fields
        case "not.property":
            return expectation["value"] not in fields
        case "exist" | "":
            return bool(fields)
        case _:
            pytest.fail(f"an expectation of an unknown kind: {expectation}")


def cases_of(folder: Path) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The files of the folder whose cases have a zone and expectations about fields."""
    for path in sorted(folder.glob("*.json")):
        cases = json.loads(path.read_text())["cases"]
        if cases and "expected" in cases[0] and "zone" in cases[0]:
            yield path.name, cases


def test_evaluation_and_discovery(
    conformance: Callable[[str], Path], report: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    for file, cases in cases_of(conformance("dmarc")):
        failures: dict[str, str] = {}
        deviations: dict[str, str] = {}
        for case in cases:
            fields = observed_verdict(verdict_of(case)) if case["kind"] == "verify" else observed_record(case)
            broken = [
                each
                for each in case["expected"]
                if each["field"] not in FIELDS_NOT_OURS and not holds(fields, each)
            ]
            reason = next((why for words, why in CASES_OF_RFC_7489.items() if words in case["id"]), None)
            if broken and reason is not None:
                deviations[case["id"]] = reason
            elif broken:
                failures[case["id"]] = f"{broken} expected, {fields}"
        report(f"dmarc/{file}", len(cases) - len(deviations), failures)
        with capsys.disabled():
            for case_id, reason in deviations.items():
                print(f"  {case_id} deviates: {reason}")


def test_external_report_destinations(
    conformance: Callable[[str], Path], report: Callable[..., None]
) -> None:
    data = json.loads((conformance("dmarc") / "external-report-destination.json").read_text())
    zone = Zone({name: {"TXT": value} for name, value in data["txt_zone"].items()})
    failures = {}
    for case in data["cases"]:
        names = Name.of(case["policy_domain"]), Name.of(case["report_domain"])
        consent = run(authorization_of(*names, TreeWalks(zone))).consent
        expected = {True: Consent.GIVEN, False: Consent.REFUSED}[case["expected_accepts"]]
        if case["expected_status"] == "temperror":
            expected = Consent.UNKNOWN
        if consent is not expected:
            failures[case["id"]] = f"{expected} expected, {consent}"
    report("dmarc/external-report-destination.json", len(data["cases"]), failures)


def test_public_suffixes(conformance: Callable[[str], Path], report: Callable[..., None]) -> None:
    folder = conformance("dmarc")
    suffixes = parse_public_suffixes((folder / "public_suffix_list.dat").read_text(encoding="utf-8"))
    failures = {}
    cases = json.loads((folder / "public-suffix.json").read_text())["cases"]
    for case in cases:
        name = Name.parse(case["domain"] or "")
        got = None if isinstance(name, Malformed) else suffixes.registrable_domain(name)
        expected = case["registrable_domain"]
        if got != (None if expected is None else Name.of(expected)):
            failures[case["id"]] = f"{case['domain']}: {expected} expected, {got}"
    report("dmarc/public-suffix.json", len(cases), failures)
