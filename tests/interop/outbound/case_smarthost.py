"""Where port 25 is blocked: all mail by a provider's server, by 465 or 587, with a login and verified TLS."""

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ptt.rehearsal.certificates import Authority, ServerCertificate
from ptt.rehearsal.peers.scripted import ScriptedServer, Step
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Scripted = Callable[..., ScriptedServer]

ISP, ADDRESS = "isp.test", "203.0.113.60"
LOGIN, PASSWORD = "customer-1", "the provider's password"
OFFERS = ("PIPELINING", "AUTH PLAIN LOGIN")


class Provider:
    """What aiosmtpd took, and who had logged in."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a message."""
        assert session.authenticated
        content = envelope.original_content or b""
        self.taken.append((envelope.mail_from or "", envelope.rcpt_tos, content))
        return "250 2.0.0 taken by the provider"


def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
    """Know one customer."""
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (
        LOGIN.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=right)


def context_of(certificate: ServerCertificate, folder: Any) -> ssl.SSLContext:
    """A server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.write(folder / "isp.pem"))
    return context


async def serve(provider: Provider, context: ssl.SSLContext, port: int) -> asyncio.Server:
    """Run aiosmtpd; nothing without TLS, no mail without a login."""
    is_implicit = port == 465

    def session() -> SMTP:
        return SMTP(
            provider,
            hostname=ISP,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=not is_implicit,  # it does not know that TLS is there already
            tls_context=None if is_implicit else context,
            require_starttls=not is_implicit,
            loop=asyncio.get_running_loop(),
        )

    loop = asyncio.get_running_loop()
    return await loop.create_server(session, ADDRESS, port, ssl=context if is_implicit else None)


async def end(server: asyncio.Server) -> None:
    """Listen no more."""
    server.close()


@pytest.fixture(scope="module")
def use_smarthost(site: Site, relay_settings: Mapping[str, Any]) -> Iterator[Callable[..., None]]:
    """Give the relay a smarthost; afterwards it has none again."""

    def use(**parts: Any) -> None:
        smarthost = {"host": ISP, "login": LOGIN, "trust_anchors_pem": site.authority.anchor_pem, **parts}
        site.change("relay", {**relay_settings, "smarthost": smarthost})

    yield use
    site.change("relay", relay_settings)


def post(site: Site, mark: str, *recipients: str, user: str = "bruno") -> tuple[int, bytes]:
    """Send a mail; the first refusal, or the last answer."""
    with site.client(user) as client:
        client.docmd("MAIL", f"FROM:<{user}@mirage.org>")
        for recipient in recipients:
            answer = client.docmd("RCPT", f"TO:<{recipient}>")
            if answer[0] != 250:
                return answer
        return client.data(f"From: {user}@mirage.org\r\nSubject: {mark}\r\n\r\nHello\r\n")


@pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS"
)  # TLS is there before aiosmtpd is
@pytest.mark.parametrize("port", [465, 587])
def test_all_mail_goes_by_the_provider(
    site: Site, use_smarthost: Callable[..., None], new_mark: NewMark, tmp_path: Any, port: int
) -> None:
    """The provider, aiosmtpd, asks for a login; no domain's own server is looked for."""
    provider = Provider()
    server = site.background.call(serve(provider, context_of(site.authority.issue(ISP), tmp_path), port))
    try:
        use_smarthost(port=port)
        mark = new_mark()
        code, text = post(site, mark, "bob@remote.com", "carol@nowhere.test")
    finally:
        site.background.call(end(server))

    assert code == 250, text
    [(sender, recipients, content)] = provider.taken
    assert (sender, recipients) == ("bruno@mirage.org", ["bob@remote.com", "carol@nowhere.test"])
    assert content.endswith(f"Subject: {mark}\r\n\r\nHello\r\n".encode())
    assert content.count(b"DKIM-Signature:") == 2


def test_a_certificate_that_is_not_the_provider_s(
    site: Site, use_smarthost: Callable[..., None], scripted: Scripted, new_mark: NewMark
) -> None:
    """Of a stranger, or of another host: 451, and neither login nor mail is said."""
    for port in (465, 587):
        use_smarthost(port=port)
        for certificate in (Authority("A stranger").issue(ISP), site.authority.issue("other.test")):
            server = scripted(
                ADDRESS, port=port, implicit_tls=port == 465, certificate=certificate, offers=OFFERS
            )
            code, _ = post(site, new_mark(), "bob@remote.com")
            assert code == 451
            assert {command.split(" ")[0] for talk in server.talks for command in talk.commands} <= {
                "EHLO",
                "STARTTLS",
            }
            assert len(server.talks) >= 1
            server.stop()


def test_a_login_that_the_provider_refuses(
    site: Site, use_smarthost: Callable[..., None], scripted: Scripted, new_mark: NewMark
) -> None:
    """It is our affair, not the user's mail: come again later, and an alarm for the operator."""
    server = scripted(
        ADDRESS,
        {Step.AUTH: b"535 5.7.8 who are you\r\n"},
        port=465,
        implicit_tls=True,
        certificate=site.authority.issue(ISP),
        offers=OFFERS,
    )
    use_smarthost()
    code, _ = post(site, new_mark(), "bob@remote.com")

    assert code == 451
    said = [command for talk in server.talks for command in talk.commands]
    assert "AUTH PLAIN " + base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode()).decode() in said
    assert not [command for command in said if command.startswith("MAIL")]
    assert not [line for line in site.journal if PASSWORD in line]


def test_a_provider_without_tls_gets_nothing(
    site: Site, use_smarthost: Callable[..., None], scripted: Scripted, new_mark: NewMark
) -> None:
    server = scripted(ADDRESS, port=587, offers=OFFERS)
    use_smarthost(port=587)
    code, _ = post(site, new_mark(), "bob@remote.com", user="alice")

    assert code // 100 in {4, 5}
    assert {command.split(" ")[0] for talk in server.talks for command in talk.commands} <= {"EHLO", "QUIT"}
