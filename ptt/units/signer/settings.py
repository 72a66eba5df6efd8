"""What the signer is told in its boot record, beside its keys [N2]."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.dkim.canonicalization import Canonicalization
from ptt.protocol.mailauth.dkim.keys import SigningKey, load_signing_key
from ptt.protocol.mailauth.dkim.signing import (
    OVERSIGNED_FIELDS,
    SIGNED_IF_PRESENT_FIELDS,
    UNSIGNABLE_FIELDS,
    SigningPolicy,
)
from ptt.protocol.smtp.events import DEFAULT_SIZE_LIMIT

DEFAULT_MEMORY_OCTETS = 2 * DEFAULT_SIZE_LIMIT  # two of the largest messages at once, or 7,000 of 10 kB


Form = Literal["simple", "relaxed"]
_FORMS = {"simple": Canonicalization.SIMPLE, "relaxed": Canonicalization.RELAXED}


class SignerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fields`` empty: the set of RFC 6376 §5.4.1, oversigned."""

    fields: tuple[str, ...] = ()
    header_canonicalization: Form = "relaxed"
    body_canonicalization: Form = "relaxed"
    expiration_s: int | None = None
    size_limit: int = DEFAULT_SIZE_LIMIT
    memory_octets: int = DEFAULT_MEMORY_OCTETS


class KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One DKIM key in the secret ``dkim_keys``: a JSON list of these. ``key`` is PEM or base64 of DER."""

    selector: str
    domain: str
    key: str


def read_settings(values: Mapping[str, object]) -> SignerSettings | Malformed:
    """Read the boot record's settings; the reason names the field."""
    try:
        return msgspec.convert(values, SignerSettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))


def policy_of(settings: SignerSettings) -> SigningPolicy | Malformed:
    """The policy that these settings ask for. Fields named by the operator are all oversigned with From."""
    if settings.expiration_s is not None and settings.expiration_s <= 0:
        return Malformed("expiration_s: must be above 0")
    fields: tuple[bytes, ...] = (*OVERSIGNED_FIELDS, *SIGNED_IF_PRESENT_FIELDS)
    oversigned = frozenset(OVERSIGNED_FIELDS)
    if settings.fields:
        fields = tuple(dict.fromkeys([b"from", *(name.lower().encode() for name in settings.fields)]))
        if not UNSIGNABLE_FIELDS.isdisjoint(fields):
            return Malformed("fields: names a field that is changed on the way and cannot be signed")
        oversigned = frozenset(fields)
    return SigningPolicy(
        fields=fields,
        oversigned=oversigned,
        header_canonicalization=_FORMS[settings.header_canonicalization],
        body_canonicalization=_FORMS[settings.body_canonicalization],
        expiration_s=settings.expiration_s,
    )


def read_keys(secret: str) -> tuple[SigningKey, ...] | Malformed:
    """Read the secret ``dkim_keys``. The reason of a fault shows nothing of a key."""
    try:
        entries = msgspec.json.decode(secret, type=list[KeyEntry])
    except msgspec.DecodeError as error:
        return Malformed(str(error))
    if not entries:
        return Malformed("no key")
    keys = []
    for entry in entries:
        key = _read_key(entry)
        if isinstance(key, Malformed):
            return key
        keys.append(key)
    return tuple(keys)


def _read_key(entry: KeyEntry) -> SigningKey | Malformed:
    match Name.parse(entry.selector), Name.parse(entry.domain), load_signing_key(entry.key):
        case (Malformed(reason), _, _) | (_, Malformed(reason), _) | (_, _, Malformed(reason)):
            return Malformed(f"selector {entry.selector!r}: {reason}")
        case Name() as selector, Name() as domain, private:
            return SigningKey(selector, domain, private)


def keys_for(keys: Sequence[SigningKey], author_domains: Sequence[Name]) -> tuple[SigningKey, ...]:
    """The keys whose domain is that of the author, else of the nearest domain above it."""
    for author in author_domains:
        for domain in (author, *author.parents()):
            chosen = tuple(key for key in keys if key.domain == domain)
            if chosen:
                return chosen
    return ()
