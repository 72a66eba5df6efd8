"""The models of the large receivers: each says what its original would, at the step where that does."""

import asyncio
from ipaddress import ip_address

import pytest

from ptt.errors import Malformed
from ptt.net.fixed_lookup import read_zone
from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.header import split_header
from ptt.protocol.mailauth.authentication import Client, authenticate
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.internet.gmail_like import GmailLike
from ptt.rehearsal.internet.manners import RECIPIENT_OK, SENDER_OK, Caller, Manners, Seen, reverse_name
from ptt.rehearsal.internet.outlook_like import OutlookLike
from ptt.rehearsal.internet.postfix_like import PostfixLike
from ptt.rehearsal.internet.yahoo_like import YahooLike

ADDRESS, NAMELESS = "192.0.2.10", "198.51.100.99"
NOW = 1_790_000_000
SENDER, RECIPIENT = mailbox("alice@mirage.org"), mailbox("grace@large.com")
ZONE = f"""
mail.mirage.org             A {ADDRESS}
10.2.0.192.in-addr.arpa     PTR mail.mirage.org
11.2.0.192.in-addr.arpa     PTR mail.mirage.org
mirage.org                  MX 10 mail.mirage.org
mirage.org                  TXT "v=spf1 mx -all"
_dmarc.mirage.org           TXT "v=DMARC1; p=reject"
open.org                    TXT "v=spf1 +all"
"""
DOMAINS = (Name.of("large.com"),)
LETTER = b"From: {}\r\nMessage-ID: <1@mirage.org>\r\n\r\nHello\r\n"


def lookup() -> Lookup:
    """The names."""
    made = read_zone(ZONE)
    assert not isinstance(made, Malformed)
    return made


def caller(address: str = ADDRESS, *, secure: bool = True, messages: int = 0) -> Caller:
    """Somebody who calls."""
    return Caller(address, "mail.mirage.org", secure, messages)


def judge(
    manners: Manners, letter: bytes, sender: str = "alice@mirage.org", who: Caller | None = None
) -> Reply | None:
    """What is said after a letter from an address."""
    who, names = who or caller(), lookup()
    split = split_header((letter,))
    assert not isinstance(split, Malformed)
    header, body = split
    path = mailbox(sender)
    client = Client(ip_address(who.address), who.host_name, path)
    found = asyncio.run(authenticate(header, body, client, "large.com", names, NOW))
    return asyncio.run(manners.message(who, Seen(path, ("grace",), header, found)))


def from_(author: str) -> bytes:
    """A letter of somebody."""
    return LETTER.replace(b"{}", author.encode())


def rcpt(manners: Manners, recipient: str, who: Caller | None = None) -> Reply:
    """What is said to RCPT."""
    return asyncio.run(manners.recipient(who or caller(), SENDER, mailbox(recipient), ()))


def mail(manners: Manners, who: Caller | None = None, sender: str = "alice@mirage.org") -> Reply:
    """What is said to MAIL."""
    return asyncio.run(manners.sender(who or caller(), mailbox(sender)))


def test_a_name_counts_if_it_leads_back() -> None:
    def found(address: str) -> str:
        return str(asyncio.run(reverse_name(address, lookup())))

    assert found(ADDRESS) == "mail.mirage.org"
    assert [found(address) for address in ("192.0.2.11", NAMELESS, "2001:db8::1")] == ["None"] * 3


@pytest.mark.parametrize("kind", [Manners, GmailLike, OutlookLike, YahooLike])
def test_our_mail_is_taken_by_all(kind: type[Manners]) -> None:
    manners = kind(DOMAINS, ["grace"], lookup())

    assert mail(manners) == SENDER_OK
    assert rcpt(manners, "grace@large.com") == RECIPIENT_OK
    assert rcpt(manners, "grace@else.com").code == 554
    assert judge(manners, from_("alice@mirage.org")) is None


