"""Whole messages through SPF, DKIM, ARC and DMARC (conformance/auth-e2e)."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import A, Aaaa, Answer, Mx, Ptr, Question, Rcode, Record, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.arc.validation import validate
from ptt.protocol.mailauth.dkim.verifying import verify
from ptt.protocol.mailauth.dmarc.author import NoAuthor, author_domain
from ptt.protocol.mailauth.dmarc.evaluation import (
    DkimIdentifier,
    DmarcVerdict,
    SpfIdentifier,
    evaluate,
)
from ptt.protocol.mailauth.dmarc.tree_walk import TreeWalks
from ptt.protocol.mailauth.results import DkimResult, DmarcResult
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, SpfVerdict, check_host

NOW = 1_800_000_000
PCT_IN_RECORD = re.compile(r"\bpct\s*=", re.IGNORECASE)
BEST_FIRST = ["pass", "temperror", "fail", "policy", "neutral", "permerror"]


class Zone:
    """The records of dns.json; a word in place of them is what comes of the question."""

    def __init__(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        self.records = {Name.of(name): kinds for name, kinds in records.items()}

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        if name not in self.records:
            return Answer(Rcode.NXDOMAIN)
        found = self.records[name].get(record_type.name, "NODATA")
        if isinstance(found, str):
            codes = {"NODATA": Rcode.NOERROR, "NXDOMAIN": Rcode.NXDOMAIN}
            return Answer(codes.get(found, Rcode.SERVFAIL))
        return Answer(Rcode.NOERROR, tuple(self.record(record_type, each) for each in found), name)

    @staticmethod
    def record(record_type: RecordType, value: Any) -> Record:
        match record_type:
            case RecordType.A:
                return A(IPv4Address(value))
            case RecordType.AAAA:
                return Aaaa(IPv6Address(value))
            case RecordType.PTR:
                return Ptr(Name.of(value))
            case RecordType.MX:
                preference, exchange = (
                    value.split() if isinstance(value, str) and " " in value else (10, value)
                )
                return Mx(int(preference), Name.of(exchange))
            case _:
                return Txt((value.encode(),))

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        return [await self.query(each.name, each.record_type) for each in questions]


def run(verification: Any) -> Any:
    """Drive a verification that never really waits."""
    with pytest.raises(StopIteration) as stop:
        verification.send(None)
    return stop.value.value


def spf_of(case: Mapping[str, Any], zone: Zone) -> tuple[SpfQuery, SpfVerdict] | None:
    if case["client_ip"] is None or case["mail_from"] is None:
        return None
    local_part, _, domain = case["mail_from"].rpartition("@")
    query = SpfQuery(
        ip_address(case["client_ip"]), local_part, Name.of(domain), "client.example", "us.example", NOW
    )
    return query, run(check_host(query, zone))


def message_of(path: Path) -> tuple[Header, bytes]:
    message = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    header = parse_header(message)
    assert not isinstance(header, Malformed)
    return header, message[header.size :]


def results_of(folder: Path, case: Mapping[str, Any], zone: Zone) -> dict[str, str]:
    """All results for one case, in the words of the expectations."""
    spf = spf_of(case, zone)
    results = {} if spf is None else {"spf": spf[1].result.value}
    if case["message"] is None:
        return results
    header, body = message_of(folder / "messages" / case["message"])
    signatures = run(verify(header, [body], zone, NOW))
    words = [verdict.result.value for verdict in signatures]
    results["dkim"] = min(words, key=BEST_FIRST.index) if words else "none"
    results["arc"] = run(validate(header, [body], zone)).result.value
    author = author_domain(header)
    if isinstance(author, NoAuthor):
        return results | {"dmarc": author.result.value}
    dkim = [DkimIdentifier(each.signature.domain, each.result) for each in signatures if each.signature]
    mail_from = None if spf is None else SpfIdentifier(spf[0].domain, spf[1].result)
    verdict = run(evaluate(author, dkim, mail_from, TreeWalks(zone)))
    assert isinstance(verdict, DmarcVerdict)
    results["dmarc"] = verdict.result.value
    if verdict.result is DmarcResult.FAIL and verdict.policy is not None:
        results["dmarc"] += f", policy applied: {verdict.policy.value}"
    if verdict.record is not None and PCT_IN_RECORD.search(verdict.record.text):
        results["because"] = "RFC 9989 §A.6: pct is historic"
    passed = [each.domain for each in dkim if each.result is DkimResult.PASS]
    if any(author != domain and author.is_at_or_below(domain) for domain in passed):
        results["because"] = "RFC 9989 §4.10.2: a parent that publishes no record is not the organization"
    return results


def test_cases(
    conformance: Callable[[str], Path], report: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = conformance("auth-e2e")
    zone = Zone(json.loads((folder / "dns.json").read_text()))
    failures: dict[str, str] = {}
    deviations: dict[str, str] = {}
    cases = json.loads((folder / "cases.json").read_text())["cases"]
    for case in cases:
        results = results_of(folder, case, zone)
        differing = {name: word for name, word in case["expected"].items() if results.get(name) != word}
        if not differing:
            continue
        if case.get("disputed"):
            deviations[case["id"]] = f"disputed: another implementation says {case.get('pyspf_result')}, too"
        elif list(differing) == ["dmarc"] and "because" in results:
            deviations[case["id"]] = results["because"]
        else:
            failures[case["id"]] = f"{differing} expected, {results}"
    report("auth-e2e", len(cases) - len(deviations), failures)
    with capsys.disabled():
        for case_id, reason in deviations.items():
            print(f"  {case_id} deviates: {reason}")
