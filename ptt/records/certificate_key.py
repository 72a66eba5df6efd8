"""The private key of a public host, made from a secret seed: the same in every generation and replica.

ECDSA P-256, by HKDF (RFC 5869) with SHA-256 from the seed, the host's name and a counter, then a number
between 1 and the group's order (FIPS 186-5 §A.2.1: 64 bits more than the order has, so that no key is
likelier than another). A new counter gives an unrelated key. Not the original's way: there such keys are RSA
from a seed (``seeds``), which nobody has (ptt-deployer sets none); see docs/decisions/certificate-key.md.
"""

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.records.keys import MIN_SEED_OCTETS

PURPOSE = b"ptt public certificate key 1"
GROUP_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # SEC 2 §2.4.2
DRAWN_OCTETS = 40  # 256 bits and 64 more
MAX_SEED_CHARACTERS = 4096
MAX_COUNTER = 2**32 - 1


def parse_seed(text: str) -> bytes | Malformed:
    """Read a seed as it stands in a boot record: base64, 16 octets or more. A reason never shows it."""
    if len(text) > MAX_SEED_CHARACTERS:
        return Malformed(f"a seed of more than {MAX_SEED_CHARACTERS} characters")
    try:
        seed = base64.b64decode(text.rstrip("\r\n").encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return Malformed("a seed that is not base64 (with its padding)")
    if len(seed) < MIN_SEED_OCTETS:
        return Malformed(f"a seed of {len(seed)} octets; {MIN_SEED_OCTETS} or more cannot be guessed")
    return seed


def derive_key(seed: bytes, host: Name, counter: int) -> EllipticCurvePrivateKey:
    """The key of ``host``; raises ``MisuseError`` for a counter that is none of 32 bits."""
    if not 0 <= counter <= MAX_COUNTER:
        raise MisuseError(f"a key counter of {counter}")
    name = b"".join(len(label).to_bytes(1, "big") + label for label in host.labels) + b"\0"
    info = PURPOSE + counter.to_bytes(4, "big") + name
    drawn = int.from_bytes(HKDF(SHA256(), DRAWN_OCTETS, None, info).derive(seed), "big")
    return derive_private_key(drawn % (GROUP_ORDER - 1) + 1, SECP256R1())
