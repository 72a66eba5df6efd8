"""Connecting to a server that has several addresses: families raced (RFC 8305), the first that answers wins.

IPv6 goes first, the families alternate, each next address starts 250 ms after the one before or as soon as
that has failed. Only connecting is raced: a mail server that accepts and then says nothing is another
matter.
"""

import asyncio
from collections.abc import Sequence

from ptt.net.deadlines import CONNECT_TIMEOUT_S
from ptt.net.smtp_client import ClientConnection, open_connection
from ptt.net.world import ConnectFailed, Endpoint, World
from ptt.protocol.smtp.client import ClientSettings

HEAD_START_S = 0.25  # RFC 8305 §5: the recommended connection attempt delay


def in_racing_order(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """IPv6 first, then the families in turn (RFC 8305 §4); the order within a family stays."""
    sixes = [endpoint for endpoint in endpoints if ":" in endpoint.host]
    fours = [endpoint for endpoint in endpoints if ":" not in endpoint.host]
    ordered = []
    for index in range(max(len(sixes), len(fours))):
        ordered += [*sixes[index : index + 1], *fours[index : index + 1]]
    return ordered


def source_for(endpoint: Endpoint, source_addresses: Sequence[str]) -> str | None:
    """Our own address that a connection leaves by; None: the system chooses."""
    family = [address for address in source_addresses if (":" in address) == (":" in endpoint.host)]
    return family[0] if family else None


async def connect_first(
    world: World,
    endpoints: Sequence[Endpoint],
    settings: ClientSettings,
    timeout_s: float,
    *,
    implicit_tls: bool = False,
    source_addresses: Sequence[str] = (),
) -> ClientConnection | ConnectFailed:
    """Connect to whichever address answers first; each gets 8 s, all together ``timeout_s``.

    Each family leaves by our own address of it, where ``source_addresses`` names one.
    """
    deadline = world.now() + timeout_s
    waiting = in_racing_order(endpoints)
    running: set[asyncio.Task[ClientConnection | ConnectFailed]] = set()
    failed = ConnectFailed("no address")
    try:
        while (waiting or running) and (left_s := deadline - world.now()) > 0:
            if waiting:
                endpoint = waiting.pop(0)
                attempt = open_connection(
                    world,
                    endpoint,
                    settings,
                    min(CONNECT_TIMEOUT_S, left_s),
                    source_for(endpoint, source_addresses),
                    implicit_tls=implicit_tls,
                )
                running.add(asyncio.ensure_future(attempt))
            done, running = await asyncio.wait(
                running,
                timeout=min(HEAD_START_S, left_s) if waiting else left_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                match task.result():
                    case ClientConnection() as winner:
                        running |= done - {task}
                        return winner
                    case ConnectFailed() as failed:
                        pass
        return failed
    finally:
        await _drop(running)


async def _drop(running: "set[asyncio.Task[ClientConnection | ConnectFailed]]") -> None:
    """End the attempts that nobody waits for any more; one that has just connected is closed."""
    for task in running:
        task.cancel()
    for result in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(result, ClientConnection):
            result.abort()
