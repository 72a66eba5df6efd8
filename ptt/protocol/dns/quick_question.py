"""The ordinary question, read without building anything: what the table of ready answers is asked by.

A header with one question, nothing else but perhaps an OPT record of version 0 without options that concern
us. Everything else is left to the full reader.
"""

from dataclasses import dataclass

from ptt.protocol.dns.message import HEADER_OCTETS

ORDINARY = (
    b"\x00\x01\x00\x00\x00\x00\x00\x00",
    b"\x00\x01\x00\x00\x00\x00\x00\x01",
)  # counts: without, with OPT
OPT_HEAD = b"\x00\x00\x29"  # root, type 41
OPT_OCTETS = 11
CLASS_IN = b"\x00\x01"
NOT_A_LABEL = 0xC0  # compression, or a form that nobody uses (RFC 1035 §4.1.4)
MAX_NAME_OCTETS = 255
FLAGS_LEFT_ALONE = 0x0130  # RD, AD, CD: copied or without meaning to an authority
FLAG_RD = 0x01
PLAIN_UDP_OCTETS = 512  # RFC 1035 §4.2.1


@dataclass(frozen=True, slots=True)
class QuickQuestion:
    """``key`` is what answers are filed under, ``end`` where the question ends.

    ``max_octets`` is what the asker takes over UDP.
    """

    key: bytes
    end: int
    edns: bool
    dnssec_ok: bool
    max_octets: int


def read_quickly(wire: bytes) -> QuickQuestion | None:
    """The ordinary question in ``wire``, else None."""
    counts = wire[4:HEADER_OCTETS]
    if counts not in ORDINARY or int.from_bytes(wire[2:4], "big") & ~FLAGS_LEFT_ALONE:
        return None
    position = HEADER_OCTETS
    while position < len(wire) and wire[position]:
        if wire[position] & NOT_A_LABEL:
            return None
        position += 1 + wire[position]
    end = position + 5
    if end > len(wire) or position - HEADER_OCTETS >= MAX_NAME_OCTETS or wire[end - 2 : end] != CLASS_IN:
        return None
    name_and_type = wire[HEADER_OCTETS : position + 1].lower() + wire[position + 1 : position + 3]
    if counts == ORDINARY[0]:
        return QuickQuestion(name_and_type, end, False, False, PLAIN_UDP_OCTETS) if end == len(wire) else None
    return _with_opt(wire, end, name_and_type)


def _with_opt(wire: bytes, end: int, name_and_type: bytes) -> QuickQuestion | None:
    opt = wire[end : end + OPT_OCTETS]
    if opt[:3] != OPT_HEAD or len(opt) < OPT_OCTETS or opt[5:7] != b"\x00\x00":
        return None  # another record, another version (RFC 6891 §6.1.3), an extended rcode
    if end + OPT_OCTETS + int.from_bytes(opt[9:11], "big") != len(wire):
        return None
    max_octets = max(PLAIN_UDP_OCTETS, int.from_bytes(opt[3:5], "big"))
    return QuickQuestion(name_and_type, end, True, bool(opt[7] & 0x80), max_octets)


def filled_in(ready: bytes, wire: bytes, end: int) -> bytes:
    """A ready answer for this asker: its identifier, its RD, its question letter for letter."""
    return b"".join(
        (
            wire[:2],
            bytes([ready[2] | wire[2] & FLAG_RD]),
            ready[3:HEADER_OCTETS],
            wire[HEADER_OCTETS:end],
            ready[end:],
        )
    )
