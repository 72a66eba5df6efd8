"""Listening sockets of the host."""

import socket

import pytest

from ptt.errors import ConfigError
from ptt.host.listening import bound_to, listen_on, revive
from ptt.net.world import Endpoint


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_listens_where_it_is_asked_to(host: str) -> None:
    with listen_on(Endpoint(host, 0), "trial") as listening:
        endpoint = bound_to(listening)
        assert endpoint.host == host
        assert endpoint.port != 0
        socket.create_connection((host, endpoint.port)).close()
        assert not listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


def test_the_families_do_not_mix() -> None:
    with listen_on(Endpoint("::", 0), "trial") as listening:
        port = bound_to(listening).port
        with listen_on(Endpoint("0.0.0.0", port), "trial"):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        (Endpoint("192.0.2.1", 0), "Cannot assign requested address"),
        (Endpoint("127.0.0.1", 70000), "port must be 0-65535"),
    ],
)
def test_what_cannot_be_had_is_named(endpoint: Endpoint, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        listen_on(endpoint, "submission.submissions")
    assert caught.value.where == "submission.submissions"


def test_an_address_is_had_once() -> None:
    with (
        listen_on(Endpoint("127.0.0.1", 0), "trial") as listening,
        pytest.raises(ConfigError, match="Address already in use"),
    ):
        listen_on(bound_to(listening), "trial")


def test_an_address_of_another_machine_is_told_from_one_that_is_taken() -> None:
    with pytest.raises(ConfigError, match=r"no such address.*listen = "):
        listen_on(Endpoint("192.0.2.99", 0), "receiver.smtp")


def test_a_listener_that_somebody_has_shut_down_listens_again() -> None:
    with listen_on(Endpoint("127.0.0.1", 0), "trial") as any_port:
        endpoint = bound_to(any_port)
    with listen_on(endpoint, "trial") as listening, listening.dup() as held_by_a_unit:
        assert revive(listening) == ""
        held_by_a_unit.shutdown(socket.SHUT_RD)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((endpoint.host, endpoint.port))
        assert revive(listening) == "was shut down; it listens again"
        assert bound_to(listening) == endpoint
        with socket.create_connection((endpoint.host, endpoint.port)), held_by_a_unit.accept()[0]:
            pass


def test_datagrams_have_no_listener_to_lose() -> None:
    with listen_on(Endpoint("127.0.0.1", 0), "trial", "udp") as bound:
        assert revive(bound) == ""
