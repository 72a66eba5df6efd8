"""The simulated world keeps the contract of ``World``: values for what goes wrong, pins, time, randomness."""

import asyncio
from datetime import timedelta

import pytest

from ptt.errors import MisuseError
from ptt.net.tls import (
    link_client_context,
    link_server_context,
    make_link_identity,
    opportunistic_client_context,
)
from ptt.net.world import ConnectFailed, Endpoint, TlsFacts, TlsFailed, TlsRole, World
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.network import Door, Network
from ptt.rehearsal.simulation.transports import SimulatedTransport
from ptt.rehearsal.simulation.world import BEGINNING, SimulatedWorld

RELAY = Endpoint("10.0.0.4", 2525)
SERVER, CLIENT, STRANGER = (make_link_identity(name, 1, BEGINNING) for name in ("relay", "signer", "other"))
SERVER_ROLE = TlsRole(
    server_side=True,
    context=link_server_context(SERVER, [CLIENT.certificate]),
    own_certificate=SERVER.certificate,
)
CLIENT_ROLE = TlsRole(
    server_side=False,
    context=link_client_context(CLIENT, SERVER.certificate),
    own_certificate=CLIENT.certificate,
    server_name="relay",
)
Upgraded = tuple[asyncio.Transport, TlsFacts] | TlsFailed


class Line(asyncio.Protocol):
    """Keeps what it got and how it ended."""

    def __init__(self) -> None:
        self.data = b""
        self.lost = asyncio.Event()
        self.got_eof = False
        self.error: Exception | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.got_eof = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.lost.set()


class Scene:
    """Two worlds of one network, and a connection between them."""

    def __init__(self) -> None:
        self.network = Network(1)
        self.relay: World = SimulatedWorld(self.network, RELAY.host)
        self.signer: World = SimulatedWorld(self.network, "10.0.0.3")
        self.server = Line()

    async def connected(self) -> Line:
        listener = self.network.bind(RELAY)
        await self.relay.serve(listener, lambda: self.server)
        client = await self.signer.connect(RELAY, Line, 5)
        assert isinstance(client, Line)
        return client

    async def secured(self, server_role: TlsRole, client_role: TlsRole) -> tuple[Line, Upgraded, Upgraded]:
        client = await self.connected()
        server_side, client_side = await asyncio.gather(
            self.relay.start_tls(self.server.transport, self.server, server_role, 30),
            self.signer.start_tls(client.transport, client, client_role, 30),
        )
        return client, server_side, client_side


def test_connecting_and_serving() -> None:
    async def main() -> None:
        scene = Scene()
        client = await scene.connected()
        assert scene.server.transport.get_extra_info("peername")[0] == "10.0.0.3"
        client.transport.write(b"hello")
        await asyncio.sleep(1)
        assert scene.server.data == b"hello"

    simulate(main)


def test_the_local_host_can_be_named() -> None:
    async def main() -> str:
        scene = Scene()
        await scene.relay.serve(scene.network.bind(RELAY), lambda: scene.server)
        await scene.signer.connect(RELAY, Line, 5, local_host="10.0.0.99")
        return str(scene.server.transport.get_extra_info("peername")[0])

    assert simulate(main) == "10.0.0.99"


def test_no_connection_is_a_value() -> None:
    async def main() -> None:
        scene = Scene()
        refused = await scene.signer.connect(RELAY, Line, 5)
        assert refused == ConnectFailed("10.0.0.4:2525: connection refused", refused=True)
        scene.network.set_door(Door.SWALLOWED, RELAY.host)
        silent = await scene.signer.connect(RELAY, Line, 5)
        assert silent == ConnectFailed("10.0.0.4:2525 did not answer within 5 s")
        assert scene.signer.now() == pytest.approx(5.04)

    simulate(main)


def test_pins_that_fit() -> None:
    async def main() -> None:
        scene = Scene()
        client, server_side, client_side = await scene.secured(SERVER_ROLE, CLIENT_ROLE)
        assert not isinstance(server_side, TlsFailed)
        assert not isinstance(client_side, TlsFailed)
        assert server_side[1] == TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", CLIENT.certificate)
        assert client_side[1].peer_certificate == SERVER.certificate
        assert server_side[0].get_extra_info("server_name") == "relay"
        client_side[0].write(b"secret")
        await asyncio.sleep(1)
        assert scene.server.data == b"secret"
        assert not client_side[0].can_write_eof()
        with pytest.raises(NotImplementedError):
            client_side[0].write_eof()
        client_side[0].close()
        await scene.server.lost.wait()  # under TLS the end of one half is the end of both
        assert scene.server.got_eof
        assert client.error is None

    simulate(main)


def test_without_demands_any_certificate_will_do() -> None:
    async def main() -> None:
        roles = (
            TlsRole(server_side=True, own_certificate=STRANGER.certificate),
            TlsRole(server_side=False, context=opportunistic_client_context()),
        )
        _, server_side, client_side = await Scene().secured(*roles)
        assert not isinstance(server_side, TlsFailed)
        assert not isinstance(client_side, TlsFailed)
        assert client_side[1].peer_certificate == STRANGER.certificate
        assert server_side[1].peer_certificate == b""

    simulate(main)


