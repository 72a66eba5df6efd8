"""The public key of a signer as published in the DNS (RFC 6376 §3.6, RFC 8301 §3.2, RFC 8463 §4).

``key_for`` turns the answer of a look-up into the key for one algorithm, or says why there is none. Of
several records at a name, of which RFC 6376 §3.6.2.2 makes the result undefined, the first with a fitting
key counts: some publish an RSA and an Ed25519 key under one selector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, Hash, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Answer, Rcode, Txt
from ptt.protocol.mailauth.dkim.signature import Algorithm, parse_base64
from ptt.protocol.mailauth.results import DkimResult
from ptt.protocol.mailauth.tag_list import colon_list, parse_tag_list

MAX_RSA_BITS = 8192  # RFC 8301 §3.2 asks for 4096; beyond this a check costs more than a mail is worth
MAX_RECORDS = 8  # at one name; each costs the reading of a key

PublicKey = RSAPublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A usable key. ``is_strict``: i= must be in the very domain of d= (t=s); ``is_testing``: t=y."""

    public: PublicKey
    hashes: frozenset[bytes] | None
    is_strict: bool
    is_testing: bool

    @property
    def key_type(self) -> bytes:
        """The word of k=."""
        return b"rsa" if isinstance(self.public, RSAPublicKey) else b"ed25519"

    @property
    def rsa_bits(self) -> int | None:
        """The length of an RSA key."""
        return self.public.key_size if isinstance(self.public, RSAPublicKey) else None


@dataclass(frozen=True, slots=True)
class NoKey:
    """Why there is no key: for good (``PERMERROR``) or for now (``TEMPERROR``)."""

    result: DkimResult
    reason: str


def key_for(answer: Answer, algorithm: Algorithm) -> KeyRecord | NoKey:
    """Take the key for ``algorithm`` from the answer to TXT at ``SELECTOR._domainkey.DOMAIN``."""
    if answer.is_failure:
        return NoKey(DkimResult.TEMPERROR, "the key could not be looked up")
    records = answer.of(Txt)[:MAX_RECORDS]
    if answer.rcode is Rcode.NXDOMAIN or not records:
        return NoKey(DkimResult.PERMERROR, "no key")
    parsed = [parse_key_record(record.joined) for record in records]
    keys = [record for record in parsed if isinstance(record, KeyRecord)]
    if not keys:
        reasons = [record.reason for record in parsed if isinstance(record, Malformed)]
        return NoKey(DkimResult.PERMERROR, reasons[0])
    return _fitting(keys, algorithm)


def _fitting(keys: Sequence[KeyRecord], algorithm: Algorithm) -> KeyRecord | NoKey:
    of_type = [key for key in keys if key.key_type == algorithm.key_type]
    if not of_type:
        return NoKey(DkimResult.PERMERROR, "a key for another algorithm")
    word = algorithm.hash_algorithm.value.encode()
    for key in of_type:
        if key.hashes is None or word in key.hashes:
            return key
    return NoKey(DkimResult.PERMERROR, "a key for another hash")


def parse_key_record(text: bytes) -> KeyRecord | Malformed:
    """Read the text of a key record; a revoked or inapplicable key is malformed, with that as the reason."""
    tags = parse_tag_list(text)
    if isinstance(tags, Malformed):
        return Malformed("the key record is not a list of tags")
    if b"v" in tags and (tags[b"v"] != b"DKIM1" or next(iter(tags)) != b"v"):
        return Malformed("the key record has another version")  # RFC 6376 §3.6.1: if there, DKIM1 and first
    if b"p" not in tags:
        return Malformed("the key record has no key")
    if not tags[b"p"]:
        return Malformed("the key was revoked")
    if not {b"*", b"email"}.intersection(colon_list(tags.get(b"s", b"*"))):
        return Malformed("the key is not for mail")
    public = _public_key(tags.get(b"k", b"rsa"), tags[b"p"])
    if isinstance(public, Malformed):
        return public
    flags = colon_list(tags.get(b"t", b""))
    hashes = frozenset(colon_list(tags[b"h"])) if b"h" in tags else None
    return KeyRecord(public, hashes, is_strict=b"s" in flags, is_testing=b"y" in flags)


def _public_key(kind: bytes, text: bytes) -> PublicKey | Malformed:
    octets = parse_base64(text)
    if isinstance(octets, Malformed):
        return Malformed("the key is not base64")
    try:
        if kind == b"ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        # Both forms are in use: SubjectPublicKeyInfo and, as the text of the RFC says, RSAPublicKey
        key = load_der_public_key(octets) if kind == b"rsa" else None
    except (ValueError, UnsupportedAlgorithm):
        return Malformed("the key cannot be read")
    if not isinstance(key, RSAPublicKey):
        return Malformed("a key of an unknown type")
    return key if key.key_size <= MAX_RSA_BITS else Malformed(f"a key of more than {MAX_RSA_BITS} bits")


def is_signed(key: KeyRecord, algorithm: Algorithm, signature: bytes, octets: bytes) -> bool:
    """Whether ``signature`` was made over ``octets`` with the private half of ``key``."""
    kind: HashAlgorithm = SHA1() if algorithm is Algorithm.RSA_SHA1 else SHA256()  # noqa: S303 - old mail
    digest = Hash(kind)
    digest.update(octets)
    try:
        if isinstance(key.public, RSAPublicKey):
            key.public.verify(signature, digest.finalize(), PKCS1v15(), Prehashed(kind))
        else:
            key.public.verify(signature, digest.finalize())  # RFC 8463 §3
    except (InvalidSignature, ValueError):
        return False
    return True
