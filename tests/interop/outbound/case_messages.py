"""What arrives: the author's bytes as they were, our fields in front, signatures that others accept."""

import email
import re
from collections.abc import Callable
from email.message import Message

import dkim
import pytest

from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]

ALICE = "alice@mirage.org"
HEADER = "From: Alice <alice@mirage.org>\r\nTo: bob@remote.com\r\nSubject: {mark}\r\n"
DATED = HEADER + "Date: Wed, 25 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{mark}@mirage.org>\r\n"


def verifies(site: Site, message: bytes, number: int) -> bool:
    """Whether dkimpy accepts the signature of that number, from the top."""
    records = {f"{name}.".encode(): text.encode() for name, text in site.dkim_records.items()}
    judge = dkim.DKIM(message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return bool(judge.verify(idx=number, dnsfunc=lambda name, **_: records.get(name)))


def signatures(message: bytes) -> dict[str, int]:
    """The algorithm of each of our signatures, and its number from the top."""
    fields = email.message_from_bytes(message).get_all("DKIM-Signature") or []
    return {re.search(r"a=([\w-]+)", field)[1]: number for number, field in enumerate(fields)}  # type: ignore[index]


def verdicts(message: bytes) -> str:
    """What OpenDKIM wrote into the message as it passed Postfix."""
    return " ".join((email.message_from_bytes(message)["Authentication-Results"] or "").split())


def body(message: bytes) -> bytes:
    """What stands behind the header, with the line ends of a mailbox."""
    return message.partition(b"\n\n")[2]


def post(site: Site, mx1: Postfix, message: bytes, mark: str, *options: str) -> bytes:
    """Send and give what arrived."""
    with site.client("alice") as client:
        client.sendmail(ALICE, ["bob@remote.com"], message, options)
    [arrived] = mx1.wait_messages("bob", mark.encode())
    return arrived


BODIES = {
    "plain": b"Hello\r\n",
    "empty": b"",
    "empty lines": b"\r\n\r\n\r\n",
    "dots": b".\r\n..\r\n.x\r\n. \r\n...\r\nx.\r\n",
    "dots at the start only": b".",
    "long lines": b"x" * 996 + b"\r\n" + b"y" * 998 + b"\r\nz\r\n",
    "8-bit": "Grüße, žluťoučký kůň, 世界\r\n".encode(),
    "no text at all": bytes(b for b in range(1, 256) if b not in b"\r\n") + b"\r\n",
    "blanks": b"a  b\t \r\n \t\r\nc\r\n",
    "looks like a header": b"From: x@y.example\r\n\r\nFrom the start\r\n>From\r\n",
    "over 1 MB, streamed": b"0123456789abcdef" * 4 + b"\r\n" + b".leading dot\r\n" * 100_000,
}


@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
def test_bodies_arrive_as_they_were_and_verify(
    site: Site, mx1: Postfix, new_mark: NewMark, text: bytes
) -> None:
    mark = new_mark()
    arrived = post(site, mx1, DATED.format(mark=mark).encode() + b"\r\n" + text, mark, "BODY=8BITMIME")

    sent = text.replace(b"\r\n", b"\n")
    assert body(arrived) == (sent if not sent or sent.endswith(b"\n") else sent + b"\n")
    numbers = signatures(arrived)
    assert set(numbers) == {"rsa-sha256", "ed25519-sha256"}
    assert [verifies(site, arrived, number) for number in numbers.values()] == [True, True]
    assert "dkim=pass (2048-bit key" in verdicts(arrived)


def test_opendkim_judges_both_signatures(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    mark = new_mark()
    arrived = post(site, mx1, DATED.format(mark=mark).encode() + b"\r\nHello\r\n", mark)

    found = verdicts(arrived)
    assert found.startswith("mx1.remote.com; dkim=pass (2048-bit key) header.d=mirage.org"), found
    assert re.search(
        r"dkim=pass header\.d=mirage\.org header\.i=@mirage\.org header\.a=ed25519-sha256", found
    )


@pytest.mark.parametrize(
    "field", [b"From: Mallory <m@evil.example>\n", b"Subject: other\n", b"Reply-To: m@evil.example\n"]
)
def test_an_added_field_breaks_the_signatures(
    site: Site, mx1: Postfix, new_mark: NewMark, field: bytes
) -> None:
    mark = new_mark()
    arrived = post(site, mx1, DATED.format(mark=mark).encode() + b"\r\nHello\r\n", mark)

    assert [verifies(site, arrived, number) for number in signatures(arrived).values()] == [True, True]
    for forged in (field + arrived, arrived.replace(b"\n\n", b"\n" + field + b"\n", 1)):
        assert [verifies(site, forged, number) for number in signatures(forged).values()] == [False, False]


def test_the_author_s_header_is_not_touched(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    mark = new_mark()
    header = (
        DATED.format(mark=mark)
        + "x-odd:   folded\r\n\t and   spaced\r\nX-Empty:\r\nList-Id: <l.mirage.org>\r\n"
    )
    arrived = post(site, mx1, f"{header}\r\nHello\r\n".encode(), mark)

    assert arrived.endswith(header.replace("\r\n", "\n").encode() + b"\nHello\n")


def test_date_and_message_id_are_added_where_they_are_missing(
    site: Site, mx1: Postfix, new_mark: NewMark
) -> None:
    mark = new_mark()
    arrived = email.message_from_bytes(
        post(site, mx1, (HEADER.format(mark=mark) + "\r\nHi\r\n").encode(), mark)
    )

    assert len(arrived.get_all("Date") or []) == 1
    [message_id] = arrived.get_all("Message-ID") or []
    assert re.fullmatch(r"<\S+@mirage\.org>", message_id)
    kept = mark + "b"
    arrived = email.message_from_bytes(
        post(site, mx1, (DATED.format(mark=kept) + "\r\nHi\r\n").encode(), kept)
    )
    assert arrived.get_all("Date") == ["Wed, 25 Nov 2026 10:00:00 +0000"]
    assert arrived.get_all("Message-ID") == [f"<{kept}@mirage.org>"]


def our_received(message: Message) -> list[str]:
    """Our own Received fields, the latest first, unfolded."""
    fields = [" ".join(str(field).split()) for field in message.get_all("Received") or []]
    return [field for field in fields if " by mail.mirage.org " in f" {field}"]


@pytest.mark.parametrize("host", ["192.0.2.10", "2001:db8:10::10"])
def test_a_received_field_for_each_hop(site: Site, mx1: Postfix, new_mark: NewMark, host: str) -> None:
    """Who took it, how, under which TLS; and nowhere where the user is."""
    mark = new_mark()
    with site.client() as client:
        client.ehlo("laptop.at.home")
        client.login("alice", site.domain.users["alice"])
        client.sendmail(ALICE, ["bob@remote.com"], DATED.format(mark=mark) + "\r\nHello\r\n")
    [arrived] = mx1.wait_messages("bob", mark.encode())

    relay, signer, submission = our_received(email.message_from_bytes(arrived))
    trace = re.search(r" id ([0-9a-f]{20})\b", submission)
    assert trace is not None
    tls = r"\(TLSv1\.3 TLS_AES_256_GCM_SHA384\)"
    start = r"by mail\.mirage\.org \(PTT [0-9a-f]{16}\) with"
    assert re.match(rf"from signer {start} LMTPS {tls} id {trace[1]}", relay), relay
    assert re.match(rf"from submission {start} LMTPS {tls} id {trace[1]}", signer), signer
    assert re.match(rf"{start} ESMTPSA {tls} id {trace[1]} for <bob@remote\.com>; ", submission), submission
    for leak in (b"laptop.at.home", b"127.0.0.1"):
        assert leak not in arrived
    assert host.encode() not in arrived.replace(
        b"(unknown [192.0.2.10])", b""
    )  # Postfix's view of our service


def test_utf8_in_header_and_local_part(
    site: Site, mx1: Postfix, scripted: Callable[..., ScriptedServer]
) -> None:
    server = scripted(2)
    message = (
        "From: Dörte <dörte@mirage.org>\r\nTo: δοκιμή@s2.test\r\nSubject: Grüße 世界\r\n"
        "Date: Wed, 25 Nov 2026 10:00:00 +0000\r\nMessage-ID: <utf8@mirage.org>\r\n\r\nHallo Welt\r\n"
    ).encode()
    with site.client() as client:
        client.ehlo()
        assert client.docmd("AUTH PLAIN", "AGTDtnJ0ZQBuYcOvdmU=")[0] == 235
        assert client.docmd("MAIL", "FROM:<alice@mirage.org>")[0] == 553
        client.command_encoding = "utf-8"
        assert client.docmd("MAIL", "FROM:<dörte@mirage.org> SMTPUTF8 BODY=8BITMIME")[0] == 250
        assert client.docmd("RCPT", "TO:<δοκιμή@s2.test>")[0] == 250
        assert client.data(message)[0] == 250

    [taken] = server.messages
    assert (taken.reverse_path, taken.forward_paths) == ("dörte@mirage.org", ["δοκιμή@s2.test"])
    assert taken.data.endswith(message)
    assert "SMTPUTF8" in next(each for each in server.talks[0].commands if each.startswith("MAIL"))
    assert [verifies(site, taken.data, number) for number in signatures(taken.data).values()] == [True, True]
    assert "with UTF8SMTPSA" in our_received(email.message_from_bytes(taken.data))[-1]


def test_utf8_header_through_postfix(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    mark = new_mark()
    message = DATED.format(mark=mark).replace("Alice <", "Alice Müller <") + "\r\nHallo\r\n"
    arrived = post(site, mx1, message.encode(), mark, "SMTPUTF8", "BODY=8BITMIME")

    assert "From: Alice Müller <alice@mirage.org>".encode() in arrived
    assert [verifies(site, arrived, number) for number in signatures(arrived).values()] == [True, True]
    assert "dkim=pass" in verdicts(arrived)


def test_what_a_server_lacks_is_refused_and_nothing_converted(
    site: Site, scripted: Callable[..., ScriptedServer]
) -> None:
    server = scripted(3, offers=("SIZE 20000",))
    lacks = {
        b"5.6.7": ("Subject: Grüße\r\n\r\nHallo\r\n", ["SMTPUTF8"]),
        b"5.6.3": ("Subject: x\r\n\r\nGrüße\r\n", ["BODY=8BITMIME"]),
        b"5.3.4": ("Subject: x\r\n\r\n" + "0123456789\r\n" * 3000, []),
    }
    for expected, (rest, options) in lacks.items():
        with site.client("alice") as client:
            client.docmd("MAIL", " ".join([f"FROM:<{ALICE}>", *options]))
            client.docmd("RCPT", "TO:<x@s3.test>")
            code, text = client.data(f"From: {ALICE}\r\n{rest}".encode())
            assert (code // 100, text.split(b" ")[0]) == (5, expected)
    assert server.messages == []


def test_two_domains_get_a_transaction_each(
    site: Site, mx1: Postfix, clear_mx: Postfix, new_mark: NewMark
) -> None:
    mark = new_mark()
    with site.client("alice") as client:
        recipients = ["bob@remote.com", "bob@other.net", "carol@remote.com"]
        assert client.sendmail(ALICE, recipients, DATED.format(mark=mark) + "\r\nHello\r\n") == {}

    ids = set()
    for postfix, user, delivered in ((mx1, "bob", 2), (mx1, "carol", 2), (clear_mx, "bob", 1)):
        [arrived] = postfix.wait_messages(user, mark.encode())
        assert [verifies(site, arrived, number) for number in signatures(arrived).values()] == [True, True]
        [found] = set(re.findall(rb"by mx\S* \(Postfix\) with E?SMTPS? id (\w+)", arrived))
        assert f"{found.decode()}: from=<{ALICE}>" in postfix.log()
        assert re.search(rf"{found.decode()}: from=.* nrcpt={delivered} ", postfix.log())
        ids.add(found)
    assert len(ids) == 2


def test_chunks_instead_of_dots(site: Site, mx1: Postfix, new_mark: NewMark) -> None:
    """BDAT in pieces, with dots that mean nothing there, beside commands in the same breath."""
    mark = new_mark()
    header, text = DATED.format(mark=mark).encode(), b"\r\n.\r\n..\r\nend\r\n"
    with site.client("alice") as client:
        envelope = f"MAIL FROM:<{ALICE}> BODY=8BITMIME\r\nRCPT TO:<bob@remote.com>\r\n".encode()
        client.send(envelope + b"BDAT %d\r\n%b" % (len(header), header))
        client.send(b"BDAT %d LAST\r\n%b" % (len(text), text))
        assert [client.getreply()[0] for _ in range(4)] == [250] * 4
        assert client.noop()[0] == 250
    [arrived] = mx1.wait_messages("bob", mark.encode())

    assert body(arrived) == b".\n..\nend\n"


@pytest.mark.parametrize("kind", ["bounce", "list"])
def test_bounces_and_lists_verify(site: Site, mx1: Postfix, new_mark: NewMark, kind: str) -> None:
    mark = new_mark()
    fields = {
        "bounce": "Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; boundary=b\r\n",
        "list": "List-Id: <l.mirage.org>\r\nList-Post: <mailto:l@mirage.org>\r\nSender: alice@mirage.org\r\n",
    }
    sender = "" if kind == "bounce" else ALICE
    with site.client("alice") as client:
        message = DATED.format(mark=mark) + fields[kind] + "\r\n--b\r\n\r\nHello\r\n--b--\r\n"
        client.sendmail(sender, ["bob@remote.com"], message)
    [arrived] = mx1.wait_messages("bob", mark.encode())

    assert arrived.startswith(f"Return-Path: <{sender}>\n".encode())
    assert [verifies(site, arrived, number) for number in signatures(arrived).values()] == [True, True]
    assert "dkim=pass (2048-bit key" in verdicts(arrived)
