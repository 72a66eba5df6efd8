"""RFC 9773: the id of a certificate, the window, the questions."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.acme.account_key import AccountKey
from ptt.protocol.acme.http import Response, Unreachable
from ptt.protocol.acme.objects import MAX_BODY_OCTETS
from ptt.protocol.acme.renewal import (
    AGAIN_S,
    MAX_AGAIN_S,
    NoSuggestion,
    RenewalDialogue,
    Suggested,
    Window,
    certificate_id,
    moment_in,
    read_window,
)
from ptt.protocol.acme.signing_request import Certificate, read_certificate
from ptt.protocol.acme.steps import Acquaintance, Send

NOW = datetime(2026, 11, 25, tzinfo=UTC)
URL = "https://ca.example"
DIRECTORY = {name: f"{URL}/{name}" for name in ("newNonce", "newAccount", "newOrder", "renewalInfo")}


def certificate(serial: int, key_id: bytes | None) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.example.org")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
    )
    if key_id is not None:
        named = x509.AuthorityKeyIdentifier(key_id, None, None)
        if not key_id:
            named = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(name)], 7)
        builder = builder.add_extension(named, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_the_example_of_rfc_9773() -> None:
    """RFC 9773 §4.1."""
    key_id = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    assert certificate_id(certificate(0x87654321, key_id)) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_certificates_without_an_id() -> None:
    assert certificate_id(certificate(1, None)) is None
    assert certificate_id(certificate(1, b"")) is None
    assert certificate_id(b"") is None


SAMPLE = certificate(0x87654321, b"key")


@given(st.integers(0, 400), st.binary(max_size=3))
def test_any_certificate_has_an_id_or_none(at: int, piece: bytes) -> None:
    found = certificate_id(SAMPLE[:at] + piece + SAMPLE[at + len(piece) :])
    assert found is None or "." in found


def window(start: str, end: str) -> bytes:
    shown = {"suggestedWindow": {"start": start, "end": end}, "explanationURL": "https://ca.example/why"}
    return json.dumps(shown).encode()


GOOD = window("2026-12-01T00:00:00Z", "2026-12-03T00:00:00+01:00")


def test_windows() -> None:
    found = read_window(GOOD)
    assert isinstance(found, Window)
    moments = [moment_in(found, bytes([n])) for n in range(50)]
    assert found.start.timestamp() <= min(moments) < max(moments) <= found.end.timestamp()
    assert max(moments) - min(moments) > 86_400, "spread over the window"
    assert moment_in(found, b"x") == moment_in(found, b"x"), "and the same for each generation"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        window("2026-12-03T00:00:00Z", "2026-12-03T00:00:00Z"),
        window("2026-12-03T00:00:00Z", "2026-12-02T00:00:00Z"),
        window("2026-12-01T00:00:00", "2026-12-03T00:00:00Z"),
        window("2026-12-01T00:00:00Z", "2026-12-03T00:00:00"),
        b" " * (MAX_BODY_OCTETS + 1),
        b"\xff",
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_windows_that_are_none(body: bytes) -> None:
    assert isinstance(read_window(body), Malformed)


@given(st.binary() | st.tuples(st.text(), st.text()).map(lambda pair: window(*pair)))
def test_windows_read_anything(body: bytes) -> None:
    assert isinstance(read_window(body), Window | Malformed)


@pytest.fixture
def leaf(csr: Callable[..., bytes], chain: Callable[..., bytes]) -> Certificate:
    found = x509.load_pem_x509_certificate(chain(csr("a.example.org"))).public_bytes(Encoding.DER)
    read = read_certificate(found)
    assert isinstance(read, Certificate)
    return read


Answers = list[Response | Unreachable]


def ask(
    key: AccountKey, certificate: Certificate, *answers: Response | Unreachable
) -> tuple[Suggested | NoSuggestion, list[str]]:
    known = Acquaintance(f"{URL}/directory", key)
    waiting, urls = list(answers), []
    dialogue = RenewalDialogue(known, certificate)
    while isinstance(step := dialogue.next_step(), Send):
        assert (step.request.method, step.request.body) == ("GET", b"")
        urls.append(step.request.url)
        dialogue.receive_response(waiting.pop(0), NOW)
    assert known.directory is None or not waiting
    return step, urls


def directory(**changes: object) -> Response:
    return Response(200, {}, json.dumps({**DIRECTORY, **changes}).encode())


def test_a_suggestion(key: AccountKey, leaf: Certificate) -> None:
    said, urls = ask(key, leaf, directory(), Response(200, {"retry-after": "3600"}, GOOD))
    assert isinstance(said, Suggested)
    assert said.again_s == 3600
    assert said.at >= datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert urls == [f"{URL}/directory", f"{URL}/renewalInfo/{certificate_id(leaf.der)}"]


@pytest.mark.parametrize(("header", "again_s"), [("1", 60), ("999999", MAX_AGAIN_S), ("soon", AGAIN_S)])
def test_how_often_is_asked(key: AccountKey, leaf: Certificate, header: str, again_s: float) -> None:
    said, _ = ask(key, leaf, directory(), Response(200, {"retry-after": header}, GOOD))
    assert said.again_s == again_s


def test_no_suggestions(key: AccountKey, leaf: Certificate) -> None:
    answers: list[tuple[Answers, str]] = [
        ([Unreachable("no route")], "no route"),
        ([Response(503)], "answered 503"),
        ([Response(200, {}, b"{}")], "directory"),
        ([directory(renewalInfo="")], "makes no suggestions"),
        ([directory(renewalInfo="http://ca.example/x")], "not https"),
        ([directory(), Unreachable("no route")], "no route"),
        ([directory(), Response(404)], "answered 404"),
        ([directory(), Response(200, {}, b"{}")], "suggestedWindow"),
    ]
    for given_answers, reason in answers:
        said, _ = ask(key, leaf, *given_answers)
        assert isinstance(said, NoSuggestion)
        assert reason in said.reason


def test_a_certificate_without_an_id_is_not_asked_about(key: AccountKey, leaf: Certificate) -> None:
    unnamed = Certificate(certificate(1, None), leaf.key, leaf.names, leaf.not_before, leaf.not_after)
    said, urls = ask(key, unnamed, directory())
    assert isinstance(said, NoSuggestion)
    assert urls == [f"{URL}/directory"]
