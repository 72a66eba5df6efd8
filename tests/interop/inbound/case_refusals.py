"""What is refused in the sender's session: nobody's mail, forged authors and results, broken mail, loops."""

import json
import re
import smtplib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptt.rehearsal.internet.people import DomainSigner
from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
Send = Callable[..., Any]
Wait = Callable[..., Any]
Direct = Callable[..., smtplib.SMTP]
MakeScripted = Callable[..., ScriptedServer]

BOB, ALICE = "bob@remote.com", "alice@mirage.org"
STRANGER = "198.51.100.99"


def post(client: smtplib.SMTP, sender: str, to: str, message: bytes) -> tuple[int, str]:
    """One transaction; the reply that ended it."""
    code, text = client.mail(sender)
    if code == 250:
        code, text = client.rcpt(to)
    if code == 250:
        code, text = client.data(message)
    client.rset()
    return code, text.decode()


@pytest.mark.parametrize(
    ("recipient", "says"),
    [
        ("nobody@mirage.org", "550 5.1.1"),
        ("alice@remote-and-foreign.test", "550 5.7.1"),
        ("gone@mirage.org", "550 5.1.1"),
        ("full@mirage.org", "452 4.2.2"),
    ],
)
def test_a_postfix_hears_it_in_its_session(
    remote: Postfix,
    home: Postfix,
    send: Send,
    draft: Draft,
    new_mark: NewMark,
    wait: Wait,
    recipient: str,
    says: str,
) -> None:
    """And it is Postfix that writes the bounce, to its own user, in its own name [R2, R9, V2, V11]."""
    mark = new_mark()
    send(remote, BOB, [recipient], draft(mark))
    line = wait(
        lambda: next(
            (x for x in remote.log().splitlines() if f"to=<{recipient}>" in x and "said:" in x), None
        )
    )
    assert f"said: {says}" in line, line
    assert "home.com" not in line, "the mailbox behind the address is not told"
    if says.startswith("5"):
        [bounce] = remote.wait_messages("bob", mark.encode())
        assert b"Reporting-MTA: dns; mx1.remote.com" in bounce
        assert says.encode() in b" ".join(bounce.split())
    else:
        assert "status=deferred" in line


FORGED = {
    "plain": "alice@mirage.org",
    "with a name": "Alice <alice@mirage.org>",
    "other domain of ours": "x@mirage.net",
    "below a domain of ours": "x@sub.mirage.org",
    "upper case": "ALICE@MIRAGE.ORG",
    "one of two authors": "bob@remote.com, alice@mirage.org",
    "second field": "bob@remote.com\r\nFrom: alice@mirage.org",
    "quoted": '"alice"@mirage.org',
    "in a name too": '"bob@remote.com" <alice@mirage.org>',
}


@pytest.mark.parametrize("sender", ["alice@mirage.org", BOB, ""], ids=["own", "foreign", "null"])
def test_a_forged_author_of_ours(
    direct: Direct,
    scripted: MakeScripted,
    remote_signer: DomainSigner,
    draft: Draft,
    new_mark: NewMark,
    sender: str,
) -> None:
    """No target is connected, so none can see it pass by our envelope [R19]."""
    server = scripted(1)
    answers = {}
    with direct() as client:
        for name, author in FORGED.items():
            message = draft(new_mark(), author)
            answers[name] = post(client, sender, "s1@mirage.org", message)
            answers[f"{name}, signed by another"] = post(
                client,
                sender,
                "s1@mirage.org",
                remote_signer.sign(draft(new_mark(), author.split("\r\n")[-1])),
            )
    wrong = {name: told for name, told in answers.items() if (told[0], told[1][:5]) != (550, "5.7.1")}
    assert wrong == {}
    assert server.talks == []


