"""The units as processes: users of their own, nothing secret to be seen, nobody in between."""

import re
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ptt.host.daemon import FIRST_USER_ID, MAX_UNITS
from ptt.host.process import ALLOCATOR
from ptt.host.user_ids import can_have_own
from ptt.net.tls import link_client_context, make_link_identity
from ptt.rehearsal.site import Site

UNITS = ("submission", "signer", "relay")


def pid(site: Site, unit: str) -> int:
    """The process that serves."""

    async def ask() -> int:
        return site.host.pid(unit)

    return site.background.call(ask())


def status(site: Site, unit: str, field: str) -> list[str]:
    """A line of the kernel about a unit."""
    lines = Path(f"/proc/{pid(site, unit)}/status").read_text().splitlines()
    return next(line.split("\t")[1:] for line in lines if line.startswith(f"{field}:"))


@pytest.mark.skipif(not can_have_own(FIRST_USER_ID, MAX_UNITS), reason="here is one user id for all")
def test_each_unit_has_a_user_of_its_own(site: Site) -> None:
    users = {unit: set(status(site, unit, "Uid")) for unit in UNITS}
    groups = {unit: set(status(site, unit, "Gid")) for unit in UNITS}

    for ids in (users, groups):
        assert all(len(each) == 1 for each in ids.values())  # real, effective, saved and of the file system
        assert len(set.union(*ids.values())) == len(UNITS)
        assert "0" not in set.union(*ids.values())
    assert not [unit for unit in UNITS if "".join(status(site, unit, "Groups")).strip()]
    assert {status(site, unit, "CapEff")[0] for unit in UNITS} == {"0" * 16}


def test_nothing_secret_can_be_seen_from_outside(site: Site) -> None:
    for unit in UNITS:
        process = Path(f"/proc/{pid(site, unit)}")
        command = (process / "cmdline").read_bytes().split(b"\0")
        # What the C library is told of its allocator, and nothing else.
        entries = (process / "environ").read_bytes().rstrip(b"\0").split(b"\0")
        assert sorted(entries) == sorted(f"{name}={value}".encode() for name, value in ALLOCATOR.items())
        assert command[1:4] == [b"-I", b"-S", b"-B"]
        assert command[5:] == [b""]  # the image's folder is all that it is told there


def private_endpoint(site: Site, unit: str) -> tuple[str, int]:
    """Where a unit takes mail from other units."""

    async def ask() -> tuple[str, int]:
        endpoint = site.host.endpoint(unit, "hop")
        return endpoint.host, endpoint.port

    return site.background.call(ask())


def hear(connection: socket.socket) -> bytes:
    """One reply."""
    heard = b""
    while not re.search(rb"^\d{3} .*\r\n\Z", heard, re.MULTILINE):
        octets = connection.recv(4096)
        if not octets:
            break
        heard += octets
    return heard


def talk(connection: socket.socket, *lines: bytes) -> bytes:
    """Say lines one after the other; all that is answered."""
    heard = b""
    for line in lines:
        try:
            connection.sendall(line)
            heard += hear(connection)
        except OSError:
            break
    return heard


ENVELOPE = (
    b"LHLO mallory\r\n",
    b"MAIL FROM:<mallory@evil.test>\r\n",
    b"RCPT TO:<bob@remote.com>\r\n",
    b"DATA\r\n",
)


@pytest.mark.parametrize("unit", ["signer", "relay"])
def test_a_neighbour_without_the_right_certificate_passes_no_mail(site: Site, unit: str) -> None:
    """On the private network itself: in clear, under TLS without a certificate, with one of its own [I2]."""
    with socket.create_connection(private_endpoint(site, unit), timeout=5) as connection:
        hear(connection)
        heard = talk(connection, *ENVELOPE)
        assert re.findall(rb"^(\d{3}) ", heard, re.MULTILINE) == [b"250", b"530", b"530", b"530"]

    for with_certificate in (False, True):
        identity = make_link_identity("signer", 1, datetime.now(UTC))
        context = link_client_context(identity, identity.certificate)
        if not with_certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection(private_endpoint(site, unit), timeout=5) as connection:
            hear(connection)
            talk(connection, b"LHLO mallory\r\n", b"STARTTLS\r\n")
            try:
                with context.wrap_socket(connection) as secured:
                    heard = talk(secured, *ENVELOPE)
            except (OSError, ssl.SSLError):
                continue
            assert heard == b""