@pytest.mark.parametrize(
    ("letter", "sender", "who", "says"),
    [
        (from_("alice@mirage.org"), "alice@mirage.org", caller(secure=False), "421 4.7.29"),
        (from_("x@open.org"), "x@open.org", caller(NAMELESS), "550 5.7.25"),
        (from_("x@nobody.org"), "x@nobody.org", caller(), "550 5.7.26 This mail has been blocked"),
        (from_("alice@mirage.org"), "x@open.org", caller(), "550 5.7.26 Unauthenticated email from mirage"),
        (b"From: x@open.org\r\n\r\nno Message-ID\r\n", "x@open.org", caller(), "550 5.7.1"),
    ],
)
def test_gmail_like_judges_after_the_data(letter: bytes, sender: str, who: Caller, says: str) -> None:
    said = judge(GmailLike(DOMAINS, ["grace"], lookup()), letter, sender, who)

    assert str(said).startswith(says)
    assert said is not None
    assert said.text[-1].endswith("gsmtp")


def test_gmail_like_at_rcpt_and_by_its_pace() -> None:
    manners = GmailLike(DOMAINS, ["grace"], lookup(), pace=1)
    codes = [rcpt(manners, f"{user}@large.com").code for user in ("full", "busy", "nobody")]
    others = asyncio.run(manners.recipient(caller(), SENDER, RECIPIENT, [mailbox("x@else.com")]))

    assert codes == [452, 450, 550]
    assert (others.code, others.enhanced) == (451, "4.3.0")
    assert judge(manners, from_("alice@mirage.org")) is None
    assert str(judge(manners, from_("alice@mirage.org"))).startswith("421 4.7.28")


def test_outlook_like_and_who_does_not_slow_down() -> None:
    manners = OutlookLike(DOMAINS, ["grace"], lookup(), per_connection=2)
    manners.reputation.new[ADDRESS] = 0
    said = [str(mail(manners)) for _ in range(4)]

    assert [line[:9] for line in said] == ["451 4.7.6"] * 3 + ["550 5.7.1"]
    assert ["(S775)" in line for line in said] == [True] * 3 + [False]
    assert "(S3150)" in said[-1]
    manners.reputation.new.clear()
    manners.reputation.blocked.add(ADDRESS)
    assert "(S3140)" in str(mail(manners))
    manners.reputation.blocked.clear()
    assert mail(manners, caller(messages=2)).code == 421
    assert rcpt(manners, "nobody@large.com").enhanced == "5.5.0"
    said_of_forged = str(judge(manners, from_("alice@mirage.org"), "x@open.org"))
    assert said_of_forged.startswith("550 5.7.515")
    assert "Spf= Pass , Dkim= Fail , DMARC= Fail" in said_of_forged


def test_yahoo_like_tells_late_and_forgets_nothing() -> None:
    manners = YahooLike(DOMAINS, ["david"], lookup())

    assert rcpt(manners, "nobody@large.com") == RECIPIENT_OK
    assert str(judge(manners, from_("alice@mirage.org"))).startswith("554 delivery error")
    assert mail(manners, sender="x@missing.org").code == 554
    assert mail(manners, caller(messages=20)).code == 421
    manners.deferred[ADDRESS] = 0
    assert [mail(manners).code for _ in range(4)] == [421, 421, 421, 553]
    known = YahooLike(DOMAINS, ["grace"], lookup())
    assert str(judge(known, from_("alice@mirage.org"), "x@open.org")).startswith("554 5.7.9")


def test_postfix_like_tests_and_waits() -> None:
    manners = PostfixLike(DOMAINS, ["grace"], lookup())
    said = [str(rcpt(manners, "grace@large.com"))[:9] for _ in range(2)]

    assert said == ["450 4.3.2", "450 4.2.0"]
    manners.delay_s = 0.0
    assert rcpt(manners, "grace@large.com") == RECIPIENT_OK
    assert rcpt(manners, "nobody@large.com").code == 550
    assert str(judge(manners, from_("alice@mirage.org"), "x@open.org")).startswith("550 5.7.1")
