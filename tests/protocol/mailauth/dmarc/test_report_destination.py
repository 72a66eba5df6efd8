"""Where aggregate reports may go."""

from typing import Any

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mailauth.dmarc.record import DmarcRecord, parse_dmarc_record
from ptt.protocol.mailauth.dmarc.report_destination import (
    MAX_DESTINATIONS,
    Consent,
    Destinations,
    authorization_of,
    destinations,
    mailto_address,
)
from ptt.protocol.mailauth.dmarc.tree_walk import TreeWalks


def where(dns: Any, rua: str) -> list[str]:
    return [str(each) for each in found(dns, rua).mailboxes]


def found(dns: Any, rua: str) -> Destinations:
    record = parse_dmarc_record(f"v=DMARC1; p=none; rua={rua}".encode())
    assert isinstance(record, DmarcRecord)
    answer = dns.run(destinations(record, Name.of("example.com"), TreeWalks(dns)))
    assert isinstance(answer, Destinations)
    return answer


def test_the_own_organization_needs_no_consent(dns: Any) -> None:
    dns.txt("_dmarc.example.com", "v=DMARC1; p=none")
    assert where(dns, "mailto:a@example.com,mailto:b@mail.example.com") == [
        "a@example.com",
        "b@mail.example.com",
    ]
    assert not any("_report" in name for name, _ in dns.asked)


def test_others_have_to_agree(dns: Any) -> None:
    dns.txt("example.com._report._dmarc.yes.example", "v=DMARC1")
    dns.txt(
        "example.com._report._dmarc.broken.example", "v=DMARC1; bogus", "v=spf1", "v=DMARC1; p=none; p=none"
    )
    rua = "mailto:a@yes.example,mailto:b@no.example,mailto:c@broken.example,mailto:a@yes.example"
    assert where(dns, rua) == ["a@yes.example"]
    assert found(dns, rua).is_complete


def test_another_address_at_the_same_host(dns: Any) -> None:
    dns.txt(
        "example.com._report._dmarc.yes.example", "v=DMARC1; rua=mailto:x@yes.example,mailto:y@other.example"
    )
    assert where(dns, "mailto:a@yes.example") == ["x@yes.example"]


def test_doubt_puts_it_off(dns: Any) -> None:
    dns.fail("example.com._report._dmarc.later.example", RecordType.TXT)
    assert found(dns, "mailto:a@later.example") == Destinations((), is_complete=False)
    dns.fail("_dmarc.unsure.example", RecordType.TXT)
    assert found(dns, "mailto:a@unsure.example,mailto:b@no.example").is_complete is False


def test_names_without_room(dns: Any) -> None:
    host = Name.of(".".join(["a" * 60] * 4))
    answer = dns.run(authorization_of(Name.of("example.com"), host, TreeWalks(dns)))
    assert answer.consent is Consent.REFUSED


def test_only_so_many_and_only_mail(dns: Any) -> None:
    dns.txt("_dmarc.example.com", "v=DMARC1; p=none")
    rua = ",".join(f"mailto:a{number}@example.com" for number in range(MAX_DESTINATIONS + 1))
    assert len(where(dns, rua)) == MAX_DESTINATIONS
    assert where(dns, "https://example.com/x,mailto:a@[192.0.2.1],mailto:a@example.com") == ["a@example.com"]


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:a@example.com", "a@example.com"),
        ("MAILTO:a%2Bb%21@example.com?subject=x", "a+b!@example.com"),
        ("mailto:x@example.com", "x@example.com"),
    ],
)
def test_mailto(uri: str, address: str) -> None:
    assert mailto_address(uri) == mailbox(address)


@pytest.mark.parametrize(
    "uri", ["https://example.com", "mailto:", "mailto:a@example.com,b@example.com", "mailto:a%0a@example.com"]
)
def test_what_is_no_address(uri: str) -> None:
    assert isinstance(mailto_address(uri), Malformed)
