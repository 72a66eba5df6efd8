"""Which servers a domain has, and what is sure enough to be a refusal."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.dns.lookup import A, Aaaa, Answer, Mx, Question, Rcode, Record, RecordType, Security
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral
from ptt.units.relay.exchanges import (
    MAX_ADDRESSES,
    Exchange,
    Exchanges,
    Found,
    NoSuchDomain,
    NullMx,
    Unknown,
    find_exchanges,
)

DOMAIN = Name.of("example.org")
SERVFAIL = Answer(Rcode.SERVFAIL)
BOGUS = Answer(Rcode.NOERROR, (A(IPv4Address("192.0.2.66")),), security=Security.BOGUS)
NXDOMAIN = Answer(Rcode.NXDOMAIN)
NODATA = Answer(Rcode.NOERROR)


class Zone:
    """Answers from a dict: ``("name", "TYPE") -> answer``; a name that is in no key does not exist."""

    def __init__(self, answers: dict[tuple[str, str], Answer]) -> None:
        self._answers = answers
        self.asked: list[Question] = []
        self.batches = 0

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        return (await self.many([Question(name, record_type)]))[0]

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        self.batches += 1
        self.asked += questions
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        exists = any(name == question.name.text for name, _ in self._answers)
        missing = NODATA if exists else NXDOMAIN
        return self._answers.get((question.name.text, question.record_type.name), missing)


def records(*found: Record, security: Security = Security.INSECURE) -> Answer:
    return Answer(Rcode.NOERROR, found, security=security)


def mx(*pairs: tuple[int, str], security: Security = Security.INSECURE) -> Answer:
    return records(*(Mx(preference, Name.of(name)) for preference, name in pairs), security=security)


def a(*texts: str, security: Security = Security.INSECURE) -> Answer:
    return records(*(A(IPv4Address(text)) for text in texts), security=security)


def aaaa(*texts: str, security: Security = Security.INSECURE) -> Answer:
    return records(*(Aaaa(IPv6Address(text)) for text in texts), security=security)


def find(
    answers: dict[tuple[str, str], Answer],
    domain: Name | AddressLiteral = DOMAIN,
    *,
    ipv6: bool = True,
    own: tuple[str, ...] = (),
    seed: int = 0,
) -> Found:
    own_names = frozenset(map(Name.of, own))
    return asyncio.run(find_exchanges(Zone(answers), domain, ipv6=ipv6, own_names=own_names, seed=seed))


def names(found: Found) -> list[str]:
    assert isinstance(found, Exchanges), found
    return [exchange.text for exchange in found.exchanges]


def addresses(found: Found) -> list[list[str]]:
    assert isinstance(found, Exchanges), found
    return [[str(address) for address in exchange.addresses] for exchange in found.exchanges]


def test_servers_come_by_preference() -> None:
    found = find(
        {
            ("example.org", "MX"): mx((20, "b.example"), (10, "a.example"), (30, "c.example")),
            ("a.example", "A"): a("192.0.2.1"),
            ("b.example", "A"): a("192.0.2.2"),
            ("c.example", "A"): a("192.0.2.3"),
        }
    )

    assert names(found) == ["a.example", "b.example", "c.example"]
    assert addresses(found) == [["192.0.2.1"], ["192.0.2.2"], ["192.0.2.3"]]


def test_equal_servers_are_spread_and_a_seed_repeats() -> None:
    equal = [f"{letter}.example" for letter in "abcde"]
    zone = {(name, "A"): a("192.0.2.1") for name in equal}
    zone["example.org", "MX"] = mx((5, "first.example"), *((10, name) for name in equal))
    zone["first.example", "A"] = a("192.0.2.9")
    orders = [names(find(zone, seed=seed)) for seed in range(30)]

    assert {order[0] for order in orders} == {"first.example"}
    assert {order[1] for order in orders} == set(equal)
    assert all(sorted(order[1:]) == equal for order in orders)
    assert orders[7] == names(find(zone, seed=7))


def test_a_server_named_twice_is_one() -> None:
    found = find(
        {
            ("example.org", "MX"): mx((10, "a.example"), (20, "b.example"), (30, "a.example")),
            ("a.example", "A"): a("192.0.2.1"),
            ("b.example", "A"): a("192.0.2.2"),
        }
    )

    assert names(found) == ["a.example", "b.example"]


def test_families_take_turns() -> None:
    zone = {
        ("example.org", "MX"): mx((10, "a.example")),
        ("a.example", "A"): a("192.0.2.1", "192.0.2.2", "192.0.2.1"),
        ("a.example", "AAAA"): aaaa("2001:db8::1"),
    }

    assert addresses(find(zone)) == [["2001:db8::1", "192.0.2.1", "192.0.2.2"]]
    assert addresses(find(zone, ipv6=False)) == [["192.0.2.1", "192.0.2.2"]]


def test_addresses_are_asked_for_at_once() -> None:
    zone = Zone(
        {("example.org", "MX"): mx((1, "a.example"), (2, "b.example")), ("a.example", "A"): a("192.0.2.1")}
    )
    asyncio.run(find_exchanges(zone, DOMAIN, ipv6=True))

    assert zone.batches == 2
    assert len(zone.asked) == 5


def test_without_mx_the_domain_is_its_server() -> None:
    found = find({("example.org", "A"): a("192.0.2.1"), ("example.org", "AAAA"): aaaa("2001:db8::1")})
    assert names(found) == ["example.org"]
    assert addresses(found) == [["2001:db8::1", "192.0.2.1"]]


def test_an_alias_without_mx_is_the_server_that_it_stands_for() -> None:
    there = Name.of("real.example")
    found = find(
        {
            ("example.org", "MX"): Answer(Rcode.NOERROR, canonical_name=there),
            ("real.example", "A"): a("192.0.2.1"),
        }
    )

    assert names(found) == ["real.example"]


def test_an_alias_with_mx() -> None:
    answer = Answer(Rcode.NOERROR, (Mx(10, Name.of("a.example")),), canonical_name=Name.of("real.example"))
    assert names(find({("example.org", "MX"): answer, ("a.example", "A"): a("192.0.2.1")})) == ["a.example"]


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {("example.org", "TXT"): NODATA},
        {("example.org", "A"): a("0.0.0.0")},
        {("example.org", "A"): a("224.0.0.1")},
    ],
)
def test_no_such_domain(answers: dict[tuple[str, str], Answer]) -> None:
    assert find(answers) == NoSuchDomain()
    assert find(answers, ipv6=False) == NoSuchDomain()


def test_null_mx() -> None:
    assert find({("example.org", "MX"): mx((0, ".")), ("example.org", "A"): a("192.0.2.1")}) == NullMx()


def test_a_null_among_others_means_nothing() -> None:
    found = find({("example.org", "MX"): mx((0, "."), (10, "a.example")), ("a.example", "A"): a("192.0.2.1")})
    assert names(found) == ["a.example"]


@pytest.mark.parametrize("failure", [SERVFAIL, BOGUS, Answer(Rcode.REFUSED)])
@pytest.mark.parametrize("at", [("example.org", "MX"), ("example.org", "A"), ("example.org", "AAAA")])
def test_doubt_is_no_refusal(failure: Answer, at: tuple[str, str]) -> None:
    assert isinstance(find({at: failure}), Unknown)


def test_the_reason_of_doubt() -> None:
    assert find({("example.org", "MX"): SERVFAIL}) == Unknown("MX of example.org: SERVFAIL")
    assert find({("example.org", "MX"): BOGUS}) == Unknown("MX of example.org: bogus")
    assert find({("example.org", "MX"): mx((1, "a.example")), ("a.example", "A"): SERVFAIL}) == Unknown(
        "the servers of example.org: SERVFAIL"
    )


def test_servers_that_cannot_be_found_are_passed_over() -> None:
    found = find(
        {
            ("example.org", "MX"): mx(
                (1, "gone.example"), (2, "ill.example"), (3, "bogus.example"), (4, "a.example")
            ),
            ("ill.example", "A"): SERVFAIL,
            ("bogus.example", "A"): BOGUS,
            ("a.example", "A"): a("192.0.2.1"),
            ("a.example", "AAAA"): SERVFAIL,
        }
    )

    assert names(found) == ["a.example"]
    assert addresses(found) == [["192.0.2.1"]]


def test_when_no_server_can_be_found() -> None:
    zone = {("example.org", "MX"): mx((1, "gone.example")), ("example.org", "A"): a("192.0.2.1")}
    assert isinstance(find(zone), Unknown)


def test_only_ipv6_and_we_have_none() -> None:
    assert isinstance(find({("example.org", "AAAA"): aaaa("2001:db8::1")}, ipv6=False), Unknown)
    assert isinstance(
        find(
            {("example.org", "MX"): mx((1, "a.example")), ("a.example", "AAAA"): aaaa("2001:db8::1")},
            ipv6=False,
        ),
        Unknown,
    )


@pytest.mark.parametrize(
    ("own", "left"),
    [
        (("c.example",), ["a.example"]),
        (("C.Example",), ["a.example"]),
        (("d.example",), ["a.example", "b.example", "c.example"]),
        (("else.example",), ["a.example", "b.example", "c.example", "d.example"]),
    ],
)
def test_what_leads_back_is_left_out(own: tuple[str, ...], left: list[str]) -> None:
    zone = {(f"{letter}.example", "A"): a("192.0.2.1") for letter in "abcd"}
    zone["example.org", "MX"] = mx((1, "a.example"), (2, "b.example"), (2, "c.example"), (3, "d.example"))

    assert sorted(names(find(zone, own=own))) == left


def test_when_all_leads_back() -> None:
    assert find({("example.org", "MX"): mx((1, "me.example"))}, own=("me.example",)) == Unknown(
        "the servers of example.org lead back to ourselves"
    )
    assert isinstance(find({("example.org", "A"): a("192.0.2.1")}, own=("example.org",)), Unknown)


@pytest.mark.parametrize("text", ["192.0.2.1", "2001:db8::1"])
def test_a_literal_is_its_own_server(text: str) -> None:
    literal = AddressLiteral(ip_address(text))
    found = find({}, literal)

    assert found == Exchanges((Exchange(literal, (ip_address(text),)),))
    assert names(found) == [f"[{text}]"]


def test_an_ipv6_literal_without_ipv6() -> None:
    assert isinstance(find({}, AddressLiteral(IPv6Address("2001:db8::1")), ipv6=False), Unknown)


def test_only_what_was_validated_is_secure() -> None:
    secure, insecure = Security.SECURE, Security.INSECURE
    for of_mx, of_a, of_aaaa in (
        (secure, secure, secure),
        (insecure, secure, secure),
        (secure, secure, insecure),
    ):
        found = find(
            {
                ("example.org", "MX"): mx((1, "a.example"), security=of_mx),
                ("a.example", "A"): a("192.0.2.1", security=of_a),
                ("a.example", "AAAA"): aaaa("2001:db8::1", security=of_aaaa),
            }
        )
        assert isinstance(found, Exchanges)
        assert found.exchanges[0].is_secure == (insecure not in (of_mx, of_a, of_aaaa))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers())
def test_the_list_is_bounded_and_no_server_hides_another(counts: list[int], seed: int) -> None:
    zone = {("example.org", "MX"): mx(*((number, f"{number}.example") for number in range(len(counts))))}
    for number, count in enumerate(counts):
        zone[f"{number}.example", "A"] = a(*(f"192.0.{number}.{host}" for host in range(count)))
    found = find(zone, seed=seed)
    if isinstance(found, Unknown):
        assert not any(counts[:MAX_ADDRESSES])
        return
    listed = addresses(found)

    assert sum(map(len, listed)) <= MAX_ADDRESSES
    assert all(listed)
    assert names(found) == [f"{n}.example" for n, count in enumerate(counts[:MAX_ADDRESSES]) if count]
