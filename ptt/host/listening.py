"""Listening sockets, made by the host and handed to units: they never bind anything themselves.

One socket for each address, IPv6 alone on an IPv6 one, so that a client's address is what it is. No
SO_REUSEPORT: connections that wait belong to the address, whichever generation takes them (socket(7)).
"""

import errno
import ipaddress
import os
import socket

from ptt.errors import ConfigError
from ptt.net.system import BACKLOG
from ptt.net.world import Endpoint


def listen_on(endpoint: Endpoint, what: str, transport: str = "tcp") -> socket.socket:
    """A TCP socket that listens, or a bound one for datagrams (``udp``); port 0: any that is free.

    ``ConfigError`` when the address cannot be had.
    """
    family = socket.AF_INET6 if ipaddress.ip_address(endpoint.host).version == 6 else socket.AF_INET  # noqa: PLR2004
    datagrams = transport == "udp"
    listening = socket.socket(family, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
    try:
        if not datagrams:
            listening.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # after a restart, not beside another
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((endpoint.host, endpoint.port))
        if not datagrams:
            listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:  # the latter: no such port
        listening.close()
        code = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(code) if code else str(error)
        mend = f"See who has it: ss -lntup 'sport = :{endpoint.port}'; ports below 1024 need root."
        if code == errno.EADDRNOTAVAIL:
            mend = (
                "This machine has no such address (see: ip address). Behind NAT name its own: listen = [...]"
            )
        raise ConfigError(what, f"cannot listen on {endpoint}: {reason}", mend) from error
    return listening


def revive(listening: socket.socket) -> str:
    """Let a TCP socket listen again that a unit has shut down (shutdown(2) ends it for all who hold it).

    Gives what came of it; empty: it was alive. A port that was bound by its number is still the socket's.
    """
    if listening.type != socket.SOCK_STREAM or listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return ""
    try:
        listening.listen(BACKLOG)
    except OSError as error:
        return f"was shut down and cannot listen again: {error.strerror}"
    return "was shut down; it listens again"


def bound_to(listening: socket.socket) -> Endpoint:
    """Where a socket listens."""
    host, port = listening.getsockname()[:2]
    return Endpoint(host, port)
