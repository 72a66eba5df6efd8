"""Our Git client with OpenSSH, git's web program and git-daemon: clone, pull, push, and what goes wrong."""

import asyncio
import os
import socket
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Thread
from typing import Any

import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ptt.errors import Malformed
from ptt.net.git.client import Head, Unchanged
from ptt.net.git.failures import GitFailed
from ptt.net.git.repository import GitRepository, Pushed
from ptt.net.system import SystemWorld
from ptt.protocol.dns.lookup import A, Answer, Question, Rcode, RecordType
from ptt.protocol.dns.name import Name
from ptt.records.host_key import fingerprint_text
from ptt.records.repository import Repository, RepositorySettings, read_repository
from ptt.records.succession import has_trailer
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.peers.git_server import GitDaemon, OpenSsh, Operator, git

pytestmark = pytest.mark.timeout(100)
OURS = "PTT <ptt@mirage.org>"
HTTPS_PORT = 8443


def with_world(work: Callable[[SystemWorld], Coroutine[Any, Any, None]]) -> None:
    """Run a test's coroutine with the system's sockets, in the loop that units have."""

    async def run() -> None:
        world = SystemWorld()
        try:
            await work(world)
        finally:
            world.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def repository(world: SystemWorld, key: str, url: str, host_key: str = "", **more: Any) -> GitRepository:
    read = read_repository(RepositorySettings(url, host_key, **more))
    assert isinstance(read, Repository), read
    return GitRepository(world, read, key_text=key)


async def head_of(source: GitRepository, known: str | None = None) -> Head:
    head = await source.fetch(known)
    assert isinstance(head, Head), head
    return head


def adding(name: str) -> Callable[[Any], dict[str, bytes | None]]:
    return lambda _files: {name: b'{"targets": []}'}


@pytest.mark.parametrize(("kind", "host_kind"), [("ed25519", "rsa"), ("rsa", "ed25519")])
def test_clone_pull_and_push(ssh: OpenSsh, operator: Operator, keys: Any, kind: str, host_kind: str) -> None:
    async def work(world: SystemWorld) -> None:
        source = repository(world, keys.setting(kind), ssh.url(operator.bare), ssh.host_key(host_kind))
        first = await head_of(source)
        assert sorted(first.files) == ["alice", "bruno"]
        assert await source.fetch(first.commit) == Unchanged()
        pushed = await source.push(adding("carol"), OURS, "Add carol\n\nThrough: the test\n")
        assert isinstance(pushed, Pushed)
        second = await head_of(source, first.commit)
        assert second.commit == pushed.commit
        assert sorted(second.files) == ["alice", "bruno", "carol"]
        assert await source.messages_since(first.commit) == {
            pushed.commit: "Add carol\n\nThrough: the test\n"
        }
        operator.push({"bruno": None})
        assert sorted((await head_of(source, second.commit)).files) == ["alice", "carol"]

    with_world(work)
    log = git("log", "--format=%an %ae %s", folder=operator.bare)
    assert "PTT ptt@mirage.org Add carol" in log
    git("fsck", "--strict", folder=operator.bare)


@pytest.mark.parametrize("form", ["SHA256", "ed25519", "key"])
def test_the_host_key_is_compared_before_anything_else(
    ssh: OpenSsh, operator: Operator, keys: Any, form: str
) -> None:
    blob = b64decode(ssh.host_key("ed25519").split()[1])
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    wrong = b"\0\0\0\x0bssh-ed25519\0\0\0 " + other
    forms: dict[str, Callable[[bytes], str]] = {
        "SHA256": fingerprint_text,
        "ed25519": lambda blob: fingerprint_text(blob).replace("SHA256", "ed25519"),
        "key": lambda blob: f"ssh-ed25519 {b64encode(blob).decode()}",
    }

    async def work(world: SystemWorld) -> None:
        right = repository(world, keys.setting("ed25519"), ssh.url(operator.bare), forms[form](blob))
        assert isinstance(await right.fetch(None), Head)
        before = len(ssh.log)
        mistaken = repository(world, keys.setting("ed25519"), ssh.url(operator.bare), forms[form](wrong))
        failed = await mistaken.fetch(None)
        assert isinstance(failed, GitFailed)
        assert failed.needs_operator
        assert "is not the pinned one" in failed.reason
        assert fingerprint_text(blob) in failed.reason
        said = ssh.log[before:]
        assert "Accepted" not in said
        assert "authenticating user" not in said

    with_world(work)


