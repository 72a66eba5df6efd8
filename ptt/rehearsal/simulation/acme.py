"""The pretend certificate authority of the rehearsal, within the simulation's network and under its clock.

It validates by asking our name server itself. TLS is what stands for it here; the authority's host shows a
certificate that letsencrypt is told to trust.
"""

import asyncio
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.errors import MisuseError
from ptt.net.world import Endpoint, TlsFailed, TlsRole
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset, rrsets_of
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.internet.acme_authority import AcmeAuthority
from ptt.rehearsal.internet.https_server import HttpsServer
from ptt.rehearsal.simulation.network import Network
from ptt.rehearsal.simulation.questioner import Questioner
from ptt.rehearsal.simulation.world import SimulatedWorld
from ptt.rehearsal.simulation.zones import OUR_HOST

HOST = "198.51.100.40"
NAME = "acme.authority.example"
ZONE = f"{NAME} A {HOST}\n"
DIRECTORY = f"https://{NAME}/directory"
LIFETIME = timedelta(days=90)
HANDSHAKE_S = 30.0


class SimulatedAuthority:
    """``acme`` is the authority itself: its orders, and the faults that it is to have."""

    def __init__(self, network: Network, trusted: Authority) -> None:
        self._world = SimulatedWorld(network, HOST)
        certificate = trusted.issue(NAME)
        self.acme = AcmeAuthority(
            f"https://{NAME}", "", trusted, LIFETIME, now=self._world.wall_time, ask=self._ask
        )
        self._https = HttpsServer(HOST, certificate, self.acme.handle)
        anchor = x509.load_pem_x509_certificate(trusted.anchor_pem.encode())
        self._role = TlsRole(server_side=True, own_certificate=anchor.public_bytes(Encoding.DER))
        self._asker = Questioner(self._world, Endpoint(OUR_HOST, 53))
        self._listener = network.bind(Endpoint(HOST, 443))
        self._server = self._listener.serve(self._factory)

    def close(self) -> None:
        """Be gone."""
        self._server.close()
        self._listener.close()

    def _factory(self) -> asyncio.Protocol:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        return asyncio.StreamReaderProtocol(reader, self._connected, loop)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport, protocol = writer.transport, writer.transport.get_protocol()
        if not isinstance(transport, asyncio.Transport) or not isinstance(protocol, asyncio.Protocol):
            raise MisuseError("streams are read and written by transports of both")
        secured = await self._world.start_tls(transport, protocol, self._role, HANDSHAKE_S)
        if not isinstance(secured, TlsFailed):
            await self._https.answer(reader, writer)

    async def _ask(self, _root: str, name: Name, record_type: RecordType) -> list[RRset | None]:
        answer = await self._asker.ask(name.text, record_type.name)
        if answer is None:
            return []
        return [next((each for each in rrsets_of(answer.answer) if each.rdtype == record_type), None)]
