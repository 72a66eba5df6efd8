"""What the receiver is told in its boot record, beside its key."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import parse_domain
from ptt.protocol.smtp.events import DEFAULT_SIZE_LIMIT

DEFAULT_MEMORY_OCTETS = 3 * DEFAULT_SIZE_LIMIT  # three of the largest messages at once, or 10,000 of 10 kB


class ReceiverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``domains`` are ours, ``lists`` those whose mail may carry our From without passing DMARC."""

    domains: tuple[str, ...]
    certificate_pem: str = ""
    """The chain of the public certificate, leaf first; empty: by the exchange in the DNS."""
    certificate_key: int = 0
    """Which of the keys that come of ``certificate_seed``: one more is another key."""
    lists: tuple[str, ...] = ()
    dmarc: Literal["enforce", "stamp"] = "enforce"
    """``enforce``: what fails a policy of reject is refused; ``stamp``: it is only marked [V7]."""
    zone: str = ""
    """Text of a fixed zone that is asked in place of the DNS."""
    size_limit: int = DEFAULT_SIZE_LIMIT
    memory_octets: int = DEFAULT_MEMORY_OCTETS

    @property
    def domain_names(self) -> tuple[Name, ...]:
        """``domains`` as names."""
        return tuple(Name.of(domain) for domain in self.domains)

    @property
    def list_names(self) -> tuple[Name, ...]:
        """``lists`` as names."""
        return tuple(Name.of(domain) for domain in self.lists)


def read_settings(values: Mapping[str, object]) -> ReceiverSettings | Malformed:
    """Read the boot record's settings; the reason names the field."""
    try:
        settings = msgspec.convert(values, ReceiverSettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))
    for field in ("domains", "lists"):
        for domain in getattr(settings, field):
            if isinstance(name := parse_domain(domain), Malformed):
                return Malformed(f"{field}: {domain!r}: {name.reason}")
    return settings
