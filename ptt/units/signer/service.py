"""The signer's life: keys in, one private listener, one hop to the relay, drained at the end."""

from ptt.boot import Peers
from ptt.errors import ConfigError, Malformed
from ptt.net.budget import MemoryBudget
from ptt.net.counters import Counters
from ptt.net.hop import Hop
from ptt.net.lifecycle import Life, Orders
from ptt.net.link import Link
from ptt.net.smtp_server import ServerConnection
from ptt.net.unit import Unit
from ptt.units.signer.session import SignerSession, Surroundings
from ptt.units.signer.settings import policy_of, read_keys, read_settings

WHERE = "boot record of signer"


async def serve(unit: Unit) -> None:
    """Run one generation of the signer until it is drained."""
    around = _surroundings(unit)

    async def session(connection: ServerConnection) -> None:
        await SignerSession(connection, around).serve()

    link = Link(unit, session, around.settings.size_limit, around.counters.count)

    async def drain(deadline_s: float) -> None:
        await link.service.drain(deadline_s)
        await around.hop.close()

    def on_peers(peers: Peers) -> None:
        link.peers_changed(peers)
        around.hop.peers_changed(peers)

    await Life(
        unit, {"hop": link.service.factory}, Orders(on_peers=on_peers, drain=drain), around.counters
    ).run()


def _surroundings(unit: Unit) -> Surroundings:
    settings = read_settings(unit.boot.settings)
    if isinstance(settings, Malformed):
        raise ConfigError(f"{WHERE}, settings", settings.reason, "mend this setting")
    policy = policy_of(settings)
    if isinstance(policy, Malformed):
        raise ConfigError(f"{WHERE}, settings", policy.reason, "mend this setting")
    keys = read_keys(unit.boot.secrets["dkim_keys"])
    if isinstance(keys, Malformed):
        raise ConfigError(f"{WHERE}, dkim_keys", keys.reason, "a JSON list of selector, domain and key")
    return Surroundings(
        unit=unit,
        settings=settings,
        keys=keys,
        policy=policy,
        hop=Hop(unit, "relay"),
        budget=MemoryBudget(settings.memory_octets),
        counters=Counters(),
    )
