"""The SPF suite of RFC 7208 and a table of macros (conformance/spf)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import A, Aaaa, Answer, Mx, Ptr, Question, Rcode, Record, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, SpfVerdict, check_host
from ptt.protocol.mailauth.spf.macros import (
    MacroString,
    MacroValues,
    expand,
    parse_domain_spec,
    parse_macro_string,
)

MAX_CNAMES = 10
CLIENT_ADDRESS = re.compile(r"%\{[cC][^}]*\}")


def labels_of(name: str) -> tuple[bytes, ...]:
    """A name of the suite: with octets that no host name has."""
    return tuple(label.lower().encode("latin-1") for label in name.removesuffix(".").split("."))


def octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


class Zone:
    """The zone data of one scenario. A name with TIMEOUT gives no answer, others do not exist."""

    def __init__(self, data: Mapping[str, Sequence[Any]]) -> None:
        self.records: dict[tuple[Name, str], list[Any]] = {}
        self.names: set[Name] = set()
        self.failing: set[tuple[Name, str | None]] = set()
        for text, entries in data.items():
            name = Name(labels_of(text))
            self.names.add(name)
            kinds = {kind for entry in entries if isinstance(entry, dict) for kind in entry}
            for entry in entries:
                if entry == "TIMEOUT":
                    self.failing.add((name, None))
                    continue
                for kind, value in entry.items():
                    if value == "TIMEOUT":
                        self.failing.add((name, kind))
                    elif value != "NONE":
                        self.records.setdefault((name, kind), []).append(value)
                    if kind == "SPF" and "TXT" not in kinds:
                        self.records.setdefault((name, "TXT"), []).append(value)

    async def query(self, name: Name, record_type: RecordType, depth: int = 0) -> Answer:
        kind = record_type.name
        if (name, kind) in self.records:
            found = [self.record(kind, value) for value in self.records[name, kind]]
            return Answer(Rcode.NOERROR, tuple(found), name)
        if (name, kind) in self.failing or (name, None) in self.failing:
            return Answer(Rcode.SERVFAIL)
        if (name, "CNAME") in self.records:
            if depth == MAX_CNAMES:
                return Answer(Rcode.SERVFAIL)
            target = Name(labels_of(self.records[name, "CNAME"][0]))
            return await self.query(target, record_type, depth + 1)
        exists = any(known.is_at_or_below(name) for known in self.names)
        return Answer(Rcode.NOERROR if exists else Rcode.NXDOMAIN)

    @staticmethod
    def record(kind: str, value: Any) -> Record:
        match kind:
            case "A":
                return A(IPv4Address(value))
            case "AAAA":
                return Aaaa(IPv6Address(value))
            case "MX":
                return Mx(value[0], Name(tuple(label for label in labels_of(value[1]) if label)))
            case "PTR":
                return Ptr(Name(labels_of(value)))
            case _:
                return Txt(
                    tuple(octets(part) for part in ([value] if isinstance(value, str | bytes) else value))
                )

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        return [await self.query(each.name, each.record_type) for each in questions]


def run(verification: Any) -> Any:
    """Drive a verification that never really waits."""
    with pytest.raises(StopIteration) as stop:
        verification.send(None)
    return stop.value.value


def verdict_of(zone: Zone, case: Mapping[str, Any]) -> SpfVerdict | Malformed:
    local_part, at, domain = case["mailfrom"].rpartition("@")
    if not at:
        domain = domain or case["helo"]
    name = Name.parse(domain)
    if isinstance(name, Malformed):
        return name  # no identity to check: none (§4.3)
    query = SpfQuery(
        ip_address(case["host"]),
        local_part or "postmaster",
        name,
        case["helo"],
        "receiver.example",
        1_800_000_000,
    )
    found = run(check_host(query, zone, wants_explanation=True))
    assert isinstance(found, SpfVerdict)
    return found


def difference(found: SpfVerdict | Malformed, case: Mapping[str, Any], default: str) -> str | None:
    word = "none" if isinstance(found, Malformed) else found.result.value
    wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    if word not in wanted:
        return f"{wanted} expected, {found}"
    if "explanation" in case and not isinstance(found, Malformed):
        explanation = default if found.explanation is None else found.explanation
        # Capitals in the hexadecimal digits of an address are the suite's; RFC 7208 §7.4 writes small ones.
        if explanation.lower() != case["explanation"].lower():
            return f"explanation {case['explanation']!r} expected, {explanation!r}"
    return None


def scenarios(path: Path) -> Iterator[Mapping[str, Any]]:
    yield from (document for document in yaml.safe_load_all(path.read_text()) if document)


def test_suite(conformance: Callable[[str], Path], report: Callable[..., None]) -> None:
    for path in sorted(conformance("spf").glob("*.yml")):
        failures, ran = {}, 0
        for scenario in scenarios(path):
            zone = Zone(scenario["zonedata"])
            for case_id, case in scenario["tests"].items():
                ran += 1
                why = difference(verdict_of(zone, case), case, "DEFAULT")
                if why is not None:
                    failures[case_id] = why
        report(f"spf/{path.name}", ran, failures)


def test_macros(
    conformance: Callable[[str], Path], report: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted(conformance("spf").glob("*macro*.json")):
        table = json.loads(path.read_text())
        failures, deviations = {}, {}
        for case in table["cases"]:
            if CLIENT_ADDRESS.search(case["macro_string"]):
                deviations[case["id"]] = (
                    "RFC 7208 §7.2: %{c} is the address of the client, not of the receiver"
                )
                continue
            parsed = parsed_macros(case["macro_string"], case["in_explanation"])
            got = None if isinstance(parsed, Malformed) else expanded(parsed, table, case)
            expected = case["expected"]
            if got != expected and got != (expected or "").removesuffix("."):
                failures[case["id"]] = f"{expected!r} expected, {got!r}"
        report(f"spf/{path.name}", len(table["cases"]) - len(deviations), failures)
        with capsys.disabled():
            for case_id, reason in deviations.items():
                print(f"  {case_id} deviates: {reason}")


def parsed_macros(text: str, in_explanation: bool) -> MacroString | Malformed:
    return parse_macro_string(text, is_explanation=True) if in_explanation else parse_domain_spec(text)


def expanded(macros: MacroString, table: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    local_part, _, sender_domain = table["sender"].rpartition("@")
    address = case["client_ip"] or table["receiving_host_c"]
    return expand(
        macros,
        MacroValues(
            local_part,
            sender_domain,
            table["domain"],
            ip_address(address),
            table["helo"],
            validated(table["zone"], address, table["domain"]),
            table["receiving_host_r"],
            case.get("now", 0),
        ),
    )


def validated(zone: Mapping[str, Any], address: str, domain: str) -> str:
    names: list[str] = [name for name in zone["PTR"].get(address, []) if address in zone["A"].get(name, [])]
    below = [name for name in names if f".{name.removesuffix('.')}".endswith(f".{domain}")]
    return (below or names or ["unknown"])[0]
