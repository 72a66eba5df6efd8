"""The client's half of AUTH (RFC 4954): PLAIN (RFC 4616) where offered, else LOGIN.

PLAIN goes with its initial response in one line where that fits (RFC 4954 §4), so that a login costs one
round trip. LOGIN has no RFC: the secrets are given only to prompts that ask for them (``Username:``,
``Password:``; some servers write ``User Name``), anything else is answered with ``*`` (RFC 4954 §4), which
the server turns into 501.
"""

import base64
import binascii
from collections import deque

from ptt.errors import MisuseError
from ptt.protocol.smtp.reply import RemoteReply

MAX_COMMAND_LINE_OCTETS = 512  # RFC 5321 §4.5.3.1.4, CRLF included; RFC 4954 §4 keeps AUTH within it

CANCEL = b"*\r\n"


class LoginExchange:
    """One login under way. ``opening`` is the AUTH command; ``respond`` answers each 334."""

    def __init__(self, login: str, password: str, mechanisms: tuple[str, ...]) -> None:
        if "\0" in login or "\0" in password:  # RFC 4616 §2
            raise MisuseError("a NUL in a login or password")
        identity, secret = login.encode(), password.encode()
        self._answers: deque[tuple[bytes, bytes]] = deque()
        if "PLAIN" in mechanisms:
            response = _coded(b"\0" + identity + b"\0" + secret)
            self.opening = b"AUTH PLAIN " + response
            if len(self.opening) > MAX_COMMAND_LINE_OCTETS:
                self.opening = b"AUTH PLAIN\r\n"
            self._answers.append((b"", response))
        elif "LOGIN" in mechanisms:
            self.opening = b"AUTH LOGIN\r\n"
            self._answers += [(b"user", _coded(identity)), (b"pass", _coded(secret))]
        else:
            raise MisuseError("the server offers neither PLAIN nor LOGIN")
        self._cancelled = False

    def respond(self, challenge: RemoteReply) -> bytes | None:
        """Give the line that answers a 334, or None when the exchange was cancelled and this cannot be."""
        if self._cancelled:
            return None
        if self._answers:
            prompt, answer = self._answers.popleft()
            if _decoded(challenge.text[0]).lower().startswith(prompt):
                return answer
        self._cancelled = True
        return CANCEL


def _coded(octets: bytes) -> bytes:
    return base64.b64encode(octets) + b"\r\n"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode())
    except binascii.Error:
        return b""
