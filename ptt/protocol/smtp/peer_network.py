"""Whom to count as one peer: an IPv4 address, or the IPv6 network that one customer has.

Limits for strangers are kept by this, since a customer's /64 has more addresses than anybody can count.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

CUSTOMER_BITS = 64  # RFC 6177 §2: the least that a site is given

PeerNetwork = IPv4Address | IPv6Network


def peer_network(address: IPv4Address | IPv6Address) -> PeerNetwork:
    """The network that the address is counted with."""
    if isinstance(address, IPv4Address):
        return address
    return IPv6Network((int(address) >> CUSTOMER_BITS << CUSTOMER_BITS, CUSTOMER_BITS))
