"""Signs a message: one DKIM-Signature field a key (RFC 6376 §5, RFC 8301, RFC 8463 §3).

All signatures cover the same fields of the message and not each other, so each verifies alone. A
message without exactly one From is refused (RFC 6376 §5.4, RFC 5322 §3.6): it never leaves unsigned.

Every field of ``SigningPolicy.fields`` is signed as often as it occurs; those that are ``oversigned`` are
named once more, so that one added later breaks the signature (RFC 6376 §5.4.2, §8.15).
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from ptt.errors import MisuseError
from ptt.protocol.mail.header import Field, Header
from ptt.protocol.mailauth.dkim.canonicalization import Canonicalization, HashAlgorithm, canonical_field
from ptt.protocol.mailauth.dkim.keys import PrivateKey, SigningKey
from ptt.protocol.mailauth.dkim.signature import halves

FIELD_NAME = b"DKIM-Signature"

OVERSIGNED_FIELDS = (
    # RFC 6376 §5.4.1 without those that lists and re-senders add; MIME fields decide what is shown.
    b"from",
    b"reply-to",
    b"subject",
    b"date",
    b"to",
    b"cc",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
)

# Deviation: signed where they are, not oversigned. A list adds List-* and Sender, who re-sends adds Resent-*
# (RFC 5322 §3.6.6): oversigned, every mail through a list that leaves author and text alone would fail.
SIGNED_IF_PRESENT_FIELDS = (
    b"sender",
    b"resent-date",
    b"resent-from",
    b"resent-to",
    b"resent-cc",
    b"list-id",
    b"list-help",
    b"list-unsubscribe",
    b"list-unsubscribe-post",  # RFC 8058 §4
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
)

# RFC 6376 §5.4: fields that are changed on the way; and the marks of others must not be bound to ours.
UNSIGNABLE_FIELDS = frozenset(
    {b"return-path", b"received", b"comments", b"keywords", b"dkim-signature", b"authentication-results"}
)

MAX_SIGNED_FIELDS = 1000  # a header of thousands of equal fields makes no h= tag that nobody could read
LINE_OCTETS = 74  # RFC 5322 §2.1.1: no more than 78, here with a tab before and ":" behind


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """What is signed and how.

    ``fields`` are lower-case names in the order of h=; ``oversigned`` a part of them; ``from`` is in both.
    ``expiration_s`` is added to ``now`` for x=; without it a signature does not expire.
    """

    fields: tuple[bytes, ...] = OVERSIGNED_FIELDS + SIGNED_IF_PRESENT_FIELDS
    oversigned: frozenset[bytes] = frozenset(OVERSIGNED_FIELDS)
    header_canonicalization: Canonicalization = Canonicalization.RELAXED
    body_canonicalization: Canonicalization = Canonicalization.RELAXED
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256
    expiration_s: int | None = None
    has_timestamp: bool = True

    def __post_init__(self) -> None:
        if b"from" not in self.fields or b"from" not in self.oversigned:
            raise MisuseError("From is always signed, and once more than it occurs")
        if not self.oversigned.issubset(self.fields) or not UNSIGNABLE_FIELDS.isdisjoint(self.fields):
            raise MisuseError("a field that cannot be signed, or oversigned though not signed")
        if self.hash_algorithm is not HashAlgorithm.SHA256:
            raise MisuseError("RFC 8301 §3.1: signers sign with SHA-256 only")
        if self.expiration_s is not None and self.expiration_s <= 0:
            raise MisuseError("a signature that has expired before it is made")


@dataclass(frozen=True, slots=True)
class SigningRefused:
    """The message cannot be signed, and so must not be sent. ``reason`` is harmless to show."""

    reason: str


def sign(
    header: Header, body_hash: bytes, keys: Sequence[SigningKey], policy: SigningPolicy, now: int
) -> list[bytes] | SigningRefused:
    """Make one complete DKIM-Signature field (folded, CRLF at the end) for each key, in their order.

    ``body_hash`` is the digest of a ``BodyHash`` with the body canonicalisation of ``policy`` and SHA-256;
    ``now`` is in seconds since 1970. The fields go before the header, anywhere above the signed ones.
    """
    if not keys:
        raise MisuseError("nothing to sign with")
    authors = sum(field.lower == b"from" for field in header.fields)
    if authors != 1:
        return SigningRefused("the message has no From field" if not authors else "more than one From field")
    names, fields = select(header.fields, policy.fields, policy.oversigned)
    if len(names) > MAX_SIGNED_FIELDS:
        return SigningRefused("too many header fields to sign")
    form = policy.header_canonicalization
    covered = b"".join(canonical_field(form, *halves(field)) for field in fields)
    middle = _tags_of_message(policy, names, body_hash, now)
    return [_signature(key, policy, middle, covered) for key in keys]


def select(
    fields: Sequence[Field], wanted: Sequence[bytes], oversigned: frozenset[bytes]
) -> tuple[list[bytes], list[Field]]:
    """The names for h= and the fields that they mean: of equal names the lowest first (RFC 6376 §5.4.2)."""
    by_name: dict[bytes, list[Field]] = {name: [] for name in wanted}
    for field in reversed(fields):
        if field.lower in by_name:
            by_name[field.lower].append(field)
    names = []
    for name, found in by_name.items():
        names += [name] * (len(found) + (name in oversigned))
    return names, [field for found in by_name.values() for field in found]


def _tags_of_message(policy: SigningPolicy, names: Sequence[bytes], body_hash: bytes, now: int) -> bytes:
    times = [b"t=%d;" % now] if policy.has_timestamp else []
    if policy.expiration_s is not None:
        times.append(b"x=%d;" % (now + policy.expiration_s))
    lines = [b" ".join(times)] if times else []
    lines += _folded_names(names)
    lines.append(b"bh=%b;" % base64.b64encode(body_hash))
    return b"\r\n\t".join(lines)


def _folded_names(names: Sequence[bytes]) -> list[bytes]:
    lines, line = [], b"h=" + names[0]
    for name in names[1:]:
        if len(line) + len(name) + 1 > LINE_OCTETS:
            lines.append(line + b":")
            line = name
        else:
            line += b":" + name
    return [*lines, line + b";"]


def _signature(key: SigningKey, policy: SigningPolicy, middle: bytes, covered: bytes) -> bytes:
    value = b"\r\n\t".join(
        (
            b" v=1; a=%b-%b; c=%b/%b;"
            % (
                b"ed25519" if isinstance(key.private, Ed25519PrivateKey) else b"rsa",
                policy.hash_algorithm.value.encode(),
                policy.header_canonicalization.value,
                policy.body_canonicalization.value,
            ),
            b"d=%b;" % key.domain.text.encode(),
            b"s=%b;" % key.selector.text.encode(),
            middle,
            b"b=",
        )
    )
    own = canonical_field(policy.header_canonicalization, FIELD_NAME, value).removesuffix(b"\r\n")
    digits = base64.b64encode(sign_digest(key.private, hashlib.sha256(covered + own).digest()))
    folded = b"\r\n\t".join(digits[at : at + LINE_OCTETS] for at in range(0, len(digits), LINE_OCTETS))
    return b"%b:%b%b\r\n" % (FIELD_NAME, value, folded)


def sign_digest(key: PrivateKey, digest: bytes) -> bytes:
    """Sign a SHA-256 hash."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(digest)  # RFC 8463 §3: pure Ed25519 over the SHA-256 hash
    return key.sign(digest, PKCS1v15(), Prehashed(SHA256()))
