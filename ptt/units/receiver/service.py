"""The receiver's life: settings and its key in, port 25, one hop to the spam filter, drained at the end."""

from ptt.boot import Peers
from ptt.net.certificate import PublicCertificate, certificate_of
from ptt.net.lifecycle import Life, Orders
from ptt.net.names import names_of
from ptt.net.smtp_server import ServerConnection
from ptt.net.smtp_service import SmtpService
from ptt.net.transactions import Way
from ptt.net.unit import Unit, wanted
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
    certificate = certificate_of(
        unit, settings.certificate_pem, settings.certificate_key, tickets=False, stands_in=True
    )
    service = _service(way, settings, Bench(_rules(unit, settings), names.lookup), certificate)

    async def drain(deadline_s: float) -> None:
        await service.drain(deadline_s)
        await way.hop.close()
        names.close()

    def on_peers(peers: Peers) -> None:
        way.hop.peers_changed(peers)
        names.peers_changed(peers)
        certificate.peers_changed(peers)

    orders = Orders(on_peers=on_peers, drain=drain, wait_served=certificate.wait_served)
    async with certificate.watched():
        await Life(unit, {"smtp": service.acceptor}, orders, way.counters).run()


def _service(
    way: Way, settings: ReceiverSettings, bench: Bench, certificate: PublicCertificate
) -> SmtpService:
    host_name = way.unit.boot.host_name
    speaks = ServerSettings(host_name=host_name, offers=OFFERS, size_limit=settings.size_limit)

    async def session(connection: ServerConnection) -> None:
        await ReceiverSession(connection, way, bench).serve()

    return SmtpService(way.unit, speaks, session, certificate.tls_role, count=way.counters.count)


def _rules(unit: Unit, settings: ReceiverSettings) -> Rules:
    return Rules(
        authserv_id=unit.boot.host_name,
        domains=settings.domain_names,
        lists=settings.list_names,
        enforces=settings.dmarc == "enforce",
    )
