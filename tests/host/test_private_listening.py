"""A listener between units keeps its port; each generation has an address of its own."""

import socket

import pytest

from ptt.errors import ConfigError, MisuseError
from ptt.host import private_listening
from ptt.host.listening import bound_to, listen_on
from ptt.host.private_listening import PrivateListeners
from ptt.manifest import Channel, Listen, Manifest
from ptt.net.world import Endpoint

BACK = Manifest("back", "answers", (Listen("hop", 2424, Channel.LMTP, ("front",)),), (), frozenset(), 64)


def test_one_port_and_an_address_for_each_generation() -> None:
    private = PrivateListeners("127.0.0.1")
    private.reserve(BACK)
    port = private.ports["back", "hop"]
    opened = [private.open(BACK, generation)["hop"] for generation in (1, 2, 3)]
    assert [bound_to(each) for each in opened] == [Endpoint(f"127.0.0.{n}", port) for n in (1, 2, 3)]
    for each in opened:
        each.close()


def test_what_is_reserved_is_closed_with_the_host() -> None:
    private = PrivateListeners("127.0.0.1")
    private.reserve(BACK)
    where = Endpoint("127.0.0.1", private.ports["back", "hop"])
    private.close()
    listen_on(where, "somebody else").close()


def test_an_address_that_somebody_has_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    private = PrivateListeners("127.0.0.1")
    first = private.open(BACK, 1)["hop"]
    port = bound_to(first).port
    with first, socket.create_server(("127.0.0.2", port)):
        second = private.open(BACK, 2)["hop"]
        assert bound_to(second) == Endpoint("127.0.0.3", port)
        second.close()
        monkeypatch.setattr(private_listening, "TRIES", 1)
        with pytest.raises(ConfigError, match="cannot listen"):
            private.open(BACK, 2)


@pytest.mark.parametrize("host", ["::1", "192.0.2.1"])
def test_the_first_address_is_of_this_machine_alone(host: str) -> None:
    with pytest.raises(MisuseError):
        PrivateListeners(host)
