"""The DMARC policy record: ``v=DMARC1; p=reject; rua=mailto:…`` (RFC 9989 §4.7, §4.8).

A text is a record when it begins with v=DMARC1; errors behind that are read around: an invalid value is the
default, a piece that is no tag is skipped, tags of RFC 7489 that are gone (pct, rf, ri) are as good as
unknown. Only a tag said twice spoils the record. Bad or missing policies: see ``DmarcRecord.policy``.
"""

import re
from dataclasses import dataclass
from enum import Enum

from ptt.errors import Malformed


class Policy(Enum):
    """What the domain owner asks for when a message fails (§4.7)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class Psd(Enum):
    """Whether the name is one under which strangers register (§4.7)."""

    YES = "y"
    NO = "n"
    UNKNOWN = "u"


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What a domain has published.

    ``policy`` is None if p, sp or np is bad, or p missing, and no report address says that somebody watches:
    such a record applies to no message. With a report address it is ``NONE`` and nothing else (§4.7,
    §4.10.1). ``rua`` and ``ruf`` hold the valid URIs in their order.
    """

    text: str
    policy: Policy | None
    subdomain_policy: Policy | None
    nonexistent_policy: Policy | None
    psd: Psd
    is_testing: bool
    is_dkim_strict: bool
    is_spf_strict: bool
    rua: tuple[str, ...]
    ruf: tuple[str, ...]
    failure_options: frozenset[str]


_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)", re.ASCII)
_PRINTABLE = re.compile(r"[ -~\t]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@$&'()*+=-]|%[0-9A-Fa-f]{2})+")
_OLD_SIZE_LIMIT = re.compile(r"![0-9]+[kmgtKMGT]?\Z")  # RFC 7489 §6.2; RFC 9989 knows none, so it is dropped
_FAILURE_OPTION = re.compile(r"[01ds]")


def is_dmarc_record(text: bytes) -> bool:
    """Whether a TXT record is meant as DMARC (§4.7: v comes first, its value is case-sensitive)."""
    # Deviation: V=DMARC1 is read. The syntax is that of RFC 6376, where names of tags are case-sensitive.
    head = text.decode("latin-1")
    return _VERSION.match(head[:1].lower() + head[1:]) is not None


def parse_dmarc_record(text: bytes) -> DmarcRecord | Malformed:
    """Read the joined text of a TXT record."""
    if not is_dmarc_record(text):
        return Malformed("not a DMARC record")
    tags = _tags(text.decode("utf-8", "replace"))
    if isinstance(tags, Malformed):
        return tags
    rua, ruf = _uris(tags.get("rua", "")), _uris(tags.get("ruf", ""))
    policy, subdomain_policy, nonexistent_policy = _policies(tags, has_reports=bool(rua))
    return DmarcRecord(
        text=text.decode("utf-8", "replace"),
        policy=policy,
        subdomain_policy=subdomain_policy,
        nonexistent_policy=nonexistent_policy,
        psd=next((each for each in Psd if each.value == tags.get("psd", "").lower()), Psd.UNKNOWN),
        is_testing=tags.get("t", "").lower() == "y",
        is_dkim_strict=tags.get("adkim", "").lower() == "s",
        is_spf_strict=tags.get("aspf", "").lower() == "s",
        rua=rua,
        ruf=ruf,
        failure_options=_failure_options(tags.get("fo", "")),
    )


def _tags(text: str) -> dict[str, str] | Malformed:
    tags: dict[str, str] = {}
    for piece in text.split(";"):
        name, equals, value = piece.partition("=")
        name, value = name.strip(" \t").lower(), value.strip(" \t")
        if not equals or not name:
            continue
        if name in tags:
            return Malformed(f"the tag {name!a} twice")
        tags[name] = value if _PRINTABLE.fullmatch(value) else ""
    return tags


def _policies(
    tags: dict[str, str], *, has_reports: bool
) -> tuple[Policy | None, Policy | None, Policy | None]:
    """Give p, sp and np; if one is bad, as if nothing but p=none were said, or nothing at all (§4.7)."""
    own, below, nonexistent = (_policy(tags.get(name)) for name in ("p", "sp", "np"))
    is_bad = own is None or ("sp" in tags and below is None) or ("np" in tags and nonexistent is None)
    if is_bad:
        return (Policy.NONE if has_reports else None), None, None
    return own, below, nonexistent


def _policy(value: str | None) -> Policy | None:
    return next((each for each in Policy if value is not None and each.value == value.lower()), None)


def _uris(value: str) -> tuple[str, ...]:
    uris = [_OLD_SIZE_LIMIT.sub("", uri.strip(" \t")) for uri in value.split(",")]
    return tuple(uri for uri in uris if _URI.fullmatch(uri))


def _failure_options(value: str) -> frozenset[str]:
    options = [option.strip(" \t").lower() for option in value.split(":")]
    is_valid = all(_FAILURE_OPTION.fullmatch(option) for option in options)
    if not is_valid or len(set(options)) < len(options) or {"0", "1"}.issubset(options):
        return frozenset({"0"})
    return frozenset(options)
