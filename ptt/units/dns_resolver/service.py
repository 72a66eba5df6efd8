"""The resolver's life: one private listener, the Internet's name servers, drained at the end."""

from ptt.boot import Peers
from ptt.net.counters import Counters
from ptt.net.dns_callers import DnsCallers
from ptt.net.dns_streams import DnsStreams
from ptt.net.lifecycle import Life, Orders
from ptt.net.unit import Unit, wanted
from ptt.units.dns_resolver.session import ResolverSession
from ptt.units.dns_resolver.settings import read_settings


async def serve(unit: Unit) -> None:
    """Run one generation of the resolver until it is drained."""
    settings = wanted(read_settings(unit.boot.settings), unit)
    counters = Counters()
    session = ResolverSession(unit, settings, counters)
    callers = DnsCallers(unit)
    streams = DnsStreams(unit, session.asked, callers.tls_role, callers.is_welcome, counters.count)

    async def drain(deadline_s: float) -> None:
        await streams.drain(deadline_s)
        await session.close()

    def on_peers(peers: Peers) -> None:
        callers.peers_changed(peers)

    await Life(unit, {"dns": streams.acceptor()}, Orders(on_peers=on_peers, drain=drain), counters).run()
