"""Sequences of updates (``dns-transfer-update``): each message signed by an operator's key, in order."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dns.message
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update

from ptt.protocol.dns.answers import answer_from
from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.rights import KeyRights, Right
from ptt.protocol.dns.tsig import make_key, sign
from ptt.protocol.dns.update import apply, prerequisites, scan
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]
NOW = 1_790_000_000


def written(zone: Name, name: str, step: Mapping[str, Any]) -> dns.update.UpdateMessage:
    """The message of a step, through the wire."""
    message = dns.update.UpdateMessage(zone.text)
    for section, records in ((1, step["prerequisites"]), (2, step["updates"])):
        for record in records:
            rdclass = dns.rdataclass.from_text(record["class"])
            rdtype = dns.rdatatype.from_text(record["type"])
            owner = dns.name.from_text(record.get("name", name))
            rrset = dns.rrset.RRset(
                owner, dns.rdataclass.IN, rdtype, deleting=rdclass if rdclass != 1 else None
            )
            if "rdata" in record:
                rrset.add(dns.rdata.from_text(dns.rdataclass.IN, rdtype, record["rdata"]))
            rrset.ttl = record["ttl"]
            message.sections[section].append(rrset)
    read = read_message(message.to_wire())
    assert isinstance(read, dns.update.UpdateMessage)
    return read


def step_through(
    zone: Zone, name: str, step: Mapping[str, Any], rights: KeyRights
) -> tuple[Zone, str | None]:
    """The zone afterwards, and what is wrong."""
    message = written(zone.origin, name, step)
    rcode = prerequisites(zone, message.answer) or scan(zone, message.authority, rights)
    applied = apply(zone, message.authority) if rcode == dns.rcode.NOERROR else rcode
    if isinstance(applied, dns.rcode.Rcode):
        got = dns.rcode.to_text(applied)
        return zone, None if got == step["expected_rcode"] else f"{got}, not {step['expected_rcode']}"
    changed, changes = applied
    if step["expected_rcode"] != "NOERROR":
        return changed, f"NOERROR, not {step['expected_rcode']}"
    if bool(changes) != step.get("expected_zone_changed", bool(changes)):
        return changed, f"changed: {bool(changes)}"
    for key, expected in step.items():
        if key.startswith("then_query_"):
            rdtype = dns.rdatatype.from_text(key.removeprefix("then_query_"))
            answer = answer_from(changed, Name.of(step.get("query_name", name)), rdtype).answer
            got_records = sorted(str(rdata) for rrset in answer for rdata in rrset.rdatas)
            if isinstance(expected, list) and got_records != sorted(expected):
                return changed, f"{got_records}, not {expected}"
    return changed, None


def test_update_sequences(conformance: Conformance, report: Report) -> None:
    suite = json.loads((conformance("dns-transfer-update") / "update-sequences.json").read_text())
    origin = Name.of(suite["zone"])
    rights = KeyRights(Right.UPDATE, origin, narrow=False)
    failures = {}
    for case in suite["cases"]:
        zone = read_zone("@ 60 SOA ns a 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n", origin, case["id"])
        assert isinstance(zone, Zone)
        for number, step in enumerate(case["steps"]):
            zone, fault = step_through(zone, case["name"], step, rights)
            if fault is not None:
                failures[case["id"]] = f"step {number}: {fault}"
                break
    report("dns-transfer-update/update-sequences", len(suite["cases"]), failures)


def test_who_may_update(conformance: Conformance) -> None:
    """Unsigned: REFUSED; a key that is not known or does not fit: NOTAUTH."""
    suite = json.loads((conformance("dns-transfer-update") / "update-sequences.json").read_text())
    origin = Name.of(suite["zone"])
    zone = read_zone("@ 60 SOA ns a 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n", origin, "zone")
    assert isinstance(zone, Zone)
    name = Name.of(f"mail._update.{origin}")
    good, bad = (make_key(name, Name.of("hmac-sha256"), secret) for secret in (b"good", b"bad"))
    authority = Authority([zone], {name: good})
    request = dns.update.UpdateMessage(origin.text)
    request.add(f"_acme-challenge.{origin}.", 60, "TXT", "x")
    wire = request.to_wire()
    for message, expected in (
        (wire, dns.rcode.REFUSED),
        (sign(wire, bad, NOW), dns.rcode.NOTAUTH),
        (sign(wire, good, NOW - 301), dns.rcode.NOTAUTH),
        (sign(wire, good, NOW), dns.rcode.NOERROR),
    ):
        handled = authority.handle(NOW, message, stream=True)
        answer = read_message(handled.messages[0])
        assert isinstance(answer, dns.message.Message)
        assert answer.rcode() == expected
        assert (handled.zone is not None) == (expected == dns.rcode.NOERROR)
    assert authority.zones[origin].at(Name.of(f"_acme-challenge.{origin}"), RecordType.TXT) is not None
