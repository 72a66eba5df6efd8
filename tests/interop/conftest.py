"""What the cases share: our service as real processes, remote servers, and clients.

The host runs in a loop of its own in a thread, so that tests are plain functions that call real programs.
"""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.namespace import add_addresses, is_inside
from ptt.rehearsal.our_service import Domain, OurService

T = TypeVar("T")

OURS = "192.0.2.10"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a user who exists in tests alone
CALL_TIMEOUT_S = 60.0


class Background:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True, slots=True)
class Ran:
    """What a client program came to."""

    code: int
    output: str
    finished_at: float = 0.0


@dataclass(slots=True)
class Site:
    """Our service, and how tests reach it."""

    service: OurService
    background: Background
    folder: Path
    authority: Authority
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def anchor(self) -> Path:
        """The file with the certificate that clients trust."""
        return self.folder / "anchor.pem"

    @property
    def journal(self) -> list[str]:
        """All journal lines so far."""
        return [entry.text for entry in self.service.host.journal]

    def swaks(self, *arguments: str, port: int = 465, password: str = PASSWORD, timeout_s: float = 60) -> Ran:
        """Send a mail by swaks as alice."""
        tls = "--tls-on-connect" if port == 465 else "--tls"  # noqa: PLR2004 - RFC 8314
        login = ["--auth", "PLAIN", "--auth-user", "alice", "--auth-password", password]
        if not any(argument == "--from" for argument in arguments):
            arguments = ("--from", "alice@mirage.org", *arguments)
        return run("swaks", "--server", OURS, "--port", str(port), tls, *login, *arguments, timeout_s=timeout_s)


def run(*command: str, stdin: str = "", timeout_s: float = 60, env: Mapping[str, str] | None = None) -> Ran:
    """Run a program and give its code and all it printed."""
    done = subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
        env={**os.environ, **(env or {})},
    )
    return Ran(done.returncode, done.stdout)


@pytest.fixture(scope="session", autouse=True)
def inside() -> None:
    """Refuse to run outside of a namespace: these tests take addresses and ports of servers."""
    assert is_inside(), "run these by `pytest tests/interop` or `python -m ptt.rehearsal.namespace -- pytest …`"


@pytest.fixture(scope="session")
def open_place() -> Iterator[Path]:
    """Give a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="ptt-interop-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


SiteMaker = Callable[..., "contextlib.AbstractContextManager[Site]"]


@pytest.fixture(scope="session")
def make_site(open_place: Path) -> SiteMaker:
    """Start our service with settings for its units; images are built once."""

    @contextlib.contextmanager
    def site(settings: Mapping[str, Mapping[str, Any]], **options: Any) -> Iterator[Site]:
        add_addresses([OURS])
        authority = options.pop("authority", None) or Authority()
        (open_place / "anchor.pem").write_text(authority.anchor_pem, encoding="ascii")
        images = open_place / "images"
        images.mkdir(exist_ok=True)
        images.chmod(0o755)
        background = Background()
        domain = Domain(addresses=(OURS,), users={"alice": PASSWORD, "bruno": PASSWORD})

        async def start() -> OurService:
            service = OurService(images, domain, authority, settings, **options)
            await service.start()
            return service

        service = background.call(start())
        try:
            yield Site(service, background, open_place, authority)
        finally:
            background.call(service.stop())
            background.close()

    return site