def test_a_server_with_the_wrong_certificate() -> None:
    async def main() -> None:
        scene = Scene()
        wrong = TlsRole(server_side=True, own_certificate=STRANGER.certificate)
        client, server_side, client_side = await scene.secured(wrong, CLIENT_ROLE)
        assert client_side == TlsFailed("the certificate was not accepted: no trust anchor")
        assert server_side == TlsFailed("the connection was lost during the handshake")
        await client.lost.wait()
        await scene.server.lost.wait()

    simulate(main)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [(STRANGER.certificate, "the certificate was not accepted: no trust anchor"), (b"", "no certificate")],
)
def test_a_refused_client_believes_itself_connected_for_a_moment(certificate: bytes, reason: str) -> None:
    async def main() -> None:
        scene = Scene()
        wrong = TlsRole(server_side=False, own_certificate=certificate)
        client, server_side, client_side = await scene.secured(SERVER_ROLE, wrong)
        assert not isinstance(client_side, TlsFailed)
        assert server_side == TlsFailed(reason)
        await client.lost.wait()
        assert isinstance(client.error, ConnectionResetError)
        assert scene.server.lost.is_set()

    simulate(main)


def test_plain_text_in_place_of_a_handshake() -> None:
    async def main() -> None:
        scene = Scene()
        client = await scene.connected()
        scene.server.transport.pause_reading()
        client.transport.write(b"MAIL FROM:<a@b>\r\n")
        await asyncio.sleep(1)
        failed = await scene.relay.start_tls(scene.server.transport, scene.server, SERVER_ROLE, 30)
        assert failed == TlsFailed("TLS: what came is no handshake")
        await client.lost.wait()
        again = await scene.relay.start_tls(scene.server.transport, scene.server, SERVER_ROLE, 30)
        assert again == TlsFailed("the connection was lost during the handshake")
        as_client = await scene.relay.start_tls(scene.server.transport, scene.server, CLIENT_ROLE, 30)
        assert isinstance(as_client, TlsFailed)

    simulate(main)


def test_two_clients_do_not_understand_each_other() -> None:
    async def main() -> None:
        _, one, other = await Scene().secured(CLIENT_ROLE, CLIENT_ROLE)
        assert isinstance(one, TlsFailed)
        assert isinstance(other, TlsFailed)

    simulate(main)


def test_a_handshake_that_a_plain_server_does_not_know() -> None:
    async def main() -> None:
        scene = Scene()
        client = await scene.connected()
        failed = await scene.signer.start_tls(client.transport, client, CLIENT_ROLE, 30)
        assert failed == TlsFailed("no handshake within 30 s")
        assert scene.server.data.startswith(b"\x16\x03")
        await scene.server.lost.wait()

    simulate(main)


def test_nothing_is_written_in_the_middle_of_a_handshake() -> None:
    async def main() -> None:
        scene = Scene()
        client = await scene.connected()
        handshake = asyncio.create_task(scene.signer.start_tls(client.transport, client, CLIENT_ROLE, 1))
        await asyncio.sleep(0.01)
        with pytest.raises(MisuseError):
            client.transport.write(b"x")
        client.transport.close()
        assert isinstance(await handshake, TlsFailed)

    simulate(main)


def test_what_was_received_before_the_handshake_is_the_protocol_s() -> None:
    async def main() -> None:
        scene = Scene()
        client = await scene.connected()
        client.transport.write(b"STARTTLS\r\n")
        client.transport.write(b"injected")
        await asyncio.sleep(1)
        server_side, client_side = await asyncio.gather(
            scene.relay.start_tls(scene.server.transport, scene.server, SERVER_ROLE, 30),
            scene.signer.start_tls(client.transport, client, CLIENT_ROLE, 30),
        )
        assert not isinstance(server_side, TlsFailed)
        assert not isinstance(client_side, TlsFailed)
        assert scene.server.data == b"STARTTLS\r\ninjected"

    simulate(main)


def test_a_transport_of_somebody_else_is_our_mistake() -> None:
    async def main() -> None:
        scene = Scene()
        client = await scene.connected()
        with pytest.raises(MisuseError):
            await scene.signer.start_tls(client.transport, scene.server, CLIENT_ROLE, 1)
        with pytest.raises(MisuseError):
            await scene.signer.serve(object(), Line)

    simulate(main)


def test_time_and_workers() -> None:
    async def main() -> None:
        world = SimulatedWorld(Network(1), "10.0.0.1")
        assert world.wall_time() == BEGINNING
        await asyncio.sleep(60)
        assert world.wall_time() == BEGINNING + timedelta(seconds=60)
        assert await world.run_in_worker(divmod, 7, 2) == (3, 1)
        assert world.now() == pytest.approx(60.025)
        with pytest.raises(ZeroDivisionError):
            await world.run_in_worker(divmod, 7, 0)

    simulate(main)


def test_random_bytes_go_by_seed_and_host() -> None:
    async def main() -> list[bytes]:
        network = Network(1)
        worlds = [
            SimulatedWorld(network, "10.0.0.1"),
            SimulatedWorld(network, "10.0.0.1"),
            SimulatedWorld(network, "10.0.0.2"),
            SimulatedWorld(network, "10.0.0.1", seed=2),
        ]
        return [world.random_bytes(16) + world.random_bytes(16) for world in worlds]

    first, *others = simulate(main)
    assert others[0] == first
    assert len({first, *others}) == 3
    assert simulate(main)[0] == first


def test_simulated_transports_are_what_protocols_expect() -> None:
    assert issubclass(SimulatedTransport, asyncio.Transport)
