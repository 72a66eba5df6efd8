"""The HTTPS client against a server of the rehearsal, and against servers that lie."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
import uvloop

from ptt.net.fixed_lookup import FixedLookup, read_zone
from ptt.net.https_client import HttpFailed, HttpResponse, HttpsClient
from ptt.net.system import SystemWorld
from ptt.net.tls import public_server_context
from ptt.rehearsal.certificates import Authority, ServerCertificate
from ptt.rehearsal.internet.acme_authority import Reply
from ptt.rehearsal.internet.https_server import HttpsServer

T = TypeVar("T")
AUTHORITY = Authority()
CERTIFICATE = AUTHORITY.issue("ca.example")
ZONE = "ca.example A 127.0.0.1\nother.example A 127.0.0.1\nnowhere.example TXT x\ntwo.example A 127.0.0.9\n"


def names() -> FixedLookup:
    lookup = read_zone(ZONE)
    assert isinstance(lookup, FixedLookup)
    return lookup


def client(**options: float) -> HttpsClient:
    return HttpsClient(SystemWorld(), names(), AUTHORITY.anchor_pem, **options)  # type: ignore[arg-type]


def run(main: Callable[[], Awaitable[T]]) -> T:
    async def whole() -> T:
        return await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(whole())


async def echo(method: str, path: str, body: bytes) -> Reply:
    if path == "/long":
        return Reply(200, b"x" * 1000)
    if path == "/slow":
        await asyncio.sleep(30)
    said = f"{method} {path} ".encode() + body
    return Reply(201, said, "text/plain", (("X-Case", "Kept"),))


async def with_server(ask: Callable[[str], Awaitable[T]], certificate: ServerCertificate = CERTIFICATE) -> T:
    server = HttpsServer("127.0.0.1", certificate, echo, port=0)
    await server.serve()
    try:
        return await ask(f"https://ca.example:{server.port}")
    finally:
        await server.close()


async def raw_answer(data: bytes) -> HttpResponse | HttpFailed:
    """What the client makes of these octets."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        writer.close()

    context = public_server_context(
        CERTIFICATE.chain_pem.encode(), CERTIFICATE.key_pem.encode(), tickets=False
    )
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        return await client().request("GET", f"https://ca.example:{port}/")
    finally:
        server.close()


def test_requests_of_all_kinds() -> None:
    async def ask(base: str) -> list[HttpResponse | HttpFailed]:
        one = client()
        return [
            await one.request("GET", base),
            await one.request("POST", f"{base}/a?b=c#d", b"body", "text/plain"),
            await one.request("POST", f"{base}/empty"),
            await one.request("HEAD", f"{base}/head"),
        ]

    get, post, empty, head = run(lambda: with_server(ask))
    assert isinstance(get, HttpResponse)
    assert (get.status, get.body, get.headers["x-case"]) == (201, b"GET / ", "Kept")
    assert isinstance(post, HttpResponse)
    assert post.body == b"POST /a?b=c body"
    assert isinstance(empty, HttpResponse)
    assert isinstance(head, HttpResponse)
    assert (head.body, head.headers["content-length"]) == (b"", "11")


def failure(ask: Callable[[str], Awaitable[HttpResponse | HttpFailed]], **options: ServerCertificate) -> str:
    found = run(lambda: with_server(ask, **options))
    assert isinstance(found, HttpFailed)
    return found.reason


def test_bounds() -> None:
    assert "more than 100 octets" in failure(
        lambda base: client(max_body_octets=100).request("GET", f"{base}/long")
    )
    assert "did not answer" in failure(lambda base: client(timeout_s=0.3).request("GET", f"{base}/slow"))


def test_certificates_must_be_valid_for_the_name() -> None:
    assert "Hostname mismatch" in failure(
        lambda base: client().request("GET", base.replace("ca.example", "other.example"))
    )
    foreign = Authority("Somebody else").issue("ca.example")
    assert "certificate was not accepted" in failure(
        lambda base: client().request("GET", base), certificate=foreign
    )


def test_names_and_addresses() -> None:
    assert "has no address" in failure(
        lambda base: client().request("GET", base.replace("ca.example", "nowhere.example"))
    )
    assert "refused" in failure(
        lambda base: client().request("GET", base.replace("ca.example", "two.example"))
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://ca.example/",
        "https:///",
        "https://user@ca.example/",
        "https://ca.example:99999/",
        "https://a..example/",
        "https://ca.example/a b",
        "https://é.example/",
        "https://[::1/",
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    assert isinstance(run(lambda: client().request("GET", url)), HttpFailed)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "not HTTP"),
        (b"no HTTP at all\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20000, "not HTTP"),
    ],
)
def test_servers_that_lie(data: bytes, reason: str) -> None:
    found = run(lambda: raw_answer(data))
    assert isinstance(found, HttpFailed)
    assert reason in found.reason


def test_answers_without_length_and_interim_ones() -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end"
    found = run(lambda: raw_answer(data))
    assert isinstance(found, HttpResponse)
    assert found.body == b"until the end"


def test_the_system_has_trust_anchors() -> None:
    async def ask() -> ssl.SSLContext:
        return HttpsClient(SystemWorld(), names())._context

    assert run(ask).verify_mode is ssl.CERT_REQUIRED
