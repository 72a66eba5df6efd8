"""SPF, DKIM and DMARC together, and the fields that tell of them."""

import asyncio
from ipaddress import ip_address

import authres
import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.dns.lookup import Answer, Lookup, Question, Rcode, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.authentication import Authentication, Client, authenticate
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash
from ptt.protocol.mailauth.dkim.keys import SigningKey, public_record
from ptt.protocol.mailauth.dkim.signing import SigningPolicy, sign

NOW = 1_790_000_000
US = "mx.example.org"
KEY = SigningKey(Name.of("s1"), Name.of("remote.com"), ed25519.Ed25519PrivateKey.generate())
BODY = b"hello\r\n"
TEXTS: dict[str, str | None] = {
    "remote.com": "v=spf1 ip4:198.51.100.0/24 -all",
    "mail.remote.com": "v=spf1 ip4:198.51.100.7 -all",
    "s1._domainkey.remote.com": public_record(KEY.private).decode(),
    "_dmarc.remote.com": "v=DMARC1; p=reject",
}
BOB = Client(ip_address("198.51.100.7"), "mail.remote.com", mailbox("bob@remote.com"))
HEADER = b"From: Bob <bob@remote.com>\r\nSubject: hi\r\n"


class Texts(Lookup):
    """TXT records by name; None: never answers."""

    def __init__(self, texts: dict[str, str | None]) -> None:
        self._texts = {Name.of(name): text for name, text in texts.items()}

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        text = self._texts.get(name, "")
        if text is None:
            return Answer(Rcode.SERVFAIL)
        if not text or record_type is not RecordType.TXT:
            return Answer(Rcode.NXDOMAIN)
        return Answer(Rcode.NOERROR, (Txt((text.encode(),)),))

    async def many(self, questions: "tuple[Question, ...] | list[Question]") -> list[Answer]:  # type: ignore[override]
        return [await self.query(each.name, each.record_type) for each in questions]


def header_of(octets: bytes) -> Header:
    header = parse_header(octets)
    assert isinstance(header, Header)
    return header


def found(
    header: bytes = HEADER, client: Client = BOB, texts: dict[str, str | None] | None = None
) -> Authentication:
    lookup = Texts(TEXTS if texts is None else texts)
    return asyncio.run(authenticate(header_of(header), [BODY], client, US, lookup, NOW))


def signed() -> bytes:
    policy = SigningPolicy()
    body = BodyHash(policy.body_canonicalization, policy.hash_algorithm)
    body.update(BODY)
    fields = sign(header_of(HEADER), body.digest(), [KEY], policy, NOW - 5)
    assert isinstance(fields, list | tuple)
    return b"".join(fields) + HEADER


def test_all_three_pass() -> None:
    result = found(signed())
    assert result.summary == "spf=pass dkim=pass dmarc=pass"
    assert result.passed_domains == (Name.of("remote.com"), Name.of("remote.com"))
    assert not result.is_in_doubt
    results, received = result.fields()
    assert received.startswith(b"Received-SPF: pass")
    parsed = authres.AuthenticationResultsHeader.parse(results.decode().strip().replace("\r\n", ""))
    assert parsed.authserv_id == US
    assert [each.method for each in parsed.results] == ["spf", "dkim", "dmarc"]
    assert {each.result for each in parsed.results} == {"pass"}


@pytest.mark.parametrize(("changed", "word"), [(False, "pass"), (True, "fail")])
def test_a_chain_of_earlier_hops_is_told_and_changes_nothing_else(changed: bool, word: str) -> None:
    """Made by dkimpy."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    record = public_record(key).decode()
    results = b"Authentication-Results: list.example; spf=pass smtp.mailfrom=remote.com; arc=none\r\n"
    message = results + signed() + b"\r\n" + BODY
    lines = dkim.arc_sign(
        message,
        b"a1",
        b"list.example",
        pem,
        b"list.example",
        [b"from", b"subject"],
        timestamp=NOW - 9,
    )
    header = b"".join(lines) + results + signed()
    if changed:
        header = header.replace(b"Subject: hi", b"Subject: ho")
    result = found(header, texts={**TEXTS, "a1._domainkey.list.example": record})
    assert result.summary.split()[-1] == f"arc={word}"
    assert result.dmarc.result.value == "pass"
    (stamp, _) = result.fields()
    parsed = authres.AuthenticationResultsHeader.parse(stamp.decode().strip().replace("\r\n", ""))
    assert [(each.method, each.result) for each in parsed.results][-1] == ("arc", word)
    assert b"header.d=list.example" in stamp


def test_nothing_passes() -> None:
    result = found(client=Client(ip_address("192.0.2.1"), "x.example", mailbox("bob@remote.com")))
    assert result.summary == "spf=fail dkim=none dmarc=fail"
    assert result.passed_domains == ()


def test_a_bounce_is_known_by_the_helo_name() -> None:
    result = found(client=Client(BOB.address, "mail.remote.com", None))
    assert result.summary == "spf=pass dkim=none dmarc=pass"
    assert b"smtp.helo=mail.remote.com" in result.fields()[0]
    assert b"identity=helo" in result.fields()[1]


@pytest.mark.parametrize("helo", ["[198.51.100.7]", "localhost", "has blanks", ""])
def test_a_bounce_without_a_name_to_ask(helo: str) -> None:
    result = found(client=Client(BOB.address, helo, None))
    assert result.query is None
    assert result.summary == "dkim=none dmarc=fail"
    assert len(result.fields()) == 1
    assert result.passed_domains == ()


def test_a_literal_has_no_policy() -> None:
    result = found(client=Client(BOB.address, "mail.remote.com", mailbox("bob@[198.51.100.7]")))
    assert result.query is None


@pytest.mark.parametrize(
    ("silent", "summary"),
    [
        ("remote.com", "spf=temperror dkim=pass dmarc=pass"),
        ("s1._domainkey.remote.com", "spf=pass dkim=temperror dmarc=pass"),
        ("_dmarc.remote.com", "spf=pass dkim=pass dmarc=temperror"),
    ],
)
def test_doubt_is_told(silent: str, summary: str) -> None:
    result = found(signed(), texts={**TEXTS, silent: None})
    assert result.summary == summary
    assert result.is_in_doubt


@pytest.mark.parametrize("header", [b"Subject: x\r\n", HEADER + HEADER, b"From: nobody\r\n"])
def test_no_author_no_dmarc(header: bytes) -> None:
    result = found(header)
    assert not result.summary.endswith("dmarc=pass")
    assert result.summary.startswith("spf=pass dkim=none")


def test_a_broken_signature_is_no_identity() -> None:
    result = found(b"DKIM-Signature: v=1; nonsense\r\n" + HEADER)
    assert result.passed_domains == (Name.of("remote.com"),)
    assert "dkim=pass" not in result.summary


@given(st.text(max_size=80))
def test_nothing_that_a_client_says_breaks_out_of_a_field(helo: str) -> None:
    for reverse_path in (None, BOB.reverse_path):
        for field in found(client=Client(BOB.address, helo, reverse_path)).fields():
            header = header_of(field)
            assert len(header.fields) == 1
