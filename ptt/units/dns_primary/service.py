"""The name server's life: zones in, port 53 and a private port, drained at the end."""

from ptt.boot import Peers
from ptt.net.counters import Counters
from ptt.net.dns_callers import DnsCallers
from ptt.net.dns_server import DnsDatagrams
from ptt.net.dns_streams import DnsStreams
from ptt.net.git.client import Head
from ptt.net.lifecycle import Life, Orders
from ptt.net.names import names_of
from ptt.net.repository_watch import Watches
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
    names = names_of(unit, "")
    watches = Watches(unit, names.lookup)
    if told.repository is not None:

        async def on_head(head: Head) -> None:
            await session.take_files(head.files)

        watch = wanted(watches.add(told.repository, on_head), unit)
        session.on_notice = watch.poke
    public = DnsStreams(unit, session.message, count=counters.count)
    private = DnsStreams(unit, session.message, callers.tls_role, callers.is_welcome, counters.count)

    async def drain(deadline_s: float) -> None:
        await private.drain(deadline_s)
        await public.drain(deadline_s)
        await watches.close()
        await session.close()
        names.close()

    def on_peers(peers: Peers) -> None:
        callers.peers_changed(peers)
        session.peers_changed(peers)
        names.peers_changed(peers)

    session.notify_all()
    watches.start()
    life = Life(
        unit,
        {
            "dns": public.acceptor(),
            "dns_udp": lambda: DnsDatagrams(session.datagram),
            "update": private.acceptor(),
        },
        Orders(
            on_peers=on_peers,
            on_state=session.take_over,
            on_stream=watches.stream,
            on_changed=watches.changed,
            drain=drain,
        ),
        counters,
    )
    try:
        await life.run()
    finally:
        await session.close()  # also where nobody drained it
