"""Addresses as an operator writes them: IPv4 and IPv6, no names."""

import ipaddress


def is_address(text: str) -> bool:
    """Whether this is the text form of an address of either family."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
