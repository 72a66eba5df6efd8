"""Values of header fields against the public cases of ``conformance/mime``: mail-parser, rspamd.

Not driven: ``list.json`` (comma lists of phrases: no field that PTT reads has them); of ``received.json`` the
date alone, since nothing of PTT reads more of a foreign Received.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ptt.errors import Malformed
from ptt.protocol.mail.address_list import NamedMailbox, parse_named_addresses
from ptt.protocol.mail.content_type import parse_content_type
from ptt.protocol.mail.date import parse_date
from ptt.protocol.mail.encoded_words import decode_words
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mail.message_id import parse_message_ids

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]
Case = dict[str, Any]

URI = re.compile(r"[a-z]+:")
ROUTE = re.compile(r"@[^:]*:")

RECEIVED_DEVIATIONS = {
    "138": "underscores in place of blanks were damage to the sample",
    "144": "a fraction of a second does not make the seconds 0",
}
DATE_DEVIATIONS = {"012": "numbers without any name of a month are no date"}
ADDRESS_DEVIATIONS = {
    "009": "a backslash takes the octet behind it, the folded blank; so the comment has no end",
    "055": "text behind an angle address is malformed: readers differ over what it belongs to",
}
ID_DEVIATIONS = {
    "008": "without angle brackets it is no identifier (RFC 5322 §3.6.4)",
    "009": "without angle brackets it is no identifier (RFC 5322 §3.6.4)",
}
CONTENT_TYPE_DEVIATIONS = {
    "055": "the blanks at the end of a value are no part of it, even where a quote was left open",
    "056": "the blanks at the end of a value are no part of it, even where a quote was left open",
    "061": "names with asterisks in wrong places are no names: left out",
}


def cases(folder: Path, file: str) -> list[Case]:
    found: list[Case] = json.loads((folder / "mail-parser" / "headers" / file).read_text("utf-8"))["cases"]
    return found


def value_of(case: Case) -> bytes:
    """Give the first field's value, unfolded as ``Field.value`` does."""
    header = parse_header(b"X: " + case["header"].encode())
    if isinstance(header, Header) and header.fields:
        return header.fields[0].value
    lines: list[str] = re.split(r"\r?\n(?![ \t])", case["header"])
    return re.sub(r"\r?\n", "", next((line for line in lines if line.strip()), "")).strip().encode()


def squeezed(text: str) -> str:
    return "".join(text.split())


def tell(
    report: Report,
    suite: str,
    verdicts: Mapping[str, str | None],
    deviations: Mapping[str, str] | None = None,
) -> None:
    faults = {case: why for case, why in verdicts.items() if why is not None}
    wrong = {case: why for case, why in faults.items() if case not in (deviations or {})}
    report(f"{suite} ({len(faults) - len(wrong)} deviate with a reason)", len(verdicts), wrong)


def is_date(got: datetime | Malformed, expected: Case) -> bool:
    if isinstance(got, Malformed):
        return False
    offset = got.utcoffset()
    assert offset is not None
    minutes = (expected["tz_hour"] * 60 + expected["tz_minute"]) * (-1 if expected["tz_before_gmt"] else 1)
    parts = tuple(expected[part] for part in ("year", "month", "day", "hour", "minute", "second"))
    return got.timetuple()[:6] == parts and offset.total_seconds() == minutes * 60


def test_dates(conformance: Conformance, report: Report) -> None:
    verdicts: dict[str, str | None] = {}
    for case in cases(conformance("mime"), "date.json"):
        got, expected = parse_date(value_of(case)), case["expected"]
        right = isinstance(got, Malformed) if expected is None else is_date(got, expected)
        verdicts[case["id"]] = None if right else f"{case['header']!r}: got {got}"
    tell(report, "mime/headers/date.json", verdicts, DATE_DEVIATIONS)


def test_dates_of_received(conformance: Conformance, report: Report) -> None:
    verdicts: dict[str, str | None] = {}
    for case in cases(conformance("mime"), "received.json"):
        expected = (case["expected"] or {}).get("date")
        # Where that reader found second 211 or the year 1910 it read something else than a date.
        if expected is None or expected["second"] > 60 or expected["year"] < 1970:
            continue
        got = parse_date(value_of(case).rpartition(b";")[2])
        verdicts[case["id"]] = None if is_date(got, expected) else f"{case['header']!r}: got {got}"
    tell(report, "mime/headers/received.json (dates)", verdicts, RECEIVED_DEVIATIONS)


