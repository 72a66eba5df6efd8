"""A DNS message on the wire (RFC 1035 §4.1), read and written by the codec; bad input is a value.

TSIG is left alone here: the codec would read the clock for it (``tsig`` checks it with a given time).
Records are written in the order that they have: the codec would draw lots.
"""

import dns.exception
import dns.message
import dns.update  # the codec would load it at the first update, when a unit is closed

from ptt.errors import Malformed

MAX_MESSAGE_OCTETS = 65_535  # RFC 1035 §4.2.2, the length field over TCP
HEADER_OCTETS = 12


def read_message(wire: bytes) -> dns.message.Message | Malformed:
    """Read a whole message; never raises."""
    if not HEADER_OCTETS <= len(wire) <= MAX_MESSAGE_OCTETS:
        return Malformed(f"a message of {len(wire)} octets")
    try:
        return dns.message.from_wire(wire, keyring=False)
    except (dns.exception.DNSException, ValueError, NotImplementedError) as error:
        return Malformed(f"not a DNS message: {type(error).__name__}")


def write_message(message: dns.message.Message, max_octets: int = MAX_MESSAGE_OCTETS) -> bytes:
    """Write a message; what does not fit is left out record set by record set and TC is set (RFC 2181 §9)."""
    return message.to_wire(max_size=max_octets, prefer_truncation=True, want_shuffle=False)
