"""What an operator may write as an address."""

import pytest

from ptt.protocol.dns.addresses import is_address


@pytest.mark.parametrize("text", ["192.0.2.1", "2001:db8::25", "::1"])
def test_both_families_are_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["", "mail.a.example", "192.0.2", "192.0.2.256", "2001:db8::g", "192.0.2.1/8"]
)
def test_names_networks_and_scraps_are_none(text: str) -> None:
    assert not is_address(text)
