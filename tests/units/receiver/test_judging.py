"""Who a message is from, and what follows; the DNS is a dict."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import authres
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from ptt.protocol.dns.lookup import Answer, Lookup, Question, Rcode, RecordType, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.authentication import Client
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash
from ptt.protocol.mailauth.dkim.keys import SigningKey, public_record
from ptt.protocol.mailauth.dkim.signing import SigningPolicy, sign
from ptt.units.receiver.judging import Judgement, Rules, judge
from ptt.units.receiver.reading import read_message

NOW = 1_790_000_000
OURS = Rules("mx.mirage.org", (Name.of("mirage.org"),), (Name.of("lists.example.com"),))
CLIENT = Client(ip_address("198.51.100.7"), "mail.remote.com", mailbox("bob@remote.com"))
KEY = SigningKey(Name.of("s1"), Name.of("remote.com"), ed25519.Ed25519PrivateKey.generate())
WORLD = {
    "remote.com": "v=spf1 ip4:198.51.100.0/24 -all",
    "_dmarc.remote.com": "v=DMARC1; p=reject",
    "s1._domainkey.remote.com": public_record(KEY.private).decode(),
    "mirage.org": "v=spf1 ip4:192.0.2.10 -all",
    "_dmarc.mirage.org": "v=DMARC1; p=none",
    "lists.example.com": "v=spf1 ip4:198.51.100.7 -all",
}
MESSAGE = b"From: Bob <bob@remote.com>\r\nSubject: hi\r\n\r\nhello\r\n"


class Dict(Lookup):
    """Texts by name; a name with None never answers."""

    def __init__(self, texts: dict[str, str | None]) -> None:
        self._texts = {Name.of(name): text for name, text in texts.items()}

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        text = self._texts.get(name, "")
        if text is None:
            return Answer(Rcode.SERVFAIL)
        if not text:
            return Answer(Rcode.NXDOMAIN)
        records = (Txt((text.encode(),)),) if record_type is RecordType.TXT else ()
        return Answer(Rcode.NOERROR, records)

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        return [await self.query(question.name, question.record_type) for question in questions]


def judged(
    message: bytes = MESSAGE,
    client: Client = CLIENT,
    world: dict[str, str | None] | None = None,
    rules: Rules = OURS,
) -> Judgement:
    lookup = Dict({**WORLD, **(world or {})})
    return asyncio.run(judge(read_message([message]), client, rules, lookup, NOW))


def signed(message: bytes) -> bytes:
    header = parse_header(message)
    assert isinstance(header, Header)
    body_hash = BodyHash()
    body_hash.update(message[header.size :])
    fields = sign(header, body_hash.digest(), [KEY], SigningPolicy(), NOW)
    assert isinstance(fields, list)
    return b"".join(fields) + message


def code(judgement: Judgement) -> int | None:
    return judgement.refusal.code if judgement.refusal else None


def test_everything_passes_and_is_stamped() -> None:
    message = signed(MESSAGE)
    judgement = judged(message)
    assert judgement.refusal is None
    assert judgement.summary == "spf=pass dkim=pass dmarc=pass"
    stamped = b"".join(judgement.message)
    assert stamped.endswith(message)
    header = parse_header(stamped)
    assert isinstance(header, Header)
    assert [field.lower for field in header.fields[:2]] == [b"authentication-results", b"received-spf"]
    read = authres.AuthenticationResultsHeader.parse(
        "Authentication-Results: " + header.fields[0].value.decode()
    )
    assert read.authserv_id == "mx.mirage.org"
    assert [(each.method, each.result) for each in read.results] == [
        ("spf", "pass"),
        ("dkim", "pass"),
        ("dmarc", "pass"),
    ]


def test_forged_results_in_our_name_go_whole_and_others_stay() -> None:
    forged = b"Authentication-Results: MX.mirage.ORG;\r\n dmarc=pass\r\n"
    foreign = b"Authentication-Results: mx.remote.com; spf=pass\r\n"
    stamped = b"".join(judged(forged + foreign + MESSAGE).message)
    assert stamped.count(b"uthentication-Results") == 2
    assert b"MX.mirage.ORG" not in stamped
    assert foreign + MESSAGE in stamped


def test_a_policy_of_reject_is_enforced_or_stamped() -> None:
    elsewhere = Client(ip_address("203.0.113.9"), "x", mailbox("bob@other.net"))
    assert code(judged(client=elsewhere)) == 550
    stamp = judged(client=elsewhere, rules=Rules("mx.mirage.org", OURS.domains, enforces=False))
    assert stamp.refusal is None
    assert "dmarc=fail" in stamp.summary
    assert judged(client=elsewhere, world={"_dmarc.remote.com": "v=DMARC1; p=quarantine"}).refusal is None


@pytest.mark.parametrize(
    "author",
    [b"alice@mirage.org", b"alice@sub.mirage.org", b"Alice <alice@MIRAGE.org>, bob@remote.com"],
)
@pytest.mark.parametrize("reverse_path", ["bob@remote.com", "alice@mirage.org", None])
def test_a_forged_author_of_ours_is_refused(author: bytes, reverse_path: str | None) -> None:
    client = Client(CLIENT.address, "x.remote.com", mailbox(reverse_path) if reverse_path else None)
    assert code(judged(b"From: " + author + b"\r\n\r\n", client)) == 550


def test_our_own_mail_may_come_back() -> None:
    ours = Client(ip_address("192.0.2.10"), "mail.mirage.org", mailbox("alice@mirage.org"))
    assert judged(b"From: alice@mirage.org\r\n\r\nhello\r\n", ours).refusal is None


def test_a_list_that_the_operator_named_may_carry_our_author() -> None:
    client = Client(CLIENT.address, "x", mailbox("bounces@lists.example.com"))
    judgement = judged(b"From: alice@mirage.org\r\n\r\nhello\r\n", client)
    assert judgement.refusal is None
    assert "dmarc=fail" in judgement.summary


@pytest.mark.parametrize(
    "message",
    [
        b"rubbish\r\nFrom: alice@mirage.org\r\n\r\nhello\r\n",
        b"From: bob@remote.com\r\nFrom: alice@mirage.org\r\n\r\n",
        b"From: rubbish <<alice@mirage.org>>\r\n\r\n",
        b"rubbish\r\nfrom:\r\n alice@mirage.org\r\n\r\n",
    ],
)
def test_a_claim_that_some_reader_may_show_counts(message: bytes) -> None:
    assert code(judged(message)) == 550


@pytest.mark.parametrize("silent", ["_dmarc.remote.com", "remote.com"])
def test_doubt_is_temporary(silent: str) -> None:
    elsewhere = Client(ip_address("203.0.113.9"), "x", mailbox("bob@remote.com"))
    judgement = judged(client=elsewhere, world={silent: None})
    assert code(judgement) == 451


def test_doubt_about_our_own_domain_is_temporary() -> None:
    ours = Client(ip_address("192.0.2.10"), "mail.mirage.org", mailbox("alice@mirage.org"))
    assert code(judged(b"From: alice@mirage.org\r\n\r\n", ours, {"mirage.org": None})) == 451


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b"rubbish",
        b"Subject: no author\r\n\r\nhello\r\n",
        b"From: \xff\xfe\r\n\r\n",
        b"From: bob@[192.0.2.1]\r\n\r\n",
        b"\0: \r\n\r\n",
        b"X: " + b"y" * 300_000 + b"\r\n\r\n",
    ],
)
def test_malformed_mail_passes_unchanged_with_stamps(message: bytes) -> None:
    judgement = judged(message, world={"_dmarc.remote.com": ""})
    assert judgement.refusal is None
    assert b"".join(judgement.message).endswith(message)


def test_a_bounce_is_judged_by_the_helo_name() -> None:
    client = Client(CLIENT.address, "remote.com", None)
    judgement = judged(b"From: mailer-daemon@remote.com\r\n\r\n", client)
    assert judgement.summary.startswith("spf=pass")
    assert b"smtp.helo=remote.com" in b"".join(judgement.message)


def test_nobody_to_ask() -> None:
    for client in (
        Client(CLIENT.address, "[198.51.100.7", None),
        Client(CLIENT.address, "localhost", None),
        Client(CLIENT.address, "x", mailbox("bob@[198.51.100.7]")),
    ):
        judgement = judged(b"From: bob@nowhere.example\r\n\r\n", client)
        assert judgement.refusal is None
        assert judgement.summary == "dkim=none dmarc=none"
