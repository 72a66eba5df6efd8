"""When a demand may become an order: one at a time, with waits after failures that double and outlive us."""

from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.acme.signing_request import SigningRequest
from ptt.protocol.dns.name import Name
from ptt.units.letsencrypt.demands import Demand
from ptt.units.letsencrypt.orders import MAX_KEPT, MAX_OPEN, Orders

ZONE = Name.of("mirage.org")


def demand(host: str = "a.mirage.org", since: float = 0, der: bytes = b"1") -> Demand:
    return Demand(ZONE, Name.of(host), SigningRequest(der, b"", frozenset()), since)


def test_one_at_a_time() -> None:
    orders = Orders(60)
    first, other = demand(), demand("b.mirage.org")
    orders.begin(first)
    assert orders.due([first, other, demand(der=b"2")], 10) == [other]
    orders.end(first)
    orders.succeed(first)
    assert orders.due([first], 10) == [first]


def test_renewals_are_due_in_their_time() -> None:
    orders = Orders(60)
    later = demand(since=500)
    assert orders.due([later], 499) == []
    assert orders.next_start([later, demand("b.mirage.org", 700)]) == 500
    assert orders.due([later], 500) == [later]
    orders.begin(later)
    assert orders.next_start([later]) is None


def test_waits_double_up_to_a_day() -> None:
    orders = Orders(60)
    waits = [orders.fail(demand(), 0) for _ in range(40)]
    assert waits[:4] == [60, 120, 240, 480]
    assert waits[-1] == 86_400
    assert orders.due([demand()], 86_399) == []
    assert orders.due([demand()], 86_400) == [demand()]


def test_a_better_request_is_tried_at_once() -> None:
    orders = Orders(60)
    orders.fail(demand(), 0)
    assert orders.due([demand(), demand(der=b"2")], 1) == [demand(der=b"2")]
    assert orders.fail(demand(der=b"2"), 1) == 60


def test_a_limit_holds_for_all() -> None:
    orders = Orders(60)
    assert orders.fail(demand(), 100, 7200, limited=True) == 7200
    assert orders.due([demand("b.mirage.org")], 7299) == []
    assert orders.due([demand("b.mirage.org")], 7300) == [demand("b.mirage.org")]


def test_what_is_waited_for_outlives_a_generation() -> None:
    orders, heir = Orders(60), Orders(60)
    orders.fail(demand(), 0)
    orders.fail(demand(), 0, 900, limited=True)
    heir.take_over(orders.entries(demand()))
    assert heir.next_start([demand()]) == 900
    assert heir.fail(demand(), 900) == 240
    orders.succeed(demand())
    assert dict(orders.entries(demand()))["a.mirage.org"] == b""
    heir.take_over([("a.mirage.org", b"")])
    assert heir.fail(demand(), 900) == 60


def test_only_so_many_at_a_time() -> None:
    orders = Orders(60)
    demands = [demand(f"h{number}.mirage.org") for number in range(2 * MAX_OPEN)]
    first = orders.due(demands, 0)
    assert first == demands[:MAX_OPEN]
    for each in first:
        orders.begin(each)
    assert orders.due(demands, 0) == []
    assert orders.next_start(demands) is None
    orders.end(first[0])
    assert orders.next_start(demands) == 0
    assert orders.due(demands[1:], 0) == [demands[MAX_OPEN]]


def test_only_so_many_failures_are_remembered() -> None:
    orders = Orders(60)
    left: dict[str, bytes] = {}
    orders.fail(demand(), 0, 900, limited=True)
    for number in range(MAX_KEPT + 10):
        failing = demand(f"h{number}.mirage.org")
        orders.fail(failing, 0)
        left |= dict(orders.entries(failing))
    assert len({key for key, value in left.items() if value}) == MAX_KEPT
    assert left["a.mirage.org"] == left["h0.mirage.org"] == b""
    assert orders.next_start([demand("h0.mirage.org")]) == 900
    heir = Orders(60)
    heir.take_over([*left.items(), *((f"{key}.x", value) for key, value in left.items())])
    assert len(heir._kept) == MAX_KEPT
    assert heir.next_start([demand("new.mirage.org")]) == 900


@given(st.lists(st.tuples(st.sampled_from(["a.mirage.org", "*", "x"]), st.binary())))
def test_anything_may_be_left(entries: list[tuple[str, bytes]]) -> None:
    orders = Orders(60)
    orders.take_over(entries)
    assert isinstance(orders.due([demand()], 0), list)
