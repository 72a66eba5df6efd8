"""``check_host`` in the cases that the public suite leaves out."""

from ipaddress import ip_address
from typing import Any

import pytest

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.results import SpfResult
from ptt.protocol.mailauth.spf.evaluation import (
    MAX_EXCHANGES,
    MAX_TERMS,
    MAX_VOID_ANSWERS,
    SpfQuery,
    SpfVerdict,
    check_host,
)


def check(dns: Any, address: str = "192.0.2.1", domain: str = "example.org", **changes: Any) -> SpfVerdict:
    settings = {"local_part": "user", "helo": "mx.example.net", "receiver": "us.example", "now": 7, **changes}
    query = SpfQuery(ip_address(address), domain=Name.of(domain), **settings)
    verdict = dns.run(check_host(query, dns, wants_explanation=True))
    assert isinstance(verdict, SpfVerdict)
    return verdict


def result(dns: Any, *args: Any, **changes: Any) -> SpfResult:
    return check(dns, *args, **changes).result


def test_what_matched_is_told(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 ip4:192.0.2.0/24 -all")
    assert check(dns) == SpfVerdict(SpfResult.PASS, mechanism="ip4:192.0.2.0/24")
    assert check(dns, "198.51.100.1") == SpfVerdict(SpfResult.FAIL, mechanism="all")
    dns.txt("open.example", "v=spf1")
    assert check(dns, domain="open.example") == SpfVerdict(SpfResult.NEUTRAL, mechanism="default")


def test_mapped_addresses_are_ipv4(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 ip4:192.0.2.1 -all")
    assert result(dns, "::ffff:192.0.2.1") is SpfResult.PASS
    assert result(dns, "2001:db8::1") is SpfResult.FAIL


def test_no_policy(dns: Any) -> None:
    assert result(dns) is SpfResult.NONE
    assert result(dns, domain="org") is SpfResult.NONE
    dns.txt("example.org", "v=spf2.0/mfrom -all")
    assert result(dns) is SpfResult.NONE


def test_broken_policies(dns: Any) -> None:
    dns.txt("two.example.org", "v=spf1 -all", "v=spf1 +all")
    assert result(dns, domain="two.example.org") is SpfResult.PERMERROR
    dns.txt("bad.example.org", "v=spf1 all:x")
    verdict = check(dns, domain="bad.example.org")
    assert verdict.result is SpfResult.PERMERROR
    assert "bad.example.org" in verdict.reason


@pytest.mark.parametrize(
    ("record", "failing"),
    [
        ("v=spf1 a -all", RecordType.A),
        ("v=spf1 mx -all", RecordType.MX),
        ("v=spf1 exists:%{d} -all", RecordType.A),
    ],
)
@pytest.mark.parametrize("bogus", [False, True])
def test_failed_look_ups_are_temporary(dns: Any, record: str, failing: RecordType, bogus: bool) -> None:
    dns.txt("example.org", record)
    dns.fail("example.org", failing, bogus=bogus)
    assert result(dns) is SpfResult.TEMPERROR


def test_a_failed_record_is_temporary(dns: Any) -> None:
    dns.fail("example.org", RecordType.TXT)
    assert result(dns) is SpfResult.TEMPERROR
    dns.txt("b.example.org", "v=spf1 include:example.org -all")
    assert result(dns, domain="b.example.org") is SpfResult.TEMPERROR


def test_hosts_of_both_families(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 a/24//64 -all")
    dns.address("example.org", "192.0.2.200", "2001:db8::1")
    assert result(dns, "192.0.2.1") is SpfResult.PASS
    assert result(dns, "192.0.3.1") is SpfResult.FAIL
    assert result(dns, "2001:db8::ffff") is SpfResult.PASS
    assert result(dns, "2001:db8:1::1") is SpfResult.FAIL


def test_exchanges(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 mx -all")
    dns.mx("example.org", "a.example.org", "b.example.org", ".")
    dns.address("b.example.org", "192.0.2.1")
    assert result(dns) is SpfResult.PASS
    assert result(dns, "192.0.2.2") is SpfResult.FAIL
    dns.fail("a.example.org", RecordType.A)
    assert result(dns) is SpfResult.TEMPERROR
    dns.mx("many.example.org", *(f"h{number}.example.org" for number in range(MAX_EXCHANGES + 1)))
    dns.txt("many.example.org", "v=spf1 mx -all")
    assert result(dns, domain="many.example.org") is SpfResult.PERMERROR


def test_reverse_names(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 ptr ptr:%{d} exists:%{p}.x.example -all")
    dns.ptr("192.0.2.1", "forged.example.org", "failing.example.org", "host.example.org")
    dns.fail("failing.example.org", RecordType.A)
    dns.address("host.example.org", "192.0.2.1")
    assert result(dns) is SpfResult.PASS
    dns.address("host.example.net", "192.0.2.2")
    dns.ptr("192.0.2.2", "host.example.net")
    assert result(dns, "192.0.2.2") is SpfResult.FAIL
    dns.address("host.example.net.x.example", "127.0.0.2")
    assert result(dns, "192.0.2.2") is SpfResult.PASS
    dns.fail("3.2.0.192.in-addr.arpa", RecordType.PTR)
    assert result(dns, "192.0.2.3") is SpfResult.FAIL
    assert ("unknown.x.example", RecordType.A) in dns.asked
    pointers = [name for name, record_type in dns.asked if record_type is RecordType.PTR]
    assert len(pointers) == len(set(pointers)) + 1  # asked once an evaluation


def test_includes_and_redirects(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 include:inner.example redirect=other.example")
    dns.txt("inner.example", "v=spf1 ip4:192.0.2.1 -all")
    dns.txt("other.example", "v=spf1 ip4:192.0.2.2 ~all")
    assert result(dns, "192.0.2.1") is SpfResult.PASS
    assert result(dns, "192.0.2.2") is SpfResult.PASS
    assert result(dns, "192.0.2.3") is SpfResult.SOFTFAIL
    dns.txt("lost.example", "v=spf1 redirect=none.example")
    assert result(dns, domain="lost.example") is SpfResult.PERMERROR
    dns.txt("odd.example", "v=spf1 include:none.example")
    assert result(dns, domain="odd.example") is SpfResult.PERMERROR


def test_names_that_dns_cannot_hold_match_nothing(dns: Any) -> None:
    label = "x" * 64
    for term in (
        f"a:{label}.example",
        f"mx:{label}.example",
        f"exists:{label}.example",
        f"ptr:{label}.example",
    ):
        dns.txt(f"t{len(dns.answers)}.example", f"v=spf1 {term} -all")
    for (name, _), _answer in list(dns.answers.items()):
        assert result(dns, domain=name.text) is SpfResult.FAIL
    dns.txt("include.example", f"v=spf1 include:{label}.example -all")
    assert result(dns, domain="include.example") is SpfResult.PERMERROR
    dns.txt("redirect.example", f"v=spf1 redirect={label}.example")
    assert result(dns, domain="redirect.example") is SpfResult.PERMERROR


def test_local_parts_in_utf8_match_nothing(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 exists:%{l}.x.example ?all")
    assert result(dns, local_part="älice") is SpfResult.NEUTRAL


def test_long_names_lose_labels_on_the_left(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 exists:%{l}.x.example -all")
    labels = ["a" * 50] * 6
    dns.address(".".join([*labels[:4], "x.example"]), "127.0.0.2")
    assert result(dns, local_part=".".join(labels)) is SpfResult.PASS


def test_the_limit_of_terms(dns: Any) -> None:
    for number in range(MAX_TERMS + 1):
        dns.txt(f"n{number}.example", f"v=spf1 include:n{number + 1}.example ?all")
    dns.txt(f"n{MAX_TERMS + 1}.example", "v=spf1 -all")
    assert result(dns, domain="n1.example") is SpfResult.NEUTRAL
    assert result(dns, domain="n0.example") is SpfResult.PERMERROR
    for term in ("a", "mx", "ptr", "exists:%{d}", "redirect=x.example"):
        dns.txt("many.example", f"v=spf1 {'ptr ' * MAX_TERMS} {term}")
        assert result(dns, domain="many.example") is SpfResult.PERMERROR
        dns.answers.pop((Name.of("many.example"), RecordType.TXT))


def test_a_loop_ends(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 include:example.org -all")
    assert result(dns) is SpfResult.PERMERROR
    dns.txt("example.net", "v=spf1 redirect=example.net")
    assert result(dns, domain="example.net") is SpfResult.PERMERROR


@pytest.mark.parametrize("term", ["a:n%s.example", "mx:n%s.example", "exists:n%s.example"])
def test_the_limit_of_void_answers(dns: Any, term: str) -> None:
    terms = [term % number for number in range(MAX_VOID_ANSWERS + 1)]
    dns.txt("two.example", f"v=spf1 {' '.join(terms[:-1])} -all")
    dns.txt("three.example", f"v=spf1 {' '.join(terms)} -all")
    assert result(dns, domain="two.example") is SpfResult.FAIL
    assert result(dns, domain="three.example") is SpfResult.PERMERROR


def test_explanations(dns: Any) -> None:
    dns.txt("example.org", "v=spf1 -all exp=why.%{d}")
    dns.txt("why.example.org", "%{i} is not ours (%{r}, %{t})")
    assert check(dns).explanation == "192.0.2.1 is not ours (us.example, 7)"
    dns.txt("include.example", "v=spf1 include:example.org -all")
    assert check(dns, domain="include.example").explanation is None
    dns.txt("redirect.example", "v=spf1 redirect=example.org exp=x.example")
    assert check(dns, domain="redirect.example").explanation == "192.0.2.1 is not ours (us.example, 7)"


@pytest.mark.parametrize("texts", [[], ["a", "b"], ["%{x}"], ["ü"]])
def test_broken_explanations_are_none(dns: Any, texts: list[str]) -> None:
    dns.txt("example.org", "v=spf1 -all exp=why.example.org")
    dns.txt("why.example.org", *texts)
    assert check(dns) == SpfVerdict(SpfResult.FAIL, mechanism="all")
    dns.txt("long.example", f"v=spf1 -all exp={'x' * 64}.example")
    assert check(dns, domain="long.example").explanation is None
