"""The spam filter's life: its model in, one private listener, one hop to the relay, drained at the end."""

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
from ptt.units.spam_filter.session import Labelling, SpamFilterSession
from ptt.units.spam_filter.settings import SpamFilterSettings, read_model, read_settings

WHERE = "boot record of spam_filter"


async def serve(unit: Unit) -> None:
    """Run one generation of the spam filter until it is drained."""
    settings, labelling = _configured(unit)
    way = Way(unit, Hop(unit, "relay"), MemoryBudget(settings.memory_octets), Counters())

    async def session(connection: ServerConnection) -> None:
        await SpamFilterSession(connection, way, labelling).serve()

    link = Link(unit, session, settings.size_limit, way.counters.count)
    way.counters.watch("held_octets", lambda: way.budget.held)

    async def drain(deadline_s: float) -> None:
        await link.service.drain(deadline_s)
        await way.hop.close()

    def on_peers(peers: Peers) -> None:
        link.peers_changed(peers)
        way.hop.peers_changed(peers)

    orders = Orders(on_peers=on_peers, drain=drain)
    await Life(unit, {"hop": link.service.factory}, orders, way.counters).run()


def _configured(unit: Unit) -> tuple[SpamFilterSettings, Labelling]:
    settings = read_settings(unit.boot.settings)
    if isinstance(settings, Malformed):
        raise ConfigError(f"{WHERE}, settings", settings.reason, "mend this setting")
    model = read_model(settings)
    if isinstance(model, Malformed):
        raise ConfigError(f"{WHERE}, settings", model.reason, "train the model anew, or leave it empty")
    return settings, Labelling(model, settings.x_spam_status)
