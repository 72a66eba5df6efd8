"""Addresses, Message-ID and From against the public cases of ``conformance/syntax``.

Deviations are told by class, with the reason, so that they hold for other cases of the same suites too.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ptt.errors import Malformed
from ptt.protocol.mail.address import MAX_LOCAL_PART_OCTETS, Mailbox, parse_mailbox
from ptt.protocol.mail.address_list import parse_address_list
from ptt.protocol.mail.header import parse_header
from ptt.protocol.mail.message import single_author
from ptt.protocol.mail.message_id import MessageId, parse_message_id

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]
Case = dict[str, Any]

ENVELOPE_CATEGORIES = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}
HEADER_CATEGORIES = ENVELOPE_CATEGORIES | {"ISEMAIL_CFWS", "ISEMAIL_DEPREC", "ISEMAIL_RFC5322"}

NO_SUCH_LITERAL = "a domain literal that is no address leads nowhere; a Mailbox holds names and addresses"
NO_SUCH_NAME = "a label over 63 or a name over 255 octets cannot be asked for"
NO_CONTROLS = "no mailbox of an envelope holds control characters, and no reply or report of ours may"
ENVELOPE_DEVIATIONS = {
    "ISEMAIL_RFC5321_IPV6DEPRECATED": "RFC 5952 discourages '::' for one group, RFC 5321 readers take it",
}
HEADER_DEVIATIONS = {
    "ISEMAIL_RFC5322_LABEL_TOOLONG": NO_SUCH_NAME,
    "ISEMAIL_RFC5322_DOMAIN_TOOLONG": NO_SUCH_NAME,
    "ISEMAIL_RFC5322_TOOLONG": NO_SUCH_NAME,
    "ISEMAIL_RFC5322_DOMAINLITERAL": NO_SUCH_LITERAL,
    "ISEMAIL_RFC5322_DOMLIT_OBSDTEXT": NO_SUCH_LITERAL,
    "ISEMAIL_RFC5322_IPV6_GRPCOUNT": NO_SUCH_LITERAL,
    "ISEMAIL_RFC5322_IPV6_MAXGRPS": NO_SUCH_LITERAL,
    "ISEMAIL_RFC5322_IPV6_BADCHAR": NO_SUCH_LITERAL,
    "ISEMAIL_RFC5322_IPV6_2X2XCOLON": NO_SUCH_LITERAL,
    "ISEMAIL_RFC5322_IPV6_COLONSTRT": NO_SUCH_LITERAL,
    "ISEMAIL_RFC5322_IPV6_COLONEND": NO_SUCH_LITERAL,
    "ISEMAIL_DEPREC_QTEXT": NO_CONTROLS,
    "ISEMAIL_DEPREC_QP": NO_CONTROLS,
    "ISEMAIL_ERR_EXPECTING_QPAIR": "RFC 6532 §3.2 makes UTF-8 part of VCHAR, so a quoted pair may hold it",
}
MAILBOX_LIST_DEVIATIONS = {
    "153": "obs-local-part (RFC 5322 §4.4) has quoted strings beside atoms",
}


def cases(folder: Path, file: str) -> list[Case]:
    found: list[Case] = json.loads((folder / file).read_text("utf-8"))["cases"]
    return found


DEVIATES = "deviates: "


def judge(accepted: bool, expected: bool, got: object, why_not: str | None = None) -> str | None:
    """Say what is wrong, or why it is not, None if all is as expected."""
    if accepted is expected:
        return None
    return f"{DEVIATES}{why_not}" if why_not else f"expected {expected}, got {got}"


def tell(report: Report, suite: str, verdicts: Mapping[str, str | None]) -> None:
    faults = {case: verdict for case, verdict in verdicts.items() if verdict is not None}
    wrong = {case: fault for case, fault in faults.items() if not fault.startswith(DEVIATES)}
    report(f"{suite} ({len(faults) - len(wrong)} deviate with a reason)", len(verdicts), wrong)


def test_isemail_in_the_envelope(conformance: Conformance, report: Report) -> None:
    verdicts = {}
    for case in cases(conformance("syntax"), "isemail.json"):
        got = parse_mailbox(case["address"].encode(), allow_utf8=True)
        expected = case["category"] in ENVELOPE_CATEGORIES
        reason = ENVELOPE_DEVIATIONS.get(case["diagnosis"])
        verdicts[case["id"]] = judge(isinstance(got, Mailbox), expected, got, reason)
    tell(report, "syntax/isemail.json (envelope)", verdicts)


def test_isemail_in_header_fields(conformance: Conformance, report: Report) -> None:
    verdicts = {}
    for case in cases(conformance("syntax"), "isemail.json"):
        got = parse_address_list(case["address"].encode())
        expected = case["category"] in HEADER_CATEGORIES
        reason = HEADER_DEVIATIONS.get(case["diagnosis"])
        verdicts[case["id"]] = judge(isinstance(got, tuple) and len(got) == 1, expected, got, reason)
    tell(report, "syntax/isemail.json (header fields)", verdicts)


def test_local_parts(conformance: Conformance, report: Report) -> None:
    verdicts = {}
    for case in cases(conformance("syntax"), "localpart.json"):
        got = parse_mailbox(f"{case['input']}@example.org".encode(), allow_utf8=True)
        verdicts[case["id"]] = judge(isinstance(got, Mailbox), case["expected"] == "accept", got)
    tell(report, "syntax/localpart.json", verdicts)


def test_mailboxes(conformance: Conformance, report: Report) -> None:
    verdicts = {}
    for case in cases(conformance("syntax"), "mailbox.json"):
        got = parse_mailbox(case["input"].encode(), allow_utf8=True)
        verdicts[case["id"]] = judge(isinstance(got, Mailbox), case["expected"] == "accept", got)
    tell(report, "syntax/mailbox.json", verdicts)


def test_mailbox_lists(conformance: Conformance, report: Report) -> None:
    verdicts = {}
    for case in cases(conformance("syntax"), "mailbox-lists.json"):
        got = parse_address_list(case["input"].encode())
        reason = MAILBOX_LIST_DEVIATIONS.get(case["id"])
        if isinstance(got, tuple) and any(len(box.local_part) > MAX_LOCAL_PART_OCTETS for box in got):
            reason = "RFC 5322 has no limit for local parts in header fields; the envelope has"
        verdicts[case["id"]] = judge(isinstance(got, tuple), case["expected"] == "accept", got, reason)
    tell(report, "syntax/mailbox-lists.json", verdicts)


def test_message_ids(conformance: Conformance, report: Report) -> None:
    verdicts = {}
    for case in cases(conformance("syntax"), "message-id.json"):
        got = parse_message_id(case["input"].encode())
        verdicts[case["id"]] = judge(isinstance(got, MessageId), case["expected"] == "accept", got)
        if isinstance(got, MessageId) and case["expected"] == "accept":
            facts = (got.canonical().decode(), not got.is_dot_atom)
            if facts != (case["canonical_id_lower_case"], case["is_not_dot_atom_form"]):
                verdicts[case["id"]] = f"got {facts}"
    tell(report, "syntax/message-id.json", verdicts)


def test_single_from(conformance: Conformance, report: Report) -> None:
    verdicts = {}
    for case in cases(conformance("syntax"), "single-from.json"):
        header = parse_header(case["headers"].encode())
        got = header if isinstance(header, Malformed) else single_author(header)
        address = str(got) if isinstance(got, Mailbox) else None
        expected = case["expected_from_address"] if case["expected"] == "accept" else None
        verdicts[case["id"]] = None if address == expected else f"expected {expected}, got {got}"
    tell(report, "syntax/single-from.json", verdicts)