def test_a_revoked_key_is_not_let_in(ssh: OpenSsh, operator: Operator, keys: Any) -> None:
    async def work(world: SystemWorld) -> None:
        source = repository(world, keys.setting("ed25519"), ssh.url(operator.bare), ssh.host_key("rsa"))
        assert isinstance(await source.fetch(None), Head)
        ssh.authorize(keys.lines[1])
        try:
            failed = await source.fetch(None)
        finally:
            ssh.authorize(*keys.lines)
        assert isinstance(failed, GitFailed)
        assert failed.needs_operator
        assert "does not let our SSH key SHA256:" in failed.reason

    with_world(work)


def test_a_rewritten_branch_and_an_emptied_repository(ssh: OpenSsh, operator: Operator, keys: Any) -> None:
    async def work(world: SystemWorld) -> None:
        source = repository(world, keys.setting("rsa"), ssh.url(operator.bare), ssh.host_key("ed25519"))
        first = await head_of(source)
        operator.push({"dora": b"{}"}, "Rewritten\n\nUsers-Removed: yes", force=True)
        second = await head_of(source, first.commit)
        assert "dora" in second.files
        messages = await source.messages_since(first.commit)
        assert isinstance(messages, dict)
        assert list(messages) == [second.commit]
        assert has_trailer(messages)
        git("update-ref", "-d", "refs/heads/master", folder=operator.bare)
        empty = await head_of(source, second.commit)
        assert (empty.commit, empty.files) == ("", {})
        pushed = await source.push(adding("new"), OURS, "Begin anew")
        assert isinstance(pushed, Pushed)
        assert git("rev-parse", "refs/heads/main", folder=operator.bare).strip() == pushed.commit

    with_world(work)


def test_branches(ssh: OpenSsh, tmp_path: Path, keys: Any) -> None:
    operator = Operator(tmp_path, "other", branch="main")
    operator.push({"main": b"1"})
    git("push", "-q", "origin", "HEAD:next/one", folder=operator.copy)
    operator.push({"later": b"2"})

    async def work(world: SystemWorld) -> None:
        for fragment, names in (
            ("", ["later", "main"]),
            ("#main", ["later", "main"]),
            ("#next/one", ["main"]),
        ):
            url = ssh.url(operator.bare) + fragment
            source = repository(world, keys.setting("ed25519"), url, ssh.host_key("ed25519"))
            assert sorted((await head_of(source)).files) == names
        url = ssh.url(operator.bare) + "#nothing"
        failed = await repository(world, keys.setting("ed25519"), url, ssh.host_key("ed25519")).fetch(None)
        assert failed == GitFailed("the repository has no branch nothing", needs_operator=True)

    with_world(work)


def test_two_writers_at_once(ssh: OpenSsh, operator: Operator, keys: Any) -> None:
    async def work(world: SystemWorld) -> None:
        writers = [
            repository(world, keys.setting("ed25519"), ssh.url(operator.bare), ssh.host_key("ed25519"))
            for _ in range(2)
        ]
        names = [f"writer-{number}" for number in range(2)]
        pushes = (
            writer.push(adding(name), OURS, f"Add {name}")
            for writer, name in zip(writers, names, strict=True)
        )
        pushed = await asyncio.gather(*pushes)
        assert all(isinstance(each, Pushed) for each in pushed), pushed
        assert set((await head_of(writers[0])).files) == {"alice", "bruno", *names}
        refused = await writers[0].push(lambda _files: Malformed("no"), OURS, "Never")
        assert refused == Malformed("no")
        assert await writers[0].push(lambda _files: {}, OURS, "Nothing") == Pushed(
            "", (await head_of(writers[0])).files
        )

    with_world(work)
    assert git("rev-list", "--count", "master", folder=operator.bare).strip() == "3"


def test_many_files_that_git_stores_as_deltas(ssh: OpenSsh, operator: Operator, keys: Any) -> None:
    files = {f"user{number}": b'{"targets": ["%d@home.com"]}' % number * 30 for number in range(300)}
    operator.push(dict(files))
    git("repack", "-adfq", "--depth=50", folder=operator.bare)

    async def work(world: SystemWorld) -> None:
        source = repository(world, keys.setting("rsa"), ssh.url(operator.bare), ssh.host_key("rsa"))
        head = await head_of(source)
        assert {name: head.files[name] for name in files} == files

    with_world(work)


