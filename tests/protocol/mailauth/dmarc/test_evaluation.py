"""What DMARC comes to: policy, alignment, and what is not known."""

from typing import Any

import pytest

from ptt.protocol.dns.lookup import Answer, Rcode, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.dmarc.evaluation import DkimIdentifier, DmarcVerdict, SpfIdentifier, evaluate
from ptt.protocol.mailauth.dmarc.record import Policy
from ptt.protocol.mailauth.dmarc.tree_walk import TreeWalks
from ptt.protocol.mailauth.results import DkimResult, DmarcResult, SpfResult

PASS, FAIL, NONE, TEMPERROR = DmarcResult.PASS, DmarcResult.FAIL, DmarcResult.NONE, DmarcResult.TEMPERROR


def judge(
    dns: Any,
    author: str,
    *dkim: str,
    spf: str | None = None,
    dkim_result: DkimResult = DkimResult.PASS,
    spf_result: SpfResult = SpfResult.PASS,
    max_walks: int = 10,
) -> DmarcVerdict:
    identifiers = [DkimIdentifier(Name.of(domain), dkim_result) for domain in dkim]
    mail_from = None if spf is None else SpfIdentifier(Name.of(spf), spf_result)
    verdict = dns.run(evaluate(Name.of(author), identifiers, mail_from, TreeWalks(dns, max_walks)))
    assert isinstance(verdict, DmarcVerdict)
    return verdict


def publish(dns: Any, **records: str) -> None:
    for name, tags in records.items():
        dns.txt(f"_dmarc.{name.replace('__', '.')}", f"v=DMARC1; {tags}")


def test_siblings_align(dns: Any) -> None:
    publish(dns, example__com="p=reject")
    verdict = judge(dns, "a.example.com", "b.example.com")
    assert verdict.result is PASS
    assert verdict.policy is Policy.REJECT
    assert verdict.policy_domain == verdict.organizational_domain == Name.of("example.com")
    assert verdict.aligned_dkim == (Name.of("b.example.com"),)
    assert not verdict.is_spf_aligned
    assert judge(dns, "a.example.com", spf="b.example.com").is_spf_aligned


def test_np_is_for_names_that_do_not_exist(dns: Any) -> None:
    publish(dns, example__com="p=none; sp=quarantine; np=reject")
    dns.address("real.example.com", "192.0.2.1")
    assert judge(dns, "ghost.example.com").policy is Policy.REJECT
    assert judge(dns, "real.example.com").policy is Policy.QUARANTINE
    assert judge(dns, "example.com").policy is Policy.NONE
    dangling = Answer(Rcode.NXDOMAIN, canonical_name=Name.of("gone.example.net"))
    dns.answers[Name.of("alias.example.com"), RecordType.A] = dangling
    assert judge(dns, "alias.example.com").policy is Policy.QUARANTINE
    dns.txt("_dmarc.empty.example.com", "nothing of ours")
    dns.asked.clear()
    assert judge(dns, "empty.example.com").policy is Policy.QUARANTINE
    assert ("empty.example.com", RecordType.A) not in dns.asked


def test_existence_is_asked_only_where_it_matters(dns: Any) -> None:
    publish(dns, example__com="p=reject; np=reject")
    judge(dns, "ghost.example.com")
    assert ("ghost.example.com", RecordType.A) not in dns.asked


def test_existence_that_cannot_be_found_out(dns: Any) -> None:
    publish(dns, example__com="p=none; np=reject")
    dns.fail("x.example.com", RecordType.A)
    dns.answers[Name.of("_dmarc.x.example.com"), RecordType.TXT] = Answer(Rcode.NXDOMAIN)
    assert judge(dns, "x.example.com").result is TEMPERROR
    passed = judge(dns, "x.example.com", "example.com")
    assert (passed.result, passed.policy) == (PASS, Policy.NONE)


def test_records_in_between_are_skipped(dns: Any) -> None:
    publish(dns, b__example__com="p=reject", example__com="p=none")
    verdict = judge(dns, "a.b.example.com", "b.example.com")
    assert (verdict.result, verdict.policy) == (PASS, Policy.NONE)
    assert verdict.policy_domain == Name.of("example.com")


def test_names_of_more_than_eight_labels(dns: Any) -> None:
    publish(dns, example__com="p=none", b__c__d__e__f__g__example__com="p=reject; psd=n")
    verdict = judge(dns, "mail.a.b.c.d.e.f.g.example.com")
    assert (verdict.result, verdict.policy, verdict.policy_domain) == (
        FAIL,
        Policy.NONE,
        Name.of("example.com"),
    )


def test_psd_n_cuts_off(dns: Any) -> None:
    publish(dns, b__example__com="p=reject; psd=n", example__com="p=none")
    verdict = judge(dns, "a.b.example.com", "example.com", "x.b.example.com")
    assert verdict.result is PASS
    assert verdict.aligned_dkim == (Name.of("x.b.example.com"),)
    assert verdict.policy is Policy.REJECT


