"""What units leave with the host."""

from ptt.boot import GiveState, KeepState
from ptt.host import kept
from ptt.host.kept import ENTRY_OVERHEAD_OCTETS, MAX_GIVEN_OCTETS, Kept


def entries(store: Kept) -> list[tuple[str, bytes]]:
    return [entry for frame in store.frames() for entry in frame.entries]


def test_the_last_word_counts_and_stands_last() -> None:
    store = Kept()
    for key, value in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        assert store.put(KeepState(key, value)) == 0
    assert entries(store) == [("b", b"2"), ("a", b"3")]
    assert len(store) == 2


def test_an_empty_value_forgets() -> None:
    store = Kept()
    store.put(KeepState("a", b"1"))
    store.put(KeepState("a", b""))
    store.put(KeepState("never there", b""))
    assert entries(store) == []
    assert list(store.frames()) == []


def test_past_the_bound_the_oldest_go() -> None:
    store = Kept(max_octets=3 * (ENTRY_OVERHEAD_OCTETS + 2))
    for key in "abc":
        assert store.put(KeepState(key, b"1")) == 0
    store.put(KeepState("a", b"2"))
    assert store.put(KeepState("d", b"1")) == 1
    assert [key for key, _ in entries(store)] == ["c", "a", "d"]
    assert store.put(KeepState("e", bytes(ENTRY_OVERHEAD_OCTETS))) == 2
    assert [key for key, _ in entries(store)] == ["d", "e"]
    assert store.put(KeepState("too big", bytes(1000))) == 3
    assert entries(store) == []
    store.put(KeepState("f", b"1"))  # and it counts right afterwards
    assert [key for key, _ in entries(store)] == ["f"]


def test_much_comes_in_several_frames() -> None:
    store = Kept()
    whole = [(str(i), bytes(1_000_000)) for i in range(10)]
    for key, value in whole:
        store.put(KeepState(key, value))
    frames = list(store.frames())
    assert [len(frame.entries) for frame in frames] == [4, 4, 2]
    assert entries(store) == whole
    assert kept.MAX_KEPT_OCTETS > MAX_GIVEN_OCTETS


def test_one_that_is_too_long_for_a_frame_of_many_goes_alone() -> None:
    store = Kept()
    store.put(KeepState("big", bytes(MAX_GIVEN_OCTETS)))
    store.put(KeepState("small", b"1"))
    assert [len(frame.entries) for frame in store.frames()] == [1, 1]
    assert isinstance(next(store.frames()), GiveState)
