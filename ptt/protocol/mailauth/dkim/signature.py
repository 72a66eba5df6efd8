"""The DKIM-Signature field as its reader sees it (RFC 6376 §3.5), and the octets that it signs (§3.7).

What breaks the grammar, lacks a required tag or contradicts itself is malformed: such a signature says
nothing. The ARC-Message-Signature has the same form without v= and with another i= (RFC 8617 §4.1.2).
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Field
from ptt.protocol.mailauth.dkim.canonicalization import Canonicalization, HashAlgorithm, canonical_field
from ptt.protocol.mailauth.tag_list import colon_list, parse_tag_list, without_white_space

MAX_NUMBER_DIGITS = 76  # RFC 6376 §3.5, l= (longer than any number that can mean something)


class Algorithm(Enum):
    """The algorithms that there are (RFC 8301 §3, RFC 8463 §3); the value is the word of the a= tag."""

    RSA_SHA256 = b"rsa-sha256"
    ED25519_SHA256 = b"ed25519-sha256"
    RSA_SHA1 = b"rsa-sha1"

    @property
    def key_type(self) -> bytes:
        """The word of the k= tag of the key record."""
        return self.value.partition(b"-")[0]

    @property
    def hash_algorithm(self) -> HashAlgorithm:
        """The hash for body and header fields."""
        return HashAlgorithm(self.value.partition(b"-")[2].decode())


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that can be verified.

    ``fields`` are the names of h= in lower case. ``identity_domain`` is the domain of i= (by default that of
    d=), ``identity`` all of i= decoded. Times are in seconds since 1970.
    """

    algorithm: Algorithm
    domain: Name
    selector: Name
    header_canonicalization: Canonicalization
    body_canonicalization: Canonicalization
    fields: tuple[bytes, ...]
    body_hash: bytes
    signature: bytes
    identity: bytes
    identity_domain: Name
    body_limit_octets: int | None
    timestamp: int | None
    expiration: int | None


def parse_signature(value: bytes) -> Signature | Malformed:
    """Read the value of a DKIM-Signature field, folded or not."""
    tags = parse_tag_list(value)
    if isinstance(tags, Malformed):
        return tags
    if tags.get(b"v") != b"1":
        return Malformed("v= is not 1")  # RFC 6376 §6.1.1: drafts and the future are not ours to guess
    signature = signature_of(tags, identity=tags.get(b"i"))
    if isinstance(signature, Signature) and b"from" not in signature.fields:
        return Malformed("From is not signed")  # RFC 6376 §6.1.1
    return signature


def signature_of(
    tags: dict[bytes, bytes], identity: bytes | None, default_forms: bytes = b"simple/simple"
) -> Signature | Malformed:
    """Read the tags that DKIM and ARC signatures share; ``identity`` is i= where it names somebody.

    ``default_forms`` is what a missing c= means.
    """
    missing = next((tag for tag in (b"a", b"b", b"bh", b"d", b"s") if not tags.get(tag)), None)
    if missing is None and b"h" not in tags:
        missing = b"h"
    if missing is not None:
        return Malformed(f"{missing.decode()}= is missing")
    algorithm = parse_algorithm(tags[b"a"])
    if isinstance(algorithm, Malformed):
        return algorithm
    forms = _forms(tags.get(b"c", default_forms))
    if isinstance(forms, Malformed):
        return forms
    names = parse_names(tags)
    if isinstance(names, Malformed):
        return names
    octets = parse_base64(tags[b"bh"]), parse_base64(tags[b"b"])
    if isinstance(octets[0], Malformed) or isinstance(octets[1], Malformed):
        return Malformed("bh= or b= is not base64")
    numbers = _numbers(tags)
    if isinstance(numbers, Malformed):
        return numbers
    fields = tuple(name.lower() for name in colon_list(tags[b"h"]))
    if b"dns/txt" not in colon_list(tags.get(b"q", b"dns/txt")):
        return Malformed("q= names no way to the key that we know")
    who = _identity(identity, names[0])
    if isinstance(who, Malformed):
        return who
    return Signature(algorithm, *names, *forms, fields, octets[0], octets[1], *who, *numbers)


