"""Zones and questions of NSD's tests (``dns-authoritative``): one section of each answer, TTLs count."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]


def records(lines: list[str]) -> set[str]:
    """Records in one form, whatever the spaces."""
    found = set()
    for line in lines:
        name, ttl, kind, rdtype, rdata = line.split(maxsplit=4)
        rrset = dns.rrset.from_text(name.lower(), int(ttl), kind, rdtype, rdata)
        found.add(rrset.to_text())
    return found


def test_nsd(conformance: Conformance, report: Report) -> None:
    folder = conformance("dns-authoritative") / "nsd"
    cases = json.loads((folder / "cases.json").read_text())["cases"]
    failures = {}
    for case in cases:
        text = (folder / case["zone_file"]).read_text(encoding="latin-1")
        zone = read_zone(text, Name.of(case["zone"]), case["zone_file"])
        if not isinstance(zone, Zone):
            failures[case["id"]] = f"not read: {zone.where}: {zone.reason}"
            continue
        query = dns.message.make_query(case["query"], case["type"], want_dnssec=case["dnssec_ok"])
        handled = Authority([zone], {}).handle(0, query.to_wire(), stream=True)
        response = dns.message.from_wire(handled.messages[0])
        section = getattr(response, case["section"])
        got = {
            f"{rrset.name.to_text().lower()} {rrset.ttl} IN " + line.split(" IN ", 1)[1]
            for rrset in section
            for line in rrset.to_text().splitlines()
        }
        expected = records(case["expected_records"])
        if got != expected:
            failures[case["id"]] = f"{sorted(got)}, not {sorted(expected)}"
    report("dns-authoritative/nsd", len(cases), failures)
