"""Verifies the DKIM signatures of a message (RFC 6376 §6, RFC 8301, RFC 8463), in the words of RFC 8601.

Signatures are judged one by one, from the top, at most ``max_signatures``: what each costs (a look-up, a
pass over the body, a check with a public key) is chosen by the sender. Keys are asked for all at once, the
body is read once, and only for signatures that have a key. rsa-sha1 and RSA below 1024 bits come to
``policy`` (RFC 8301 §3), an expired signature to ``permerror``.

Deviation: text behind the part that l= covers comes to ``policy`` too. RFC 6376 §8.2 leaves it to the
verifier; as ``pass`` anybody could put words of his own under an author's name, and DMARC would agree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Lookup, Question, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Field, Header
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash, Buffer, Canonicalization, HashAlgorithm
from ptt.protocol.mailauth.dkim.key_record import KeyRecord, NoKey, is_signed, key_for
from ptt.protocol.mailauth.dkim.keys import MIN_RSA_BITS
from ptt.protocol.mailauth.dkim.signature import (
    Algorithm,
    Signature,
    halves,
    parse_signature,
    signed_octets,
)
from ptt.protocol.mailauth.results import DkimResult

MAX_SIGNATURES = 8  # real mail has one to four; rspamd looks at five


@dataclass(frozen=True, slots=True)
class VerifyingPolicy:
    """What we accept.

    ``accepts_old`` is for judging mail from before RFC 8301 (2018), ``accepts_appended`` for judging by RFC
    6376 alone where l= leaves text unsigned.
    """

    max_signatures: int = MAX_SIGNATURES
    accepts_old: bool = False
    accepts_appended: bool = False


STRICT = VerifyingPolicy()


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """What one signature came to. Without ``signature`` its field could not be read."""

    result: DkimResult
    reason: str
    signature: Signature | None = None
    is_testing: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A signature that is worth a look-up, with its field."""

    field: Field
    signature: Signature


BodyForm = tuple[Canonicalization, HashAlgorithm, int | None]


async def verify(
    header: Header, body: Iterable[Buffer], lookup: Lookup, now: int, policy: VerifyingPolicy = STRICT
) -> list[SignatureVerdict]:
    """Judge the signatures of a message, from the top; an empty list is the result ``none``.

    ``body`` is the body in buffers, in order; it is read once, and only if a signature has come so far.
    """
    fields = header.all(b"dkim-signature")[: policy.max_signatures]
    read = [_read(field, now) for field in fields]
    candidates = [each for each in read if isinstance(each, Candidate)]
    judged = iter(await judge(candidates, header.fields, body, lookup, policy))
    return [each if isinstance(each, SignatureVerdict) else next(judged) for each in read]


async def judge(
    candidates: Sequence[Candidate],
    fields: Sequence[Field],
    body: Iterable[Buffer],
    lookup: Lookup,
    policy: VerifyingPolicy,
) -> list[SignatureVerdict]:
    """Judge signatures that could be read, against the header and the body (ARC uses this, too)."""
    keys = await _keys(candidates, lookup, policy)
    forms = {
        _form(each.signature)
        for each, key in zip(candidates, keys, strict=True)
        if isinstance(key, KeyRecord)
    }
    hashes = _hashes(forms, body)
    return [
        _verdict(each, key, fields, hashes[_form(each.signature)], policy)
        if isinstance(key, KeyRecord)
        else key
        for each, key in zip(candidates, keys, strict=True)
    ]


def _read(field: Field, now: int) -> Candidate | SignatureVerdict:
    signature = parse_signature(halves(field)[1])
    if isinstance(signature, Malformed):
        return SignatureVerdict(DkimResult.PERMERROR, signature.reason)
    if signature.expiration is not None and now > signature.expiration:
        return SignatureVerdict(DkimResult.PERMERROR, "the signature has expired", signature)
    return Candidate(field, signature)


async def _keys(
    candidates: Sequence[Candidate], lookup: Lookup, policy: VerifyingPolicy
) -> list[KeyRecord | SignatureVerdict]:
    owners = [_owner(each.signature) for each in candidates]
    names = list(dict.fromkeys(name for name in owners if isinstance(name, Name)))
    answers = dict(
        zip(names, await lookup.many([Question(name, RecordType.TXT) for name in names]), strict=True)
    )
    return [
        SignatureVerdict(DkimResult.PERMERROR, owner.reason, each.signature)
        if isinstance(owner, Malformed)
        else _acceptable(each.signature, key_for(answers[owner], each.signature.algorithm), policy)
        for each, owner in zip(candidates, owners, strict=True)
    ]


def _owner(signature: Signature) -> Name | Malformed:
    return signature.domain.below(*signature.selector.labels, b"_domainkey")


def _acceptable(
    signature: Signature, key: KeyRecord | NoKey, policy: VerifyingPolicy
) -> KeyRecord | SignatureVerdict:
    if isinstance(key, NoKey):
        return SignatureVerdict(key.result, key.reason, signature)
    if key.is_strict and signature.identity_domain != signature.domain:
        return SignatureVerdict(DkimResult.PERMERROR, "i= is not in the very domain of the key", signature)
    if policy.accepts_old:
        return key
    if signature.algorithm is Algorithm.RSA_SHA1:
        return SignatureVerdict(DkimResult.POLICY, "rsa-sha1 is not accepted", signature)
    if key.rsa_bits is not None and key.rsa_bits < MIN_RSA_BITS:
        return SignatureVerdict(DkimResult.POLICY, f"a key of {key.rsa_bits} bits is not accepted", signature)
    return key


def _form(signature: Signature) -> BodyForm:
    return (
        signature.body_canonicalization,
        signature.algorithm.hash_algorithm,
        signature.body_limit_octets,
    )


def _hashes(forms: Iterable[BodyForm], body: Iterable[Buffer]) -> dict[BodyForm, BodyHash]:
    hashes = {form: BodyHash(*form) for form in forms}
    if hashes:
        for buffer in body:
            for each in hashes.values():
                each.update(buffer)
    return hashes


def _verdict(
    candidate: Candidate,
    key: KeyRecord,
    fields: Sequence[Field],
    body_hash: BodyHash,
    policy: VerifyingPolicy,
) -> SignatureVerdict:
    signature, limit = candidate.signature, candidate.signature.body_limit_octets
    verdict = SignatureVerdict(DkimResult.FAIL, "", signature, key.is_testing)
    if limit is not None and body_hash.length_octets() < limit:
        # RFC 6376 §3.5, l=: a body shorter than what was signed
        return replace(verdict, result=DkimResult.PERMERROR, reason="the body is shorter than l= says")
    if body_hash.digest() != signature.body_hash:
        return replace(verdict, reason="the body was changed")
    octets = signed_octets(signature.header_canonicalization, signature.fields, fields, candidate.field)
    if not is_signed(key, signature.algorithm, signature.signature, octets):
        return replace(verdict, reason="the signature does not fit the header")
    if limit is not None and body_hash.length_octets() > limit and not policy.accepts_appended:
        return replace(
            verdict, result=DkimResult.POLICY, reason="text stands behind the part that was signed"
        )
    return replace(verdict, result=DkimResult.PASS)
