"""Repositories of this machine as streams: git's programs behind them, rights, and pushes that are seen."""

import asyncio
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ptt.boot import OpenRepository
from ptt.host.repositories import LocalRepository, PushWatch, RepositoryServer


@pytest.fixture
def bare(open_folder: Path, require_program: Callable[[str], str]) -> Path:
    require_program("git")
    path = open_folder / "relay.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    return path


def first_line(stream: socket.socket) -> bytes:
    with stream:
        stream.settimeout(20)
        return stream.recv(4096)


def opened(path: Path, asked: OpenRepository, *, may_push: bool = False) -> bytes | str:
    async def run() -> bytes | str:
        server = RepositoryServer()
        stream = server.open({"relay": LocalRepository(path, may_push)}, asked, print)
        if isinstance(stream, str):
            return stream
        said = await asyncio.to_thread(first_line, stream)
        server.close()
        return said

    return asyncio.run(run())


def test_a_stream_has_git_at_its_other_end(bare: Path) -> None:
    assert opened(bare, OpenRepository(1, "relay", "upload-pack")) == b"0000"  # no branch yet
    assert b"report-status" in opened(bare, OpenRepository(1, "relay", "receive-pack"), may_push=True)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (OpenRepository(1, "passwords", "upload-pack"), "no repository passwords for this unit"),
        (OpenRepository(1, "relay", "receive-pack"), "may not do receive-pack on relay"),
        (OpenRepository(1, "relay", "upload-archive"), "may not do upload-archive on relay"),
        (OpenRepository(1, "relay", "--exec=sh"), "may not do --exec=sh on relay"),
    ],
)
def test_a_unit_gets_what_its_spec_names(bare: Path, asked: OpenRepository, reason: str) -> None:
    said = opened(bare, asked)
    assert isinstance(said, str)
    assert reason in said


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    said = opened(tmp_path / "gone", OpenRepository(1, "relay", "upload-pack"))
    assert isinstance(said, str)
    assert "No such file" in said


def test_only_so_many_are_open_at_once(bare: Path) -> None:
    async def run() -> list[object]:
        server = RepositoryServer()
        asked = OpenRepository(1, "relay", "upload-pack")
        streams = [server.open({"relay": LocalRepository(bare)}, asked, print) for _ in range(9)]
        server.close()
        for stream in streams:
            if isinstance(stream, socket.socket):
                stream.close()
        return [each for each in streams if isinstance(each, str)]

    assert asyncio.run(run()) == ["too many repositories are open at this moment"]


def test_a_push_is_seen(bare: Path, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@mirage.org"]
    subprocess.run(
        [*git, "clone", "-q", str(bare), str(tmp_path / "copy")], check=True, stderr=subprocess.DEVNULL
    )
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True, cwd=tmp_path / "copy")

    async def run() -> Path:
        seen: asyncio.Queue[Path] = asyncio.Queue()
        watch = PushWatch(seen.put_nowait)
        watch.watch(bare)
        push = [*git, "push", "-q", "origin", "HEAD:master"]
        await asyncio.to_thread(subprocess.run, push, check=True, cwd=tmp_path / "copy")
        async with asyncio.timeout(20):
            path = await seen.get()
        watch.close()
        return path

    assert asyncio.run(run()) == bare


def test_what_git_complains_of_is_told(tmp_path: Path, require_program: Callable[[str], str]) -> None:
    require_program("git")

    async def run() -> str:
        told: asyncio.Queue[str] = asyncio.Queue()
        server = RepositoryServer()
        asked = OpenRepository(1, "relay", "upload-pack")
        stream = server.open({"relay": LocalRepository(tmp_path)}, asked, told.put_nowait)
        assert isinstance(stream, socket.socket)
        stream.close()
        async with asyncio.timeout(20):
            said = await told.get()
        server.close()
        return said

    assert "does not appear to be a git repository" in asyncio.run(run())