def test_a_list_that_the_operator_named(
    direct: Direct, home: Postfix, judges: Any, draft: Draft, new_mark: NewMark
) -> None:
    """Passes with an author of ours; and at the target it is no DMARC pass, by authheaders' word."""
    mark = new_mark()
    with direct(STRANGER, "lists.test") as client:
        assert post(client, "owner@lists.test", ALICE, draft(mark, "carol@mirage.org"))[0] == 250
        assert post(client, "owner@stranger.test", ALICE, draft(mark, "carol@mirage.org"))[0] == 550
    with direct() as client:
        assert post(client, "owner@lists.test", ALICE, draft(mark, "carol@mirage.org"))[0] == 550
    [arrived] = home.wait_messages("alice", mark.encode())
    sender = re.search(rb"Return-Path: <(.*)>", arrived)
    assert sender is not None
    judged = judges.all(arrived, sender[1].decode(), "192.0.2.10", "mail.mirage.org")
    assert "dmarc=fail" in judged, judged
    assert "dmarc=pass" not in judged


def test_the_author_s_policy(
    direct: Direct, home: Postfix, remote_signer: DomainSigner, draft: Draft, new_mark: NewMark
) -> None:
    """DMARC: reject is refused, none is marked; a signature that does not fit is none."""
    mark = new_mark()
    broken = remote_signer.sign(draft(mark)).replace(b".Hello", b".Hallo")
    with direct(STRANGER, "stranger.test") as client:
        assert post(client, "x@strict.test", ALICE, draft(mark, "x@strict.test"))[0] == 550
        assert post(client, "x@stranger.test", ALICE, draft(mark, "x@strict.test"))[0] == 550
        assert post(client, "x@stranger.test", ALICE, broken)[0] == 550
        assert home.messages("alice") == [one for one in home.messages("alice") if mark.encode() not in one]
        assert post(client, "x@stranger.test", ALICE, draft(mark, "x@relaxed.test"))[0] == 250
    [arrived] = home.wait_messages("alice", mark.encode())
    assert b"dmarc=fail" in b" ".join(arrived.split())


OURS = "mail.mirage.org"
RESULTS = {
    "plain": f"Authentication-Results: {OURS}; dmarc=pass",
    "upper case": f"AUTHENTICATION-RESULTS: {OURS.upper()}; dmarc=pass",
    "blank before the colon": f"Authentication-Results : {OURS}; dmarc=pass",
    "no blank": f"Authentication-Results:{OURS};dmarc=pass",
    "folded before": f"Authentication-Results:\r\n\t{OURS};\r\n\tdmarc=pass\r\n header.from=remote.com",
    "folded blanks": f"Authentication-Results: \r\n \r\n {OURS}; spf=pass",
    "comment before": f"Authentication-Results: (it is (really)) {OURS}; dmarc=pass",
    "comment between": f"Authentication-Results: {OURS} (x) 1; dmarc=pass",
    "version": f"Authentication-Results: {OURS} 1; dmarc=pass",
    "quoted": f'Authentication-Results: "{OURS}"; dmarc=pass',
    "quoted pairs": 'Authentication-Results: "mail\\.mirage\\.org"; dmarc=pass',
    "final dot": f"Authentication-Results: {OURS}.; dmarc=pass",
    "none": f"Authentication-Results: {OURS}; none",
    "nothing": f"Authentication-Results: {OURS}",
}
FOREIGN = (
    "Authentication-Results: mx.google.example; dkim=pass\r\n"
    f"Authentication-Results: x{OURS}; spf=pass\r\n"
    f"Authentication-Results: other.test; spf=pass (not {OURS}; really)\r\n"
)


def test_forged_results(direct: Direct, scripted: MakeScripted, draft: Draft, new_mark: NewMark) -> None:
    """Each shape is removed whole, alone and all together; those of others stay, every octet [V6]."""
    server = scripted(1)
    fields = [*(f"{field}\r\n" for field in RESULTS.values()), "".join(f"{x}\r\n" for x in RESULTS.values())]
    with direct() as client:
        for field in fields:
            mark = new_mark()
            told = post(client, BOB, "s1@mirage.org", f"{field}{FOREIGN}{field}".encode() + draft(mark))
            assert told[0] == 250, (field, told)
            taken = server.messages[-1].data
            assert taken.endswith(b"\r\n" + FOREIGN.encode() + draft(mark)), (field, taken.decode())
            stamps = re.findall(rb"^authentication-results *:", taken, re.IGNORECASE | re.MULTILINE)
            assert len(stamps) == 1 + FOREIGN.count("\r\n"), field


