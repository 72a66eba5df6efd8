"""Whom limits count as one."""

from ipaddress import ip_address

import pytest

from ptt.protocol.smtp.peer_network import peer_network


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_a_customer_is_one_address_or_one_network(one: str, other: str, *, same: bool) -> None:
    assert (peer_network(ip_address(one)) == peer_network(ip_address(other))) is same
