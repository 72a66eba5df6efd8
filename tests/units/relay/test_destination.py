"""The servers of a lane, or our own reply."""

import asyncio

import pytest

from ptt.net.fixed_lookup import FixedLookup, read_zone
from ptt.protocol.dns.name import Name
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.destination import (
    NO_DOMAIN,
    NO_SMARTHOST,
    NOT_FOUND,
    NULL_MX,
    find_servers,
    find_smarthost,
)

ZONE = """
one.example   MX 10 mx.one.example
mx.one.example A 192.0.2.1
mx.one.example AAAA 2001:db8::1
null.example  MX 0 .
lost.example  MX 10 nowhere.example
"""


def lookup(text: str = ZONE) -> FixedLookup:
    zone = read_zone(text)
    assert isinstance(zone, FixedLookup)
    return zone


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("null.example", NULL_MX),
        ("none.example", NO_DOMAIN),
        ("lost.example", NOT_FOUND),
        ("one.example", None),
    ],
)
def test_the_servers_or_a_reply(domain: str, expected: Reply | None) -> None:
    found = asyncio.run(
        find_servers(lookup(), Name.of(domain), ipv6=True, own_name=Name.of("mx.example"), seed=1)
    )

    if expected is not None:
        assert found == expected
    else:
        assert isinstance(found, tuple)
        assert [(server.text, len(server.addresses)) for server in found] == [("mx.one.example", 2)]


@pytest.mark.parametrize(
    ("ipv6", "addresses"), [(True, ["2001:db8::1", "192.0.2.1"]), (False, ["192.0.2.1"])]
)
def test_the_smarthost_is_looked_up_by_its_name(ipv6: bool, addresses: list[str]) -> None:
    found = asyncio.run(find_smarthost(lookup(), Name.of("mx.one.example"), ipv6=ipv6))

    assert isinstance(found, tuple)
    assert [str(address) for address in found[0].addresses] == addresses


@pytest.mark.parametrize("zone", [ZONE, ""])
def test_a_smarthost_that_is_not_found_is_temporary(zone: str) -> None:
    assert asyncio.run(find_smarthost(lookup(zone), Name.of("x.example"), ipv6=True)) == NO_SMARTHOST