def test_forged_labels(direct: Direct, scripted: MakeScripted, draft: Draft, new_mark: NewMark) -> None:
    """F1."""
    server, message = scripted(1), draft(new_mark())
    with direct() as client:
        forged = b"X-Spamtacus: no\r\nx-spamtacus :\r\n no\r\n"
        assert post(client, BOB, "s1@mirage.org", forged + message)[0] == 250
    taken = server.messages[-1].data
    assert taken.endswith(message)
    assert len(re.findall(rb"^x-spamtacus *:", taken, re.IGNORECASE | re.MULTILINE)) == 1


def raw(message: bytes, *, sender: str = BOB, to: str = "s1@mirage.org") -> list[str]:
    """A whole session as octets, the end of the data in them; the codes of all replies from the 354 on."""
    commands = f"EHLO mx1.remote.com\r\nMAIL FROM:<{sender}> BODY=8BITMIME\r\nRCPT TO:<{to}>\r\nDATA\r\n"
    with socket.create_connection(("192.0.2.10", 25), 30, source_address=("198.51.100.25", 0)) as connection:
        reader = connection.makefile("rb")
        reader.readline()
        connection.sendall(commands.encode())
        while not (line := reader.readline()).startswith((b"354", b"5", b"4")):
            assert line, "closed"
        connection.sendall(message + b"QUIT\r\n")
        said = reader.read().decode()
    return [x[:9].rstrip() for x in said.splitlines() if x[3:4] == " "]


HEADER = b"From: bob@remote.com\r\nTo: alice@mirage.org\r\nSubject: x\r\n"
TAKEN = {
    "NUL in the header": HEADER + b"X: a\0b\r\n\r\nHi\r\n",
    "NUL in the body": HEADER + b"\r\na\0b\r\n",
    "8-bit header": b"From: bob@remote.com\r\nSubject: gr\xfc\xdfe \xff\xfe\r\nX-\xe4: b\r\n\r\nHi\r\n",
    "no From": b"Subject: x\r\n\r\nHi\r\n",
    "empty From": b"From:\r\nSubject: x\r\n\r\nHi\r\n",
    "two From": HEADER + b"From: dora@remote.com\r\n\r\nHi\r\n",
    "broken From": b"From: @@@ <<<>\r\n\r\nHi\r\n",
    "no header": b"\r\nHi\r\n",
    "no body": HEADER,
    "nothing": b"",
    "no field at all": b"Hello, this is no field\r\nFrom: bob@remote.com\r\n\r\nHi\r\n",
    "a line that is no field": HEADER + b"what is this\r\nX: y\r\n\r\nHi\r\n",
    "continuation first": b" folded\r\n" + HEADER + b"\r\nHi\r\n",
    "100 Received": b"Received: from a by b; now\r\n" * 80 + HEADER + b"\r\nHi\r\n",
    "long line": HEADER + b"X: " + b"y" * 990 + b"\r\n\r\n" + b"z" * 998 + b"\r\n",
    "dots": HEADER + b"\r\n..\r\n...\r\n.x\r\n",
}
REFUSED = {
    "bare LF": (HEADER + b"\r\na\nb\r\n", "5"),
    "bare CR": (HEADER + b"\r\na\rb\r\n", "5"),
    "1,000 Received": (b"Received: from a by b; now\r\n" * 1000 + HEADER + b"\r\nHi\r\n", "554 5.4.6"),
}


def stuffed(message: bytes) -> bytes:
    """With the end of the data."""
    return re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"


def test_odd_mail_passes_as_it_is(site: Site, scripted: MakeScripted) -> None:
    """V10, F6."""
    server = scripted(1)
    told = {name: raw(stuffed(message))[0] for name, message in TAKEN.items()}

    assert {name: said for name, said in told.items() if not said.startswith("250")} == {}
    wrong = [
        name
        for (name, message), taken in zip(TAKEN.items(), server.messages, strict=True)
        if not taken.data.endswith(message)
    ]
    assert wrong == []


