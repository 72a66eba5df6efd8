"""A notice that a zone has changed (RFC 1996), read and answered. Its sender is known by certificate."""

from collections.abc import Collection
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.opcode
import dns.rcode

from ptt.errors import Malformed
from ptt.protocol.dns.message import read_message, write_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import name_of


@dataclass(frozen=True, slots=True)
class Heard:
    """The answer, none for what deserves none; ``is_news``: one of our zones has changed."""

    messages: list[bytes] = field(default_factory=list)
    is_news: bool = False


def answer_notice(wire: bytes, zones: Collection[Name]) -> Heard:
    """What to answer to a message at the listener for notices."""
    message = read_message(wire)
    if isinstance(message, Malformed) or message.flags & dns.flags.QR:
        return Heard()
    is_notice = message.opcode() == dns.opcode.NOTIFY and len(message.question) == 1
    is_news = is_notice and name_of(message.question[0].name) in zones
    response = dns.message.QueryMessage(id=message.id)
    response.flags = dns.flags.QR | dns.flags.AA
    response.set_opcode(message.opcode())
    response.question = list(message.question)
    refusal = dns.rcode.NOTAUTH if is_notice else dns.rcode.REFUSED
    response.set_rcode(dns.rcode.NOERROR if is_news else refusal)
    return Heard([write_message(response)], is_news)
