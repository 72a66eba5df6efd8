"""A pretend certificate authority that speaks ACME (RFC 8555) and validates by dns-01 (§8.4).

It asks every authoritative server of the name, as real ones look from several places, and issues from an
intermediate of the rehearsal's own authority. Faults can be planned: what real authorities do on bad days.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from josepy.b64 import b64decode, b64encode
from josepy.jwk import JWK

from ptt.protocol.acme.renewal import certificate_id
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.internet.acme_signed import Problem, Signed, read_signed
from ptt.rehearsal.internet.every_server import ask_everywhere

DEFAULT_LIFETIME = timedelta(days=90)

Ask = Callable[[str, Name, RecordType], Awaitable[list[RRset | None]]]
"""What every server of a name answers; see ``ask_everywhere``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next ``times`` requests whose path begins with ``path``, in place of an answer.

    ``kind``: ``badNonce``, ``rateLimited``, ``busy`` (503), ``slow`` (answered after ``seconds``), or
    ``invalid`` (validation fails whatever the names say; its path is ``/challenge``). ``seconds`` is
    Retry-After too.
    """

    kind: str
    path: str = "/"
    times: int = 1
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the HTTPS server sends back."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Account:
    key: JWK
    contact: tuple[str, ...]


@dataclass(slots=True)
class _Authorization:
    name: str
    is_wildcard: bool
    token: str
    status: str = "pending"
    error: str = ""


@dataclass(slots=True)
class _Order:
    account: int
    names: tuple[str, ...]
    authorizations: tuple[int, ...]
    request: x509.CertificateSigningRequest | None = None
    chain_pem: str = ""
    replaces: str = ""
    """RFC 9773 §5: the id of the certificate that it renews."""


@dataclass(slots=True)
class AcmeAuthority:
    """``base`` is its own URL without a path; ``root`` the address of the DNS root that it believes."""

    base: str
    root: str
    issuer: Authority
    lifetime: timedelta = DEFAULT_LIFETIME
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ask: Ask = ask_everywhere
    hurried: set[str] = field(default_factory=set)
    """Names whose certificates are to be renewed at once, as before a revocation."""
    orders: list[_Order] = field(default_factory=list)
    """All that were made, for tests to count."""
    requests: list[str] = field(default_factory=list)
    """``METHOD PATH STATUS`` of everything that was answered."""
    _accounts: list[_Account] = field(default_factory=list)
    _authorizations: list[_Authorization] = field(default_factory=list)
    _nonces: set[str] = field(default_factory=set)
    _faults: list[Fault] = field(default_factory=list)
    _validations: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make the intermediate that issues."""
        self._intermediate = Authority("Pretend intermediate", self.issuer)

    _intermediate: Authority = field(init=False)

    def accounts_of(self, contact: str) -> int:
        """How many accounts have this contact."""
        return sum(contact in account.contact for account in self._accounts)

    def plan(self, *faults: Fault) -> None:
        """Let these happen, in order."""
        for fault in faults:
            self._faults += [fault] * fault.times

    async def handle(self, method: str, path: str, body: bytes) -> Reply:
        """Answer a request."""
        fault = self._take_fault(path)
        answer: Reply | Problem
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds or 0)
            fault = None
        if fault is not None and fault.kind != "invalid":
            answer = _planned(fault)
        elif method in {"GET", "HEAD"}:
            answer = self._read(path)
        else:
            answer = self._post(path, body, fails=fault is not None)
        reply = self._problem(answer) if isinstance(answer, Problem) else answer
        self.requests.append(f"{method} {path} {reply.status}")
        if path == "/directory":
            return reply
        nonce = secrets.token_urlsafe(16)
        self._nonces.add(nonce)
        headers = (("Replay-Nonce", nonce), ("Link", f'<{self.base}/directory>;rel="index"'), *reply.headers)
        return Reply(reply.status, reply.body, reply.content_type, headers)

    async def close(self) -> None:
        """End what is being validated."""
        for task in self._validations:
            task.cancel()
        await asyncio.gather(*self._validations, return_exceptions=True)

    def _take_fault(self, path: str) -> Fault | None:
        fault = next((each for each in self._faults if path.startswith(each.path)), None)
        if fault is not None:
            self._faults.remove(fault)
        return fault

    def _problem(self, problem: Problem) -> Reply:
        content = {"type": f"urn:ietf:params:acme:error:{problem.kind}", "detail": problem.detail}
        wait = problem.retry_after_s
        headers = (("Retry-After", str(wait)),) if wait is not None else ()
        return Reply(problem.status, msgspec.json.encode(content), "application/problem+json", headers)

    def _read(self, path: str) -> Reply | Problem:
        match path:
            case "/directory":
                names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order"}
                urls = {name: f"{self.base}/{path}" for name, path in names.items()}
                others = {"revokeCert": f"{self.base}/revoke", "renewalInfo": f"{self.base}/renewal"}
                return _json(200, {**urls, **others, "meta": {}})
            case "/nonce":
                return Reply(200, headers=(("Cache-Control", "no-store"),))
            case _ if path.startswith("/renewal/"):
                return self._suggest(path.removeprefix("/renewal/"))
            case _:
                return Problem(405, "malformed", "everything else is POST (RFC 8555 section 6.3)")

    def _suggest(self, certificate_id: str) -> Reply | Problem:
        """RFC 9773 §4.1: at two thirds of the life, or at once for certificates of hurried names."""
        found = [order for order in self.orders if order.chain_pem and _id_of(order) == certificate_id]
        if not found:
            return Problem(404, "malformed", "there is no such certificate")
        leaf = x509.load_pem_x509_certificate(found[0].chain_pem.encode())
        start = leaf.not_valid_after_utc - (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 3
        if self.hurried.intersection(found[0].names):
            start = leaf.not_valid_before_utc
        end = start + timedelta(seconds=1)
        window = {"start": start.isoformat(), "end": end.isoformat()}
        return _json(200, {"suggestedWindow": window}, ("Retry-After", "21600"))

    def _post(self, path: str, body: bytes, *, fails: bool) -> Reply | Problem:
        signed = read_signed(body, self.base + path, self._take_nonce, self._key_of)
        if isinstance(signed, Problem):
            return signed
        _, kind, number = (*path.split("/"), "", "")[:3]
        if kind == "account" and not number:
            return self._new_account(signed)
        account = self._number(signed.account_url)
        if account is None:
            return Problem(403, "unauthorized", "sign with an account")
        if kind == "order" and not number:
            return self._new_order(account, signed)
        known = self._authorizations if kind in {"authorization", "challenge"} else self.orders
        if not number.isdigit() or int(number) >= len(known):
            return Problem(404, "malformed", "there is no such thing")
        index = int(number)
        match kind:
            case "order":
                return self._show_order(index, 200)
            case "authorization":
                return self._show_authorization(index)
            case "challenge":
                return self._take_challenge(index, self._accounts[account], fails=fails)
            case "finalize":
                return self._finalize(index, signed)
            case "certificate" if self.orders[index].chain_pem:
                return Reply(200, self.orders[index].chain_pem.encode(), "application/pem-certificate-chain")
            case _:
                return Problem(404, "malformed", "there is no such thing")

    # Accounts and nonces

    def _take_nonce(self, nonce: str) -> bool:
        if nonce not in self._nonces:
            return False
        self._nonces.remove(nonce)
        return True

    def _number(self, account_url: str) -> int | None:
        start, _, number = account_url.rpartition("/")
        known = start == f"{self.base}/account" and number.isdigit() and int(number) < len(self._accounts)
        return int(number) if known else None

    def _key_of(self, account_url: str) -> JWK | None:
        number = self._number(account_url)
        return self._accounts[number].key if number is not None else None

    def _new_account(self, signed: Signed) -> Reply | Problem:
        """§7.3.1: the same key is the same account."""
        payload = signed.payload or {}
        prints = [account.key.thumbprint() for account in self._accounts]
        if signed.key.thumbprint() in prints:
            status, number = 200, prints.index(signed.key.thumbprint())
        elif payload.get("onlyReturnExisting"):
            return Problem(400, "accountDoesNotExist")
        elif not payload.get("termsOfServiceAgreed"):
            return Problem(403, "userActionRequired", "agree to the terms")
        else:
            status, number = 201, len(self._accounts)
            self._accounts.append(_Account(signed.key, tuple(payload.get("contact", ()))))
        shown = {"status": "valid", "contact": self._accounts[number].contact}
        return _json(status, shown, ("Location", f"{self.base}/account/{number}"))

    # Orders

    def _new_order(self, account: int, signed: Signed) -> Reply | Problem:
        identifiers = (signed.payload or {}).get("identifiers", [])
        names = tuple(each.get("value", "") for each in identifiers if each.get("type") == "dns")
        if not names or len(names) != len(identifiers) or not all(isinstance(n, str) for n in names):
            return Problem(400, "malformed", "identifiers of type dns")
        first = len(self._authorizations)
        for name in names:
            bare = name.removeprefix("*.")
            self._authorizations.append(_Authorization(bare, bare != name, secrets.token_urlsafe(32)))
        indices = tuple(range(first, first + len(names)))
        replaces = str((signed.payload or {}).get("replaces", ""))
        self.orders.append(_Order(account, names, indices, replaces=replaces))
        return self._show_order(len(self.orders) - 1, 201)

    def _status(self, order: _Order) -> str:
        """§7.1.6."""
        states = {self._authorizations[index].status for index in order.authorizations}
        if "invalid" in states:
            return "invalid"
        if states != {"valid"}:
            return "pending"
        return "valid" if order.chain_pem else "ready"

    def _show_order(self, number: int, status: int) -> Reply:
        order = self.orders[number]
        shown: dict[str, Any] = {
            "status": self._status(order),
            "identifiers": [{"type": "dns", "value": name} for name in order.names],
            "authorizations": [f"{self.base}/authorization/{index}" for index in order.authorizations],
            "finalize": f"{self.base}/finalize/{number}",
        }
        if order.chain_pem:
            shown["certificate"] = f"{self.base}/certificate/{number}"
        return _json(status, shown, ("Location", f"{self.base}/order/{number}"))

    def _finalize(self, number: int, signed: Signed) -> Reply | Problem:
        order = self.orders[number]
        if self._status(order) != "ready":
            return Problem(403, "orderNotReady", self._status(order))
        try:
            request = x509.load_der_x509_csr(b64decode((signed.payload or {})["csr"]))
            found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, KeyError, TypeError, x509.ExtensionNotFound) as error:
            return Problem(400, "badCSR", str(error))
        account_key = self._accounts[order.account].key.key.public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        own_key = request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if set(found.get_values_for_type(x509.DNSName)) != set(order.names) or own_key == account_key:
            return Problem(400, "badCSR", "other names than ordered, or the account's key (RFC 8555 §11.1)")
        leaf = self._intermediate.certify(request, self.lifetime, self.now())
        order.chain_pem = leaf + self._intermediate.anchor_pem
        return self._show_order(number, 200)

    # Validation

    def _show_authorization(self, number: int) -> Reply:
        found = self._authorizations[number]
        shown = {
            "identifier": {"type": "dns", "value": found.name},
            "status": "pending" if found.status == "processing" else found.status,
            "challenges": [self._challenge(number)],
            "wildcard": found.is_wildcard,
        }
        return _json(200, shown)

    def _challenge(self, number: int) -> dict[str, Any]:
        found = self._authorizations[number]
        shown: dict[str, Any] = {
            "type": "dns-01",
            "url": f"{self.base}/challenge/{number}",
            "status": found.status,
            "token": found.token,
        }
        if found.error:
            kind = "urn:ietf:params:acme:error:unauthorized"
            shown["error"] = {"type": kind, "detail": found.error, "status": 403}
        return shown

    def _take_challenge(self, number: int, account: _Account, *, fails: bool) -> Reply:
        found = self._authorizations[number]
        if found.status == "pending":
            found.status = "processing"
            task = asyncio.ensure_future(self._validate(found, account.key, fails=fails))
            self._validations.add(task)
            task.add_done_callback(self._validations.discard)
        up = ("Link", f'<{self.base}/authorization/{number}>;rel="up"')
        return _json(200, self._challenge(number), up)

    async def _validate(self, found: _Authorization, key: JWK, *, fails: bool) -> None:
        """§8.4: every server shows the digest of the key authorization."""
        thumbprint = b64encode(key.thumbprint()).decode("ascii")
        wanted = b64encode(hashlib.sha256(f"{found.token}.{thumbprint}".encode()).digest())
        owner = Name.of(f"_acme-challenge.{found.name}")
        answers = await self.ask(self.root, owner, RecordType.TXT)
        shows = [
            wanted in [b"".join(rdata.strings) for rdata in each.rdatas]  # type: ignore[attr-defined]
            for each in answers
            if each is not None
        ]
        if shows and all(shows) and len(shows) == len(answers) and not fails:
            found.status = "valid"
        else:
            found.error = f"{sum(shows)} of {len(answers)} servers show the record at {owner}"
            found.status = "invalid"


def _id_of(order: _Order) -> str | None:
    return certificate_id(x509.load_pem_x509_certificate(order.chain_pem.encode()).public_bytes(Encoding.DER))


def _json(status: int, content: object, *headers: tuple[str, str]) -> Reply:
    return Reply(status, msgspec.json.encode(content), "application/json", headers)


def _planned(fault: Fault) -> Problem:
    status = {"badNonce": 400, "rateLimited": 429}.get(fault.kind, 503)
    kind = fault.kind if fault.kind in {"badNonce", "rateLimited"} else "serverInternal"
    return Problem(status, kind, "planned", fault.seconds)
