"""The ARC test suite: validation and sealing (conformance/arc)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Answer, Question, Rcode, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.arc.sealing import NotSealed, SealingPolicy, seal
from ptt.protocol.mailauth.arc.validation import ArcVerdict, validate
from ptt.protocol.mailauth.authentication_results import parse_authentication_results
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash
from ptt.protocol.mailauth.dkim.keys import SigningKey, load_signing_key
from ptt.protocol.mailauth.results import ArcResult

# An empty cv stands for a chain that an earlier hop has closed: RFC 8617 §5.2 makes that fail.
WORDS = {"None": ArcResult.NONE, "Pass": ArcResult.PASS, "Fail": ArcResult.FAIL, "": ArcResult.FAIL}


class Zone:
    """The key records of one scenario."""

    def __init__(self, records: Mapping[str, str]) -> None:
        self.records = {Name.of(name): text for name, text in records.items()}

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        assert record_type is RecordType.TXT
        if name not in self.records:
            return Answer(Rcode.NXDOMAIN)
        return Answer(Rcode.NOERROR, (Txt((self.records[name].encode(),)),), name)

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        return [await self.query(each.name, each.record_type) for each in questions]


def run(verification: Any) -> Any:
    """Drive a verification that never really waits."""
    with pytest.raises(StopIteration) as stop:
        verification.send(None)
    return stop.value.value


def scenarios(path: Path) -> Iterator[Mapping[str, Any]]:
    yield from (document for document in yaml.safe_load_all(path.read_text()) if document)


def message_of(case: Mapping[str, Any]) -> tuple[Header, bytes]:
    message = (case["message"] or "").replace("\r\n", "\n").replace("\n", "\r\n").encode()
    header = parse_header(message)
    if isinstance(header, Malformed):  # a body without a header
        header = Header(b"", ())
    return header, message[header.size :]


def verdict_of(header: Header, body: bytes, scenario: Mapping[str, Any]) -> ArcVerdict:
    found = run(validate(header, [body], Zone(scenario["txt-records"] or {})))
    assert isinstance(found, ArcVerdict)
    return found


def test_validation(conformance: Callable[[str], Path], report: Callable[..., None]) -> None:
    for path in sorted(conformance("arc").glob("*validation*.yml")):
        failures, ran = {}, 0
        for scenario in scenarios(path):
            for case_id, case in scenario["tests"].items():
                ran += 1
                found = verdict_of(*message_of(case), scenario)
                if found.result is not WORDS[case["cv"] or ""]:
                    failures[case_id] = f"{case['cv']!r} expected, {found.result} {found.reason}"
        report(f"arc/{path.name}", ran, failures)


def tags_of(field: str) -> dict[str, str]:
    """The tags with white space folded, and none in values that are base64."""
    parts = [part.partition("=") for part in field.split(";") if part.strip()]
    tags = {name.strip(): re.sub(r"\s+", " ", value.strip()) for name, _, value in parts}
    return {name: value.replace(" ", "") if name in {"b", "bh"} else value for name, value in tags.items()}


def results_of(header: Header, authserv_id: str) -> list[str]:
    """All results that the host has stamped, put together as the suite's README says."""
    parts = [authserv_id]
    for field in header.all(b"authentication-results"):
        parsed = parse_authentication_results(field.value)
        if not isinstance(parsed, Malformed) and parsed.authserv_id == authserv_id:
            text = re.sub(r"\s+", " ", field.value.decode())
            parts += [part.strip() for part in text.split(";")[1:] if part.strip()]
    return [f"{part};" for part in parts[:-1]] + parts[-1:]


def sealed(scenario: Mapping[str, Any], case: Mapping[str, Any]) -> list[bytes] | NotSealed:
    key = load_signing_key(scenario["privatekey"])
    assert not isinstance(key, Malformed)
    header, body = message_of(case)
    body_hash = BodyHash()
    body_hash.update(body)
    names = tuple(name.strip().lower().encode() for name in case["sig-headers"].split(":"))
    return seal(
        header,
        body_hash.digest(),
        SigningKey(Name.of(scenario["sel"]), Name.of(scenario["domain"]), key),
        verdict_of(header, body, scenario),
        results_of(header, case["srv-id"]),
        case["t"],
        SealingPolicy(names, frozenset()),
    )


def difference(found: list[bytes] | NotSealed, case: Mapping[str, Any]) -> str | None:
    if not case["AS"]:
        return None if isinstance(found, NotSealed) else "sealed though the chain is over"
    if isinstance(found, NotSealed):
        return found.reason
    values = [field.decode().partition(":")[2] for field in found]
    for name, got in zip(("AS", "AMS"), values, strict=False):
        if tags_of(got) != tags_of(case[name]):
            return f"{name}: {tags_of(case[name])} expected, {tags_of(got)}"
    results = [re.sub(r"\s+", " ", text.strip()) for text in (values[2], case["AAR"])]
    return None if results[0] == results[1] else f"AAR: {results[1]} expected, {results[0]}"


def test_sealing(conformance: Callable[[str], Path], report: Callable[..., None]) -> None:
    for path in sorted(conformance("arc").glob("*sign-tests.yml")):
        failures, ran = {}, 0
        for scenario in scenarios(path):
            for case_id, case in scenario["tests"].items():
                ran += 1
                why = difference(sealed(scenario, case), case)
                if why is not None:
                    failures[case_id] = why
        report(f"arc/{path.name}", ran, failures)