def test_public_suffix_domains(dns: Any) -> None:
    publish(dns, bank__example="p=reject; sp=quarantine; psd=y")
    dns.address("www.acme.bank.example", "192.0.2.1")
    verdict = judge(dns, "www.acme.bank.example", "acme.bank.example", "other.bank.example")
    assert (verdict.result, verdict.policy) == (PASS, Policy.QUARANTINE)
    assert verdict.aligned_dkim == (Name.of("acme.bank.example"),)
    assert verdict.policy_domain == Name.of("bank.example")
    assert verdict.organizational_domain == Name.of("acme.bank.example")
    assert judge(dns, "bank.example", "acme.bank.example").result is FAIL
    publish(dns, acme__bank__example="p=none")
    verdict = judge(dns, "www.acme.bank.example", "other.bank.example")
    assert (verdict.result, verdict.policy) == (FAIL, Policy.NONE)


def test_a_parent_without_record_does_not_align(dns: Any) -> None:
    publish(dns, mail__example__com="p=reject")
    verdict = judge(dns, "mail.example.com", "example.com", "a.mail.example.com")
    assert verdict.aligned_dkim == (Name.of("a.mail.example.com"),)
    assert judge(dns, "mail.example.com", "example.com").result is FAIL


def test_test_mode_weakens_the_policy(dns: Any) -> None:
    publish(dns, example__com="p=reject; sp=quarantine; t=y")
    dns.address("x.example.com", "192.0.2.1")
    assert judge(dns, "example.com").policy is Policy.QUARANTINE
    verdict = judge(dns, "x.example.com")
    assert (verdict.result, verdict.policy) == (FAIL, Policy.NONE)


def test_no_record_and_no_policy(dns: Any) -> None:
    assert judge(dns, "example.com", "example.com") == DmarcVerdict(
        NONE, "no DMARC record", Name.of("example.com")
    )
    publish(dns, example__com="p=reject; sp=bogus", com="p=reject")
    verdict = judge(dns, "example.com", "example.com")
    assert (verdict.result, verdict.policy, verdict.policy_domain) == (NONE, None, Name.of("example.com"))


def test_strict_alignment(dns: Any) -> None:
    publish(dns, example__com="p=reject; adkim=s; aspf=s")
    assert judge(dns, "example.com", "a.example.com", spf="a.example.com").result is FAIL
    assert judge(dns, "example.com", spf="example.com").result is PASS
    assert judge(dns, "example.com", "EXAMPLE.com").result is PASS
    assert judge(dns, "sub.example.com", "example.com").result is FAIL


def test_only_what_passed_counts(dns: Any) -> None:
    publish(dns, example__com="p=reject")
    for result in DkimResult:
        verdict = judge(dns, "example.com", "example.com", dkim_result=result)
        assert (verdict.result is PASS) == (result is DkimResult.PASS)
    for spf_result in SpfResult:
        verdict = judge(dns, "example.com", spf="example.com", spf_result=spf_result)
        assert (verdict.result is PASS) == (spf_result is SpfResult.PASS)


def test_temporary_errors_of_what_would_align(dns: Any) -> None:
    publish(dns, example__com="p=reject")
    doubt: dict[str, Any] = {"dkim_result": DkimResult.TEMPERROR, "spf_result": SpfResult.TEMPERROR}
    assert judge(dns, "example.com", "a.example.com", **doubt).result is TEMPERROR
    assert judge(dns, "example.com", spf="example.com", **doubt).result is TEMPERROR
    assert judge(dns, "example.com", "example.net", spf="other.com", **doubt).result is FAIL
    assert (
        judge(dns, "example.com", "example.com", spf="example.com", spf_result=SpfResult.TEMPERROR).result
        is PASS
    )


def test_no_walk_where_nothing_depends_on_it(dns: Any) -> None:
    publish(dns, example__com="p=reject")
    assert judge(dns, "example.com", "example.com", "example.com", spf="example.net").result is PASS
    assert dns.asked == [("_dmarc.example.com", RecordType.TXT)]


def test_the_author_s_own_record_fails(dns: Any) -> None:
    dns.fail("_dmarc.example.com", RecordType.TXT)
    verdict = judge(dns, "example.com", "example.com")
    assert (verdict.result, verdict.policy) == (TEMPERROR, None)


def test_a_record_above_the_author_fails(dns: Any) -> None:
    publish(dns, b__example__com="p=none")
    dns.fail("_dmarc.example.com", RecordType.TXT)
    assert judge(dns, "a.b.example.com", "a.b.example.com").result is TEMPERROR


@pytest.mark.parametrize(
    ("dkim", "result"), [("example.com", PASS), ("a.example.com", TEMPERROR), ("example.net", FAIL)]
)
def test_failures_above_the_author_s_own_record(dns: Any, dkim: str, result: DmarcResult) -> None:
    publish(dns, example__com="p=reject")
    dns.fail("_dmarc.com", RecordType.TXT)
    verdict = judge(dns, "example.com", dkim)
    assert (verdict.result, verdict.policy) == (result, Policy.REJECT)


def test_failures_above_an_identifier(dns: Any) -> None:
    publish(dns, example__com="p=reject")
    dns.fail("_dmarc.a.example.com", RecordType.TXT)
    assert judge(dns, "example.com", "a.example.com").result is TEMPERROR
    assert judge(dns, "example.com", "a.example.com", "b.example.com").result is PASS


def test_more_identifiers_than_walks(dns: Any) -> None:
    publish(dns, example__com="p=reject")
    assert judge(dns, "example.com", "a.example.com", max_walks=1).result is TEMPERROR
    assert judge(dns, "example.com", "a.example.com", max_walks=2).result is PASS
