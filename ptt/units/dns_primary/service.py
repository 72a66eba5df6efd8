"""The name server's life: zones in, port 53 and a private port, drained at the end."""

from ptt.boot import Peers
from ptt.net.counters import Counters
from ptt.net.dns_callers import DnsCallers
from ptt.net.dns_server import DnsDatagrams
from ptt.net.dns_streams import DnsStreams
from ptt.net.lifecycle import Life, Orders
from ptt.net.unit import Unit, wanted
from ptt.units.dns_primary.session import PrimarySession
from ptt.units.dns_primary.settings import read_told


async def serve(unit: Unit) -> None:
    """Run one generation of the name server until it is drained."""
    told = wanted(read_told(unit.boot.settings, unit.boot.secrets.get("tsig_keys", "[]")), unit, part="")
    for fault in told.faults:
        unit.journal.alarm(f"zone not served: {fault.where}: {fault.reason}")
    counters = Counters()
    session = PrimarySession(unit, told, counters)
    callers = DnsCallers(unit)
    public = DnsStreams(unit, session.message, count=counters.count)
    private = DnsStreams(unit, session.message, callers.tls_role, callers.is_welcome, counters.count)

    async def drain(deadline_s: float) -> None:
        await private.drain(deadline_s)
        await public.drain(deadline_s)
        await session.close()

    def on_peers(peers: Peers) -> None:
        callers.peers_changed(peers)
        session.peers_changed(peers)

    session.notify_all()
    await Life(
        unit,
        {
            "dns": public.acceptor(),
            "dns_udp": lambda: DnsDatagrams(session.datagram),
            "update": private.acceptor(),
        },
        Orders(on_peers=on_peers, on_state=session.take_over, drain=drain),
        counters,
    ).run()
