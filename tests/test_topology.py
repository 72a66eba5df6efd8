"""The chains of units fit together, and manifests that do not are refused with the reason."""

from dataclasses import replace

import pytest

from ptt import topology
from ptt.errors import MisuseError
from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest


def unit(name: str, *, calls: tuple[Call, ...] = (), callers: tuple[str, ...] = ()) -> Manifest:
    listens = (Listen("hop", 2424, Channel.LMTP, callers),) if callers else ()
    return Manifest(name, "a trial", listens, calls, frozenset(), 64)


def hop(callee: str) -> Call:
    return Call(callee, Channel.LMTP, CallKind.HOP)


def test_ours_fit() -> None:
    topology.check()
    assert topology.faults(topology.ALL) == []


def test_ours_start_from_the_far_end() -> None:
    order = [manifest.name for manifest in topology.start_order()]
    for chain in (topology.OUTBOUND, topology.INBOUND):
        far_end_first = [manifest.name for manifest in reversed(chain)]
        assert sorted(far_end_first, key=order.index) == far_end_first
    assert order[: len(topology.DNS)] == [manifest.name for manifest in topology.DNS]
    assert len(order) == len(topology.ALL)


def test_a_call_is_written_at_both_ends() -> None:
    a, b = unit("a", calls=(hop("b"),)), unit("b", callers=("a",))
    assert topology.faults((a, b)) == []
    assert topology.faults((a,)) == ["a calls b by lmtp, but b does not listen for it"]
    assert topology.faults((unit("a"), b)) == ["b listens for a by lmtp, but a does not call"]
    other = replace(a, calls=(Call("b", Channel.SMTP, CallKind.HOP),))
    assert len(topology.faults((other, b))) == 2


def test_the_internet_keeps_no_book() -> None:
    assert topology.faults((unit("a", calls=(hop(INTERNET),), callers=(INTERNET,)),)) == []


def test_mail_cannot_run_round() -> None:
    a = unit("a", calls=(hop("b"),), callers=("c",))
    b = unit("b", calls=(hop("c"),), callers=("a",))
    c = unit("c", calls=(hop("a"),), callers=("b",))
    assert "mail can run round: a -> b -> c -> a" in topology.faults((a, b, c))
    itself = unit("a", calls=(hop("a"),), callers=("a",))
    assert topology.faults((itself,)) == ["mail can run round: a -> a"]
    with pytest.raises(MisuseError, match="mail can run round"):
        topology.check((a, b, c))


def test_notices_may_run_round() -> None:
    def notice(callee: str) -> Call:
        return Call(callee, Channel.NOTIFY, CallKind.NOTICE)

    def listen(caller: str) -> Listen:
        return Listen("notify", 53, Channel.NOTIFY, (caller,))

    a = Manifest("a", "a trial", (listen("b"),), (notice("b"),), frozenset(), 64)
    b = Manifest("b", "a trial", (listen("a"),), (notice("a"),), frozenset(), 64)
    assert topology.faults((a, b)) == []


def test_callees_start_first_whatever_the_order() -> None:
    a = unit("a", calls=(hop("b"), hop("c")))
    b = unit("b", calls=(hop("c"),), callers=("a",))
    c = unit("c", callers=("a", "b"))
    for order in ((a, b, c), (c, b, a), (b, c, a)):
        assert [manifest.name for manifest in topology.start_order(order)] == ["c", "b", "a"]
