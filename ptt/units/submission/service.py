"""Submission's life.

Settings and secrets in, two public listeners, one hop to the signer, a drain at the end.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import blake2b

from ptt.boot import GiveState, Peers
from ptt.net.certificate import PublicCertificate, certificate_of
from ptt.net.lifecycle import Life, Orders
from ptt.net.names import names_of
from ptt.net.repository_watch import Watches
from ptt.net.smtp_server import ServerConnection
from ptt.net.smtp_service import SmtpService
from ptt.net.transactions import Way
from ptt.net.unit import Unit, wanted
from ptt.net.watched_users import WatchedUsers
from ptt.protocol.smtp.events import ServerSettings
from ptt.protocol.smtp.extensions import ON_EVERY_LISTENER, Keyword
from ptt.records.logins import Login, parse_compatible_login, parse_login
from ptt.records.user_list import UserList
from ptt.units.submission.allowance import Allowance
from ptt.units.submission.logins import Directory, Source, merged, read_directory
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
    certificate = certificate_of(
        unit, settings.certificate_pem, settings.certificate_key, tickets=True, stands_in=False
    )
    names = names_of(unit, settings.zone)
    watches = Watches(unit, names.lookup)
    stand_in_key = _stand_in_key(unit)
    users = Users(Directory({}, settings.domain_names, stand_in_key), allowance)
    implicit, upgraded = _services(way, settings, users, certificate)

    def hold(directory: Directory) -> None:
        users.directory = directory
        mechanisms = (*MECHANISMS, SCRAM) if directory.offers_scram else MECHANISMS
        for service in (implicit, upgraded):
            service.settings = replace(service.settings, auth_mechanisms=mechanisms)

    watched = _watched(unit, settings, watches, stand_in_key, hold)

    async def drain(deadline_s: float) -> None:
        await asyncio.gather(implicit.drain(deadline_s), upgraded.drain(deadline_s))
        await watches.close()
        await way.hop.close()
        names.close()

    def on_peers(peers: Peers) -> None:
        way.hop.peers_changed(peers)
        certificate.peers_changed(peers)
        names.peers_changed(peers)

    def on_state(state: GiveState) -> None:
        for each in watched:
            each.take_over(state.entries)

    watches.start()
    services = {"submissions": implicit.acceptor, "submission": upgraded.acceptor}
    orders = Orders(
        on_peers=on_peers,
        on_state=on_state,
        on_stream=watches.stream,
        on_changed=watches.changed,
        drain=drain,
        wait_served=certificate.wait_served,
    )
    async with certificate.watched():
        await Life(unit, services, orders, way.counters).run()


def _watched(
    unit: Unit,
    settings: SubmissionSettings,
    watches: Watches,
    stand_in_key: bytes,
    hold: Callable[[Directory], None],
) -> list[WatchedUsers[Login]]:
    """The repositories with logins; none where these stand in the secrets. ``hold`` gets each directory."""
    watched: list[WatchedUsers[Login]] = []

    def changed(_users: UserList[Login] | None = None) -> None:
        logins, doubts = merged([Source(each.users) for each in watched])
        hold(Directory(logins, settings.domain_names, stand_in_key, doubts))

    for repository, parse, field in (
        (settings.repository, parse_login, "repository"),
        (settings.relay_repository, parse_compatible_login, "relay_repository"),
    ):
        if repository is not None:
            watched.append(WatchedUsers(unit, watches, repository, parse, changed, field))
    if watched:
        changed()
    else:
        hold(_directory(unit, settings, stand_in_key))
    return watched


def _stand_in_key(unit: Unit) -> bytes:
    # The stand-in's key must be the same for all generations: derived from what they share (RFC 5802 §9).
    secrets = unit.boot.secrets
    shared = secrets["tls_key"] if "tls_key" in secrets else secrets["certificate_seed"]
    return blake2b(shared.encode(), person=b"ptt-scram").digest()


def _directory(unit: Unit, settings: SubmissionSettings, stand_in_key: bytes) -> Directory:
    read = read_directory(unit.boot.secrets["verifiers"], settings.domain_names, stand_in_key)
    directory, faults = wanted(read, unit, "verifiers", "a JSON object of user files")
    for fault in faults:
        unit.journal.alarm(f"user not taken: {fault}")
    return directory


def _services(
    way: Way, settings: SubmissionSettings, users: Users, certificate: PublicCertificate
) -> tuple[SmtpService, SmtpService]:
    """The listeners with implicit TLS (465) and with STARTTLS (587)."""
    speaks = ServerSettings(
        host_name=way.unit.boot.host_name,
        offers=OFFERS,
        auth_mechanisms=MECHANISMS,
        size_limit=settings.size_limit,
        tls_required=True,
        auth_required=True,
        tolerant=True,
    )

    async def session(connection: ServerConnection) -> None:
        await SubmissionSession(connection, way, settings, users).serve()

    service = partial(
        SmtpService, way.unit, session=session, tls_role=certificate.tls_role, count=way.counters.count
    )
    implicit = service(replace(speaks, offers=OFFERS - {Keyword.STARTTLS}), implicit_tls=True)
    return implicit, service(speaks)
