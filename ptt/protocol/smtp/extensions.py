"""Service extensions (RFC 5321 §2.2): what a server offers after EHLO, and reading such an offer."""

from dataclasses import dataclass
from enum import StrEnum


class Flavour(StrEnum):
    """Which dialogue: LMTP differs by LHLO and by one reply a recipient after the data (RFC 2033 §4.2)."""

    SMTP = "SMTP"
    LMTP = "LMTP"


class Keyword(StrEnum):
    """EHLO keywords that we know."""

    PIPELINING = "PIPELINING"  # RFC 2920
    CHUNKING = "CHUNKING"  # RFC 3030
    EIGHTBITMIME = "8BITMIME"  # RFC 6152
    SMTPUTF8 = "SMTPUTF8"  # RFC 6531
    SIZE = "SIZE"  # RFC 1870
    ENHANCEDSTATUSCODES = "ENHANCEDSTATUSCODES"  # RFC 2034
    STARTTLS = "STARTTLS"  # RFC 3207
    AUTH = "AUTH"  # RFC 4954
    REQUIRETLS = "REQUIRETLS"  # RFC 8689
    LIMITS = "LIMITS"  # RFC 9422
    PRDR = "PRDR"  # draft-hall-prdr-00
    XPTT = "XPTT"  # between our units only, docs/how-it-works.md


ON_EVERY_LISTENER = frozenset(
    {
        Keyword.PIPELINING,
        Keyword.CHUNKING,
        Keyword.EIGHTBITMIME,
        Keyword.SMTPUTF8,
        Keyword.SIZE,
        Keyword.ENHANCEDSTATUSCODES,
        Keyword.STARTTLS,
    }
)
"""What each of our listeners offers, between units and to the Internet alike."""


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a server offered: keyword in upper case -> its parameters as written."""

    server_name: str
    keywords: dict[str, tuple[str, ...]]

    def offers(self, keyword: Keyword) -> bool:
        """Whether the keyword was offered."""
        return keyword in self.keywords

    @property
    def size_limit(self) -> int | None:
        """The largest message taken, in octets; None when not said, 0 becomes None (RFC 1870 §4)."""
        values = self.keywords.get(Keyword.SIZE, ())
        if values and values[0].isdecimal() and values[0].isascii():
            return int(values[0]) or None
        return None

    def limit(self, name: str) -> int | None:
        """A value of LIMITS (RFC 9422 §4), for example ``RCPTMAX``; None when not said."""
        for value in self.keywords.get(Keyword.LIMITS, ()):
            key, _, number = value.partition("=")
            if key.upper() == name and number.isdecimal() and number.isascii():
                return int(number)
        return None

    @property
    def auth_mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms in upper case, in the server's order (RFC 4954 §3)."""
        return tuple(value.upper() for value in self.keywords.get(Keyword.AUTH, ()))
