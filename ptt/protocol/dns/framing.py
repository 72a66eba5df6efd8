"""Messages on a stream: two octets of length in front of each (RFC 1035 §4.2.2, RFC 7766 §8)."""

from ptt.errors import MisuseError
from ptt.protocol.dns.message import MAX_MESSAGE_OCTETS

LENGTH_OCTETS = 2


def framed(wire: bytes) -> bytes:
    """A message with its length, to be sent in one write (RFC 7766 §8)."""
    if len(wire) > MAX_MESSAGE_OCTETS:
        raise MisuseError(f"a message of {len(wire)} octets")
    return len(wire).to_bytes(LENGTH_OCTETS, "big") + wire


class MessageCutter:
    """Cuts a stream into messages, whatever pieces it comes in; holds one incomplete message at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take a piece; give the messages that are complete."""
        self._buffer += data
        messages = []
        start = 0
        while len(self._buffer) >= start + LENGTH_OCTETS:
            end = start + LENGTH_OCTETS + int.from_bytes(self._buffer[start : start + LENGTH_OCTETS], "big")
            if len(self._buffer) < end:
                break
            messages.append(bytes(self._buffer[start + LENGTH_OCTETS : end]))
            start = end
        del self._buffer[:start]
        return messages
