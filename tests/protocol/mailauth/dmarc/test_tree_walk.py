"""The tree walk: what is asked, what is found, who is the organization."""

from typing import Any

import pytest

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.dmarc.record import DmarcRecord
from ptt.protocol.mailauth.dmarc.tree_walk import Missing, TreeWalks, Walk


def walk(dns: Any, name: str) -> Walk:
    found = dns.run(TreeWalks(dns).walk(Name.of(name)))
    assert isinstance(found, Walk)
    return found


def asked(dns: Any) -> list[str]:
    return [name.removeprefix("_dmarc.") for name, _ in dns.asked]


def organization(dns: Any, name: str) -> str:
    return str(walk(dns, name).organizational_domain)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("com", ["com"]),
        ("a.b.example.com", ["a.b.example.com", "b.example.com", "example.com", "com"]),
        (
            "a.b.c.d.e.f.g.com",
            [
                "a.b.c.d.e.f.g.com",
                "b.c.d.e.f.g.com",
                "c.d.e.f.g.com",
                "d.e.f.g.com",
                "e.f.g.com",
                "f.g.com",
                "g.com",
                "com",
            ],
        ),
        (
            "z.y.a.b.c.d.e.f.g.com",
            [
                "z.y.a.b.c.d.e.f.g.com",
                "b.c.d.e.f.g.com",
                "c.d.e.f.g.com",
                "d.e.f.g.com",
                "e.f.g.com",
                "f.g.com",
                "g.com",
                "com",
            ],
        ),
    ],
)
def test_what_is_asked(dns: Any, name: str, names: list[str]) -> None:
    assert walk(dns, name).found == ()
    assert asked(dns) == names
    assert organization(dns, name) == name


def test_a_psd_tag_ends_the_walk(dns: Any) -> None:
    dns.txt("_dmarc.b.example.com", "v=DMARC1; p=reject; psd=n")
    dns.txt("_dmarc.example.com", "v=DMARC1; p=none")
    assert [str(each.name) for each in walk(dns, "b.example.com").found] == ["b.example.com"]
    assert asked(dns) == ["b.example.com"]
    assert organization(dns, "a.b.example.com") == "b.example.com"
    assert organization(dns, "example.com") == "example.com"


def test_public_suffix_domains(dns: Any) -> None:
    dns.txt("_dmarc.bank.example", "v=DMARC1; p=reject; psd=y")
    assert organization(dns, "www.acme.bank.example") == "acme.bank.example"
    assert organization(dns, "acme.bank.example") == "acme.bank.example"
    assert organization(dns, "bank.example") == "bank.example"
    applicable = walk(dns, "www.acme.bank.example").applicable
    assert applicable is not None
    assert applicable.name == Name.of("bank.example")


def test_which_record_applies(dns: Any) -> None:
    dns.txt("_dmarc.b.example.com", "v=DMARC1; p=reject")
    dns.txt("_dmarc.example.com", "v=DMARC1; p=none")
    applicable = walk(dns, "a.b.example.com").applicable
    assert applicable is not None
    assert applicable.name == Name.of("example.com")
    own = walk(dns, "b.example.com").applicable
    assert own is not None
    assert own.name == Name.of("b.example.com")
    assert walk(dns, "example.net").applicable is None


def test_what_is_no_record(dns: Any) -> None:
    dns.txt("_dmarc.two.example.com", "v=DMARC1; p=reject", "v=DMARC1; p=none")
    dns.txt("_dmarc.twice.example.com", "v=DMARC1; p=reject; p=none")
    dns.txt("_dmarc.other.example.com", "v=spf1 -all")
    dns.txt("_dmarc.mixed.example.com", "v=spf1 -all", "v=DMARC1; p=none")
    for name, wanted in (("two", False), ("twice", False), ("other", False), ("mixed", True)):
        record = dns.run(TreeWalks(dns).record_at(Name.of(f"{name}.example.com")))
        assert isinstance(record, DmarcRecord) == wanted
        assert wanted or record is Missing.NONE


def test_failures(dns: Any) -> None:
    dns.txt("_dmarc.a.example.com", "v=DMARC1; p=reject")
    dns.fail("_dmarc.example.com", RecordType.TXT)
    failed = walk(dns, "a.example.com")
    assert not failed.is_complete
    assert len(failed.found) == 1
    assert failed.organizational_domain is None
    assert dns.run(TreeWalks(dns).record_at(Name.of("example.com"))) is Missing.FAILED


def test_a_failure_above_the_end_does_not_matter(dns: Any) -> None:
    dns.txt("_dmarc.b.example.com", "v=DMARC1; p=reject; psd=n")
    dns.fail("_dmarc.example.com", RecordType.TXT)
    assert organization(dns, "a.b.example.com") == "b.example.com"


def test_a_name_without_room_for_the_prefix(dns: Any) -> None:
    name = Name.of(".".join(["a" * 60] * 4 + ["b", "c"]))
    assert walk(dns, name.text).is_complete
    assert asked(dns) == [each.text for each in name.parents()][:-1]  # not the name itself, not the root


def test_walks_are_shared_and_bounded(dns: Any) -> None:
    walks = TreeWalks(dns, max_walks=2)
    for name in ("a.example.com", "a.example.com", "b.example.com", "c.example.com"):
        found = dns.run(walks.walk(Name.of(name)))
        assert found.is_complete == (name != "c.example.com")
    assert asked(dns) == ["a.example.com", "example.com", "com", "b.example.com"]


def test_what_is_known_to_exist(dns: Any) -> None:
    dns.address("_dmarc.a.example.com", "192.0.2.1")
    dns.fail("_dmarc.c.example.com", RecordType.TXT)
    walks = TreeWalks(dns)
    for name in ("a", "b", "c"):
        dns.run(walks.record_at(Name.of(f"{name}.example.com")))
    known = [walks.is_known_to_exist(Name.of(f"{name}.example.com")) for name in ("a", "b", "c", "d")]
    assert known == [True, False, False, False]
