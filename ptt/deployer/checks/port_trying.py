"""Tries ports: binds those that should be free, greets those that we serve, connects to others' port 25."""

import asyncio
import contextlib
import errno
import os
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from ptt import topology
from ptt.deployer.checks.ports import Outward, Port, PortFact
from ptt.deployer.config import Config
from ptt.manifest import INTERNET, Channel, Listen
from ptt.protocol.dns.lookup import A, Aaaa, Lookup, RecordType
from ptt.protocol.dns.name import Name

CONNECT_S = 5.0  # to servers all over the world; a blocked port never answers
GREETING_S = 10.0  # our own greets at once; a busy machine takes longer
RELAY_S = 30.0
GREETING, TAKEN = 220, 250  # RFC 5321 §4.2.3
STRANGER, STRANGERS_FRIEND = "stranger@example.net", "relay-test@example.com"  # RFC 2606: nobody's
_STATES = {errno.EADDRINUSE: Port.TAKEN, errno.EADDRNOTAVAIL: Port.ABSENT, errno.EACCES: Port.DENIED}


def our_ports() -> Iterator[Listen]:
    """What the units serve to the Internet, as their manifests say."""
    for manifest in topology.ALL:
        yield from (listen for listen in manifest.listens if INTERNET in listen.callers)


def free_ports(config: Config) -> list[PortFact]:
    """Whether ``ptt up`` may have its ports: bound for a moment each."""
    facts = [
        try_to_bind(address, listen.port, listen.transport.upper())
        for address in config.bound_addresses
        for listen in our_ports()
    ]
    return _once_absent(facts)


def _once_absent(facts: list[PortFact]) -> list[PortFact]:
    """An address that is not here is told once, not for each port."""
    seen: set[str] = set()
    kept = []
    for fact in facts:
        if fact.state is Port.ABSENT and fact.address in seen:
            continue
        if fact.state is Port.ABSENT:
            seen.add(fact.address)
        kept.append(fact)
    return kept


def try_to_bind(address: str, port: int, protocol: str) -> PortFact:
    """Listen for a moment."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004
    kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
    try:
        with socket.socket(family, kind) as probe:
            if protocol == "TCP":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            if protocol == "TCP":
                probe.listen(1)
    except OSError as error:
        return PortFact(address, port, protocol, _STATES.get(error.errno or 0, Port.TAKEN), _words(error))
    return PortFact(address, port, protocol, Port.FREE)


async def served_ports(config: Config) -> list[PortFact]:
    """Whether our ports of mail answer with our name; DNS is asked elsewhere."""
    wanted = [
        (address, listen)
        for address in config.bound_addresses
        for listen in our_ports()
        if listen.channel is not Channel.DNS
    ]
    return list(await asyncio.gather(*(greet(*each, config.name) for each in wanted)))


async def greet(address: str, listen: Listen, host_name: str) -> PortFact:
    """Who greets there."""
    context, port, channel = None, listen.port, listen.channel
    if channel is Channel.SUBMISSIONS:
        context = ssl.create_default_context()
        context.check_hostname = False  # whether clients trust it is another line's matter
        context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(GREETING_S):
            reader, writer = await asyncio.open_connection(address, port, ssl=context)
            line = await reader.readline()
    except OSError as error:  # ssl.SSLError and TimeoutError are OSErrors
        # Without a certificate 465 and 587 wait: who connects is kept in the queue.
        waits = channel is not Channel.SMTP and not isinstance(error, ConnectionRefusedError)
        state = Port.NO_CERTIFICATE if waits else Port.SILENT
        return PortFact(address, port, "TCP", state, _words(error))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    text = line.decode("ascii", "replace").strip()
    is_ours = text.startswith("220") and host_name.lower() in text.lower()
    return PortFact(address, port, "TCP", Port.OURS if is_ours else Port.STRANGE, text)


async def try_outward(config: Config, lookup: Lookup, names: Sequence[str]) -> list[Outward]:
    """Connect to the port 25 of each name; those without an address are left out."""
    smarthost, by_ipv6 = config.relay.smarthost, all(":" in each for each in config.addresses)
    if smarthost is not None:
        found = await _try(smarthost.host, smarthost.port, lookup, by_ipv6=by_ipv6)
        return [found or Outward(smarthost.host, "it has no address")]
    tried = await asyncio.gather(*(_try(name, config.relay.port, lookup, by_ipv6=by_ipv6) for name in names))
    return [each for each in tried if each is not None]


async def _try(name: str, port: int, lookup: Lookup, *, by_ipv6: bool) -> Outward | None:
    addresses = await _addresses(name, lookup, by_ipv6=by_ipv6)
    if not addresses:
        return None
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(addresses[0], port)
    except OSError as error:
        return Outward(name, _words(error))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Outward(name, "")


async def _addresses(name: str, lookup: Lookup, *, by_ipv6: bool) -> list[str]:
    """Of the family that we send by."""
    if by_ipv6:
        six = await lookup.query(Name.of(name), RecordType.AAAA)
        return [str(each.address) for each in six.of(Aaaa)]
    four = await lookup.query(Name.of(name), RecordType.A)
    return [str(each.address) for each in four.of(A)]


def ask_to_relay(address: str, host_name: str) -> tuple[int, str]:
    """What our port 25 says to mail of a stranger's for a stranger; code 0: nothing. Blocks."""
    connection = smtplib.SMTP(local_hostname=host_name, timeout=RELAY_S)
    try:
        code, text = connection.connect(address, 25)
        if code == GREETING:
            connection.ehlo()
            code, text = connection.mail(STRANGER)
        if code == TAKEN:
            code, text = connection.rcpt(STRANGERS_FRIEND)
        with contextlib.suppress(OSError, smtplib.SMTPException):  # it has said what we came for
            connection.quit()
    except (OSError, smtplib.SMTPException) as error:
        return 0, _words(error)
    else:
        return code, text.decode("ascii", "replace").replace("\n", " ")
    finally:
        connection.close()


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    code = error.errno if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else 0
    return os.strerror(code).lower() if code and code > 0 else str(error) or type(error).__name__
