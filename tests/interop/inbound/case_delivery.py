"""Mail of a real mail server arrives: once, stamped, the author's octets as they were [Z2, V6, F1, R10]."""

import email
import re
import smtplib
import time
from collections.abc import Callable
from email.message import Message
from typing import Any

import authres
import pytest

from ptt.rehearsal.internet.people import DomainSigner
from ptt.rehearsal.peers.exim import Exim
from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site, run

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
Send = Callable[..., Any]
Direct = Callable[..., smtplib.SMTP]
MakeScripted = Callable[..., ScriptedServer]

US = "192.0.2.10"
BOB, ALICE = "bob@remote.com", "alice@mirage.org"
EXTENSIONS = {
    *("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "SIZE", "ENHANCEDSTATUSCODES", "LIMITS", "PRDR")
}


def lf(message: bytes) -> bytes:
    """As it lies in a mailbox."""
    return message.replace(b"\r\n", b"\n")


def ours(message: Message) -> list[str]:
    """Our Received fields, the latest first, unfolded."""
    fields = [" ".join(str(field).split()) for field in message.get_all("Received") or []]
    return [field for field in fields if "by mail.mirage.org (PTT" in field]


def test_mail_of_a_postfix_arrives_once(
    site: Site,
    remote: Postfix,
    home: Postfix,
    judges: Any,
    remote_signer: DomainSigner,
    send: Send,
    draft: Draft,
    new_mark: NewMark,
) -> None:
    mark = new_mark()
    message = remote_signer.sign(draft(mark))
    send(remote, BOB, [ALICE], message)
    [arrived] = home.wait_messages("alice", mark.encode())
    assert len(home.wait_messages("alice", mark.encode(), count=2, timeout_s=0.3)) == 1

    assert arrived.endswith(lf(message))
    read = email.message_from_bytes(arrived)
    relay, spam_filter, receiver = ours(read)
    trace = re.search(r" id ([0-9a-f]{20})\b", receiver)
    assert trace is not None
    tls = r"\(TLSv1\.3 TLS_AES_256_GCM_SHA384\)"
    by = r"by mail\.mirage\.org \(PTT [0-9a-f]{16}\) with"
    assert re.match(
        rf"from mx1\.remote\.com \(\[198\.51\.100\.25\]\) {by} ESMTPS {tls} id {trace[1]} for", receiver
    )
    assert re.match(rf"from receiver {by} LMTPS {tls} id {trace[1]}", spam_filter)
    assert re.match(rf"from spam_filter {by} LMTPS {tls} id {trace[1]} \(loop [0-9a-f]{{24}}\)", relay)
    assert read.get_all("X-Spamtacus") == ["unknown"]  # no model was trained
    assert read.get_all("X-Forwarded-To") == [ALICE]
    assert len(read.get_all("Received-SPF") or []) == 1
    assert "TLS connection established to 192.0.2.10" in remote.log()

    [stamp] = read.get_all("Authentication-Results") or []
    results = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {' '.join(stamp.split())}")
    assert results.authserv_id == "mail.mirage.org"
    assert [(one.method, one.result) for one in results.results] == [
        ("spf", "pass"),
        ("dkim", "pass"),
        ("dmarc", "pass"),
    ]

    sender = str(read["Return-Path"]).strip("<>")
    assert re.fullmatch(r"SRS0=\w+=\w\w=remote\.com=bob@srs\.mirage\.org", sender)
    assert judges.spf(sender, US, "mail.mirage.org") == "pass"
    assert judges.spf(sender, "198.51.100.25", "mail.mirage.org") == "fail"
    assert judges.dkim(arrived)
    assert not judges.dkim(arrived.replace(b".Hello", b".Hallo"))
    judged = " ".join(judges.all(arrived, sender, US, "mail.mirage.org").split())
    for word in ("spf=pass", "dkim=pass", "dmarc=pass", "header.from=remote.com"):
        assert word in judged, judged


def test_mail_of_an_exim_arrives_once(
    exim: Exim, home: Postfix, judges: Any, send: Send, draft: Draft, new_mark: NewMark
) -> None:
    mark = new_mark()
    message = draft(mark, "erik@exim.net")
    send(exim, "erik@exim.net", [ALICE], message)
    [arrived] = home.wait_messages("alice", mark.encode())

    assert arrived.endswith(lf(message))
    sender = str(email.message_from_bytes(arrived)["Return-Path"]).strip("<>")
    assert judges.spf(sender, US, "mail.mirage.org") == "pass"
    deadline = time.monotonic() + 10
    while "X=TLS1.3" not in exim.log() and time.monotonic() < deadline:
        time.sleep(0.05)  # it writes that after the mail has arrived
    assert "X=TLS1.3" in exim.log()


def test_what_a_target_gets_octet_by_octet(
    direct: Direct, scripted: MakeScripted, draft: Draft, new_mark: NewMark
) -> None:
    """Nothing is put behind or between, and no Return-Path: ours is no final delivery [R11]."""
    server = scripted(1)
    message = draft(new_mark())
    with direct() as client:
        client.sendmail(BOB, ["s1@mirage.org"], message)
    [taken] = server.messages

    assert taken.data.endswith(message)
    added = taken.data[: -len(message)]
    names = re.findall(rb"^([A-Za-z-]+):", added, re.MULTILINE)
    assert sorted(names) == sorted(
        [*[b"Received"] * 3, b"X-Forwarded-To", b"X-Spamtacus", b"Authentication-Results", b"Received-SPF"]
    )
    assert b"with ESMTP id" in b" ".join(added.split()), "in clear: no S"
    assert taken.forward_paths == ["box@s1.test"]


def test_what_port_25_offers(direct: Direct) -> None:
    """Row C1: the set for strangers; STARTTLS once; no AUTH, no DSN, no BINARYMIME."""
    with direct() as client:
        before = {name.upper() for name in client.esmtp_features}
        assert before == {*EXTENSIONS, "STARTTLS"}
        client.starttls()
        client.ehlo()
        assert {name.upper() for name in client.esmtp_features} == EXTENSIONS
        for command in ("AUTH PLAIN", "EXPN alice", "STARTTLS"):
            assert client.docmd(command)[0] in {502, 503}, command
        assert client.docmd("VRFY alice")[0] == 252
        assert client.docmd("VRFY nobody")[0] == 252
        assert client.docmd("NOOP")[0] == 250


def tickets(address: str) -> int:
    """How many session tickets a server sends, as openssl tells."""
    command = ["openssl", "s_client", "-connect", f"{address}:25", "-starttls", "smtp", "-tls1_3", "-msg"]
    said = run(*command, "-ign_eof", stdin="EHLO x.test\r\nQUIT\r\n")
    assert "TLSv1.3" in said.output
    assert "221 " in said.output
    return said.output.count("NewSessionTicket")


def test_no_session_tickets(site: Site, home: Postfix) -> None:
    """Microsoft's senders break off where there are some (specs/clients.md section 3); Postfix sends them."""
    assert tickets("203.0.113.25") > 0
    assert tickets(US) == 0


def test_several_targets_each_once(
    direct: Direct, home: Postfix, scripted: MakeScripted, draft: Draft, new_mark: NewMark
) -> None:
    """An alias of aliases and a mailbox behind two recipients of one mail: nobody gets it twice [R1]."""
    server, mark = scripted(1), new_mark()
    with direct() as client:
        client.sendmail(BOB, ["everybody@mirage.org", ALICE, "staff@mirage.org"], draft(mark))

    assert [len(home.wait_messages(user, mark.encode())) for user in ("alice", "carol")] == [1, 1]
    assert len(server.messages) == 1


def test_a_target_is_dead(
    site: Site, direct: Direct, home: Postfix, draft: Draft, new_mark: NewMark, wait: Callable[..., Any]
) -> None:
    """Taken where one of them is enough, and the operator hears of it; refused where all are needed."""
    mark = new_mark()
    with direct() as client:
        client.sendmail(BOB, ["some@mirage.org"], draft(mark))
        assert len(home.wait_messages("alice", mark.encode())) == 1
        wait(lambda: any("a target is dead" in line for line in site.journal))
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(BOB, ["every@mirage.org"], draft(new_mark()))
    assert (refused.value.smtp_code, str(refused.value.smtp_error)[2:7]) == (554, "5.3.0")


@pytest.mark.parametrize(
    "recipient",
    [
        "postmaster",
        "Postmaster@mirage.org",
        "postmaster@mail.mirage.org",
        "abuse@mirage.net",
        "POSTMASTER@MIRAGE.NET",
    ],
)
def test_whoever_runs_the_service_is_reached(
    direct: Direct, home: Postfix, draft: Draft, new_mark: NewMark, recipient: str
) -> None:
    mark = new_mark()
    with direct() as client:
        client.sendmail(BOB, [recipient], draft(mark))
    assert len(home.wait_messages("root", mark.encode())) == 1


@pytest.mark.parametrize("recipient", ["alice+lists@mirage.org", "ALICE@mirage.net", '"alice"@MIRAGE.org'])
def test_one_user_by_many_names(
    direct: Direct, home: Postfix, draft: Draft, new_mark: NewMark, recipient: str
) -> None:
    mark = new_mark()
    with direct() as client:
        client.sendmail(BOB, [recipient], draft(mark))
    assert len(home.wait_messages("alice", mark.encode())) == 1


def test_mail_for_nobody(
    site: Site, direct: Direct, relay_settings: dict[str, Any], home: Postfix, draft: Draft, new_mark: NewMark
) -> None:
    """A catch-all takes it; without any list of users nobody knows, and that is temporary."""
    mark = new_mark()
    try:
        site.change("relay", {**relay_settings, "catch_all": "all@home.com"})
        with direct() as client:
            client.sendmail(BOB, ["whoever@mirage.org"], draft(mark))
        assert len(home.wait_messages("all", mark.encode())) == 1
        site.change("relay", {**relay_settings, "users": {}})
        with direct() as client:
            client.mail(BOB)
            assert client.rcpt(ALICE)[0] == 451
    finally:
        site.change("relay", relay_settings)
