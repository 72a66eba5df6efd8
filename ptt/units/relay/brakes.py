"""Which providers are left alone for a while, because they have refused us for our pace or for what we are.

Who goes on after such a refusal is blocked for good (specs/receivers.md section 7): a provider is held back 5
minutes, twice as long each time it says so again, 4 hours at most, and trusted anew once it has taken
mail. Pure and in memory; times are in seconds of any clock.
"""

from dataclasses import dataclass, field

from ptt.protocol.smtp.reply import Reply

FIRST_BRAKE_S = 300.0
MAX_BRAKE_S = 4 * 3600.0  # Yahoo's advice for TSS04; more would be a bounce at some senders
MAX_PROVIDERS = 1000  # the one that may go again first is forgotten

_CUSTOMS = frozenset({"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"})  # below a country


@dataclass(slots=True)
class _Brake:
    until: float
    length_s: float


@dataclass(slots=True)
class Brakes:
    """All providers that are held back, or were lately."""

    _brakes: dict[str, _Brake] = field(default_factory=dict)

    def refused(self, host: str, now: float) -> None:
        """A server has refused us for our pace or for what we are; those that say so at once count once."""
        provider = provider_of(host)
        brake = self._brakes.get(provider)
        if brake is None or now >= brake.until + MAX_BRAKE_S:
            self._brakes[provider] = _Brake(now + FIRST_BRAKE_S, FIRST_BRAKE_S)
            self._make_room()
        elif now >= brake.until:
            brake.length_s = min(2 * brake.length_s, MAX_BRAKE_S)
            brake.until = now + brake.length_s

    def accepted(self, host: str) -> None:
        """A server has taken a message."""
        self._brakes.pop(provider_of(host), None)

    def left_s(self, host: str, now: float) -> float:
        """How long the server's provider is still to be left alone; 0 if it may be asked."""
        brake = self._brakes.get(provider_of(host))
        return 0.0 if brake is None else max(brake.until - now, 0.0)

    def _make_room(self) -> None:
        if len(self._brakes) > MAX_PROVIDERS:
            del self._brakes[min(self._brakes, key=lambda provider: self._brakes[provider].until)]


def provider_of(host: str) -> str:
    """Whose server it is: two labels of its name, three where the second is a country's custom."""
    if host.startswith("["):
        return host
    labels = host.lower().rstrip(".").split(".")
    is_custom = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _CUSTOMS  # noqa: PLR2004
    return ".".join(labels[-3 if is_custom else -2 :])


def held_back(left_s: float) -> Reply:
    """The reply to mail for a provider that is left alone."""
    minutes = max(1, -(-int(left_s) // 60))
    return Reply(
        451,
        "4.7.1",
        "The server behind this address takes no mail from this service at present.",
        f"Please try again in about {minutes} minute{'s' if minutes > 1 else ''}.",
    )
