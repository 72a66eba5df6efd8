"""The process of a unit, started as a host starts it: really, by exec."""

import resource
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from ptt.boot import BootRecord, Drain, FrameCutter, Ready, decode_unit_frame, encode
from ptt.errors import Malformed
from ptt.net.run import EXIT_BAD_BOOT_RECORD, EXIT_BUG, boot_record_of
from ptt.records.journal import JournalLine, decode_line

RECORD = BootRecord("echo", 4, "mail.example", "digest", {"limit": 1}, {"tls_key": "s3cret"})


@dataclass
class Started:
    process: subprocess.Popen[bytes]
    control: socket.socket

    def hear(self) -> list[Any]:
        """Everything the unit says until it hangs up."""
        cutter, frames = FrameCutter(), []
        while data := self.control.recv(65536):
            bodies = cutter.feed(data)
            assert not isinstance(bodies, Malformed)
            frames += [decode_unit_frame(body) for body in bodies]
        return frames

    def journal(self) -> list[JournalLine]:
        assert self.process.stderr is not None
        lines = self.process.stderr.read().splitlines()
        return [line for line in map(decode_line, lines) if isinstance(line, JournalLine)]


@contextmanager
def started(serve: str, boot: bytes) -> Iterator[Started]:
    """Run ``main`` with the body of ``async def serve(unit)``."""
    body = textwrap.indent(textwrap.dedent(serve).strip(), "    ")
    program = (
        "import asyncio, ctypes, os, resource, sys\n"
        "from ptt.boot import Drained, KeepState\nfrom ptt.errors import ConfigError\n"
        "from ptt.net.lifecycle import Life, Orders\nfrom ptt.net.run import main\n"
        "from ptt.net.tls import link_server_context\n"
        f"async def serve(unit):\n{body}\nsys.exit(main(serve))"
    )
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
        ) as process,
    ):
        theirs.close()
        assert process.stdin is not None
        process.stdin.write(boot)
        process.stdin.close()
        try:
            yield Started(process, ours)
        finally:
            process.kill()


def test_lives_and_ends() -> None:
    serve = """
        print("a stray word")
        unit.control.send(KeepState("boot", repr(unit.boot).encode()))
        await Life(unit, {}, Orders(on_peers=print)).run()
    """
    with started(serve, encode(RECORD)) as unit:
        unit.control.sendall(encode(Drain(1.0)))
        state, ready, drained = unit.hear()
        assert state.value == repr(RECORD).encode()
        assert isinstance(ready, Ready)
        assert b"echo.4.ptt" in ready.certificate
        assert type(drained).__name__ == "Drained"
        assert unit.process.wait(5) == 0
        assert unit.process.stderr is not None
        assert unit.process.stderr.read() == b"a stray word\n"


def test_gives_up_what_it_does_not_need() -> None:
    serve = """
        open_ones = []
        for number in range(4):
            os.fstat(number)
            open_ones.append(number)
        facts = [
            ctypes.CDLL(None).prctl(39, 0, 0, 0, 0),
            sys.getswitchinterval(),
            resource.getrlimit(4),
            os.read(0, 1),
            os.fstat(1).st_ino == os.fstat(2).st_ino,
            open_ones,
            ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
        ]
        # The certificate goes into OpenSSL by a descriptor, also in a process that cannot be dumped.
        link_server_context(unit.identity, [unit.identity.certificate])
        unit.control.send(KeepState("facts", repr(facts).encode()))
    """
    assert resource.RLIMIT_CORE == 4
    with started(serve, encode(RECORD)) as unit:
        (facts,) = unit.hear()
        assert facts.value.decode() == repr([1, 0.0005, (0, 0), b"", True, [0, 1, 2, 3], 0])


@pytest.mark.parametrize(
    ("boot", "reason"),
    [
        (b"", "not exactly one frame in 0 octets"),
        (encode(RECORD) * 2, "not exactly one frame"),
        (encode(RECORD)[:-1], "not exactly one frame"),
        (b"\x7f" * 5, "a frame of 2139062143 octets"),
        (encode(Drain(1.0)), "unknown field `type`"),
        (b"\0\0\0\1\x80", "missing required field `unit`"),
        (encode(RECORD).replace(b"limit", b"limi\xff"), "codec can't decode"),
    ],
)
def test_a_bad_boot_record_is_named(boot: bytes, reason: str) -> None:
    refused = boot_record_of(boot)
    assert isinstance(refused, Malformed)
    assert reason in refused.reason


def test_wrong_fields_are_named() -> None:
    fields = msgspec.to_builtins(RECORD)
    for change, reason in (
        ({"generation": "four"}, "`$.generation`"),
        ({"secrets": {"tls_key": 5}}, "`$.secrets[...]`"),
        ({"color": "red"}, "`color`"),
    ):
        body = msgspec.msgpack.encode({**fields, **change})
        refused = boot_record_of(len(body).to_bytes(4, "big") + body)
        assert isinstance(refused, Malformed)
        assert reason in refused.reason


def test_a_bad_boot_record_ends_with_64_and_says_why() -> None:
    with started("pass", b"\0\0\0\1\x80") as unit:
        assert unit.process.wait(10) == EXIT_BAD_BOOT_RECORD
        assert "missing required field `unit`" in (unit.journal()[0].detail or "")


def test_settings_that_the_unit_refuses_end_with_64() -> None:
    serve = """
        raise ConfigError("settings.limit", "must be more than 2", "Write a greater one.")
    """
    with started(serve, encode(RECORD)) as unit:
        assert unit.process.wait(10) == EXIT_BAD_BOOT_RECORD
        (line,) = unit.journal()
        assert line.unit == "echo"
        assert "settings.limit: must be more than 2" in (line.detail or "")


def test_a_bug_ends_with_70_and_its_traceback() -> None:
    with started("1 / 0", encode(RECORD)) as unit:
        assert unit.process.wait(10) == EXIT_BUG
        assert (unit.journal()[0].detail or "").endswith("ZeroDivisionError: division by zero")


def test_what_nobody_awaited_stands_in_the_journal_and_life_goes_on() -> None:
    serve = """
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        asyncio.get_running_loop().call_exception_handler({"message": "something odd"})
        await asyncio.sleep(0.01)
        unit.control.send(Drained())
    """
    with started(serve, encode(RECORD)) as unit:
        assert len(unit.hear()) == 1
        assert unit.process.wait(5) == 0
        odd, bug = unit.journal()
        assert (odd.detail or "").endswith("something odd")
        assert (bug.detail or "").endswith("ZeroDivisionError: division by zero")


def test_a_broken_control_stream_stands_in_the_journal() -> None:
    with started("assert await unit.control.receive() is None", encode(RECORD)) as unit:
        unit.control.sendall(b"\xff\xff\xff\xff")
        assert unit.process.wait(10) == 0
        (line,) = unit.journal()
        assert (line.event, line.detail) == ("control", "a frame of 4294967295 octets")


def test_without_a_control_stream_there_is_no_unit() -> None:
    program = "import sys; from ptt.net.run import main; sys.exit(main(None))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == EXIT_BUG
    assert b"OSError" in done.stderr
