"""What submission is told in its boot record, beside its secrets."""

from collections.abc import Mapping

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import parse_domain
from ptt.protocol.smtp.events import DEFAULT_SIZE_LIMIT
from ptt.records.repository import RepositorySettings, read_repository
from ptt.units.submission.allowance import MESSAGES_A_DAY, NEW_RECIPIENTS_A_DAY

DEFAULT_MEMORY_OCTETS = 48 * 1024 * 1024  # of mail in flight: 48 messages just below the streaming limit


class SubmissionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Field defaults hold for a unit that is started by hand; the deployer fills them from ptt.toml."""

    domains: tuple[str, ...]
    """Ours: a login may send as itself in each of them."""
    certificate_pem: str = ""
    """The chain of the public certificate, leaf first; empty: by the exchange in the DNS."""
    certificate_key: int = 0
    """Which of the keys that come of ``certificate_seed``: one more is another key."""
    repository: RepositorySettings | None = None
    """``passwords.git``; with it, or with the next, logins stand in no secret of ours."""
    relay_repository: RepositorySettings | None = None
    """``relay.git``, whose passwords count too while ``compatible = true``."""
    zone: str = ""
    """Text of a fixed zone that is asked in place of the DNS."""
    size_limit: int = DEFAULT_SIZE_LIMIT
    memory_octets: int = DEFAULT_MEMORY_OCTETS
    hide_client: bool = True
    """Leave the client's address out of ``Received`` [S17]: it tells everybody where the user is."""

    messages_a_day: int = MESSAGES_A_DAY
    new_recipients_a_day: int = NEW_RECIPIENTS_A_DAY
    """What a login may send [C7]."""

    @property
    def domain_names(self) -> tuple[Name, ...]:
        """The domains as names."""
        return tuple(Name.of(domain) for domain in self.domains)


def read_settings(values: Mapping[str, object]) -> SubmissionSettings | Malformed:
    """Read the boot record's settings; the reason names the field."""
    try:
        settings = msgspec.convert(values, SubmissionSettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))
    for domain in settings.domains:
        if isinstance(name := parse_domain(domain), Malformed):
            return Malformed(f"domains: {domain!r}: {name.reason}")
    for field in ("repository", "relay_repository"):
        given: RepositorySettings | None = getattr(settings, field)
        read = None if given is None else read_repository(given)
        if isinstance(read, Malformed):
            return Malformed(f"{field}.{read.reason}")
    return settings
