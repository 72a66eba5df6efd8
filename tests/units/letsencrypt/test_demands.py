"""Which requests of a zone become orders, what is told of the others, what is written back."""

from collections.abc import Iterable
from datetime import timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.protocol.acme.renewal import NoSuggestion, Suggested
from ptt.protocol.acme.signing_request import Certificate, read_certificate
from ptt.protocol.dns.certificate_exchange import Exchange, owner, read_exchange, write_exchange
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset
from ptt.protocol.dns.requesting import Add, Remove
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone
from ptt.rehearsal.certificates import Authority
from ptt.units.letsencrypt.demands import Demand, Fault, answer_edits, demands_of
from ptt.units.letsencrypt.suggestions import Suggestions

ORIGIN = Name.of("mirage.org")
HOST = Name.of("mail.mirage.org")


@cache
def authority() -> Authority:
    return Authority()


def csr(*names: str) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def certify(request: bytes, days: int = 90) -> bytes:
    text = authority().certify(x509.load_der_x509_csr(request), timedelta(days=days))
    return x509.load_pem_x509_certificate(text.encode()).public_bytes(Encoding.DER)


def zone_with(exchanges: Iterable[tuple[Name, Exchange]]) -> Zone:
    zone = read_zone("@ 60 SOA ns a 1 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n", ORIGIN, "mirage.org")
    assert isinstance(zone, Zone)
    changes: dict[tuple[Name, int], RRset | None] = {
        (owner(host), int(RecordType.TLSA)): write_exchange(host, exchange) for host, exchange in exchanges
    }
    return zone.with_changes(changes)


def found(*requests: bytes, leaves: tuple[bytes, ...] = (), now: float | None = None) -> list[Demand | Fault]:
    zone = zone_with([(HOST, Exchange(requests, leaves))])
    return list(demands_of(zone, now if now is not None else good_time()))


def good_time() -> float:
    leaf = read_certificate(certify(csr("a.org")))
    assert isinstance(leaf, Certificate)
    return leaf.not_before + 7200


def reason(found: list[Demand | Fault]) -> str:
    (fault,) = found
    assert isinstance(fault, Fault)
    return fault.text


def test_one_request_is_a_demand() -> None:
    request = csr("mail.mirage.org", "*.mail.mirage.org", "www.mail.mirage.org")
    (demand,) = found(request)
    assert isinstance(demand, Demand)
    assert (demand.zone, demand.host, demand.since) == (ORIGIN, HOST, 0)
    assert demand.request.der == request


def test_no_request_is_nothing() -> None:
    assert found(leaves=(certify(csr("mail.mirage.org")),)) == []
    assert list(demands_of(zone_with([]), 0)) == []


def test_two_requests_are_told_of() -> None:
    assert "mail.mirage.org: 2 requests" in reason(found(csr("mail.mirage.org"), csr("mail.mirage.org")))


@pytest.mark.parametrize(
    "name", ["mirage.org", "other.mirage.org", "*.mirage.org", "example.org", "xmail.mirage.org"]
)
def test_foreign_names_are_refused(name: str) -> None:
    assert f"names {name}, which is not at or below" in reason(found(csr("mail.mirage.org", name)))


def test_noise_is_told_of() -> None:
    assert "not a certificate request" in reason(found(b"noise"))


def test_who_is_served_waits_until_a_third_is_left() -> None:
    request = csr("mail.mirage.org")
    leaf = certify(request, days=9)
    read = read_certificate(leaf)
    assert isinstance(read, Certificate)
    others = (certify(csr("mail.mirage.org")), b"noise", certify(request, days=1))
    (demand,) = found(request, leaves=(*others, leaf))
    assert isinstance(demand, Demand)
    assert demand.since == read.renew_at
    (late,) = found(request, leaves=(leaf,), now=read.renew_at)
    assert isinstance(late, Demand)
    assert late.since == read.renew_at
    (over,) = found(request, leaves=(leaf,), now=read.not_after)
    assert isinstance(over, Demand)
    assert (over.since, over.served) == (0, None)


def test_a_suggestion_may_be_later_but_not_too_late() -> None:
    request = csr("mail.mirage.org")
    (demand,) = found(request, leaves=(certify(request, days=90),))
    assert isinstance(demand, Demand)
    assert demand.served is not None
    assert demand.suggested(5).since == 5
    late = demand.suggested(demand.served.not_after)
    third = demand.served.not_after - demand.served.renew_at
    assert late.since == pytest.approx(demand.served.renew_at + third / 2)
    (unserved,) = found(request)
    assert isinstance(unserved, Demand)
    assert unserved.suggested(5) == unserved


def test_suggestions_are_asked_for_again_and_forgotten() -> None:
    request = csr("mail.mirage.org")
    (demand,) = found(request, leaves=(certify(request),))
    assert isinstance(demand, Demand)
    assert demand.served is not None
    suggestions = Suggestions()
    assert suggestions.to_ask([demand], 10) == [demand.served]
    assert suggestions.next_question() is None
    suggestions.note(demand.served, NoSuggestion("down", 60), 10)
    assert suggestions.applied([demand]) == [demand]
    assert suggestions.to_ask([demand], 69) == []
    assert suggestions.next_question() == 70
    suggestions.note(demand.served, Suggested(500, 60), 70)
    suggestions.note(demand.served, NoSuggestion("down", 60), 130)
    assert [each.since for each in suggestions.applied([demand])] == [500]
    assert suggestions.to_ask([], 200) == []
    assert suggestions.applied([demand]) == [demand]


def test_a_certificate_of_another_key_or_other_names_serves_nobody() -> None:
    for leaf in (certify(csr("mail.mirage.org")), certify(csr("www.mail.mirage.org"))):
        (demand,) = found(csr("mail.mirage.org"), leaves=(leaf,))
        assert isinstance(demand, Demand)
        assert demand.since == 0


def test_what_is_written_back() -> None:
    zone = zone_with([(HOST, Exchange((b"request",), (b"old leaf",), (b"issuer", b"old issuer")))])
    remove, add = answer_edits(zone, HOST, (b"leaf", b"issuer", b"issuer"))
    assert isinstance(remove, Remove)
    assert isinstance(add, Add)
    assert read_exchange(remove.rrset) == Exchange((), (b"old leaf",), (b"old issuer",))
    assert read_exchange(add.rrset) == Exchange((), (b"leaf",), (b"issuer",))
    assert add.rrset.name == owner(HOST)
    assert add.rrset.ttl == 3600
    (add,) = answer_edits(zone_with([]), HOST, (b"leaf",))
    assert isinstance(add, Add)
