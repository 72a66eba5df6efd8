"""Providers that have refused us are left alone."""

import pytest

from ptt.units.relay.brakes import (
    FIRST_BRAKE_S,
    MAX_BRAKE_S,
    MAX_PROVIDERS,
    Brakes,
    held_back,
    provider_of,
)

HOST = "mx1.mail.example"


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("gmail-smtp-in.l.google.com", "google.com"),
        ("MX.Mail.Example.", "mail.example"),
        ("mx.provider.co.uk", "provider.co.uk"),
        ("mx.web.de", "web.de"),
        ("example.de", "example.de"),
        ("localhost", "localhost"),
        ("[192.0.2.1]", "[192.0.2.1]"),
    ],
)
def test_providers(host: str, provider: str) -> None:
    assert provider_of(host) == provider


def test_a_provider_is_left_alone_longer_each_time() -> None:
    brakes, now = Brakes(), 0.0
    lengths = []
    for _ in range(8):
        brakes.refused(HOST, now)
        brakes.refused("mx2.mail.example", now)  # the same at once counts once
        lengths.append(brakes.left_s(HOST, now))
        now += lengths[-1]
        assert brakes.left_s(HOST, now) == 0

    assert lengths == [min(FIRST_BRAKE_S * 2**each, MAX_BRAKE_S) for each in range(8)]
    assert brakes.left_s("mx.other.example", 0) == 0


def test_mail_that_was_taken_or_time_make_trust_anew() -> None:
    brakes = Brakes()
    brakes.refused(HOST, 0)
    brakes.refused(HOST, FIRST_BRAKE_S)
    brakes.accepted(HOST)
    assert brakes.left_s(HOST, FIRST_BRAKE_S) == 0
    brakes.refused(HOST, 1000)
    assert brakes.left_s(HOST, 1000) == FIRST_BRAKE_S
    later = 1000 + FIRST_BRAKE_S + MAX_BRAKE_S
    brakes.refused(HOST, later)
    assert brakes.left_s(HOST, later) == FIRST_BRAKE_S


def test_memory_is_bounded() -> None:
    brakes = Brakes()
    for number in range(MAX_PROVIDERS + 1):
        brakes.refused(f"mx.p{number}.example", number)

    assert brakes.left_s("mx.p0.example", 0) == 0
    assert brakes.left_s("mx.p1.example", 1) == FIRST_BRAKE_S


@pytest.mark.parametrize(
    ("left_s", "words"), [(300.0, "5 minutes."), (61.0, "2 minutes."), (0.5, "1 minute.")]
)
def test_the_time_to_wait_is_told(left_s: float, words: str) -> None:
    reply = held_back(left_s)

    assert (reply.code, reply.enhanced) == (451, "4.7.1")
    assert reply.text[-1].endswith(words)
