"""What the authority suggests about the certificates that are served (RFC 9773), and when to ask it again."""

from collections.abc import Iterable
from dataclasses import dataclass

from ptt.protocol.acme.renewal import NoSuggestion, Suggested
from ptt.protocol.acme.signing_request import Certificate
from ptt.units.letsencrypt.demands import Demand


@dataclass(frozen=True, slots=True)
class _Noted:
    again_at: float
    renew_at: float | None


class Suggestions:
    """By certificate; those that are served no more are forgotten."""

    def __init__(self) -> None:
        self._noted: dict[bytes, _Noted] = {}

    def applied(self, demands: Iterable[Demand]) -> list[Demand]:
        """The demands with their times as suggested."""
        return [self._applied(demand) for demand in demands]

    def to_ask(self, demands: Iterable[Demand], now: float) -> list[Certificate]:
        """The certificates to ask about now."""
        served = {each.served.der: each.served for each in demands if each.served is not None}
        self._noted = {der: noted for der, noted in self._noted.items() if der in served}
        return [each for der, each in served.items() if self._again_at(der) <= now]

    def next_question(self) -> float | None:
        """When to ask again."""
        return min((noted.again_at for noted in self._noted.values()), default=None)

    def note(self, certificate: Certificate, said: Suggested | NoSuggestion, now: float) -> None:
        """Take the authority's answer; one that failed leaves what was suggested before."""
        before = self._noted.get(certificate.der)
        match said:
            case Suggested(at, again_s):
                self._noted[certificate.der] = _Noted(now + again_s, at)
            case NoSuggestion(again_s=again_s):
                kept = before.renew_at if before is not None else None
                self._noted[certificate.der] = _Noted(now + again_s, kept)

    def _again_at(self, der: bytes) -> float:
        noted = self._noted.get(der)
        return noted.again_at if noted is not None else 0.0

    def _applied(self, demand: Demand) -> Demand:
        noted = self._noted.get(demand.served.der) if demand.served is not None else None
        return demand if noted is None or noted.renew_at is None else demand.suggested(noted.renew_at)
