"""SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) in the form that RFC 5803 gives them.

``SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey``: who reads one cannot log in with it. The number of
iterations is bounded, so that no record can stall a unit [T3].
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from ptt.errors import Malformed, MisuseError
from ptt.records.password_text import password_octets, prepare_saslprep

MIN_ITERATIONS = 100_000  # 22 ms, about what our argon2id costs; the 4,096 of RFC 7677 §4 are of 2015
MAX_ITERATIONS = 10_000_000  # 2.2 s
SALT_OCTETS = 16
MIN_SALT_OCTETS = 8  # as for argon2id (RFC 9106 §3.1); RFC 5802 names no least
MAX_SALT_OCTETS = 64
KEY_OCTETS = 32  # SHA-256

_BASE64 = r"([A-Za-z0-9+/]{1,128}={0,2})"
_FORM = re.compile(rf"SCRAM-SHA-256\$([1-9][0-9]{{0,7}}):{_BASE64}\${_BASE64}:{_BASE64}")


@dataclass(frozen=True, slots=True)
class ScramVerifierRecord:
    """What a server keeps of a password (RFC 5802 §3)."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The form that is stored."""
        salt, stored_key, server_key = (
            base64.b64encode(part).decode("ascii") for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored_key}:{server_key}"

    def matches(self, password: str) -> bool:
        """Whether it was made from ``password``: for the mechanisms that send it, PLAIN and LOGIN."""
        return hmac.compare_digest(self.stored_key, _keys(password, self.salt, self.iterations)[0])


def parse_scram(text: str) -> ScramVerifierRecord | Malformed:
    """Read the stored form. Deviation: RFC 5803 §2 lets blanks stand around ``$``; nobody writes them."""
    match = _FORM.fullmatch(text)
    if match is None:
        return Malformed("not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
    iterations = int(match.group(1))
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        return Malformed(f"SCRAM with iterations outside {MIN_ITERATIONS} to {MAX_ITERATIONS}")
    salt, stored_key, server_key = (_decode(part) for part in match.group(2, 3, 4))
    if not MIN_SALT_OCTETS <= len(salt) <= MAX_SALT_OCTETS:
        return Malformed(f"a SCRAM salt that is not {MIN_SALT_OCTETS} to {MAX_SALT_OCTETS} octets")
    if len(stored_key) != KEY_OCTETS or len(server_key) != KEY_OCTETS:
        return Malformed(f"a SCRAM key that is not {KEY_OCTETS} octets")
    return ScramVerifierRecord(salt, iterations, stored_key, server_key)


def make_scram(password: str, salt: bytes, iterations: int = MIN_ITERATIONS) -> ScramVerifierRecord:
    """A new record. ``salt``: 16 random octets."""
    if not MIN_SALT_OCTETS <= len(salt) <= MAX_SALT_OCTETS:
        raise MisuseError(f"a salt of {len(salt)} octets")
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise MisuseError(f"SCRAM with {iterations} iterations")
    return ScramVerifierRecord(salt, iterations, *_keys(password, salt, iterations))


def unmatchable_scram(iterations: int, salt: bytes = bytes(SALT_OCTETS)) -> ScramVerifierRecord:
    """A record of the given cost whose password nobody knows."""
    return ScramVerifierRecord(salt, iterations, bytes(KEY_OCTETS), bytes(KEY_OCTETS))


def stand_in_scram(secret: bytes, login: str, iterations: int) -> ScramVerifierRecord:
    """What a SCRAM dialogue shows for an unknown login: a salt that is the same each time, as a user's is.

    ``secret`` must outlive generations of the unit, else the salts of unknown logins change and those of
    users do not.
    """
    return unmatchable_scram(
        iterations, hmac.digest(secret, b"salt " + password_octets(login), "sha256")[:SALT_OCTETS]
    )


def _keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey (RFC 5802 §3)."""
    salted = hashlib.pbkdf2_hmac("sha256", password_octets(prepare_saslprep(password)), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")


def _decode(text: str) -> bytes:
    """Base64; nothing where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
