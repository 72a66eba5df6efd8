"""The resolver's boot record."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.knowledge import ResolverSettings
from ptt.protocol.dns.name import Name
from ptt.units.dns_resolver.settings import read_settings


def test_nothing_is_the_internet() -> None:
    told = read_settings({})
    assert isinstance(told, ResolverSettings)
    assert len(told.root.servers) == 13
    assert not told.private_servers
    assert Name.of("test") in told.reserved


def test_a_pretend_internet() -> None:
    roots = [{"name": "a.root", "ipv4": "10.0.0.1"}, {"name": "b.root", "ipv6": "2001:db8::1"}]
    told = read_settings({"roots": roots, "unreserved": ["test"], "private_servers": True, "ipv6": False})
    assert isinstance(told, ResolverSettings)
    assert told.root.addresses == ("10.0.0.1", "2001:db8::1")
    assert Name.of("test") not in told.reserved


@pytest.mark.parametrize(
    "values",
    [
        {"root": []},
        {"roots": [{"name": "a..b", "ipv4": "10.0.0.1"}]},
        {"roots": [{"name": "a"}]},
        {"roots": [{"name": "a", "ipv4": "b"}]},
        {"unreserved": ["a..b"]},
    ],
)
def test_faults(values: dict[str, object]) -> None:
    assert isinstance(read_settings(values), Malformed)
