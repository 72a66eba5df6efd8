"""Real mail programs submit, a real Postfix gets it."""

import base64
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.site import Ran, Site, run

NewMark = Callable[[], str]
Require = Callable[[str], str]

HOST = "mail.mirage.org"
ADDRESS = "192.0.2.10"
MESSAGE = "From: Alice <alice@mirage.org>\nTo: bob@remote.com\nSubject: {mark}\n\nHello\n"


def queue_id(answer: str) -> str:
    """The name that Postfix gave the message, out of our 250."""
    found = re.search(
        r"250 2\.0\.0 Delivered\. mx1\.remote\.com: Ok: queued as (\w+) \[[0-9a-f]{20}\]", answer
    )
    assert found is not None, answer
    return found[1]


@pytest.mark.parametrize("port", [465, 587])
@pytest.mark.parametrize("options", [["--auth", "PLAIN"], ["--auth", "LOGIN"], ["--pipeline"]], ids=str)
def test_swaks(site: Site, mx1: Postfix, new_mark: NewMark, port: int, options: list[str]) -> None:
    mark = new_mark()
    sent = site.swaks("--to", "bob@remote.com", "--header", f"Subject: {mark}", *options, port=port)

    assert sent.code == 0, sent.output
    assert f"{queue_id(sent.output)}: client=unknown[{ADDRESS}]" in mx1.log()  # by our published address
    assert len(mx1.wait_messages("bob", mark.encode())) == 1


@pytest.mark.parametrize("port", [465, 587])
def test_curl(site: Site, mx1: Postfix, new_mark: NewMark, port: int) -> None:
    mark = new_mark()
    url = f"{'smtps' if port == 465 else 'smtp'}://{HOST}:{port}"
    login = f"alice:{site.domain.users['alice']}"
    tls = ["--ssl-reqd", "--cacert", str(site.anchor), "--user", login]
    mail = ["--mail-from", "alice@mirage.org", "--mail-rcpt", "bob@remote.com", "--upload-file", "-"]
    sent = run("curl", "-sv", "--crlf", url, *tls, *mail, stdin=MESSAGE.format(mark=mark))

    assert sent.code == 0, sent.output
    assert queue_id(sent.output)
    assert len(mx1.wait_messages("bob", mark.encode())) == 1


@pytest.mark.parametrize("port", [465, 587])
def test_msmtp(
    site: Site, mx1: Postfix, new_mark: NewMark, require_program: Require, tmp_path: Path, port: int
) -> None:
    require_program("msmtp")
    mark = new_mark()
    configuration = tmp_path / "msmtprc"
    configuration.touch(0o600)
    configuration.write_text(
        f"account default\nhost {HOST}\nport {port}\ntls on\ntls_starttls {'off' if port == 465 else 'on'}\n"
        f"tls_trust_file {site.anchor}\nauth on\nuser alice\npassword {site.domain.users['alice']}\n"
        "from alice@mirage.org\n"
    )
    sent = run("msmtp", "-d", "-C", str(configuration), "bob@remote.com", stdin=MESSAGE.format(mark=mark))

    assert sent.code == 0, sent.output
    assert queue_id(sent.output)
    assert len(mx1.wait_messages("bob", mark.encode())) == 1


@pytest.mark.parametrize("port", [465, 587])
@pytest.mark.parametrize("host", ["192.0.2.10", "2001:db8:10::10"])
def test_smtplib_on_both_families(site: Site, mx1: Postfix, new_mark: NewMark, port: int, host: str) -> None:
    mark = new_mark()
    context = ssl.create_default_context(cafile=str(site.anchor))
    context.check_hostname = False
    client = (
        smtplib.SMTP_SSL(host, port, context=context, timeout=30)
        if port == 465
        else smtplib.SMTP(host, port, timeout=30)
    )
    with client:
        if port == 587:
            client.starttls(context=context)
        client.login("alice", site.domain.users["alice"])
        refused = client.sendmail("alice@mirage.org", ["bob@remote.com"], MESSAGE.format(mark=mark))

    assert refused == {}
    assert len(mx1.wait_messages("bob", mark.encode())) == 1


def test_several_mails_on_one_connection_and_idle_commands(
    site: Site, mx1: Postfix, new_mark: NewMark
) -> None:
    marks = [new_mark() for _ in range(4)]
    with site.client("alice") as client:
        for mark in marks:
            assert client.noop()[0] == 250
            assert client.docmd("VRFY", "bob")[0] == 252
            assert client.docmd("MAIL", "FROM:<alice@mirage.org>")[0] == 250
            assert client.docmd("RCPT", "TO:<carol@remote.com>")[0] == 250
            assert client.rset()[0] == 250
            client.sendmail("alice@mirage.org", ["bob@remote.com"], MESSAGE.format(mark=mark))

    assert [len(mx1.wait_messages("bob", mark.encode())) for mark in marks] == [1] * 4
    assert not [message for message in mx1.messages("carol") if any(m.encode() in message for m in marks)]


