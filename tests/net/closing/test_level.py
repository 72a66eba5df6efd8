"""What an operator is told of a machine that cannot close everything."""

import struct

import pytest

from ptt.boot import Closed
from ptt.net.closing.landlock import ruleset_of
from ptt.net.closing.level import missing, reachable

BEST = Closed(landlock_abi=6, seccomp=True, own_user=True, memory_locked=True)


def test_nothing_is_missing() -> None:
    assert missing(BEST, own_network=True) == ()


@pytest.mark.parametrize(
    ("closed", "own_network", "words"),
    [
        (Closed(0, True, True, True), True, ["Linux 5.13"]),
        (Closed(2, True, True, True), False, ["Linux 6.7", "Datagrams"]),  # Debian 12, no root
        (Closed(2, True, True, True), True, []),  # Debian 12, root: the network holds
        (Closed(6, True, False, True), True, ["user id of its own"]),
        (Closed(6, True, True, False), True, ["LimitMEMLOCK"]),
        (Closed(4, False, False, True), True, ["not filtered", "Linux 6.12", "user id of its own"]),
        (Closed(6, False, False, True), True, ["not filtered", "user id of its own"]),
        (Closed(), False, ["5.13", "6.7", "not filtered", "6.12", "one user", "Datagrams", "swap"]),
    ],
)
def test_each_gap_is_a_sentence_with_its_mend(closed: Closed, own_network: bool, words: list[str]) -> None:
    sentences = missing(closed, own_network=own_network)
    assert len(sentences) == len(words)
    for sentence, word in zip(sentences, words, strict=True):
        assert word in sentence
        assert sentence.endswith(".")


def test_this_machine() -> None:
    here = reachable(own_user=True, memory_locked=False)
    assert here.landlock_abi >= 0
    assert not here.memory_locked


@pytest.mark.parametrize(
    ("abi", "handled"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),
        (3, (0x7FFF,)),
        (4, (0x7FFF, 3)),
        (5, (0xFFFF, 3)),
        (6, (0xFFFF, 3, 3)),
        (9, (0xFFFF, 3, 3)),
    ],
)
def test_a_ruleset_handles_what_its_abi_knows(abi: int, handled: tuple[int, ...]) -> None:
    assert ruleset_of(abi) == struct.pack(f"={len(handled)}Q", *handled)
