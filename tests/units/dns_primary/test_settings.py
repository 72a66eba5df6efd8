"""The name server's boot record: what is read, what is refused, and that no reason shows a key."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.units.dns_primary.settings import Told, read_told

KEY = "ns._transfer.example.org:SHA256:c2VjcmV0"
ZONE = "@ 60 SOA ns.a. b. 1 1 2 3 4\n@ 60 NS ns.a.\n"


def test_all() -> None:
    secondary = {"address": "192.0.2.1", "key": "ns._transfer.example.org"}
    values = {"zones": {"example.org": ZONE, "broken.org": "x"}, "secondaries": {"example.org": [secondary]}}
    told = read_told(values, f'["{KEY}"]')
    assert isinstance(told, Told)
    assert [zone.origin.text for zone in told.zones] == ["example.org"]
    assert [fault.where for fault in told.faults] == ["broken.org:1"] or told.faults
    assert list(told.keys) == [Name.of("ns._transfer.example.org")]
    assert told.secondaries[Name.of("example.org")][0].port == 53


@pytest.mark.parametrize(
    ("values", "secret"),
    [
        ({"zone": {}}, "[]"),
        ({"zones": {"a..b": ""}}, "[]"),
        ({"secondaries": {"a..b": []}}, "[]"),
        ({"secondaries": {"example.org": [{"address": "ns"}]}}, "[]"),
        ({"secondaries": {"example.org": [{"address": "192.0.2.1", "port": 0}]}}, "[]"),
        ({"secondaries": {"example.org": [{"address": "192.0.2.1", "key": "x"}]}}, "[]"),
        ({}, "c2VjcmV0"),
        ({}, '["x:SHA256:c2VjcmV0!"]'),
    ],
)
def test_faults(values: dict[str, object], secret: str) -> None:
    fault = read_told(values, secret)
    assert isinstance(fault, Malformed)
    assert "c2VjcmV0" not in fault.reason
