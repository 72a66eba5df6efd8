"""The objects that an authority sends (RFC 8555 §7.1, problems §6.7), read strictly in what we use of them.

Fields that we do not know are left alone (§7.1: servers may add some). URLs must be https (§6.1): where a
reply points to is followed by our client.
"""

from enum import StrEnum
from typing import TypeVar

import msgspec

from ptt.errors import Malformed

MAX_BODY_OCTETS = 256 * 1024  # a chain of certificates has some 10 kB, an order of 100 names 20 kB
MAX_URL_CHARACTERS = 2048
DNS = "dns"
DNS_01 = "dns-01"
PROBLEM_PREFIX = "urn:ietf:params:acme:error:"
MAX_DETAIL_CHARACTERS = 400  # of what others say, in our journal


class Status(StrEnum):
    """Of accounts, orders, authorizations and challenges (RFC 8555 §7.1.6)."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """Of the directory (RFC 8555 §7.1.1); only what we decide by."""

    external_account_required: bool = False


class Directory(msgspec.Struct, frozen=True, rename="camel"):
    """Where each kind of request goes (RFC 8555 §7.1.1)."""

    new_nonce: str
    new_account: str
    new_order: str
    renewal_info: str = ""
    """RFC 9773 §4.1; empty: the authority has none."""
    meta: Meta = Meta()

    @property
    def urls(self) -> tuple[str, ...]:
        """All that we may follow."""
        renewal = (self.renewal_info,) if self.renewal_info else ()
        return (self.new_nonce, self.new_account, self.new_order, *renewal)


class Problem(msgspec.Struct, frozen=True):
    """What went wrong (RFC 8555 §6.7, RFC 9457)."""

    type: str = "about:blank"
    detail: str = ""

    @property
    def kind(self) -> str:
        """The type without its prefix: ``badNonce``."""
        return self.type.removeprefix(PROBLEM_PREFIX)

    @property
    def text(self) -> str:
        """For people: one line of printable characters."""
        shown = "".join(letter if letter.isprintable() else " " for letter in f"{self.kind}: {self.detail}")
        return shown[:MAX_DETAIL_CHARACTERS]

    @property
    def urls(self) -> tuple[str, ...]:
        """None that we follow."""
        return ()


class Account(msgspec.Struct, frozen=True):
    """An account (RFC 8555 §7.1.2); its URL is in the header."""

    status: Status

    @property
    def urls(self) -> tuple[str, ...]:
        """None that we follow."""
        return ()


class Identifier(msgspec.Struct, frozen=True):
    """A name to be certified (RFC 8555 §7.1.3)."""

    type: str
    value: str


class Order(msgspec.Struct, frozen=True):
    """An order (RFC 8555 §7.1.3)."""

    status: Status
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str = ""
    error: Problem | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """All that we may follow."""
        return (*self.authorizations, self.finalize, *((self.certificate,) if self.certificate else ()))


class Challenge(msgspec.Struct, frozen=True):
    """One way to show that a name is ours (RFC 8555 §8)."""

    type: str
    url: str
    status: Status
    token: str = ""
    error: Problem | None = None


class Authorization(msgspec.Struct, frozen=True):
    """What must be shown for one name (RFC 8555 §7.1.4)."""

    identifier: Identifier
    status: Status
    challenges: tuple[Challenge, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        """All that we may follow."""
        return tuple(challenge.url for challenge in self.challenges)

    def challenge(self, kind: str) -> Challenge | None:
        """The challenge of a type."""
        return next((each for each in self.challenges if each.type == kind), None)


Kind = TypeVar("Kind", Directory, Problem, Account, Order, Authorization)


def read_object(body: bytes, kind: type[Kind]) -> Kind | Malformed:
    """Read a response's body; the reason names the field."""
    if len(body) > MAX_BODY_OCTETS:
        return Malformed(f"{len(body)} octets")
    try:
        found = msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Malformed(f"{kind.__name__.lower()}: {error}")
    except RecursionError:
        return Malformed("nested too deeply")
    bad = next((url for url in found.urls if not is_https(url)), None)
    return found if bad is None else Malformed(f"{kind.__name__.lower()}: a URL that is not https")


def is_https(url: str) -> bool:
    """Whether a client of ours may follow a URL: https, printable ASCII, not too long."""
    return (
        url.startswith("https://")
        and len(url) <= MAX_URL_CHARACTERS
        and url.isascii()
        and url.isprintable()
        and " " not in url
    )
