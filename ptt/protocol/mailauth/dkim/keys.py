"""The keys that sign, and the record that publishes them (RFC 6376 §3.3, §3.6.1; RFC 8301; RFC 8463).

A key is loaded once: reading RSA in PEM form checks its numbers, which takes longer than a hundred
signatures. RSA below 1024 bits is refused, 2048 is what new keys should have (RFC 8301 §3.2).
"""

import base64
import re
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name

MIN_RSA_BITS = 1024  # RFC 8301 §3.2: signers MUST use at least so many, verifiers MUST NOT accept fewer

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

_SUB_DOMAINS = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the names under which its record is published: ``SELECTOR._domainkey.DOMAIN``."""

    selector: Name
    domain: Name
    private: PrivateKey

    def __post_init__(self) -> None:
        for name in (self.selector, self.domain):
            # RFC 6376 §3.5, d= and s=: what a tag can hold without quoting
            if not _SUB_DOMAINS.fullmatch(name.text):
                raise MisuseError(f"{name} cannot stand in a DKIM-Signature")
        if isinstance(self.private, RSAPrivateKey) and self.private.key_size < MIN_RSA_BITS:
            raise MisuseError(f"an RSA key of {self.private.key_size} bits, less than {MIN_RSA_BITS}")
        if isinstance(self.record_name, Malformed):
            raise MisuseError(f"{self.selector} and {self.domain}: {self.record_name.reason}")

    @property
    def record_name(self) -> Name | Malformed:
        """The owner of the TXT record with the public key (RFC 6376 §3.6.2.1)."""
        return self.domain.below(*self.selector.labels, b"_domainkey")


def load_signing_key(text: str) -> PrivateKey | Malformed:
    """Read a private key in PEM form (PKCS #1 or PKCS #8, no pass phrase), or the base64 of its DER form.

    The reason of a ``Malformed`` never shows any part of the key.
    """
    try:
        if "-----BEGIN" in text:
            key = load_pem_private_key(text.strip().encode(), password=None)
        else:
            key = load_der_private_key(base64.b64decode("".join(text.split()), validate=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return Malformed("not a private key in PEM form, or one with a pass phrase")
    if isinstance(key, RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            return Malformed(
                f"an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are needed, 2048 are wise"
            )
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    return Malformed("neither an RSA nor an Ed25519 key")


def public_record(key: PrivateKey) -> bytes:
    """The text of the TXT record that publishes the key (RFC 6376 §3.6.1, RFC 8463 §4)."""
    if isinstance(key, RSAPrivateKey):
        kind = b"rsa"
        octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, octets = b"ed25519", key.public_key().public_bytes_raw()
    return b"v=DKIM1; k=%b; p=%b" % (kind, base64.b64encode(octets))
