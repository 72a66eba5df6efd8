"""The life of a unit between two others: mail comes over its link and goes on to the next unit."""

from collections.abc import Callable

from ptt.boot import Peers
from ptt.net.lifecycle import Life, Orders
from ptt.net.link import Link
from ptt.net.mail_session import MailSession
from ptt.net.smtp_server import ServerConnection
from ptt.net.transactions import Way


async def serve_between(
    way: Way, size_limit: int, make_session: Callable[[ServerConnection, Way], MailSession]
) -> None:
    """Serve the listener ``hop`` until everything is drained."""

    async def session(connection: ServerConnection) -> None:
        await make_session(connection, way).serve()

    link = Link(way.unit, session, size_limit, way.counters.count)

    async def drain(deadline_s: float) -> None:
        await link.service.drain(deadline_s)
        await way.hop.close()

    def on_peers(peers: Peers) -> None:
        link.peers_changed(peers)
        way.hop.peers_changed(peers)

    orders = Orders(on_peers=on_peers, drain=drain)
    await Life(way.unit, {"hop": link.service.acceptor}, orders, way.counters).run()
