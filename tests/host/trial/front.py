"""A unit of the tests that the Internet may call: it does what a line says and answers with one line."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from ptt.boot import GiveState, KeepState, Peer, Peers
from ptt.errors import ConfigError
from ptt.net.counters import Counters
from ptt.net.lifecycle import Life, Orders
from ptt.net.questions import Questions
from ptt.net.tls import link_client_context
from ptt.net.unit import Unit
from ptt.net.world import ConnectFailed, Endpoint, TlsFailed, TlsRole

# Seen before the unit closes; the fourth is the folder that is read for it.
INHERITED = sorted(os.listdir("/proc/self/fd"), key=int)[:4]  # noqa: PTH208 - numbers
LEADS_ITS_SESSION = os.getsid(0) == os.getpid()


class Front:
    """What the unit knows."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.peers = Peers((), ())
        self.state: dict[str, bytes] = {}
        self.counters = Counters()
        self.questions = Questions(unit.control)
        self.open: set[Talk] = set()

    def take_peers(self, peers: Peers) -> None:
        self.peers = peers

    def take_state(self, state: GiveState) -> None:
        self.state |= dict(state.entries)

    async def drain(self, _deadline_s: float) -> None:
        while self.open:  # noqa: ASYNC110 - as simple as can be
            await asyncio.sleep(0.01)

    async def obey(self, line: str) -> str:
        word, *arguments = line.split()
        orders: dict[str, Callable[..., Awaitable[str]]] = {
            "who": self._who,
            "keep": self._keep,
            "state": self._state,
            "ask": self._ask,
            "call": self._call,
            "files": self._files,
            "fail": self._fail,
        }
        return await orders[word](*arguments)

    async def _who(self) -> str:
        boot = self.unit.boot
        return f"{boot.unit}.{boot.generation} {boot.host_name} {boot.digest} {boot.settings} {boot.secrets}"

    async def _keep(self, key: str, value: str = "") -> str:
        self.unit.control.send(KeepState(key, value.encode()))
        self.counters.count("kept")
        return "kept"

    async def _state(self) -> str:
        return str(self.state)

    async def _ask(self) -> str:
        return str(await self.questions.ask("back", b"?"))

    async def _files(self) -> str:
        return f"{INHERITED} {dict(os.environ)} {os.getcwd()} {LEADS_ITS_SESSION}"  # noqa: PTH109

    async def _fail(self) -> str:
        asyncio.get_running_loop().call_soon(sys.exit, 70)
        return "failing"

    async def _call(self) -> str:
        callees = [peer for peer in self.peers.callees if peer.unit == "back"]
        newest = max(callees, key=lambda peer: peer.generation, default=None)
        return "nobody" if newest is None else await self._ping(newest)

    async def _ping(self, peer: Peer) -> str:
        world, identity = self.unit.world, self.unit.identity
        ping = await world.connect(Endpoint(peer.host, peer.port), Ping, 2.0)
        if isinstance(ping, ConnectFailed):
            return ping.reason
        ping.transport.write(b"tls")
        go = await ping.answer()
        if go != "go":
            return go
        role = TlsRole(server_side=False, context=link_client_context(identity, peer.certificate))
        upgraded = await world.start_tls(ping.transport, ping, role, 5.0)
        if isinstance(upgraded, TlsFailed):
            return upgraded.reason
        upgraded[0].write(b"ping")
        answer = await ping.answer()
        upgraded[0].close()
        return answer


class Ping(asyncio.Protocol):
    """Waits for answers."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.answers: asyncio.Queue[str] = asyncio.Queue()

    async def answer(self) -> str:
        return await self.answers.get()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.answers.put_nowait(data.decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.answers.put_nowait(f"lost {exc}")


class Talk(asyncio.Protocol):
    """Lines of somebody out there."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.transport: asyncio.Transport
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.front.open.add(self)

    def data_received(self, data: bytes) -> None:
        task = asyncio.ensure_future(self.answer(data.decode().strip()))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def answer(self, line: str) -> None:
        self.transport.write((await self.front.obey(line)).encode() + b"\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.front.open.discard(self)


async def serve(unit: Unit) -> None:
    """Live, or refuse as the settings say."""
    if unit.boot.settings.get("refuse"):
        raise ConfigError("settings.refuse", "says so", "Say no.")
    if unit.boot.settings.get("crash"):
        raise ZeroDivisionError
    if unit.boot.settings.get("hang"):
        await asyncio.sleep(1000)
    front = Front(unit)
    orders = Orders(on_peers=front.take_peers, on_state=front.take_state, drain=front.drain)
    services = {"lines": lambda: Talk(front)}
    unit.journal.alarm(f"alive as {unit.boot.generation}")
    await Life(unit, services, orders, front.counters, front.questions).run()
