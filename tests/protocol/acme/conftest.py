"""An authority's answers written by hand, a client's key, requests and chains of certificates."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.protocol.acme.account_key import AccountKey
from ptt.protocol.acme.dialogue import OrderDialogue
from ptt.protocol.acme.http import Request, Response, Unreachable
from ptt.protocol.acme.signing_request import SigningRequest, read_signing_request
from ptt.protocol.acme.steps import Acquaintance, Present, Send, Step, Wait
from ptt.rehearsal.certificates import Authority

NOW = datetime(2026, 11, 25, tzinfo=UTC)
BASE = "https://ca.example"
TOKEN = "t" * 43


@cache
def account_key() -> AccountKey:
    return AccountKey(ec.generate_private_key(ec.SECP256R1()))


@cache
def authority() -> Authority:
    return Authority()


def make_csr(*names: str, key: Any = None, common_name: str = "", san: bool = True) -> bytes:
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def request_for(*names: str) -> SigningRequest:
    request = read_signing_request(make_csr(*names))
    assert isinstance(request, SigningRequest), request
    return request


def chain_for(der: bytes, lifetime: timedelta = timedelta(days=90)) -> bytes:
    leaf = authority().certify(x509.load_der_x509_csr(der), lifetime)
    return (leaf + authority().anchor_pem).encode()


Answer = Callable[[Request], Response | Unreachable]


class Script:
    """An authority that says the same for each path until it is told otherwise."""

    now = NOW

    def __init__(self, request: SigningRequest, **known: Any) -> None:
        self.request = request
        key = known.pop("key", None) or account_key()
        self.known = Acquaintance(f"{BASE}/directory", key, **known)
        self.dialogue = OrderDialogue(self.known, request)
        self.sent: list[Request] = []
        self.waits: list[float] = []
        self.presented: list[Present] = []
        self.nonces = iter(range(1000))
        self.answers: dict[str, list[Response | Unreachable]] = {}
        name = min(request.names, key=lambda each: each.text).text
        directory = {kind: f"{BASE}/{kind}" for kind in ("newNonce", "newAccount", "newOrder")}
        self.answers["directory"] = [Response(200, {}, json.dumps(directory).encode())]
        self.say("newNonce", None)
        self.say("newAccount", {"status": "valid"}, Location=f"{BASE}/account/1")
        self.say("newOrder", self.order("pending"), Location=f"{BASE}/order")
        self.say("authorization", self.authorization("pending", name), self.authorization("valid", name))
        self.say("challenge", {"status": "processing"})
        self.say("order", self.order("ready"))
        self.say("finalize", self.order("valid", certificate=f"{BASE}/certificate"))
        self.answers["certificate"] = [Response(200, {}, chain_for(request.der))]

    @staticmethod
    def order(status: str, **fields: object) -> dict[str, object]:
        urls = {"authorizations": [f"{BASE}/authorization"], "finalize": f"{BASE}/finalize"}
        return {"status": status, **urls, **fields}

    @staticmethod
    def authorization(status: str, name: str, **challenge: object) -> dict[str, object]:
        shown = {
            "type": "dns-01",
            "url": f"{BASE}/challenge",
            "status": "pending",
            "token": TOKEN,
            **challenge,
        }
        other = {"type": "http-01", "url": f"{BASE}/other", "status": "pending", "token": TOKEN}
        return {
            "identifier": {"type": "dns", "value": name},
            "status": status,
            "challenges": [other, {**shown, **challenge}],
        }

    def say(self, path: str, *contents: object, status: int = 200, **headers: str) -> None:
        shown = {name.lower().replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = [self.response(content, status, shown) for content in contents]

    def response(self, content: object, status: int, headers: Mapping[str, str]) -> Response:
        nonce = {"replay-nonce": f"nonce{next(self.nonces)}"}
        return Response(
            status, {**nonce, **headers}, b"" if content is None else json.dumps(content).encode()
        )

    def first(self, path: str, *answers: Response | Unreachable) -> None:
        """Put answers before those that stand."""
        self.answers[path] = [*answers, *self.answers[path]]

    def problem(self, kind: str, status: int = 400, **headers: str) -> Response:
        content = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": "so it is"}
        return self.response(
            content, status, {name.lower().replace("_", "-"): v for name, v in headers.items()}
        )

    def play(self) -> Step:
        """Until the end; gives the last step."""
        for _ in range(200):
            step = self.dialogue.next_step()
            assert self.dialogue.next_step() is step
            match step:
                case Send(request):
                    self.sent.append(request)
                    path = request.url.removeprefix(f"{BASE}/")
                    said = self.answers[path]
                    self.dialogue.receive_response(said.pop(0) if len(said) > 1 else said[0], NOW)
                case Wait(seconds):
                    self.waits.append(seconds)
                    self.dialogue.waited()
                case Present():
                    self.presented.append(step)
                    self.dialogue.presented()
                case _:
                    return step
        raise AssertionError("no end")

    @property
    def paths(self) -> list[str]:
        return [request.url.removeprefix(f"{BASE}/") for request in self.sent]


@pytest.fixture
def script() -> type[Script]:
    return Script


@pytest.fixture
def csr() -> Callable[..., bytes]:
    return make_csr


@pytest.fixture
def chain() -> Callable[..., bytes]:
    return chain_for


@pytest.fixture
def asked() -> Callable[..., SigningRequest]:
    return request_for


@pytest.fixture
def key() -> AccountKey:
    return account_key()
