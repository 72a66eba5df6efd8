"""Who gets a place where there are not enough."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from ptt.net.crowd import ALWAYS_FOR_A_NETWORK, MAX_CONNECTIONS, Crowd

Address = IPv4Address | IPv6Address


def admitted(crowd: Crowd, address: Address | None, tries: int = MAX_CONNECTIONS) -> int:
    """How many of so many get in; the others leave again."""
    count = 0
    for _ in range(tries):
        if crowd.enter(address):
            count += 1
        else:
            crowd.leave(address)
    return count


def test_each_further_network_gets_less() -> None:
    crowd = Crowd()
    shares = [admitted(crowd, ip_address(f"192.0.2.{number}")) for number in range(20)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == MAX_CONNECTIONS // 5
    assert min(shares) >= ALWAYS_FOR_A_NETWORK
    assert crowd.is_dense


def test_a_customer_s_network_counts_as_one() -> None:
    crowd = Crowd()
    first = admitted(crowd, ip_address("2001:db8:1:2::1"))
    assert admitted(crowd, ip_address("2001:db8:1:2:ffff::9")) == 0
    assert 0 < admitted(crowd, ip_address("2001:db8:1:3::1")) < first


def test_our_own_units_share_all() -> None:
    crowd = Crowd()
    assert admitted(crowd, None, MAX_CONNECTIONS + 5) == MAX_CONNECTIONS


def test_who_leaves_makes_room() -> None:
    crowd = Crowd()
    address = ip_address("192.0.2.1")
    count = admitted(crowd, address)
    for _ in range(count):
        crowd.leave(address)
    assert not crowd.is_dense
    assert admitted(crowd, address) == count
