"""The receiver's life: settings and its key in, port 25, one hop to the spam filter, drained at the end."""

from ptt.boot import Peers
from ptt.net.lifecycle import Life, Orders
from ptt.net.names import names_of
from ptt.net.smtp_server import ServerConnection
from ptt.net.smtp_service import SmtpService
from ptt.net.tls import public_server_context
from ptt.net.transactions import Way
from ptt.net.unit import Unit, wanted
from ptt.net.world import TlsRole
from ptt.protocol.smtp.events import ServerSettings
from ptt.protocol.smtp.extensions import ON_EVERY_LISTENER, Keyword
from ptt.units.receiver.judging import Rules
from ptt.units.receiver.session import Bench, ReceiverSession
from ptt.units.receiver.settings import ReceiverSettings, read_settings

OFFERS = ON_EVERY_LISTENER | {Keyword.LIMITS, Keyword.PRDR}


async def serve(unit: Unit) -> None:
    """Run one generation of the receiver until it is drained."""
    settings = wanted(read_settings(unit.boot.settings), unit)
    way = Way.to("spam_filter", unit, settings.memory_octets)
    names = names_of(unit, settings.zone)
    service = _service(way, settings, Bench(_rules(unit, settings), names.lookup))

    async def drain(deadline_s: float) -> None:
        await service.drain(deadline_s)
        await way.hop.close()
        names.close()

    def on_peers(peers: Peers) -> None:
        way.hop.peers_changed(peers)
        names.peers_changed(peers)

    orders = Orders(on_peers=on_peers, drain=drain)
    await Life(unit, {"smtp": service.acceptor}, orders, way.counters).run()


def _service(way: Way, settings: ReceiverSettings, bench: Bench) -> SmtpService:
    boot = way.unit.boot
    context = public_server_context(
        settings.certificate_pem.encode(), boot.secrets["tls_key"].encode(), tickets=False
    )
    role = TlsRole(server_side=True, context=context)
    speaks = ServerSettings(host_name=boot.host_name, offers=OFFERS, size_limit=settings.size_limit)

    async def session(connection: ServerConnection) -> None:
        await ReceiverSession(connection, way, bench).serve()

    return SmtpService(way.unit, speaks, session, lambda: role, count=way.counters.count)


def _rules(unit: Unit, settings: ReceiverSettings) -> Rules:
    return Rules(
        authserv_id=unit.boot.host_name,
        domains=settings.domain_names,
        lists=settings.list_names,
        enforces=settings.dmarc == "enforce",
    )
