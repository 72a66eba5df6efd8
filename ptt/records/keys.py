"""Private keys as settings hold them, and which octets of a setting are the seed.

One form is new: a PEM block (PKCS#8, PKCS#1, SEC1 or OpenSSH). The others are the original's:
``ed25519:BASE64`` is the private key itself; ``rsa:TEXT`` and the ACME account's text are seeds as they are
written, not decoded; the seeds of DKIM and of internal certificates are base64 and are decoded, strictly,
because another seed would be another key without a word. A line end after the text does not count; anything
else does. What a seed becomes is in ``seeds``.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from ptt.errors import Malformed
from ptt.records.seeds import MAX_RSA_BITS, rsa_from_seed

MIN_RSA_BITS = 2048  # the least that the original makes, and what RFC 8301 §3.2 asks of signers
MIN_SEED_OCTETS = 16  # the key is as hard to guess as its seed; below this somebody should be told
ED25519_OCTETS = 32  # RFC 8032 §5.1.5
MAX_TEXT_CHARACTERS = 16384  # a PEM block of RSA-8192 has 6,300
ORIGINAL_COMMENT = "awa@awa.local"  # what the original's key tool writes behind a public key

PrivateKey = RSAPrivateKey | Ed25519PrivateKey | EllipticCurvePrivateKey


class SeedForm(Enum):
    """How a bare or ``rsa:`` setting becomes the octets of a seed."""

    PREFIXED_TEXT = "rsa:TEXT, the text as it is"
    TEXT = "the whole text as it is"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What a key is for: how its seed is written, how many bits come of it, which other kinds are taken."""

    name: str
    seed_form: SeedForm
    rsa_bits: int
    takes_ed25519: bool
    takes_p256: bool


SSH = KeyUse("SSH key", SeedForm.PREFIXED_TEXT, 4096, takes_ed25519=True, takes_p256=False)
DKIM = KeyUse("DKIM key", SeedForm.BASE64, 2048, takes_ed25519=True, takes_p256=False)
ACME_ACCOUNT = KeyUse("ACME account key", SeedForm.TEXT, 4096, takes_ed25519=False, takes_p256=True)
CERTIFICATE = KeyUse("certificate key", SeedForm.BASE64, 2048, takes_ed25519=True, takes_p256=True)

_PEM = re.compile(r"\s*-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----")


def parse_key(text: str, use: KeyUse, rsa_bits: int | None = None) -> PrivateKey | Malformed:
    """Read a setting. Making RSA-4096 from a seed takes seconds (``seeds``).

    ``rsa_bits`` is for seeds of another size than usual: the original's SSH keys had 2048 bits until the
    end of 2021, and a seed does not tell. The reason given for bad input never holds the text.
    """
    bits = use.rsa_bits if rsa_bits is None else rsa_bits
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        return Malformed(f"the {use.name}: {bits} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    if len(text) > MAX_TEXT_CHARACTERS:
        return Malformed(f"the {use.name}: longer than {MAX_TEXT_CHARACTERS} characters")
    found = _read(text, use)
    if isinstance(found, Malformed):
        return Malformed(f"the {use.name}: {found.reason}")
    return rsa_from_seed(found, bits) if isinstance(found, bytes) else found


def check_key(text: str, use: KeyUse) -> Malformed | None:
    """What ``parse_key`` would find wrong, at once: no key is made of a seed."""
    if len(text) > MAX_TEXT_CHARACTERS:
        return Malformed(f"the {use.name}: longer than {MAX_TEXT_CHARACTERS} characters")
    found = _read(text, use)
    return Malformed(f"the {use.name}: {found.reason}") if isinstance(found, Malformed) else None


def is_seed(text: str, use: KeyUse) -> bool:
    """Whether ``text`` is a seed, of which the key is made, and not the key itself."""
    return isinstance(_read(text, use), bytes)


def is_seed_short(text: str, use: KeyUse) -> bool:
    """Whether ``text`` is a seed of fewer than 16 octets: taken, but worth a warning."""
    found = _read(text, use)
    return isinstance(found, bytes) and len(found) < MIN_SEED_OCTETS


def public_line(key: PrivateKey, comment: str = ORIGINAL_COMMENT) -> str:
    """The line of ``authorized_keys`` (RFC 4253 §6.6, RFC 8709 §4)."""
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return f"{public.decode('ascii')} {comment}".rstrip()


def public_spki(key: PrivateKey) -> bytes:
    """SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7)."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: PrivateKey) -> str:
    """PKCS#8, unencrypted: what ``parse_key`` reads back."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def ed25519_setting(key: Ed25519PrivateKey) -> str:
    """``ed25519:BASE64``."""
    return f"ed25519:{base64.b64encode(key.private_bytes_raw()).decode('ascii')}"


def _read(text: str, use: KeyUse) -> PrivateKey | bytes | Malformed:
    """The key, or the seed that it is made of."""
    pem = _PEM.match(text)
    if pem is not None:
        return _read_pem(text, use, is_openssh=pem.group(1) == "OPENSSH ")
    text = _without_line_end(text)
    kind, colon, value = text.partition(":")
    if use.takes_ed25519 and colon and kind.lower() == "ed25519":
        return _read_ed25519(value)
    return _seed(text, use)


def _seed(text: str, use: KeyUse) -> bytes | Malformed:
    match use.seed_form:
        case SeedForm.BASE64:
            seed = _decode(text)
        case SeedForm.TEXT:
            seed = text.encode("utf-8", "surrogatepass")
        case SeedForm.PREFIXED_TEXT:
            kind, _, value = text.partition(":")
            if kind.lower() != "rsa" or ":" in value:
                return Malformed("neither ed25519:BASE64 nor rsa:SEED nor a PEM block")
            seed = value.encode("utf-8", "surrogatepass")
        case _ as never:
            assert_never(never)
    if seed is None:
        return Malformed("neither base64 (with its padding) nor a PEM block")
    # Deviation from the original, which takes it: everybody knows the key of the empty seed.
    return seed or Malformed("an empty seed")


def _read_ed25519(value: str) -> Ed25519PrivateKey | Malformed:
    private = _decode(value)
    if private is None or len(private) != ED25519_OCTETS:
        return Malformed(f"behind ed25519: stand {ED25519_OCTETS} octets in base64")
    return Ed25519PrivateKey.from_private_bytes(private)


def _read_pem(text: str, use: KeyUse, *, is_openssh: bool) -> PrivateKey | Malformed:
    load = load_ssh_private_key if is_openssh else load_pem_private_key
    try:
        key = load(text.encode("utf-8", "surrogatepass"), password=None)
    except (ValueError, UnsupportedAlgorithm):
        return Malformed("a PEM block that cannot be read")
    except TypeError:
        return Malformed("a PEM block with a password; store it without")
    match key:
        case RSAPrivateKey() if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return key
        case RSAPrivateKey():
            return Malformed(f"RSA with {key.key_size} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}")
        case Ed25519PrivateKey() if use.takes_ed25519:
            return key
        case EllipticCurvePrivateKey(curve=SECP256R1()) if use.takes_p256:
            return key
        case _:
            return Malformed("a kind of key that cannot be used here")


def _without_line_end(text: str) -> str:
    return text.rstrip("\r\n")


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
