"""A greylisting policy service for a real Postfix, with the rules of postgrey (specs/receivers.md section 4).

Postfix asks it at RCPT by its policy delegation protocol: lines ``name=value``, an empty line at the end. A
pair of sender and recipient that comes from a network (/24, IPv6 /64) for the first time is deferred until
``delay_s`` have passed; what came through once comes through from then on.
"""

import socket
import threading
import time
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import BinaryIO, Self

from ptt.rehearsal.peers.accepting import Accepting

LENGTHS = {4: 24, 6: 64}
GO_ON = "dunno"


@dataclass(slots=True)
class Greylist:
    """One service. ``deferred``: how often it said no."""

    delay_s: float = 300.0
    port: int = 10023
    deferred: int = 0
    _first: dict[tuple[str, str, str], float] = field(default_factory=dict)
    _accepting: Accepting | None = None

    @property
    def restriction(self) -> str:
        """What a restriction list of Postfix says to ask it."""
        return f"check_policy_service inet:127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._accepting = Accepting(socket.create_server(("127.0.0.1", self.port)), self._accepted)

    def stop(self) -> None:
        """Listen no more."""
        if self._accepting is not None:
            self._accepting.close()
            self._accepting = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def decide(self, client: str, sender: str, recipient: str) -> str:
        """What Postfix is to do, in its words."""
        address = ip_address(client)
        length = LENGTHS[6 if isinstance(address, IPv6Address) else 4]
        network = str(ip_network(f"{client}/{length}", strict=False))
        now = time.monotonic()
        left_s = self._first.setdefault((network, sender, recipient), now) + self.delay_s - now
        if left_s <= 0:
            return GO_ON
        self.deferred += 1
        return f"450 4.2.0 Greylisted, try again in {max(1, round(left_s))} seconds"

    def _accepted(self, connection: socket.socket, _caller: str) -> None:
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while asked := _request(lines):
                names = ("client_address", "sender", "recipient")
                action = self.decide(*(asked.get(name, "") for name in names))
                connection.sendall(f"action={action}\n\n".encode())


def _request(lines: BinaryIO) -> dict[str, str]:
    """One request; empty at the end of the connection."""
    asked: dict[str, str] = {}
    for line in lines:
        name, _, value = line.decode("utf-8", "replace").rstrip("\n").partition("=")
        if not name:
            break
        asked[name] = value
    return asked
