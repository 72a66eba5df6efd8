"""The listeners between units: one port a listener for as long as the host runs, one address a generation.

A unit gives up, once and for good, all TCP ports but those of its callees (Landlock knows ports, no
addresses). So a callee's next generation listens at the same port of the next address of 127.0.0.0/8, which
is this machine's own as a whole (RFC 1122 §3.2.1.3); the one before it keeps its own until it has drained.
"""

import ipaddress
import socket

from ptt.errors import ConfigError, MisuseError
from ptt.host.acquaintance import private_listens
from ptt.host.listening import bound_to, listen_on
from ptt.manifest import Manifest
from ptt.net.world import Endpoint

MAX_ADDRESSES = 65_000  # generations that could live at once are two; numbers go on counting
TRIES = 16  # addresses at which somebody else may hold the port


class PrivateListeners:
    """Opens the private listeners of units. ``host`` is the first address."""

    def __init__(self, host: str) -> None:
        address = ipaddress.ip_address(host)
        if address.version != 4 or not address.is_loopback:  # noqa: PLR2004
            raise MisuseError(f"{host} is no address of 127.0.0.0/8")
        self._first = address
        self.ports: dict[tuple[str, str], int] = {}
        """By unit and listener's name."""
        self._reserved: dict[tuple[str, str], socket.socket] = {}

    def reserve(self, manifest: Manifest) -> None:
        """Take a free port for each listener, before anybody is told of it. ``ConfigError``: none is free."""
        for listen in private_listens(manifest):
            key = manifest.name, listen.name
            if key not in self.ports:
                self._reserved[key] = opened = listen_on(Endpoint(str(self._first), 0), ".".join(key))
                self.ports[key] = bound_to(opened).port

    def open(self, manifest: Manifest, generation: int) -> dict[str, socket.socket]:
        """The listeners of one generation, by name. ``ConfigError``: one cannot be had, and none is open."""
        self.reserve(manifest)
        found: dict[str, socket.socket] = {}
        try:
            for listen in private_listens(manifest):
                found[listen.name] = self._open(manifest.name, listen.name, generation)
        except ConfigError:
            for opened in found.values():
                opened.close()
            raise
        return found

    def close(self) -> None:
        """Close what was reserved and never opened."""
        for opened in self._reserved.values():
            opened.close()
        self._reserved.clear()

    def _open(self, unit: str, name: str, generation: int) -> socket.socket:
        reserved = self._reserved.pop((unit, name), None)
        if reserved is not None:
            return reserved
        for further in range(TRIES):
            address = self._first + (generation - 1 + further) % MAX_ADDRESSES
            try:
                return listen_on(Endpoint(str(address), self.ports[unit, name]), f"{unit}.{name}")
            except ConfigError:
                if further == TRIES - 1:
                    raise
        raise AssertionError  # the last try has returned or raised
