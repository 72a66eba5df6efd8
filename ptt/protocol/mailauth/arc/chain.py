"""The ARC sets of a message and whether they form a chain (RFC 8617 §4, §5.2 steps 1 to 3).

A set has one ARC-Authentication-Results, one ARC-Message-Signature and one ARC-Seal of the same instance;
the instances count from 1 without a gap, to 50 at most (§4.2.1). Anything else is no chain. Signatures are
not looked at here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Field, Header
from ptt.protocol.mailauth.dkim.canonicalization import Canonicalization, canonical_field
from ptt.protocol.mailauth.dkim.signature import (
    Algorithm,
    Signature,
    halves,
    parse_algorithm,
    parse_base64,
    parse_names,
    signature_of,
    without_signature,
)
from ptt.protocol.mailauth.tag_list import parse_tag_list

MAX_INSTANCES = 50  # RFC 8617 §4.2.1

RESULTS = b"arc-authentication-results"
MESSAGE_SIGNATURE = b"arc-message-signature"
SEAL = b"arc-seal"

_INSTANCE = re.compile(rb"[1-9][0-9]?")
_RESULTS_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([1-9][0-9]?)[ \t\r\n]*;")


@dataclass(frozen=True, slots=True)
class Seal:
    """An ARC-Seal (§4.1.3). ``chain_word`` is cv=: ``none``, ``pass`` or ``fail``."""

    algorithm: Algorithm
    domain: Name
    selector: Name
    signature: bytes
    chain_word: bytes


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One hop's set: the three fields and what two of them say."""

    results_field: Field
    signature_field: Field
    seal_field: Field
    signature: Signature
    seal: Seal

    @property
    def fields(self) -> tuple[Field, Field, Field]:
        """The fields in the order in which they are sealed (§5.1.1)."""
        return self.results_field, self.signature_field, self.seal_field


def parse_chain(header: Header) -> tuple[ArcSet, ...] | Malformed:
    """Read the sets, the oldest first; no ARC field at all is an empty chain."""
    found = [field for field in header.fields if field.lower in {RESULTS, MESSAGE_SIGNATURE, SEAL}]
    if len(found) > 3 * MAX_INSTANCES:
        return Malformed(f"more than {MAX_INSTANCES} ARC sets")
    by_place: dict[tuple[bytes, int], _Tagged] = {}
    for field in found:
        tagged = _read(field)
        if isinstance(tagged, Malformed):
            return tagged
        place = field.lower, tagged.instance
        if place in by_place:
            return Malformed(f"two ARC fields of one kind and instance {tagged.instance}")
        by_place[place] = tagged
    sets: list[ArcSet] = []
    for instance in range(1, len(found) // 3 + 1):
        each = _arc_set(*(by_place.get((name, instance)) for name in (RESULTS, MESSAGE_SIGNATURE, SEAL)))
        if isinstance(each, Malformed):
            return Malformed(f"ARC set {instance}: {each.reason}")
        sets.append(each)
    return tuple(sets) if len(found) == 3 * len(sets) else Malformed("an ARC set is not complete")


def highest_instance(header: Header) -> int:
    """The highest instance that any ARC field claims, chain or not."""
    read = [_read(field) for field in header.fields if field.lower in {RESULTS, MESSAGE_SIGNATURE, SEAL}]
    return max((each.instance for each in read if isinstance(each, _Tagged)), default=0)


def sealed_octets(sets: Sequence[tuple[Field, ...]], own: Field) -> bytes:
    """What a seal covers: all fields of ``sets``, then itself without b= (§5.1.1)."""
    covered = [
        canonical_field(Canonicalization.RELAXED, *halves(field)) for fields in sets for field in fields
    ]
    name, value = halves(own)
    last = canonical_field(Canonicalization.RELAXED, name, without_signature(value))
    return b"".join([*covered, last.removesuffix(b"\r\n")])


@dataclass(frozen=True, slots=True)
class _Tagged:
    field: Field
    instance: int
    tags: dict[bytes, bytes]


def _read(field: Field) -> _Tagged | Malformed:
    """An ARC field with its i=, which in ARC-Authentication-Results stands first (§4.1.1)."""
    value = halves(field)[1]
    if field.lower == RESULTS:
        match = _RESULTS_INSTANCE.match(value)
        tags: dict[bytes, bytes] | Malformed = {} if match is None else {b"i": match[1]}
    else:
        tags = parse_tag_list(value)
    if isinstance(tags, Malformed):
        return Malformed(f"{field.name.decode()}: {tags.reason}")
    text = tags.get(b"i", b"")
    if not _INSTANCE.fullmatch(text) or int(text) > MAX_INSTANCES:
        return Malformed(f"{field.name.decode()}: i= is no instance")
    return _Tagged(field, int(text), tags)


def _arc_set(
    results: _Tagged | None, message_signature: _Tagged | None, sealing: _Tagged | None
) -> ArcSet | Malformed:
    if results is None or message_signature is None or sealing is None:
        return Malformed("a field is missing")
    signature, seal = _message_signature(message_signature.tags), _seal(sealing.tags)
    if isinstance(signature, Malformed):
        return Malformed(f"ARC-Message-Signature: {signature.reason}")
    if isinstance(seal, Malformed):
        return Malformed(f"ARC-Seal: {seal.reason}")
    return ArcSet(results.field, message_signature.field, sealing.field, signature, seal)


def _message_signature(tags: dict[bytes, bytes]) -> Signature | Malformed:
    # Deviation: the text of §4.1.2 leads to simple/simple; sealers, and the public suite, mean relaxed
    signature = signature_of(tags, identity=None, default_forms=b"relaxed/relaxed")
    if isinstance(signature, Signature) and SEAL in signature.fields:
        return Malformed("seals are not signed by message signatures")  # §4.1.2
    return signature


def _seal(tags: dict[bytes, bytes]) -> Seal | Malformed:
    missing = next((tag for tag in (b"a", b"b", b"cv", b"d", b"s") if not tags.get(tag)), None)
    if missing is not None:
        return Malformed(f"{missing.decode()}= is missing")
    if b"h" in tags:
        return Malformed("h= has no place here")  # §4.1.3: the covered fields are not a choice
    if tags[b"cv"] not in {b"none", b"pass", b"fail"}:
        return Malformed("cv= is none, pass or fail")
    if not tags.get(b"t", b"0").isdigit():
        return Malformed("t= is not a number")
    algorithm, names, signature = parse_algorithm(tags[b"a"]), parse_names(tags), parse_base64(tags[b"b"])
    if isinstance(algorithm, Malformed):
        return algorithm
    if isinstance(names, Malformed):
        return names
    if isinstance(signature, Malformed):
        return signature
    return Seal(algorithm, *names, signature, tags[b"cv"])
