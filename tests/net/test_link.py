"""The private listener and the contexts behind it: exactly the named certificates, live."""

import contextlib
import ssl

import pytest

from ptt.boot import Peer, Peers
from ptt.net.link import Link
from ptt.net.smtp_server import ServerConnection
from ptt.net.tls import (
    link_client_context,
    link_server_context,
    opportunistic_client_context,
    public_server_context,
    verifying_client_context,
)
from ptt.net.world import TlsFacts
from ptt.protocol.smtp.extensions import Flavour
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.neighbour import identity, unit_on
from ptt.rehearsal.simulation.network import Network

US, FRONT, OTHER = identity("relay"), identity("signer"), identity("signer", 2)


async def nothing(_connection: ServerConnection) -> None: ...


def caller(number: int) -> Peer:
    return Peer("signer", number, "", 0, identity("signer", number).certificate)


def facts(certificate: bytes) -> TlsFacts:
    return TlsFacts("TLSv1.3", "any", certificate)


def test_callers_are_live_and_named_by_their_certificates() -> None:
    async def main() -> None:
        link = Link(unit_on(Network(1), "relay", "10.0.0.3")[0], nothing, 1000)
        service = link.service
        assert (service.settings.flavour, service.settings.tls_required) == (Flavour.LMTP, True)
        assert not service.is_welcome(facts(FRONT.certificate))
        link.peers_changed(Peers((caller(1),), ()))
        role = service.tls_role()
        assert service.is_welcome(facts(FRONT.certificate))
        assert not service.is_welcome(facts(OTHER.certificate))
        assert not service.is_welcome(facts(b""))
        assert (link.caller(facts(FRONT.certificate)), link.caller(None)) == ("signer", None)
        link.peers_changed(Peers((caller(1),), (caller(2),)))
        assert service.tls_role() is role  # nothing has changed for who is called
        link.peers_changed(Peers((caller(2),), ()))
        assert service.tls_role() is not role
        assert not service.is_welcome(facts(FRONT.certificate))

    simulate(main)


def shaken(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Both sides of a handshake in memory; what fails is raised."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname="mail.example.org"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends[1]


def test_links_speak_tls_1_3_with_both_certificates() -> None:
    server = shaken(
        link_server_context(US, [OTHER.certificate, FRONT.certificate]),
        link_client_context(FRONT, US.certificate),
    )
    assert server.version() == "TLSv1.3"
    assert server.getpeercert(binary_form=True) == FRONT.certificate


@pytest.mark.parametrize(
    ("accepted", "expected"), [([OTHER.certificate], US), ([], US), ([FRONT.certificate], OTHER)]
)
def test_a_certificate_that_was_not_named_fails_at_either_end(
    accepted: list[bytes], expected: object
) -> None:
    server = link_server_context(US, accepted)
    client = link_client_context(FRONT, getattr(expected, "certificate"))  # noqa: B009 - of any identity
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(server, client)


def test_the_same_ends_share_a_context_and_keys_stay_out_of_words() -> None:
    assert link_client_context(FRONT, US.certificate) is link_client_context(FRONT, US.certificate)
    assert link_client_context(FRONT, US.certificate) is not link_client_context(OTHER, US.certificate)
    assert "PRIVATE" not in repr(US)


def test_public_contexts() -> None:
    authority = Authority()
    issued = authority.issue("mail.example.org")
    for tickets in (False, True):
        server = public_server_context(issued.chain_pem.encode(), issued.key_pem.encode(), tickets=tickets)
        assert server.num_tickets == (2 if tickets else 0)
        assert server.minimum_version is ssl.TLSVersion.TLSv1_2
        assert shaken(server, opportunistic_client_context()).version() == "TLSv1.3"
        strict = verifying_client_context(authority.anchor_pem)
        strict.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python does by itself from 3.13 on
        assert shaken(server, strict).version() == "TLSv1.3"
        with pytest.raises(ssl.SSLCertVerificationError):
            shaken(server, verifying_client_context(Authority().anchor_pem))
