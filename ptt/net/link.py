"""The listener for other units: LMTP behind STARTTLS, where only the certificates named by the host get in.

Callers are live: a new generation's certificate is taken as the host names it, one that is gone is no longer
welcome from the next handshake on. ``caller`` says which unit is behind a connection, for its rights [R12].
"""

from collections.abc import Callable

from ptt.boot import Peers
from ptt.net.smtp_service import Session, SmtpService
from ptt.net.tls import link_server_context
from ptt.net.unit import Unit
from ptt.net.world import TlsFacts, TlsRole
from ptt.protocol.smtp.events import ServerSettings
from ptt.protocol.smtp.extensions import ON_EVERY_LISTENER, Flavour, Keyword

OFFERS = ON_EVERY_LISTENER | {Keyword.XPTT}
SIZE_MARGIN_OCTETS = 64 * 1024  # what units before this one put in front: Received, signatures, results


class Link:
    """The callers of this unit and the service that takes their mail."""

    def __init__(
        self, unit: Unit, session: Session, size_limit: int, count: Callable[[str], None] = lambda _name: None
    ) -> None:
        self._unit = unit
        self._callers: dict[bytes, str] = {}
        self._role = self._make_role()
        settings = ServerSettings(
            host_name=unit.boot.unit,
            flavour=Flavour.LMTP,
            offers=OFFERS,
            size_limit=size_limit + SIZE_MARGIN_OCTETS,
            tls_required=True,
        )
        self.service = SmtpService(
            unit, settings, session, lambda: self._role, is_welcome=self._is_welcome, count=count
        )

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callers from the host."""
        callers = {peer.certificate: peer.unit for peer in peers.callers}
        if callers != self._callers:
            self._callers = callers
            self._role = self._make_role()

    def caller(self, facts: TlsFacts | None) -> str | None:
        """The unit that showed this certificate."""
        return self._callers.get(facts.peer_certificate) if facts is not None else None

    def _is_welcome(self, facts: TlsFacts) -> bool:
        return self.caller(facts) is not None

    def _make_role(self) -> TlsRole:
        identity = self._unit.identity
        return TlsRole(
            server_side=True,
            context=link_server_context(identity, self._callers),
            own_certificate=identity.certificate,
        )
