"""The certificate of a unit's public listeners: a given one, or whichever the exchange in the DNS holds now.

What is served changes without a restart: each handshake takes the present one, connections that are open go
on with theirs [S15]. ``wait_served`` is for listeners to be served at all. Port 25 has a certificate of our
own making while there is none (senders do not look at it, RFC 7435), but only once we have looked, so that a
new generation never shows it where its predecessor had a better one. The ports of mail programs wait: what
calls meanwhile waits for its handshake in the listener's backlog, as if the network were slow, and is served
once there is a certificate; a warning about one of our own making would stay in the users' minds [L7].
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import assert_never

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from ptt.boot import Peers
from ptt.errors import ConfigError, Malformed
from ptt.net.exchange_client import ExchangeClient, Failed
from ptt.net.tls import public_server_context
from ptt.net.unit import Unit
from ptt.net.world import TlsRole
from ptt.protocol.dns.certificate_exchange import Exchange
from ptt.records.certificate_means import CertificateMeans, ExchangeMeans, GivenCertificate, read_means
from ptt.records.journal import JournalLine
from ptt.records.public_certificate import LONGEST_PAUSE_S, Chain, decide, pause_s
from ptt.records.self_signed import self_signed

FIRST_LOOK_LIMIT_S = 10.0  # for port 25: our name server starts with us or is there, and answers at once
QUIET_TRIES = 4  # half a minute: so long our name server may take to start
ALARM_PART = 0.5  # of the time that renewing has, after which somebody should see to it

Take = Callable[[Chain, bytes], str]
"""Has a chain with its key (PEM) served; gives why it cannot be, or ""."""


def certificate_of(
    unit: Unit, certificate_pem: str, counter: int, *, tickets: bool, stands_in: bool
) -> "PublicCertificate":
    """The certificate by what the boot record holds; ``counter``: which key of the seed."""
    means = read_means(certificate_pem, counter, unit.boot.secrets, unit.boot.host_name)
    if isinstance(means, Malformed):
        mend = "give the certificate and its key, or certificate_seed and tsig_key to ask for one"
        raise ConfigError(f"boot record of {unit.boot.unit}, certificate", means.reason, mend)
    return PublicCertificate(unit, means, tickets=tickets, stands_in=stands_in)


class PublicCertificate:
    """What public listeners show. ``stands_in``: one of our own making until there is another."""

    def __init__(self, unit: Unit, means: CertificateMeans, *, tickets: bool, stands_in: bool) -> None:
        self._unit = unit
        self._tickets = tickets
        self._stands_in = stands_in
        self._keeper: _Keeper | None = None
        self._role: TlsRole | None = None
        self._served = asyncio.Event()
        match means:
            case GivenCertificate(chain_pem, key_pem):
                self._role = _role(public_server_context(chain_pem, key_pem, tickets=tickets))
                self._served.set()
            case ExchangeMeans():
                self._keeper = _Keeper(unit, means, self._take)
            case _ as never:
                assert_never(never)
        self._means = means

    def tls_role(self) -> TlsRole:
        """Our side of the next handshake; to be asked after ``wait_served``."""
        if self._role is None:
            self._role = self._own()
        return self._role

    @property
    def wait_served(self) -> Callable[[], Awaitable[None]] | None:
        """Waits until there is something to show; None: there is."""
        return self._wait_served if self._keeper is not None else None

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host."""
        if self._keeper is not None:
            self._keeper.peers_changed(peers)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look after it while the unit lives."""
        if self._keeper is None:
            yield
            return
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._keeper.run())
            yield
            task.cancel()

    async def _wait_served(self) -> None:
        if self._keeper is None or not self._stands_in:
            await self._served.wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_LIMIT_S):
                await self._keeper.looked.wait()

    def _take(self, chain: Chain, key_pem: bytes) -> str:
        try:
            context = public_server_context(chain.pem, key_pem, tickets=self._tickets)
        except ssl.SSLError as error:
            return f"the certificate cannot be served: {error.reason}"
        self._role = _role(context)
        self._served.set()
        return ""

    def _own(self) -> TlsRole:
        match self._means:
            case GivenCertificate(chain_pem, key_pem):
                pass
            case ExchangeMeans() as means:
                key_pem = means.key_pem
                der = self_signed(means.key, means.host, self._unit.world.wall_time())
                chain_pem = load_der_x509_certificate(der).public_bytes(Encoding.PEM)
            case _ as never:
                assert_never(never)
        return _role(public_server_context(chain_pem, key_pem, tickets=self._tickets))


class _Keeper:
    """Looks at the exchange, asks where it must, hands over what is there."""

    def __init__(self, unit: Unit, means: ExchangeMeans, take: Take) -> None:
        self._unit = unit
        self._means = means
        self._key_pem = means.key_pem
        self._client = ExchangeClient(unit, means.host, means.tsig_key)
        self._take = take
        self.looked = asyncio.Event()
        """Whether we have seen what stands there, once at least."""
        self._chain: Chain | None = None
        self._tries = 0
        self._fault = ""
        self._wake = asyncio.Event()

    def peers_changed(self, peers: Peers) -> None:
        had_callee = self._client.has_callee
        self._client.peers_changed(peers)
        if self._client.has_callee and not had_callee:
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            fault = await self._look() if self._client.has_callee else "dns_primary is not there"
            if self._client.has_callee or self._tries >= QUIET_TRIES:
                self._say_fault(fault)
            pause = pause_s(self._chain, self._tries, self._now())
            self._tries = 0 if self._chain is not None else self._tries + 1
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, LONGEST_PAUSE_S) if fault else pause):
                    await self._wake.wait()

    async def _look(self) -> str:
        """Look, and do what follows; gives what went wrong, or ""."""
        exchange = await self._client.look()
        if isinstance(exchange, Failed):
            return exchange.reason
        now = self._now()
        verdict = decide(exchange, self._means.request, self._chain, now)
        fault = ""
        if verdict.chain is not None and verdict.chain != self._chain:
            fault = self._serve(verdict.chain)
        self.looked.set()
        if verdict.puts is not None:
            fault = await self._put(verdict.puts) or fault
        return fault or self._lateness(now)

    def _serve(self, chain: Chain) -> str:
        fault = self._take(chain, self._key_pem)
        if not fault:
            self._chain = chain
            left_days = (chain.not_after - self._now()) / 86_400
            self._say(f"a certificate for {self._means.host} is taken, valid for {left_days:.1f} days more")
        return fault

    async def _put(self, exchange: Exchange) -> str:
        failed = await self._client.put(exchange)
        if failed is not None:
            return failed.reason
        self._tries = 0
        what = "our certificate is put back" if exchange.leaves else "a certificate is asked for"
        self._say(f"{what}: {self._means.host}")
        return ""

    def _lateness(self, now: float) -> str:
        """What an operator must know of a certificate that nobody renews."""
        if self._chain is None:
            return ""
        late_at = self._chain.renew_at + ALARM_PART * (self._chain.not_after - self._chain.renew_at)
        if now < late_at:
            return ""
        if now >= self._chain.not_after:
            return "the certificate has expired and nobody has renewed it"
        return "the certificate expires soon and nobody has renewed it"

    def _say_fault(self, fault: str) -> None:
        """Each once, until it has passed."""
        if fault and fault != self._fault:
            self._unit.journal.alarm(f"certificate for {self._means.host}: {fault}")
        self._fault = fault

    def _say(self, what: str) -> None:
        boot = self._unit.boot
        self._unit.journal.write(
            JournalLine(
                at=self._unit.world.wall_time(),
                event="certificate",
                unit=boot.unit,
                generation=boot.generation,
                detail=what,
            )
        )

    def _now(self) -> float:
        return self._unit.world.wall_time().timestamp()


def _role(context: ssl.SSLContext) -> TlsRole:
    return TlsRole(server_side=True, context=context)
