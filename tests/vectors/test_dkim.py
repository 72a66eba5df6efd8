"""Published DKIM messages and canonical forms (conformance/dkim; sources in its SOURCES.md)."""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Answer, Question, Rcode, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import parse_header
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash, Canonicalization, canonical_field
from ptt.protocol.mailauth.dkim.keys import SigningKey, load_signing_key, public_record
from ptt.protocol.mailauth.dkim.signature import halves
from ptt.protocol.mailauth.dkim.signing import SigningPolicy, SigningRefused, sign
from ptt.protocol.mailauth.dkim.verifying import STRICT, SignatureVerdict, VerifyingPolicy, verify
from ptt.protocol.mailauth.results import DkimResult

NOW = 1_800_000_000
OLD = VerifyingPolicy(accepts_old=True, accepts_appended=True)
NOT_PASSED = {"fail", "permerror", "neutral", "policy"}

# What upstream accepts and we do not even with the old algorithms switched on, by the word of ``legacy``.
STILL_REFUSED = {
    "no v=1 tag": "RFC 6376 §6.1.1: signatures of drafts are not verified",
    "domainkeys-only": "RFC 4870 is historic: DomainKey-Signature is not read",
    "key has g= tag": "RFC 6376 dropped g=: it is ignored",
}


class Zone:
    """The look-ups of one case: what is not listed does not exist."""

    def __init__(self, records: Mapping[str, Any]) -> None:
        self.records = {Name.of(name): value for name, value in records.items()}

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        assert record_type is RecordType.TXT
        found = self.records.get(name, "NXDOMAIN")
        if found in ("NXDOMAIN", [["NXDOMAIN"]]):
            return Answer(Rcode.NXDOMAIN)
        if found == "PERMERROR":
            return Answer(Rcode.NOERROR)
        if isinstance(found, str):
            return Answer(Rcode.SERVFAIL)
        return Answer(
            Rcode.NOERROR, tuple(Txt(tuple(part.encode() for part in record)) for record in found), name
        )

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        return [await self.query(each.name, each.record_type) for each in questions]