def expected_addresses(expected: Case) -> list[tuple[str | None, str]]:
    entries = expected.get("List") or [each for group in expected["Group"] for each in group["addresses"]]
    return [
        (each["name"], squeezed(ROUTE.sub("", each["address"])).lower())
        for each in entries
        if each["address"] is not None
    ]


def test_addresses(conformance: Conformance, report: Report) -> None:
    verdicts: dict[str, str | None] = {}
    for case in cases(conformance("mime"), "address.json"):
        wanted = expected_addresses(case["expected"])
        if any(URI.match(address) for _, address in wanted):
            continue  # fields of RFC 2369 hold URIs
        value = value_of(case)
        got = parse_named_addresses(value)
        if isinstance(got, Malformed):
            verdicts[case["id"]] = f"{case['header']!r}: {got}" if wanted else None
            continue
        boxes = [each for each in got if isinstance(each, NamedMailbox)]
        found = [(decode_words(each.display_name) or None, str(each.mailbox).lower()) for each in boxes]
        if b"(" in value:  # that reader makes comments part of the name
            found = [(None, address) for _, address in found]
            wanted = [(None, address) for _, address in wanted]
        verdicts[case["id"]] = None if found == wanted else f"{case['header']!r}: got {found}"
    tell(report, "mime/headers/address.json", verdicts, ADDRESS_DEVIATIONS)


def test_ids(conformance: Conformance, report: Report) -> None:
    verdicts: dict[str, str | None] = {}
    for case in cases(conformance("mime"), "id.json"):
        got = [each.text.decode() for each in parse_message_ids(value_of(case))]
        verdicts[case["id"]] = None if got == case["expected"] else f"{case['header']!r}: got {got}"
    tell(report, "mime/headers/id.json", verdicts, ID_DEVIATIONS)


def test_content_types(conformance: Conformance, report: Report) -> None:
    verdicts: dict[str, str | None] = {}
    for case in cases(conformance("mime"), "content_type.json"):
        got, expected = parse_content_type(value_of(case)), case["expected"]
        if isinstance(got, Malformed) or expected is None:
            right = isinstance(got, Malformed) and expected is None
        else:
            # Blanks between encoded words: RFC 2047 §6.2 drops them, that reader keeps some.
            attributes = {
                name: squeezed(value)
                for name, value in expected.get("attributes") or []
                if not name.endswith("-language")
            }
            found = {name: squeezed(value) for name, value in got.parameters}
            right = (got.type, got.subtype, found) == (expected["c_type"], expected["c_subtype"], attributes)
        verdicts[case["id"]] = None if right else f"{case['header']!r}: got {got}"
    tell(report, "mime/headers/content_type.json", verdicts, CONTENT_TYPE_DEVIATIONS)


def test_unstructured(conformance: Conformance, report: Report) -> None:
    verdicts: dict[str, str | None] = {}
    for case in cases(conformance("mime"), "unstructured.json"):
        value = value_of(case)
        got, expected = decode_words(value), case["expected"] or ""
        if re.search(rb"\S=\?|\?=\S", value):  # that reader puts a blank where a word touches other text
            got, expected = squeezed(got), squeezed(expected)
        right = " ".join(got.split()) == " ".join(expected.split())
        verdicts[case["id"]] = None if right else f"{case['header']!r}: got {got!r}"
    tell(report, "mime/headers/unstructured.json", verdicts)


def test_from_of_rspamd(conformance: Conformance, report: Report) -> None:
    folder = conformance("mime") / "rspamd" / "from"
    verdicts: dict[str, str | None] = {}
    for case in json.loads((folder / "cases.json").read_text("utf-8"))["cases"]:
        header = parse_header((folder / case["message"]).read_bytes())
        assert isinstance(header, Header)
        got = parse_named_addresses(header.all(b"from")[0].value)
        assert isinstance(got, tuple)
        entry = got[0]
        assert isinstance(entry, NamedMailbox)
        facts = (entry.display_name.decode(), str(entry.mailbox))
        right = facts == (case["display_name"], case["address"])
        verdicts[case["message"]] = None if right else f"got {facts}"
    tell(report, "mime/rspamd/from", verdicts)
