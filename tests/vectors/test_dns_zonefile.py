"""Zone files that a name server takes or refuses (``dns-zonefile``)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from ptt.protocol.dns.name import Name
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]

_CODEC = "a fault within one record that the codec lets pass; it harms nobody but its owner"
DEVIATIONS = {
    "bad-cds.db": _CODEC,
    "bad-ds.db": _CODEC,
    "bad-nsap-odd-nibble.db": _CODEC,
    "bad-generate-range.db": "an empty $GENERATE range generates nothing",
    "bad-dns-sd-reverse.db": "host names in PTR records are not checked",
    "good-svcb.db": "the codec looks into the ECH configuration, which is none there",
}


def test_bind_checkzone(conformance: Conformance, report: Report) -> None:
    folder = conformance("dns-zonefile") / "bind-checkzone"
    cases = json.loads((folder / "cases.json").read_text())["cases"]
    failures = {}
    for case in cases:
        text = (folder / case["file"]).read_text(encoding="latin-1")
        zone = read_zone(text, Name.of(case["origin"]), case["file"])
        taken = isinstance(zone, Zone)
        if taken != (case["expected"] == "accept") and case["file"] not in DEVIATIONS:
            failures[case["file"]] = "taken" if isinstance(zone, Zone) else f"{zone.where}: {zone.reason}"
    report("dns-zonefile/bind-checkzone", len(cases), failures)
