"""Envelope senders for mail that we forward: the Sender Rewriting Scheme, SRS0 and SRS1.

``SRS0=HHH=TT=domain=local@srs.DOMAIN`` names the sender, when it was made and that we made it; a bounce to it
is sent on to the sender. What another forwarder has written becomes ``SRS1``, which goes back to that
forwarder, so that addresses do not grow with each hop. Time runs in steps of two days, so a sender has the
same address long enough for greylisting; MTAs that fold case do no harm. A sender that does not fit into a
local part (RFC 5321 §4.5.3.1.1) gets a short form that cannot be led back. Pure: ``now`` is in seconds since
1970. Limits: 20 days.
"""

import base64
import re
from dataclasses import dataclass
from hmac import compare_digest
from hmac import digest as hmac_digest

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, make_mailbox, parse_mailbox, quote_local_part

STEP_S = 2 * 24 * 3600
LIFE_STEPS = (
    10  # 20 days: a sender's and a target's server may each have tried for a week (RFC 5321 §4.5.4.1)
)
AHEAD_STEPS = 1  # another machine's clock may be in the next step already
STEPS = 1024  # two characters of base 32; five and a half years until a step's name comes again

MARK_CHARACTERS = 6  # 30 bits; at 120 guesses a minute one is right in 17 years
SHORT_CHARACTERS = 16  # 80 bits: two senders never share a short form
SHORT_TAG = "SRS-LONG"

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # RFC 4648 §6: no two differ by case only
_SRS0 = re.compile(r"SRS0([-+=].*)", re.IGNORECASE | re.DOTALL)
_SRS1 = re.compile(r"SRS1[-+=][^=]*=([^=]+)=([-+=].*)", re.IGNORECASE | re.DOTALL)
_OUR_SRS0 = re.compile(r"SRS0=([^=]+)=([^=]+)=([^=]+)=(.*)", re.IGNORECASE | re.DOTALL)
_OUR_SHORT = re.compile(rf"{SHORT_TAG}=([^=]+)=([^=]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SrsKeys:
    """``keys``: the first signs, all verify; a previous one stays as long as addresses live."""

    keys: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise MisuseError("SRS without a key")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """An envelope sender of ours. ``is_short``: bounces to it cannot be led back."""

    mailbox: Mailbox
    is_short: bool = False


@dataclass(frozen=True, slots=True)
class Original:
    """Where a bounce goes on to: the sender, or the first forwarder's address for it."""

    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class Short:
    """A short form of ours: whose it was is not known any more."""


@dataclass(frozen=True, slots=True)
class Expired:
    """An address of ours that is too old."""


Restored = Original | Short | Expired | Malformed


def rewrite(sender: Mailbox, srs_domain: Name, keys: SrsKeys, now: float) -> Rewritten:
    """The envelope sender in ``srs_domain`` for mail from ``sender``.

    An address of our own in this domain that is still good is not wrapped again.
    """
    if sender.domain == srs_domain and isinstance(known := restore(sender, keys, now), Original):
        sender = known.mailbox
    local_part = sender.local_part
    if (first := _SRS1.fullmatch(local_part)) is not None:
        made = _srs1(first[1], first[2], srs_domain, keys)
    elif (first := _SRS0.fullmatch(local_part)) is not None:
        made = _srs1(str(sender.domain), first[1], srs_domain, keys)
    else:
        step = _step_name(int(now // STEP_S))
        mark = _mark(keys.keys[0], "SRS0", step, str(sender.domain), local_part, str(srs_domain))
        made = f"SRS0={mark}={step}={sender.domain}={local_part}"
    mailbox = make_mailbox(made, srs_domain)
    if isinstance(mailbox, Malformed):
        return Rewritten(_short(sender, srs_domain, keys), is_short=True)
    return Rewritten(mailbox)


def restore(mailbox: Mailbox, keys: SrsKeys, now: float) -> Restored:
    """Where a bounce to ``mailbox``, which is in an SRS domain of ours, goes on to.

    ``Malformed``: it is none of ours.
    """
    domain = str(mailbox.domain)
    if (ours := _OUR_SRS0.fullmatch(mailbox.local_part)) is not None:
        mark, step, host, local_part = ours.groups()
        if not _is_marked(mark, keys, "SRS0", step, host, local_part, domain):
            return Malformed("the mark does not fit")
        return _original(local_part, host) if _is_alive(step, now) else Expired()
    if (ours := _SRS1.fullmatch(mailbox.local_part)) is not None:
        host, rest = ours.groups()
        mark = mailbox.local_part[5:].partition("=")[0]
        if not _is_marked(mark, keys, "SRS1", host, rest, domain):
            return Malformed("the mark does not fit")
        return _original(f"SRS0{rest}", host)
    if (ours := _OUR_SHORT.fullmatch(mailbox.local_part)) is not None:
        name, mark = ours.groups()
        return Short() if _is_marked(mark, keys, SHORT_TAG, name, domain) else Malformed("no such address")
    return Malformed("no such address")


def _srs1(host: str, rest: str, srs_domain: Name, keys: SrsKeys) -> str:
    mark = _mark(keys.keys[0], "SRS1", host, rest, str(srs_domain))
    return f"SRS1={mark}={host}={rest}"


def _short(sender: Mailbox, srs_domain: Name, keys: SrsKeys) -> Mailbox:
    """The same for the same sender, so that greylisting passes."""
    name = _digits(keys.keys[0], "short", str(sender))[:SHORT_CHARACTERS]
    mark = _mark(keys.keys[0], SHORT_TAG, name, str(srs_domain))
    made = make_mailbox(f"{SHORT_TAG}={name}={mark}", srs_domain)
    if isinstance(made, Malformed):
        raise MisuseError(f"an SRS domain that leaves no room: {srs_domain}")
    return made


def _original(local_part: str, host: str) -> Original | Malformed:
    text = f"{quote_local_part(local_part)}@{host}".encode("utf-8", "surrogatepass")
    mailbox = parse_mailbox(text, allow_utf8=True)
    return mailbox if isinstance(mailbox, Malformed) else Original(mailbox)


def _step_name(step: int) -> str:
    step %= STEPS
    return _DIGITS[step // 32] + _DIGITS[step % 32]


def _is_alive(name: str, now: float) -> bool:
    step = int(now // STEP_S)
    return name.upper() in {_step_name(step + age) for age in range(-LIFE_STEPS, AHEAD_STEPS + 1)}


def _is_marked(mark: str, keys: SrsKeys, *parts: str) -> bool:
    given = mark.upper().encode("utf-8", "surrogatepass")
    fits = [compare_digest(given, _mark(key, *parts).encode("ascii")) for key in keys.keys]
    return any(fits)


def _mark(key: bytes, *parts: str) -> str:
    return _digits(key, *parts)[:MARK_CHARACTERS]


def _digits(key: bytes, *parts: str) -> str:
    """A keyed hash in base 32; of octets without ASCII's case, since servers fold that on the way."""
    octets = b"\0".join(part.encode("utf-8", "surrogatepass") for part in parts).lower()
    return base64.b32encode(hmac_digest(key, octets, "sha256")).decode("ascii")
