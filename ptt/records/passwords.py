"""Verifiers: what is stored in place of a password, and how a password is checked against it [S4, S6, T3].

Four forms, told apart by how they begin: argon2id, SCRAM-SHA-256, the original's BLAKE2b-512 (RFC 7693),
which is unsalted and quick to guess and is read so that nobody has to change a password when moving, and
argon2id of such a hash: what `ptt user upgrade` makes of it, as dear to guess as the first two.
BLAKE2b is of the password as typed; what is done to it before the first two is in ``password_text``. Salts
are arguments. A check costs 20 ms and more: it belongs into a worker.
"""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from ptt.errors import Malformed
from ptt.records import argon2id
from ptt.records.argon2id import Argon2idVerifier, make_argon2id, parse_argon2id, unmatchable_argon2id
from ptt.records.password_text import password_octets
from ptt.records.scram import (
    ScramVerifierRecord,
    make_scram,
    parse_scram,
    stand_in_scram,
    unmatchable_scram,
)

__all__ = [
    "Argon2idVerifier",
    "Blake2bVerifier",
    "FullVerifier",
    "ScramVerifierRecord",
    "Verifier",
    "WrappedVerifier",
    "check_login",
    "make_argon2id",
    "make_blake2b",
    "make_scram",
    "parse_verifier",
    "stand_in_scram",
    "unknown_user_verifier",
    "verify",
    "wrap",
]


@dataclass(frozen=True, slots=True)
class Blake2bVerifier:
    """BLAKE2b-512 of the password, as in the original's user files."""

    digest: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """128 hexadecimal digits."""
        return self.digest.hex()

    def matches(self, password: str) -> bool:
        """Whether it was made from ``password``."""
        return hmac.compare_digest(self.digest, _blake2b(password))


@dataclass(frozen=True, slots=True)
class WrappedVerifier:
    """argon2id of the 128 hexadecimal digits of a BLAKE2b hash: whoever has the password still logs in."""

    inner: Argon2idVerifier

    @property
    def text(self) -> str:
        """The form that is stored: ``blake2b+$argon2id$…``."""
        return f"{WRAPPED_PREFIX}{self.inner.text}"

    def matches(self, password: str) -> bool:
        """Whether the hash was made from ``password``."""
        return self.inner.matches(_blake2b(password).hex())


FullVerifier = Argon2idVerifier | WrappedVerifier | ScramVerifierRecord
"""The kinds that are dear to guess, so that checking one takes measurable time."""
Verifier = Blake2bVerifier | FullVerifier

WRAPPED_PREFIX = "blake2b+"
_BLAKE2B = re.compile(r"[0-9A-Fa-f]{128}")


def parse_verifier(text: str) -> Verifier | Malformed:
    """Read any of the forms. The reason given for bad input shows nothing of it."""
    if text.startswith("$argon2id$"):
        return parse_argon2id(text)
    if text.startswith("SCRAM-SHA-256$"):
        return parse_scram(text)
    if text.startswith(f"{WRAPPED_PREFIX}$argon2id$"):
        inner = parse_argon2id(text.removeprefix(WRAPPED_PREFIX))
        return inner if isinstance(inner, Malformed) else WrappedVerifier(inner)
    if _BLAKE2B.fullmatch(text):
        return Blake2bVerifier(bytes.fromhex(text))
    return Malformed("neither 128 hexadecimal digits nor $argon2id$… nor SCRAM-SHA-256$…")


def verify(verifier: Verifier, password: str) -> bool:
    """Whether ``password`` is the one; a wrong one takes as long. Costs what the parameters say."""
    return verifier.matches(password)


def check_login(verifier: Verifier | None, password: str, stand_in: FullVerifier) -> bool:
    """Check a login that may be unknown (``None``), at the cost of one full verification in every case [S4].

    ``stand_in`` (of ``unknown_user_verifier``) is what an unknown user and a user with a BLAKE2b hash pay
    for.
    """
    if isinstance(verifier, FullVerifier):
        return verify(verifier, password)
    verify(stand_in, password)
    return verifier is not None and verify(verifier, password)


def unknown_user_verifier(known: Iterable[Verifier] = ()) -> FullVerifier:
    """A verifier whose password nobody knows and that costs what most of the ``known`` ones cost.

    Without known ones it is argon2id with the parameters of ``make_argon2id``. A user whose verifier is of
    another kind than most can be told from an unknown one by time.
    """
    costs = Counter(_cost(verifier) for verifier in known if not isinstance(verifier, Blake2bVerifier))
    default = (argon2id.MEMORY_KIB, argon2id.PASSES, argon2id.LANES)
    # Of equally frequent ones always the same, whatever the order of the files.
    match max(costs, key=lambda cost: (costs[cost], cost), default=default):
        case (iterations,):
            return unmatchable_scram(iterations)
        case (memory_kib, passes, lanes):
            return unmatchable_argon2id(memory_kib, passes, lanes)
        case _ as never:
            assert_never(never)


def make_blake2b(password: str) -> Blake2bVerifier:
    """The original's form, for moving and for tests: it resists guessing badly."""
    return Blake2bVerifier(_blake2b(password))


def wrap(verifier: Blake2bVerifier, salt: bytes) -> WrappedVerifier:
    """A verifier for the same password that resists guessing. ``salt``: 16 random octets."""
    return WrappedVerifier(make_argon2id(verifier.text, salt))


def _cost(verifier: FullVerifier) -> tuple[int] | tuple[int, int, int]:
    match verifier:
        case Argon2idVerifier():
            return verifier.cost
        case WrappedVerifier(inner=inner):
            return inner.cost
        case ScramVerifierRecord(iterations=iterations):
            return (iterations,)
        case _ as never:
            assert_never(never)


def _blake2b(password: str) -> bytes:
    return hashlib.blake2b(password_octets(password)).digest()
