"""One service of ours, real mail servers and addresses for scripted ones, started once for all cases here."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ptt import topology
from ptt.host.user_ids import can_have_own
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.our_service import Domain
from ptt.rehearsal.peers.opendkim import OpenDkim
from ptt.rehearsal.peers.postfix import MAIL_USER_ID, Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site

OUR_ADDRESSES = ("192.0.2.10", "2001:db8:10::10")
USERS = {"alice": "correct horse battery staple", "bruno": "a password of his own", "dörte": "naïve"}
SIZE_LIMIT = 10_000_000
OUR_DOMAINS = ("mirage.org", "keyless.test")  # the signer has no key for the second
SCRIPTED = range(1, 21)
ZONE = """
remote.com        MX 10 mx1.remote.com
mx1.remote.com    A     198.51.100.25
other.net         MX 10 mx.other.net
mx.other.net      A     203.0.113.25
two.test          MX 20 mx2.two.test
two.test          MX 10 mx1.two.test
mx1.two.test      A     203.0.113.51
mx2.two.test      A     203.0.113.52
no-mx.test        A     203.0.113.53
no-mx6.test       AAAA  2001:db8:53::25
null.test         MX 0  .
six.test          MX 10 mx.six.test
mx.six.test       AAAA  2001:db8:54::25
isp.test          A     203.0.113.60
"""
ADDRESSES = (
    *("198.51.100.25", "203.0.113.25", "203.0.113.51", "203.0.113.52", "203.0.113.53", "203.0.113.55"),
    *("203.0.113.60", "2001:db8:53::25", "2001:db8:54::25"),
)

Require = Callable[[str], str]


@pytest.fixture(scope="session")
def relay_settings() -> dict[str, Any]:
    """What the relay is told: the zone, where s1.test … s20.test have a server each; bruno needs TLS."""
    scripted = [f"s{n}.test MX 10 mx.s{n}.test\nmx.s{n}.test A {scripted_address(n)}\n" for n in SCRIPTED]
    rights = {"alice": {"insecure": True}, "dörte": {"insecure": True}, "bruno": {}}
    return {"zone": ZONE + "".join(scripted), "users": rights, "ipv6": True}


def scripted_address(number: int) -> str:
    """The address of the server of ``s<number>.test``."""
    return f"203.0.113.{100 + number}"


@pytest.fixture(scope="session")
def site(open_place: Path, relay_settings: dict[str, Any], require_program: Require) -> Iterator[Site]:
    """Give our service."""
    add_addresses([*ADDRESSES, *map(scripted_address, SCRIPTED)])
    domain = Domain(addresses=OUR_ADDRESSES, users=USERS)
    settings = {"relay": relay_settings, "submission": {"size_limit": SIZE_LIMIT, "domains": OUR_DOMAINS}}
    with Site(
        open_place,
        domain,
        settings,
        smarthost_password="the provider's password",
        units=topology.OUTBOUND,
    ) as running:
        yield running


def require_postfix(require_program: Require) -> None:
    """Skip where no Postfix can run."""
    require_program("postfix")
    if not can_have_own(MAIL_USER_ID, 1):
        pytest.skip("Postfix needs user ids of its own: root, or the subordinate ids of uidmap's newuidmap")


@pytest.fixture(scope="session")
def mx1(site: Site, open_place: Path, require_program: Require) -> Iterator[Postfix]:
    """Give the Postfix of remote.com: STARTTLS with a certificate of nobody, OpenDKIM as a milter."""
    require_postfix(require_program)
    require_program("opendkim")
    judge = OpenDkim(open_place / "opendkim", "mx1.remote.com", site.dkim_records)
    postfix = Postfix(
        open_place / "mx1",
        "mx1.remote.com",
        "198.51.100.25",
        ["remote.com"],
        ["bob", "carol", *(f"u{number}" for number in range(100))],
        settings={"smtpd_milters": judge.milter, "smtputf8_enable": "yes", "enable_long_queue_ids": "yes"},
        certificate=Authority("Nobody's authority").issue("mx1.remote.com").write(open_place / "mx1.pem"),
    )
    judge.start()
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()
        judge.stop()


@pytest.fixture(scope="session")
def clear_mx(site: Site, open_place: Path, require_program: Require) -> Iterator[Postfix]:
    """Give the Postfix of other.net, which offers no TLS."""
    require_postfix(require_program)
    postfix = Postfix(open_place / "mx", "mx.other.net", "203.0.113.25", ["other.net"], ["bob", "carol"])
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Start scripted servers, by number (``s<number>.test``) or by address."""
    running: list[ScriptedServer] = []

    def start(where: int | str, script: Any = None, **parts: Any) -> ScriptedServer:
        address = scripted_address(where) if isinstance(where, int) else where
        server = ScriptedServer(address, dict(script or {}), **parts)
        server.start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()
