"""The signer's life: keys in, one private listener, one hop to the relay, drained at the end."""

from collections.abc import Sequence

from ptt.boot import Peers
from ptt.errors import ConfigError, Malformed
from ptt.net.budget import MemoryBudget
from ptt.net.counters import Counters
from ptt.net.hop import Hop
from ptt.net.lifecycle import Life, Orders
from ptt.net.link import Link
from ptt.net.smtp_server import ServerConnection
from ptt.net.transactions import Way
from ptt.net.unit import Unit
from ptt.protocol.mailauth.dkim.keys import SigningKey
from ptt.protocol.mailauth.dkim.signing import SigningPolicy
from ptt.units.signer.session import SignerSession
from ptt.units.signer.settings import SignerSettings, policy_of, read_keys, read_settings

WHERE = "boot record of signer"


async def serve(unit: Unit) -> None:
    """Run one generation of the signer until it is drained."""
    settings, keys, policy = _configured(unit)
    way = Way(unit, Hop(unit, "relay"), MemoryBudget(settings.memory_octets), Counters())

    async def session(connection: ServerConnection) -> None:
        await SignerSession(connection, way, keys, policy).serve()

    link = Link(unit, session, settings.size_limit, way.counters.count)
    way.counters.watch("held_octets", lambda: way.budget.held)

    async def drain(deadline_s: float) -> None:
        await link.service.drain(deadline_s)
        await way.hop.close()

    def on_peers(peers: Peers) -> None:
        link.peers_changed(peers)
        way.hop.peers_changed(peers)

    orders = Orders(on_peers=on_peers, drain=drain)
    await Life(unit, {"hop": link.service.acceptor}, orders, way.counters).run()


def _configured(unit: Unit) -> tuple[SignerSettings, Sequence[SigningKey], SigningPolicy]:
    settings = read_settings(unit.boot.settings)
    if isinstance(settings, Malformed):
        raise ConfigError(f"{WHERE}, settings", settings.reason, "mend this setting")
    policy = policy_of(settings)
    if isinstance(policy, Malformed):
        raise ConfigError(f"{WHERE}, settings", policy.reason, "mend this setting")
    keys = read_keys(unit.boot.secrets["dkim_keys"])
    if isinstance(keys, Malformed):
        raise ConfigError(f"{WHERE}, dkim_keys", keys.reason, "a JSON list of selector, domain and key")
    return settings, keys, policy