# What programs say with their defaults: EHLO name, mechanism, MAIL's parameters, how RCPT is written.
PROGRAMS = {
    "Thunderbird": ("[192.168.1.5]", "PLAIN", "FROM:<alice@mirage.org> BODY=8BITMIME SIZE=300", "TO:"),
    "Thunderbird, IPv6": ("[IPV6:fe80::1]", "LOGIN", "FROM:<alice@mirage.org> BODY=8BITMIME", "TO:"),
    "K-9": ("ehlo.thunderbird.net", "PLAIN", "FROM:<alice@mirage.org> BODY=8BITMIME", "TO:"),
    "AOSP": ("192.168.1.2", "PLAIN", "FROM: <alice@mirage.org>", "TO: "),
    "Apple Mail": ("smtpclient.apple", "PLAIN", "FROM:<alice@mirage.org>", "TO:"),
    "Outlook": ("DESKTOP-1A2B3C", "LOGIN", "FROM: <alice@mirage.org>", "TO: "),
    "Evolution": ("[192.168.1.5]", "PLAIN prompted", "FROM:<alice@mirage.org>", "TO:"),
    "msmtp": ("localhost", "PLAIN", "FROM:<alice@mirage.org>", "TO:"),
}


def log_in(client: smtplib.SMTP, mechanism: str, login: str, password: str) -> tuple[int, bytes]:
    """Log in as programs do; the prompts of LOGIN are looked at octet by octet, as Thunderbird does."""
    plain = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
    match mechanism:
        case "PLAIN":
            return client.docmd("AUTH PLAIN", plain)
        case "PLAIN prompted":
            assert client.docmd("AUTH PLAIN") == (334, b"")
            return client.docmd(plain)
    assert client.docmd("AUTH LOGIN") == (334, base64.b64encode(b"Username:"))
    assert client.docmd(base64.b64encode(login.encode()).decode()) == (334, base64.b64encode(b"Password:"))
    return client.docmd(base64.b64encode(password.encode()).decode())


@pytest.mark.parametrize("program", PROGRAMS)
def test_mail_programs_with_their_defaults(site: Site, mx1: Postfix, new_mark: NewMark, program: str) -> None:
    mark = new_mark()
    name, mechanism, mail, to = PROGRAMS[program]
    with site.client() as client:
        assert client.ehlo(name)[0] == 250
        assert log_in(client, mechanism, "alice@mirage.org", site.domain.users["alice"])[0] == 235
        assert client.docmd("MAIL", mail)[0] == 250
        assert client.docmd("RCPT", f"{to}<bob@remote.com>")[0] == 250
        assert client.data(MESSAGE.format(mark=mark))[0] == 250

    assert len(mx1.wait_messages("bob", mark.encode())) == 1


def test_a_password_outside_ascii(site: Site) -> None:
    with site.client() as client:
        client.ehlo()
        assert log_in(client, "PLAIN", "dörte", "naïve")[0] == 235


def s_client(site: Site, *options: str, name: str = HOST, port: int = 465) -> Ran:
    """What OpenSSL's client says of the handshake."""
    start = ["-starttls", "smtp"] if port == 587 else []
    verify = ["-CAfile", str(site.anchor), "-verify_hostname", name, "-verify_return_error"]
    return run(
        "openssl", "s_client", "-connect", f"{ADDRESS}:{port}", "-brief", *start, *verify, *options, stdin=""
    )


@pytest.mark.parametrize("port", [465, 587])
@pytest.mark.parametrize(("option", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_openssl_finds_the_chain_valid_for_our_name(site: Site, port: int, option: str, version: str) -> None:
    seen = s_client(site, option, port=port)

    assert seen.code == 0, seen.output
    assert f"Protocol version: {version}" in seen.output
    assert "Verification: OK" in seen.output
    assert f"Verified peername: {HOST}" in seen.output


def test_openssl_would_see_another_name(site: Site) -> None:
    """The test above can fail."""
    assert s_client(site, name="mail.example.org").code != 0


@pytest.mark.parametrize("port", [465, 587])
@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_old_tls_is_refused(site: Site, port: int, option: str) -> None:
    """The client itself would do it: its security level is lowered."""
    seen = s_client(site, option, "-cipher", "DEFAULT@SECLEVEL=0", port=port)

    assert seen.code != 0
    assert "CONNECTION ESTABLISHED" not in seen.output, seen.output


OFFER = {
    "pipelining": "",
    "chunking": "",
    "8bitmime": "",
    "smtputf8": "",
    "size": "10000000",
    "enhancedstatuscodes": "",
    "limits": "RCPTMAX=100",
}


@pytest.mark.parametrize("port", [465, 587])
def test_the_offer_under_tls(site: Site, port: int) -> None:
    with site.client(port=port) as client:
        client.ehlo()

    offered = {**client.esmtp_features}
    assert sorted(offered.pop("auth").split()) == ["LOGIN", "PLAIN"]
    assert offered == OFFER


def test_the_offer_in_clear_has_no_login(site: Site) -> None:
    with smtplib.SMTP(HOST, 587, timeout=30) as client:
        client.ehlo()
        assert client.docmd("AUTH PLAIN", "AGEAYg==")[0] in {503, 530, 538}
        assert client.docmd("MAIL", "FROM:<alice@mirage.org>")[0] == 530

    assert client.esmtp_features == {**OFFER, "starttls": ""}


def test_nothing_is_said_on_465_before_tls(site: Site) -> None:
    with socket.create_connection((HOST, 465), timeout=5) as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
