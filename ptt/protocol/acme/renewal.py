"""When the authority would have a certificate renewed (ARI, RFC 9773): asked without an account, for free.

The moment within the suggested window is drawn from the certificate itself: it is spread as §4.2 wants it,
and every generation comes to the same one. A window in the past (a certificate to be revoked) is now.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

import msgspec
from cryptography import x509

from ptt.errors import Malformed
from ptt.protocol.acme.account_key import base64url
from ptt.protocol.acme.http import Request, Response, Unreachable, retry_after_s
from ptt.protocol.acme.objects import MAX_BODY_OCTETS, Directory, read_object
from ptt.protocol.acme.signing_request import Certificate
from ptt.protocol.acme.steps import Acquaintance, Send

OK = 200
MIN_AGAIN_S = 60.0  # §4.3.3: neither too often
MAX_AGAIN_S = 86_400.0  # nor too seldom
AGAIN_S = 6 * 3600.0  # where the authority does not say (§4.3.3)
FRACTION_OCTETS = 8


class Window(msgspec.Struct, frozen=True):
    """RFC 9773 §4.2."""

    start: datetime
    end: datetime


class RenewalInfo(msgspec.Struct, frozen=True, rename="camel"):
    """RFC 9773 §4.2; the explanation is a page for people, which we do not follow."""

    suggested_window: Window


@dataclass(frozen=True, slots=True)
class Suggested:
    """Renew at ``at`` (seconds since 1970); ask again after ``again_s``."""

    at: float
    again_s: float


@dataclass(frozen=True, slots=True)
class NoSuggestion:
    """The authority suggests nothing; ask again after ``again_s``."""

    reason: str
    again_s: float = AGAIN_S


def certificate_id(der: bytes) -> str | None:
    """RFC 9773 §4.1: the authority's key and the serial number; None: the key is not named."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        serial = certificate.serial_number
        octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # DER: a sign bit is in front
    except (ValueError, OverflowError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion):
        return None
    if found.value.key_identifier is None:
        return None
    return f"{base64url(found.value.key_identifier)}.{base64url(octets)}"


def read_window(body: bytes) -> Window | Malformed:
    """A window that has a zone and goes forward (§4.2: the end is after the start)."""
    if len(body) > MAX_BODY_OCTETS:
        return Malformed(f"{len(body)} octets")
    try:
        window = msgspec.json.decode(body, type=RenewalInfo).suggested_window
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Malformed(str(error) or "nested too deeply")
    if window.start.tzinfo is None or window.end.tzinfo is None or window.end <= window.start:
        return Malformed("a window that does not go forward")
    return window


def moment_in(window: Window, der: bytes) -> float:
    """The time for this certificate, in seconds since 1970."""
    drawn = int.from_bytes(hashlib.sha256(der).digest()[:FRACTION_OCTETS], "big") / (1 << 8 * FRACTION_OCTETS)
    start, end = window.start.timestamp(), window.end.timestamp()
    return start + (end - start) * drawn


class RenewalDialogue:
    """Asks the directory, where it is not known, and then about one certificate."""

    def __init__(self, acquaintance: Acquaintance, certificate: Certificate) -> None:
        self._known = acquaintance
        self._certificate = certificate
        self._directory = acquaintance.directory
        self._outcome: Suggested | NoSuggestion | None = None
        self._id = certificate_id(certificate.der)

    def next_step(self) -> Send | Suggested | NoSuggestion:
        """What to do now."""
        if self._outcome is not None:
            return self._outcome
        if self._directory is None:
            return Send(Request("GET", self._known.directory_url))
        if not self._directory.renewal_info or self._id is None:
            return NoSuggestion("the authority makes no suggestions", MAX_AGAIN_S)
        return Send(Request("GET", f"{self._directory.renewal_info.rstrip('/')}/{self._id}"))

    def receive_response(self, response: Response | Unreachable, now: datetime) -> None:
        """Take what came of ``Send``."""
        match response:
            case Unreachable(reason):
                self._outcome = NoSuggestion(reason)
            case Response() if response.status != OK:
                self._outcome = NoSuggestion(f"answered {response.status}", _again_s(response, now))
            case Response() if self._directory is None:
                self._read_directory(response)
            case Response():
                window = read_window(response.body)
                again_s = _again_s(response, now)
                if isinstance(window, Malformed):
                    self._outcome = NoSuggestion(window.reason, again_s)
                else:
                    self._outcome = Suggested(moment_in(window, self._certificate.der), again_s)
            case _ as never:
                assert_never(never)

    def _read_directory(self, response: Response) -> None:
        directory = read_object(response.body, Directory)
        if isinstance(directory, Malformed):
            self._outcome = NoSuggestion(directory.reason)
        else:
            self._known.directory = self._directory = directory


def _again_s(response: Response, now: datetime) -> float:
    wait_s = retry_after_s(response, now)
    return AGAIN_S if wait_s is None else min(max(wait_s, MIN_AGAIN_S), MAX_AGAIN_S)
