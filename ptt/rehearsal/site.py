"""Our service for those who call it from plain functions: its host runs in a loop of its own, in a thread.

So tests and demonstrations can run real programs one after the other and ask the service in between.
"""

import asyncio
import concurrent.futures
import os
import signal
import smtplib
import ssl
import subprocess
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from ptt import topology
from ptt.errors import ConfigError
from ptt.host.daemon import Host
from ptt.manifest import Manifest
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.namespace import add_addresses, name_hosts
from ptt.rehearsal.our_service import Domain, OurService

T = TypeVar("T")

CALL_TIMEOUT_S = 60.0
PROGRAM_TIMEOUT_S = 60.0
POLL_S = 0.005
SUBMISSIONS_PORT = 465  # RFC 8314 §3.3: TLS from the first octet


class Background:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    def start(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Run a coroutine there; its result comes by the future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program came to: its exit code and all that it printed."""

    code: int
    output: str


def run(*command: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Ran:
    """Run a program to its end."""
    done = subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=PROGRAM_TIMEOUT_S,
        check=False,
        env={**os.environ, **(env or {})},
    )
    return Ran(done.returncode, done.stdout)


class Site:
    """Our service, started at ``with``; everything of it is in ``folder``, which every user may enter."""

    def __init__(
        self,
        folder: Path,
        domain: Domain,
        settings: Mapping[str, Mapping[str, Any]],
        *,
        authority: Authority | None = None,
        smarthost_password: str | None = None,
        units: Sequence[Manifest] = topology.ALL,
    ) -> None:
        self.domain = domain
        self.authority = authority or Authority()
        self.anchor = folder / "anchor.pem"
        """The file with the certificate that clients trust."""
        self.anchor.write_text(self.authority.anchor_pem, encoding="ascii")
        self.background = Background()
        self._service = self.background.call(
            _made(domain, self.authority, settings, smarthost_password, units)
        )

    @property
    def host(self) -> Host:
        """What runs the units; to be asked in its loop, ``background``."""
        return self._service.host

    @property
    def dkim_records(self) -> dict[str, str]:
        """The TXT records of our keys, by owner name."""
        return self._service.dkim_records()

    @property
    def tsig_keys(self) -> Mapping[str, str]:
        """Who may change our zone, by the first label of the key's name."""
        return self._service.tsig_keys

    @property
    def journal(self) -> list[str]:
        """All journal lines so far."""
        return [entry.text for entry in self.host.journal]

    def __enter__(self) -> Self:
        add_addresses(self.domain.addresses)
        name_hosts({self.domain.host_name: self.domain.addresses[0]})
        self.background.call(self._service.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.background.call(self._service.stop())
        self.background.close()
        if self._service.breaches:
            lines = "\n".join(self._service.breaches)
            raise ConfigError("rehearsal", "a unit reached for what it has given up", lines)

    def client(
        self, user: str | None = None, port: int = 465, host: str | None = None, source: str = ""
    ) -> smtplib.SMTP:
        """Python's own client, under verified TLS, logged in as a user (None: not yet), from an address."""
        context = ssl.create_default_context(cafile=str(self.anchor))
        name = host or self.domain.host_name
        if port == SUBMISSIONS_PORT:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                name, port, context=context, timeout=PROGRAM_TIMEOUT_S, source_address=(source, 0)
            )
        else:
            client = smtplib.SMTP(name, port, timeout=PROGRAM_TIMEOUT_S, source_address=(source, 0))
            client.starttls(context=context)
        if user is not None:
            client.login(user, self.domain.users[user])
        return client

    def swaks(
        self, *arguments: str, user: str = "alice", port: int = 465, password: str | None = None
    ) -> Ran:
        """Send a mail by swaks."""
        tls = "--tls-on-connect" if port == SUBMISSIONS_PORT else "--tls"
        login = ["--auth-user", user, "--auth-password", password or self.domain.users[user]]
        if "--auth" not in arguments:
            login += ["--auth", "PLAIN"]
        if "--from" not in arguments:
            login += ["--from", f"{user}@{self.domain.name}"]
        return run("swaks", "--server", self.domain.host_name, "--port", str(port), tls, *login, *arguments)

    def kill(self, *units: str) -> None:
        """End units in the middle of whatever they do (SIGKILL); the host starts them again."""
        for unit in units:
            self.signal(unit, signal.SIGKILL)
        self.background.call(self._wait_gone(units))

    def signal(self, unit: str, number: signal.Signals) -> None:
        """Send a signal to a unit's process."""

        async def send() -> None:
            self.host.kill(unit, number)

        self.background.call(send())

    async def _wait_gone(self, units: Sequence[str]) -> None:
        """Wait until the host knows: from then on ``wait_ready`` means those that come after."""
        # The host tells nobody of an end.
        while any(self.host.units[unit].published is not None for unit in units):  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)

    def wait_ready(self) -> None:
        """Wait until every unit serves."""
        if not self.background.call(self.host.ready(CALL_TIMEOUT_S)):
            raise ConfigError("rehearsal", "not every unit serves", "\n".join(self.journal[-20:]))

    def change(self, unit: str, settings: Mapping[str, Any]) -> None:
        """Give a unit other settings: a new generation takes over."""
        if not self.background.call(self._service.change(unit, settings)):
            raise ConfigError("rehearsal", f"{unit} did not change", "\n".join(self.journal[-20:]))


async def _made(
    domain: Domain,
    authority: Authority,
    settings: Mapping[str, Mapping[str, Any]],
    smarthost_password: str | None,
    units: Sequence[Manifest],
) -> OurService:
    return OurService(domain, authority, settings, smarthost_password, units=units)
