"""Submission's life.

Settings and secrets in, two public listeners, one hop to the signer, a drain at the end.
"""

import asyncio
from dataclasses import replace
from functools import partial
from hashlib import blake2b

from ptt.net.lifecycle import Life, Orders
from ptt.net.smtp_server import ServerConnection
from ptt.net.smtp_service import SmtpService
from ptt.net.tls import public_server_context
from ptt.net.transactions import Way
from ptt.net.unit import Unit, wanted
from ptt.net.world import TlsRole
from ptt.protocol.smtp.events import ServerSettings
from ptt.protocol.smtp.extensions import ON_EVERY_LISTENER, Keyword
from ptt.units.submission.allowance import Allowance
from ptt.units.submission.logins import Directory, read_directory
from ptt.units.submission.session import SubmissionSession, Users
from ptt.units.submission.settings import SubmissionSettings, read_settings

OFFERS = ON_EVERY_LISTENER | {Keyword.AUTH, Keyword.LIMITS}
MECHANISMS = ("PLAIN", "LOGIN")  # the order that clients were seen to need (specs/clients.md section 8)
SCRAM = "SCRAM-SHA-256"


async def serve(unit: Unit) -> None:
    """Run one generation of submission until it is drained."""
    settings = wanted(read_settings(unit.boot.settings), unit)
    way = Way.to("signer", unit, settings.memory_octets)
    allowance = Allowance(settings.messages_a_day, settings.new_recipients_a_day)
    implicit, upgraded = _services(way, settings, Users(_directory(unit, settings), allowance))

    async def drain(deadline_s: float) -> None:
        await asyncio.gather(implicit.drain(deadline_s), upgraded.drain(deadline_s))
        await way.hop.close()

    services = {"submissions": implicit.acceptor, "submission": upgraded.acceptor}
    orders = Orders(on_peers=way.hop.peers_changed, drain=drain)
    await Life(unit, services, orders, way.counters).run()


def _directory(unit: Unit, settings: SubmissionSettings) -> Directory:
    # The stand-in's key must be the same for all generations: derived from what they share (RFC 5802 §9).
    stand_in_key = blake2b(unit.boot.secrets["tls_key"].encode(), person=b"ptt-scram").digest()
    read = read_directory(unit.boot.secrets["verifiers"], settings.domain_names, stand_in_key)
    directory, faults = wanted(read, unit, "verifiers", "a JSON object of user files")
    for fault in faults:
        unit.journal.alarm(f"user not taken: {fault}")
    return directory


def _services(way: Way, settings: SubmissionSettings, users: Users) -> tuple[SmtpService, SmtpService]:
    """The listeners with implicit TLS (465) and with STARTTLS (587)."""
    boot = way.unit.boot
    context = public_server_context(
        settings.certificate_pem.encode(), boot.secrets["tls_key"].encode(), tickets=True
    )
    role = TlsRole(server_side=True, context=context)
    speaks = ServerSettings(
        host_name=boot.host_name,
        offers=OFFERS,
        auth_mechanisms=(*MECHANISMS, SCRAM) if users.directory.offers_scram else MECHANISMS,
        size_limit=settings.size_limit,
        tls_required=True,
        auth_required=True,
        tolerant=True,
    )

    async def session(connection: ServerConnection) -> None:
        await SubmissionSession(connection, way, settings, users).serve()

    service = partial(SmtpService, way.unit, session=session, tls_role=lambda: role, count=way.counters.count)
    implicit = service(replace(speaks, offers=OFFERS - {Keyword.STARTTLS}), implicit_tls=True)
    return implicit, service(speaks)
