"""What stands for TLS in the simulation: the flights of TLS 1.3 without its cryptography.

Client hello, server hello with the server's certificate, and the client's last flight with its own (RFC 8446
§2): so facts are known when they would be, plain text in place of a flight fails, and a server that refuses
a client's certificate does it after the client believed itself connected. A context that demands a
certificate takes those that it has loaded as trust anchors, octet by octet, which is what pins are; names
are not compared.
"""

import ssl

from ptt.net.world import TlsFacts, TlsFailed, TlsRole
from ptt.rehearsal.simulation.pipes import Hello, Item
from ptt.rehearsal.simulation.transports import SimulatedTransport

VERSION = "TLSv1.3"
CIPHER = "TLS_AES_256_GCM_SHA384"


async def shake_hands(transport: SimulatedTransport, role: TlsRole) -> TlsFacts | TlsFailed:
    """Do one side; when it fails the connection is aborted."""
    transport.begin_handshake()
    shown = await (_as_server(transport, role) if role.server_side else _as_client(transport, role))
    if isinstance(shown, TlsFailed):
        transport.abort()
        return shown
    transport.end_handshake(peer_certificate=shown.certificate, server_name=shown.server_name)
    return TlsFacts(VERSION, CIPHER, shown.certificate)


async def _as_client(transport: SimulatedTransport, role: TlsRole) -> Hello | TlsFailed:
    transport.show(Hello(False, False, b"", role.server_name))
    answer = _checked(await transport.take(), role)
    if not isinstance(answer, TlsFailed):
        transport.show(Hello(False, True, role.own_certificate, role.server_name))
    return answer


async def _as_server(transport: SimulatedTransport, role: TlsRole) -> Hello | TlsFailed:
    first = _expected(await transport.take(), role)
    if isinstance(first, TlsFailed):
        return first
    transport.show(Hello(True, True, role.own_certificate, None))
    return _checked(await transport.take(), role)


def _checked(item: Item, role: TlsRole) -> Hello | TlsFailed:
    hello = _expected(item, role)
    if isinstance(hello, TlsFailed) or role.context is None or role.context.verify_mode != ssl.CERT_REQUIRED:
        return hello
    if hello.certificate in role.context.get_ca_certs(binary_form=True):
        return hello
    return TlsFailed(
        "the certificate was not accepted: no trust anchor" if hello.certificate else "no certificate"
    )


def _expected(item: Item, role: TlsRole) -> Hello | TlsFailed:
    match item:
        case Hello(server_side=server_side) if server_side is not role.server_side:
            return item
        case Hello() | bytes():
            return TlsFailed("TLS: what came is no handshake")
        case _:
            return TlsFailed("the connection was lost during the handshake")