def test_what_is_too_large_is_refused_and_not_swallowed(ssh: OpenSsh, operator: Operator, keys: Any) -> None:
    operator.push({"video": os.urandom(17 * 1024 * 1024)})

    async def work(world: SystemWorld) -> None:
        source = repository(world, keys.setting("rsa"), ssh.url(operator.bare), ssh.host_key("rsa"))
        failed = await source.fetch(None)
        assert isinstance(failed, GitFailed)
        assert failed.needs_operator
        assert "too large" in failed.reason
        operator.push({"video": None, "zeros": bytes(40 * 1024 * 1024)})  # small in a pack
        failed = await source.fetch(None)
        assert isinstance(failed, GitFailed)
        assert "too large" in failed.reason

    with_world(work)


def test_a_server_that_says_nothing_holds_nobody_up(operator: Operator, keys: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:

        async def work(world: SystemWorld) -> None:
            url = f"ssh://git@127.0.0.1:{silent.getsockname()[1]}/relay.git"
            source = repository(world, keys.setting("ed25519"), url, "SHA256:" + "A" * 43)
            fetching = asyncio.create_task(source.fetch(None))
            beats = 0
            while beats < 50:
                await asyncio.sleep(0.01)
                beats += 1
            assert not fetching.done()
            source.close()
            assert isinstance(await fetching, GitFailed)

        with_world(work)


class GitOnTheWeb(BaseHTTPRequestHandler):
    """git-http-backend(1) below a folder."""

    def __init__(self, root: Path, *arguments: Any) -> None:
        self._root = root
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self._root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "ops",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
            },
            capture_output=True,
            check=False,
        )
        header, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in header.decode().split("\r\n")]
        status = next((value for name, value in fields if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in fields:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(params=["HTTP/1.1", "HTTP/1.0"])
def web(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Authority]:
    """Serve ``tmp_path`` by https; one version keeps connections, the other closes them."""
    authority = Authority()
    certificate = authority.issue("localhost")
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.write(tmp_path / "web.pem"))
    handler = type("Handler", (GitOnTheWeb,), {"protocol_version": request.param})
    server = ThreadingHTTPServer(("127.0.0.1", HTTPS_PORT), partial(handler, tmp_path))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield authority
    server.shutdown()
    server.server_close()


class Names:
    """Knows where localhost is."""

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        records = (A(IPv4Address("127.0.0.1")),) if record_type == RecordType.A else ()
        return Answer(Rcode.NOERROR, records)

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        return [await self.query(each.name, each.record_type) for each in questions]


def test_a_web_server(web: Authority, operator: Operator) -> None:
    git("config", "http.receivepack", "true", folder=operator.bare)

    async def work(world: SystemWorld) -> None:
        def source_with(anchors: str) -> GitRepository:
            read = read_repository(
                RepositorySettings(
                    f"https://localhost:{HTTPS_PORT}/{operator.bare.name}", trust_anchors_pem=anchors
                )
            )
            assert isinstance(read, Repository)
            return GitRepository(world, read, lookup=Names())

        source = source_with(web.anchor_pem)
        head = await head_of(source)
        assert sorted(head.files) == ["alice", "bruno"]
        assert isinstance(await source.push(adding("web"), OURS, "By the web"), Pushed)
        assert "web" in (await head_of(source, head.commit)).files
        failed = await source_with(Authority("Somebody else").anchor_pem).fetch(None)
        assert isinstance(failed, GitFailed)
        assert "certificate" in failed.reason

    with_world(work)


def test_git_daemon(operator: Operator) -> None:
    daemon = GitDaemon(operator.folder, "127.0.0.1")
    daemon.start()

    async def work(world: SystemWorld) -> None:
        source = repository(world, "", f"git://127.0.0.1/{operator.bare.name}")
        assert sorted((await head_of(source)).files) == ["alice", "bruno"]
        nothing = await repository(world, "", "git://127.0.0.1/nothing.git").fetch(None)
        assert isinstance(nothing, GitFailed)

    try:
        with_world(work)
    finally:
        daemon.stop()
