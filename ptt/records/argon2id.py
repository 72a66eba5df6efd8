"""argon2id verifiers (RFC 9106) in the usual form ``$argon2id$v=19$m=…,t=…,p=…$salt$hash`` [T3].

Memory, passes and lanes are bounded when a verifier is read, so that no record can stall a unit or take its
memory.
"""

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field

from argon2.low_level import Type, hash_secret_raw

from ptt.errors import Malformed, MisuseError
from ptt.records.password_text import password_octets, prepare_opaque_string

# What we make: 25 ms of one core, without the interpreter's lock, so that a dialogue beside it waits 5 ms
# at most; and a few at a time fit into a unit of 64 MB. Of the equally strong choices of RFC 9106's
# successors it is the quickest of those measured (m=46 MiB t=1: 56 ms; m=12 MiB t=3: 24 ms; m=7 MiB t=5: 22
# ms, but least memory).
PASSES = 2
MEMORY_KIB = 19 * 1024
LANES = 1
HASH_OCTETS = 32

SALT_OCTETS = 16  # RFC 9106 §3.1 recommends 16 for passwords
MIN_SALT_OCTETS = 8  # RFC 9106 §3.1
MAX_SALT_OCTETS = 64
MIN_HASH_OCTETS = 16  # a shorter one could be met by chance
MAX_HASH_OCTETS = 64

# What we read: one check at the limits takes about 0.7 s.
MAX_MEMORY_KIB = 256 * 1024
MAX_PASSES = 10
MAX_LANES = 4
MAX_WORK_KIB = 1024 * 1024  # memory times passes
MIN_LANE_KIB = 8  # RFC 9106 §3.1

_NUMBER = r"([1-9][0-9]{0,7})"
_BASE64 = r"([A-Za-z0-9+/]{1,128})"
_FORM = re.compile(rf"\$argon2id\$v=19\$m={_NUMBER},t={_NUMBER},p={_NUMBER}\${_BASE64}\${_BASE64}")


@dataclass(frozen=True, slots=True)
class Argon2idVerifier:
    """An argon2id hash with its parameters, encoded; built by ``parse_argon2id`` and ``make_argon2id``."""

    encoded: str = field(repr=False)

    @property
    def text(self) -> str:
        """The form that is stored."""
        return self.encoded

    @property
    def cost(self) -> tuple[int, int, int]:
        """Memory in KiB, passes, lanes: verifiers of equal cost take equal time."""
        parts = _parts_of(self)
        return parts.memory_kib, parts.passes, parts.lanes

    def matches(self, password: str) -> bool:
        """Whether it was made from ``password``."""
        parts = _parts_of(self)
        return hmac.compare_digest(parts.digest, _hash(parts, password))


@dataclass(frozen=True, slots=True)
class _Parts:
    memory_kib: int
    passes: int
    lanes: int
    salt: bytes
    digest: bytes


def parse_argon2id(text: str) -> Argon2idVerifier | Malformed:
    """Read the encoded form; only version 19 (1.3), which is the only one in use."""
    parts = _parse(text)
    return parts if isinstance(parts, Malformed) else Argon2idVerifier(text)


def make_argon2id(password: str, salt: bytes) -> Argon2idVerifier:
    """A new verifier with our parameters. ``salt``: 16 random octets."""
    if not MIN_SALT_OCTETS <= len(salt) <= MAX_SALT_OCTETS:
        raise MisuseError(f"a salt of {len(salt)} octets")
    shape = _Parts(MEMORY_KIB, PASSES, LANES, salt, bytes(HASH_OCTETS))
    return _encode(_Parts(MEMORY_KIB, PASSES, LANES, salt, _hash(shape, password)))


def unmatchable_argon2id(memory_kib: int, passes: int, lanes: int) -> Argon2idVerifier:
    """A verifier of the given cost whose password nobody knows."""
    return _encode(_Parts(memory_kib, passes, lanes, bytes(SALT_OCTETS), bytes(HASH_OCTETS)))


def _parse(text: str) -> _Parts | Malformed:
    match = _FORM.fullmatch(text)
    if match is None:
        return Malformed("not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash")
    memory_kib, passes, lanes = (int(number) for number in match.group(1, 2, 3))
    if memory_kib > MAX_MEMORY_KIB:
        return Malformed(f"argon2id with m above {MAX_MEMORY_KIB} KiB")
    if passes > MAX_PASSES or memory_kib * passes > MAX_WORK_KIB:
        return Malformed(f"argon2id with t above {MAX_PASSES}, or m times t above {MAX_WORK_KIB} KiB")
    if lanes > MAX_LANES or memory_kib < MIN_LANE_KIB * lanes:
        return Malformed(f"argon2id with p above {MAX_LANES}, or m below {MIN_LANE_KIB} KiB a lane")
    salt, digest = _decode(match.group(4)), _decode(match.group(5))
    if not MIN_SALT_OCTETS <= len(salt) <= MAX_SALT_OCTETS:
        return Malformed(f"an argon2id salt that is not {MIN_SALT_OCTETS} to {MAX_SALT_OCTETS} octets")
    if not MIN_HASH_OCTETS <= len(digest) <= MAX_HASH_OCTETS:
        return Malformed(f"an argon2id hash that is not {MIN_HASH_OCTETS} to {MAX_HASH_OCTETS} octets")
    return _Parts(memory_kib, passes, lanes, salt, digest)


def _parts_of(verifier: Argon2idVerifier) -> _Parts:
    parts = _parse(verifier.encoded)
    if isinstance(parts, Malformed):
        raise MisuseError(f"an argon2id verifier that was not parsed: {parts.reason}")
    return parts


def _encode(parts: _Parts) -> Argon2idVerifier:
    salt, digest = (base64.b64encode(part).decode("ascii").rstrip("=") for part in (parts.salt, parts.digest))
    return Argon2idVerifier(
        f"$argon2id$v=19$m={parts.memory_kib},t={parts.passes},p={parts.lanes}${salt}${digest}"
    )


def _hash(parts: _Parts, password: str) -> bytes:
    return hash_secret_raw(
        secret=password_octets(prepare_opaque_string(password)),
        salt=parts.salt,
        time_cost=parts.passes,
        memory_cost=parts.memory_kib,
        parallelism=parts.lanes,
        hash_len=len(parts.digest),
        type=Type.ID,
    )


def _decode(text: str) -> bytes:
    """Base64 without padding; nothing where the length cannot be."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""
