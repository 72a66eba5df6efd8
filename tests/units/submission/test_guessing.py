"""Guessers are slowed down, the owner never hears of them."""

from ipaddress import IPv4Address, ip_address

from ptt.units.submission.guessing import (
    FAILURES_OF_A_LOGIN,
    FAILURES_OF_A_NETWORK,
    KNOWN_FOR_S,
    LOGIN_DRAIN_S,
    MAX_REMEMBERED,
    NETWORK_DRAIN_S,
    Guessing,
)

HOME, ELSEWHERE = ip_address("192.0.2.1"), ip_address("2001:db8:1:2::1")
NEIGHBOUR = ip_address("2001:db8:1:2::ffff")


def guess(guessing: Guessing, address: object, login: str, now: float, tries: int) -> int:
    """How many of so many tries have their password looked at."""
    looked_at = 0
    for _ in range(tries):
        if guessing.may_try(address, login, now):  # type: ignore[arg-type]
            looked_at += 1
            guessing.failed(address, login, now)  # type: ignore[arg-type]
    return looked_at


def test_a_network_guesses_no_faster_than_its_bucket_drains() -> None:
    guessing = Guessing()
    assert guess(guessing, ELSEWHERE, "alice", 0, 50) == FAILURES_OF_A_NETWORK
    assert guess(guessing, NEIGHBOUR, "bob", 1, 50) == 0
    assert guess(guessing, HOME, "alice", 1, 1) == 1
    assert guess(guessing, ELSEWHERE, "alice", 3 * NETWORK_DRAIN_S, 50) == 3


def test_many_networks_share_what_a_login_allows() -> None:
    guessing = Guessing()
    looked_at = sum(
        guess(guessing, ip_address(f"198.51.{net}.{host}"), "alice", 0, 1)
        for net in range(4)
        for host in range(100)
    )
    assert looked_at == FAILURES_OF_A_LOGIN
    assert guess(guessing, HOME, "bob", 0, 1) == 1
    assert guess(guessing, HOME, "alice", 2 * LOGIN_DRAIN_S, 9) == 2


def test_the_owner_is_not_locked_out() -> None:
    guessing = Guessing()
    guessing.succeeded(HOME, "alice", 0)
    for host in range(FAILURES_OF_A_LOGIN + 50):
        guess(guessing, ip_address(f"198.51.100.{host}"), "alice", 10, 1)
    guess(guessing, HOME, "bob", 10, 50)
    assert guessing.may_try(HOME, "alice", 11)
    assert not guessing.may_try(HOME, "bob", 11)


def test_a_place_is_forgotten_after_its_time() -> None:
    guessing = Guessing()
    guessing.succeeded(HOME, "alice", 0)
    assert guess(guessing, HOME, "bob", KNOWN_FOR_S, 50) == FAILURES_OF_A_NETWORK
    assert guessing.may_try(HOME, "alice", KNOWN_FOR_S - 1)
    assert not guessing.may_try(HOME, "alice", KNOWN_FOR_S)


def test_a_known_place_has_its_own_bucket_and_success_empties_it() -> None:
    guessing = Guessing()
    guessing.succeeded(HOME, "alice", 0)
    assert guess(guessing, HOME, "alice", 1, 50) == FAILURES_OF_A_NETWORK
    assert guessing.may_try(HOME, "bob", 1)
    guessing.succeeded(HOME, "alice", 2)
    assert guessing.may_try(HOME, "alice", 2)


def test_memory_is_bounded_and_the_worst_stay_remembered() -> None:
    guessing = Guessing()
    guess(guessing, HOME, "alice", 0, FAILURES_OF_A_NETWORK)
    for number in range(MAX_REMEMBERED):
        guessing._fill(f"user{number}", 0)
        guessing._known[IPv4Address(number), "x"] = 0.0
    guessing.succeeded(ELSEWHERE, "alice", 1)
    assert len(guessing._buckets) <= MAX_REMEMBERED
    assert len(guessing._known) <= MAX_REMEMBERED
    assert not guessing.may_try(HOME, "alice", 1)


def test_a_crowd_of_yesterday_does_not_let_todays_guesser_go_free() -> None:
    guessing = Guessing()
    for number in range(MAX_REMEMBERED):
        guess(guessing, IPv4Address(number), f"user{number}", 0, 2)
    tomorrow = 86_400.0
    assert guess(guessing, HOME, "alice", tomorrow, 50) == FAILURES_OF_A_NETWORK
    assert len(guessing._buckets) <= MAX_REMEMBERED


def test_a_crowd_does_not_make_a_login_forgotten_that_is_being_guessed() -> None:
    guessing = Guessing()
    for host in range(FAILURES_OF_A_LOGIN):
        guess(guessing, ip_address(f"198.51.100.{host}"), "alice", 0, 1)
    for number in range(MAX_REMEMBERED):
        guess(guessing, IPv4Address(number), f"user{number}", 1, 2)
    assert not guessing.may_try(HOME, "alice", 1)