def parse_algorithm(word: bytes) -> Algorithm | Malformed:
    """Read a=, in which case matters (RFC 6376 §3.2)."""
    found = next((each for each in Algorithm if each.value == word), None)
    return Malformed("an unknown algorithm") if found is None else found


def parse_names(tags: dict[bytes, bytes]) -> tuple[Name, Name] | Malformed:
    """Read d= and s=."""
    domain, selector = _name(tags[b"d"]), _name(tags[b"s"])
    if isinstance(domain, Malformed) or isinstance(selector, Malformed):
        return Malformed("d= or s= is not a name")
    return domain, selector


def parse_base64(value: bytes) -> bytes | Malformed:
    """Read base64 that may be folded."""
    try:
        return base64.b64decode(without_white_space(value), validate=True)
    except binascii.Error:
        return Malformed("not base64")


def signed_octets(
    canonicalization: Canonicalization, names: Sequence[bytes], fields: Sequence[Field], own: Field
) -> bytes:
    """What a signature covers of the header: the named fields, then its own without b= (RFC 6376 §3.7).

    A name said for the n-th time means the n-th such field from the bottom, or nothing (§5.4.2). ``own`` is
    never among the named.
    """
    wanted: dict[bytes, list[Field]] = {name: [] for name in names}
    for field in fields:
        if field.lower in wanted and field is not own:
            wanted[field.lower].append(field)
    covered = [
        canonical_field(canonicalization, *halves(wanted[name].pop())) for name in names if wanted[name]
    ]
    name, value = halves(own)
    covered.append(canonical_field(canonicalization, name, without_signature(value)).removesuffix(b"\r\n"))
    return b"".join(covered)


def halves(field: Field) -> tuple[bytes, bytes]:
    """All before the colon, and all behind it but the final CRLF: as written."""
    name, _, value = field.raw.partition(b":")
    return name, value.removesuffix(b"\r\n")


_B_TAG = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")


def without_signature(value: bytes) -> bytes:
    """The value of a signature field with b= emptied (RFC 6376 §3.7)."""
    return _B_TAG.sub(rb"\1", value, count=1)


def _forms(value: bytes) -> tuple[Canonicalization, Canonicalization] | Malformed:
    header, _, body = value.partition(b"/")
    try:
        return Canonicalization(header), Canonicalization(body or b"simple")
    except ValueError:
        return Malformed("an unknown canonicalization")


def _name(value: bytes) -> Name | Malformed:
    try:
        text = value.decode()  # RFC 8616 §4: U-labels are possible
    except UnicodeDecodeError:
        return Malformed("not UTF-8")
    if any(char in text for char in " \t\r\n\\") or text.endswith("."):
        return Malformed("not a domain name")
    return Name.parse(text)


def _numbers(tags: dict[bytes, bytes]) -> tuple[int | None, int | None, int | None] | Malformed:
    length, made, expires = (tags.get(tag) for tag in (b"l", b"t", b"x"))
    for number in (length, made, expires):
        if number is not None and not (number.isdigit() and len(number) <= MAX_NUMBER_DIGITS):
            return Malformed("l=, t= or x= is not a number")
    if made is not None and expires is not None and int(expires) <= int(made):
        return Malformed("x= is not after t=")  # RFC 6376 §3.5
    return (
        None if length is None else int(length),
        None if made is None else int(made),
        None if expires is None else int(expires),
    )


_QUOTED = re.compile(rb"=([0-9A-F]{2})")


def _identity(value: bytes | None, domain: Name) -> tuple[bytes, Name] | Malformed:
    if value is None:
        return b"@" + domain.text.encode(), domain
    # RFC 6376 §2.11: dkim-quoted-printable, white space means nothing
    decoded = _QUOTED.sub(lambda match: bytes([int(match[1], 16)]), without_white_space(value))
    _, at, host = decoded.rpartition(b"@")
    name = _name(host)
    if not at or isinstance(name, Malformed) or not name.is_at_or_below(domain):
        return Malformed("i= is not in the domain of d=")
    return decoded, name
