"""Which SPF and DMARC records are accepted (conformance/syntax)."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ptt.errors import Malformed
from ptt.protocol.mailauth.dmarc.record import parse_dmarc_record
from ptt.protocol.mailauth.spf.record import parse_spf_record

# Deviations: a case that the table judges by RFC 7489, or that RFC 7208 decides otherwise.
SPF_DEVIATIONS = {
    "004": "RFC 7208 §7.1: a domain-spec that is a single label has no domain-end (a:x); rfc7208-tests agrees"
}
DMARC_DEVIATIONS = {
    "033": "RFC 9989 §4.7 has no size limit: what stands behind ! is dropped, the URI is kept"
}


def accepts_spf(text: str) -> bool:
    return not isinstance(parse_spf_record(text.encode()), Malformed)


def accepts_dmarc(text: str) -> bool:
    """A record that applies to no message is a refused one (RFC 9989 §4.10.1)."""
    record = parse_dmarc_record(text.encode())
    return not isinstance(record, Malformed) and record.policy is not None


@pytest.mark.parametrize(
    ("file", "accepts", "deviations"),
    [
        ("spf-record.json", accepts_spf, SPF_DEVIATIONS),
        ("dmarc-record.json", accepts_dmarc, DMARC_DEVIATIONS),
    ],
)
def test_records(
    conformance: Callable[[str], Path],
    report: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    file: str,
    accepts: Callable[[str], bool],
    deviations: dict[str, str],
) -> None:
    failures, deviating, ran = {}, {}, 0
    for case in json.loads((conformance("syntax") / file).read_text())["cases"]:
        ran += 1
        if accepts(case["input"]) == (case["expected"] == "accept"):
            continue
        if case["id"] in deviations:
            deviating[case["id"]] = deviations[case["id"]]
        else:
            failures[case["id"]] = f"{case['expected']} expected: {case['input']!r} ({case['comment']})"
    report(f"syntax/{file}", ran - len(deviating), failures)
    with capsys.disabled():
        for case_id, reason in deviating.items():
            print(f"  {case_id} deviates: {reason}")
