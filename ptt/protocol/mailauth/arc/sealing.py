"""Adds our own set to the chain (RFC 8617 §5.1): what we found, the message signed anew, both sealed.

A chain that has failed gets one last set that says so and seals only itself (§5.1.2); after that, and past
50 sets, nobody adds anything. While the state of the chain is in doubt nothing is sealed either: a set that
says ``fail`` can never be taken back.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ptt.errors import MisuseError
from ptt.protocol.mail.header import Field, Header
from ptt.protocol.mailauth.arc.chain import MAX_INSTANCES, SEAL, sealed_octets
from ptt.protocol.mailauth.arc.validation import ArcVerdict
from ptt.protocol.mailauth.dkim.canonicalization import Canonicalization
from ptt.protocol.mailauth.dkim.keys import SigningKey
from ptt.protocol.mailauth.dkim.signature import signed_octets
from ptt.protocol.mailauth.dkim.signing import (
    OVERSIGNED_FIELDS,
    SIGNED_IF_PRESENT_FIELDS,
    select,
    sign_digest,
)
from ptt.protocol.mailauth.field_text import LINE_OCTETS, folded_field
from ptt.protocol.mailauth.results import ArcResult


@dataclass(frozen=True, slots=True)
class SealingPolicy:
    """Which fields the message signature covers, in the order of h=; relaxed/relaxed and SHA-256 always."""

    fields: tuple[bytes, ...] = (*OVERSIGNED_FIELDS, *SIGNED_IF_PRESENT_FIELDS, b"dkim-signature")
    oversigned: frozenset[bytes] = frozenset({b"from"})

    def __post_init__(self) -> None:
        if SEAL in self.fields:
            raise MisuseError("RFC 8617 §4.1.2: seals are not signed by message signatures")


@dataclass(frozen=True, slots=True)
class NotSealed:
    """Why no set was added; the message goes on as it is."""

    reason: str


DEFAULT = SealingPolicy()


def seal(
    header: Header,
    body_hash: bytes,
    key: SigningKey,
    verdict: ArcVerdict,
    results: Sequence[str],
    now: int,
    policy: SealingPolicy = DEFAULT,
) -> list[bytes] | NotSealed:
    """Make our set: three fields (CRLF at the end) to put, in this order, above all others.

    ``body_hash`` is that of the relaxed body; ``results`` are the parts of the value of our
    Authentication-Results (``results_text``); ``now`` is in seconds since 1970.
    """
    if verdict.is_closed or verdict.is_doubtful:
        return NotSealed("the chain was closed" if verdict.is_closed else "the chain is in doubt")
    instance = verdict.instances + 1
    if instance > MAX_INSTANCES:
        return NotSealed(f"{MAX_INSTANCES} sets are there")
    common = {"d": str(key.domain), "i": str(instance), "s": str(key.selector), "t": str(now)}
    common["a"] = "ed25519-sha256" if isinstance(key.private, Ed25519PrivateKey) else "rsa-sha256"
    found = folded_field("ARC-Authentication-Results", [f"i={instance};", *results])
    names, _ = select(header.fields, policy.fields, policy.oversigned)
    tags = {
        **common,
        "bh": base64.b64encode(body_hash).decode(),
        "c": "relaxed/relaxed",
        "h": b":".join(names).decode(),
    }
    unsigned = _field("ARC-Message-Signature", {**tags, "b": ""})
    octets = signed_octets(Canonicalization.RELAXED, names, header.fields, _parsed(unsigned))
    signed = _field("ARC-Message-Signature", {**tags, "b": _signature(key, octets)})
    words = {ArcResult.NONE: "none", ArcResult.PASS: "pass", ArcResult.FAIL: "fail"}
    tags = {**common, "cv": words[verdict.result]}
    older = [] if verdict.result is ArcResult.FAIL else [each.fields for each in verdict.sets]
    octets = sealed_octets(
        [*older, (_parsed(found), _parsed(signed))], _parsed(_field("ARC-Seal", {**tags, "b": ""}))
    )
    return [_field("ARC-Seal", {**tags, "b": _signature(key, octets)}), signed, found]


def _signature(key: SigningKey, octets: bytes) -> str:
    return base64.b64encode(sign_digest(key.private, hashlib.sha256(octets).digest())).decode()


def _field(name: str, tags: dict[str, str]) -> bytes:
    """A field of tags in alphabetical order.

    b= is not folded, though its line gets long: white space in it would be sealed by all that follow.
    """
    parts: list[str] = []
    for tag, value in sorted(tags.items()):
        pieces = _names(value) if tag == "h" else [value]
        parts += [f"{tag}={pieces[0]}", *pieces[1:]]
        parts[-1] += ";"
    parts[-1] = parts[-1].removesuffix(";")
    return folded_field(name, parts)


def _names(value: str) -> list[str]:
    """The list of h= in pieces that fit on lines."""
    pieces = [""]
    for name in value.split(":"):
        if pieces[-1] and len(pieces[-1]) + len(name) > LINE_OCTETS - 6:  # with "h=" before and ":" behind
            pieces[-1] += ":"
            pieces.append(name)
        else:
            pieces[-1] += f":{name}" if pieces[-1] else name
    return pieces


def _parsed(raw: bytes) -> Field:
    name = raw.partition(b":")[0]
    return Field(name, name.lower(), raw, 0)
