"""The pinned callers of a private DNS listener: certificates named by the host, live (``Link``'s sister).

TLS comes first here, so one context serves all handshakes: who is named is added to its trust anchors, and
who is no longer named is sent away after the handshake.
"""

from ptt.boot import Peers
from ptt.net.tls import link_server_context
from ptt.net.unit import Unit
from ptt.net.world import TlsFacts, TlsRole


class DnsCallers:
    """Which units may ask, and our side of the handshake with them."""

    def __init__(self, unit: Unit) -> None:
        self._callers: frozenset[bytes] = frozenset()
        self._known: set[bytes] = set()
        self._context = link_server_context(unit.identity, ())
        self._role = TlsRole(
            server_side=True, context=self._context, own_certificate=unit.identity.certificate
        )

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callers from the host."""
        callers = frozenset(peer.certificate for peer in peers.callers)
        for certificate in callers - self._known:
            self._context.load_verify_locations(cadata=certificate)
            self._known.add(certificate)
        self._callers = callers

    def tls_role(self) -> TlsRole:
        """Our side of the next handshake."""
        return self._role

    def is_welcome(self, facts: TlsFacts) -> bool:
        """Whether the certificate shown is one that the host has named."""
        return facts.peer_certificate in self._callers