def message_of(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def run(verification: Any) -> Any:
    """Drive a verification that never really waits."""
    with pytest.raises(StopIteration) as stop:
        verification.send(None)
    return stop.value.value


def verdicts(
    folder: Path, case: Mapping[str, Any], policy: VerifyingPolicy
) -> list[SignatureVerdict] | Malformed:
    message = message_of(folder / case["message"])
    header = parse_header(message)
    if isinstance(header, Malformed):
        return header
    found = run(verify(header, [message[header.size :]], Zone(case["dns"]), NOW, policy))
    assert isinstance(found, list)
    return found


def word(found: list[SignatureVerdict] | Malformed) -> str:
    """The word for the message: the best of its signatures."""
    if isinstance(found, Malformed) or not found:
        return "none"
    words = [verdict.result.value for verdict in found]
    return min(words, key=["pass", "temperror", "fail", "policy", "neutral", "permerror"].index)


def explained(found: list[SignatureVerdict] | Malformed) -> str:
    return (
        found.reason
        if isinstance(found, Malformed)
        else str([(verdict.result.value, verdict.reason) for verdict in found])
    )


def fits(expected: str, got: str, *, has_legacy: bool) -> bool:
    """Whether a word is the expected one; where old algorithms are involved any refusal is as good."""
    if expected == "not pass":
        return got != "pass"
    if has_legacy and expected in NOT_PASSED:
        return got in NOT_PASSED
    return got == expected


def failures_of(folder: Path, case: Mapping[str, Any]) -> str | None:
    """Compare one case with what its folder expects, in whichever form it is written."""
    found = verdicts(folder, case, STRICT)
    if "expected_strict" in case:
        if not fits(case["expected_strict"], word(found), has_legacy=bool(case["legacy"])):
            return f"{case['expected_strict']} expected, {explained(found)}"
        return None
    if "expected_valid_signatures" in case:
        if case["legacy"]:  # what upstream counts as valid holds for old algorithms, too
            found = verdicts(folder, case, OLD)
        states = [] if isinstance(found, Malformed) else [verdict.result for verdict in found]
        passed = states.count(DkimResult.PASS)
        return None if passed == case["expected_valid_signatures"] else explained(found)
    if "expected_signatures" in case:
        words = [] if isinstance(found, Malformed) else [verdict.result.value for verdict in found]
        return None if words == case["expected_signatures"] else explained(found)
    expected = case["expected"]
    if expected is None:
        # An unreadable header is no message: nothing of it passes.
        return None if word(found) != "pass" else "a malformed message passed"
    states = [] if isinstance(found, Malformed) else [verdict.result for verdict in found]
    wanted = [state["state"] == "SUCCESS" for state in expected["states"]]
    return None if [state is DkimResult.PASS for state in states] == wanted else explained(found)


def test_messages(conformance: Callable[[str], Path], report: Callable[..., None]) -> None:
    for cases in sorted(conformance("dkim").glob("*/cases.json")):
        failures, ran = {}, 0
        for case in json.loads(cases.read_text()):
            ran += 1
            why = failures_of(cases.parent, case)
            if why is not None:
                failures[case["id"]] = why
        report(f"dkim/{cases.parent.name}", ran, failures)


def test_messages_with_old_algorithms(
    conformance: Callable[[str], Path], report: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    for cases in sorted(conformance("dkim").glob("*/cases.json")):
        failures: dict[str, str] = {}
        deviations: dict[str, int] = {}
        ran = 0
        for case in json.loads(cases.read_text()):
            if "expected_strict" not in case:
                continue
            ran += 1
            found = verdicts(cases.parent, case, OLD)
            reasons = [
                reason
                for begin, reason in STILL_REFUSED.items()
                if any(legacy.startswith(begin) for legacy in case["legacy"])
            ]
            if fits(case["expected"], word(found), has_legacy=bool(reasons)):
                continue
            if reasons:
                deviations[reasons[0]] = deviations.get(reasons[0], 0) + 1
            else:
                failures[case["id"]] = f"{case['expected']} expected, {explained(found)}"
        if ran:
            passable = ran - sum(deviations.values())
            report(f"dkim/{cases.parent.name} with old algorithms", passable, failures)
            with capsys.disabled():
                for reason, count in deviations.items():
                    print(f"  {count} deviate: {reason}")


def test_canonical_forms(conformance: Callable[[str], Path], report: Callable[..., None]) -> None:
    failures, ran = {}, 0
    for path in sorted(conformance("dkim").glob("canonicalization/email.*")):
        message = message_of(path)
        header = parse_header(message)
        for form in Canonicalization:
            ran += 1
            expected = path.with_name(f"{form.value.decode()}.expected{path.suffix}").read_bytes()
            assert not isinstance(header, Malformed)
            fields = b"".join(canonical_field(form, *halves(field)) for field in header.fields)
            body_hash = BodyHash(form)
            body_hash.update(message[header.size :])
            canonical_body = expected.removeprefix(fields + b"\r\n")
            if (
                canonical_body == expected
                or body_hash.digest() != hashlib.sha256(canonical_body).digest()
                or body_hash.length_octets() != len(canonical_body)
            ):
                failures[f"{form.value.decode()} {path.suffix}"] = "another form"
    report("dkim/canonicalization", ran, failures)


def test_sign_then_verify(conformance: Callable[[str], Path], report: Callable[..., None]) -> None:
    failures, ran = {}, 0
    for keys in conformance("dkim").glob("*/keys"):
        for path, message_path in itertools.product(
            sorted([*keys.glob("*.key"), *keys.glob("*.private")]),
            sorted((keys.parent / "unsigned").glob("*")),
        ):
            key = load_signing_key(path.read_text())
            if isinstance(key, Malformed):  # dkimpy keeps the seed of Ed25519 alone
                key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_text()))
            ran += 1
            why = signed_and_verified(SigningKey(Name.of("s"), Name.of("example.org"), key), message_path)
            if why is not None:
                failures[f"{path.name} {message_path.name}"] = why
    report("dkim/sign then verify", ran, failures)


def signed_and_verified(key: SigningKey, path: Path) -> str | None:
    message = message_of(path)
    header = parse_header(message)
    if isinstance(header, Malformed):
        return header.reason
    body_hash = BodyHash()
    body_hash.update(message[header.size :])
    fields = sign(header, body_hash.digest(), [key], SigningPolicy(), NOW)
    if isinstance(fields, SigningRefused):
        return None if header.count(b"from") != 1 else fields.reason
    zone = Zone({str(key.record_name): [[public_record(key.private).decode()]]})
    signed = parse_header(fields[0] + message)
    assert not isinstance(signed, Malformed)
    found = run(verify(signed, [message[header.size :]], zone, NOW))
    return None if found[0].result is DkimResult.PASS else explained(found)