def test_broken_mail_is_refused(site: Site, scripted: MakeScripted) -> None:
    """For good, with one reply, and the session is of use afterwards."""
    server = scripted(1)
    told = {name: raw(stuffed(message)) for name, (message, _) in REFUSED.items()}

    wrong = {
        name: said
        for name, said in told.items()
        if not said[0].startswith(REFUSED[name][1]) or [x[:3] for x in said[1:]] not in ([], ["221"])
    }
    assert wrong == {}
    assert server.messages == []


def conformance() -> Path:
    """The folder of the published cases."""
    from os import environ  # noqa: PLC0415

    own = Path(__file__).resolve().parents[4] / "shared" / "conformance"
    return Path(environ.get("PTT_CONFORMANCE", own))


SMUGGLED = b"MAIL FROM:<evil@remote.com>\r\nRCPT TO:<s1@mirage.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"


def octets(case: dict[str, str]) -> bytes:
    """What a smuggler sends after the 354."""
    if "whole_session_after_354" in case:
        return case["whole_session_after_354"].replace("b@example.org", "s1@mirage.org").encode()
    return HEADER + b"\r\nHi" + case["data_body_bytes"].encode() + SMUGGLED + case["then"].encode()


def test_smuggling(site: Site, scripted: MakeScripted) -> None:
    """A second message behind a false end of the data reaches nobody; a bare line end nobody either."""
    path = conformance() / "smtp" / "smuggling.json"
    if not path.exists():
        pytest.skip(f"no {path}")
    cases, server = json.loads(path.read_text(encoding="utf-8"))["cases"], scripted(1)
    wrong = []
    for case in cases:
        said = [reply[:3] for reply in raw(octets(case))]
        is_pipelined = "whole_session_after_354" in case
        if said[0] not in {"250", "550", "554"} or "354" in said or (len(said) > 2 and not is_pipelined):
            wrong.append((case["id"], said))
    print(f"smtp/smuggling: {len(cases)} cases, {len(cases) - len(wrong)} passed")
    assert wrong == []
    for taken in server.messages:
        assert re.fullmatch(r"SRS0=.*=bob@srs\.mirage\.org", taken.reverse_path)
        assert b"body 2" not in taken.data
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", taken.data)


def test_a_loop(direct: Direct, scripted: MakeScripted, draft: Draft, new_mark: NewMark) -> None:
    """A target that sends our mail back to the address: refused when it passes the second time [R15]."""
    server = scripted(3)
    with direct() as client:
        assert post(client, BOB, "s3@mirage.org", draft(new_mark(), "x@exim.net"))[0] == 250
        [once] = server.messages
        code, text = post(client, once.reverse_path, "s3@mirage.org", once.data)
        assert (code, text[:5]) == (554, "5.4.6")
        assert len(server.messages) == 1
        assert post(client, BOB, "s1@mirage.org", once.data)[0] == 451, (
            "no loop: another address (whose server is down)"
        )


def test_too_large(direct: Direct) -> None:
    with direct() as client:
        assert client.docmd("MAIL", "FROM:<bob@remote.com> SIZE=40000000")[0] == 552


def answered_by_the_new_one(direct: Direct, message: bytes, expected: int) -> tuple[int, str] | None:
    """One try; a connection may still be the old generation's."""
    with direct() as client:
        told = post(client, BOB, ALICE, message)
    return told if told[0] == expected else None


def test_the_resolver_is_down(
    site: Site, direct: Direct, home: Postfix, zone: str, draft: Draft, new_mark: NewMark, wait: Wait
) -> None:
    """Doubt is temporary; what arrives later arrives once."""
    mark, settings = new_mark(), {"domains": ["mirage.org", "mirage.net"]}
    try:
        site.change("receiver", settings)
        _, text = wait(lambda: answered_by_the_new_one(direct, draft(new_mark()), 451))
        assert text[:3] == "4.4", text
    finally:
        site.change("receiver", {**settings, "zone": zone, "lists": ["lists.test"]})
    assert wait(lambda: answered_by_the_new_one(direct, draft(mark), 250))
    assert len(home.wait_messages("alice", mark.encode())) == 1
