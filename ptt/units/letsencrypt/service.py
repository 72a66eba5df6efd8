"""The life of letsencrypt: notices heard, zones read, certificates ordered, drained at the end."""

import asyncio
from collections.abc import Callable

from ptt.boot import Peers
from ptt.net.counters import Counters
from ptt.net.dns_callers import DnsCallers
from ptt.net.dns_streams import Caller, DnsStreams
from ptt.net.https_client import HttpsClient
from ptt.net.lifecycle import Life, Orders
from ptt.net.resolver_client import ResolverClient
from ptt.net.unit import Unit, wanted
from ptt.units.letsencrypt.session import LetsencryptSession
from ptt.units.letsencrypt.settings import Idle, Told, read_told


async def serve(unit: Unit) -> None:
    """Run one generation of letsencrypt until it is drained."""
    secrets = unit.boot.secrets
    keys = (secrets.get("acme_account_key", ""), secrets.get("tsig_key", ""))
    read = await unit.world.run_in_worker(read_told, unit.boot.settings, *keys)  # a seed takes seconds
    match wanted(read, unit, part=""):
        case Idle():
            notices = DnsStreams(unit, ignore, DnsCallers(unit).tls_role)
            await Life(unit, {"notify": notices.acceptor()}, Orders(on_peers=lambda _peers: None)).run()
        case Told() as told:
            await serve_zones(unit, told)


def ignore(_wire: bytes, _caller: Caller, answer: Callable[[list[bytes]], None]) -> None:
    """Answer nothing."""
    answer([])


async def serve_zones(unit: Unit, told: Told) -> None:
    """Hear notices and order certificates until everything is drained."""
    counters = Counters()
    resolver = ResolverClient(unit)
    https = HttpsClient(unit.world, resolver, told.settings.roots)
    session = LetsencryptSession(unit, told, https, counters)
    callers = DnsCallers(unit)
    notices = DnsStreams(unit, session.notified, callers.tls_role, callers.is_welcome, counters.count)

    def on_peers(peers: Peers) -> None:
        resolver.peers_changed(peers)
        callers.peers_changed(peers)
        session.peers_changed(peers)

    async def drain(deadline_s: float) -> None:
        await notices.drain(deadline_s)
        await session.drain(deadline_s)
        resolver.close()

    orders = Orders(on_peers=on_peers, on_state=session.take_over, drain=drain)
    async with asyncio.TaskGroup() as group:
        work = group.create_task(session.work())
        await Life(unit, {"notify": notices.acceptor()}, orders, counters).run()
        work.cancel()
