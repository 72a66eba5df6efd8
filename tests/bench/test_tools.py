"""The tools of the benchmark tell the truth: what is sent arrives, is counted once, and answered once."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench import report
from bench.load import Order, Result, template
from bench.measure import Measured
from bench.processes import cpu_s, descendants, pss_mb
from bench.scenarios import TEN_KB
from bench.sink import REPORT_HOST, SinkProtocol, Tally

HOST = "127.0.0.1"


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


TALK = (
    b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
    b"DKIM-Signature: v=1\r\n\r\n..\r\n.x\r\n\r\n.\r\n"
    b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\nQUIT\r\n"
)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7, 64, len(TALK)])
def test_the_sink_sees_the_same_however_it_is_cut(step: int) -> None:
    tally, wire = Tally(), Wire()
    sink = SinkProtocol(tally, None)
    sink.connection_made(wire)
    for start in range(0, len(TALK), step):
        sink.data_received(TALK[start : start + step])
    assert (tally.messages, tally.connections) == (2, 1)
    assert wire.written.count(b"354 ") == 2
    assert wire.written.count(b"250 2.0.0 taken\r\n") == 2
    assert wire.written.endswith(b"221 2.0.0 bye\r\n")
    assert wire.closed


@pytest.mark.parametrize("size", [1000, 10_000, 1_000_000])
def test_a_message_has_the_size_that_was_ordered(size: int) -> None:
    message = template(Order(host=HOST, port=25, size=size))
    assert message.endswith(b"\r\n.\r\n")
    assert size - 10 <= len(message) - len(b".\r\n") <= size
    assert b"\r\n." not in message[:-5]
    assert max(map(len, message.split(b"\r\n"))) < 998


@contextlib.contextmanager
def running_sink() -> Iterator[tuple[int, int]]:
    with socket.create_server((HOST, 0)) as one, socket.create_server((REPORT_HOST, 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    command = [sys.executable, "-m", "bench.sink", HOST, *map(str, ports)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sink:
        assert sink.stdout is not None
        assert sink.stdout.readline() == b"ready\n"
        yield ports
        sink.kill()


def test_what_the_load_tool_sends_is_what_the_sink_counts() -> None:
    with running_sink() as (port, report_port):
        order = Order(host=HOST, port=port, sessions=3, messages_per_connection=4, seconds=0.2, limit=0)
        command = [sys.executable, "-m", "bench.load", msgspec.json.encode(order).decode()]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        result = msgspec.json.decode(done.stdout, type=Result)
        with socket.create_connection((REPORT_HOST, report_port)) as connection:
            tally = msgspec.json.decode(connection.makefile("rb").read(), type=Tally)
    assert result.failures == []
    assert result.sent == tally.messages == len(result.answers_ms) == 4 * result.connections
    assert tally.signatures == 0
    assert tally.octets >= result.sent * 9_900
    assert result.started_at < tally.last_at <= result.ended_at


def test_the_cost_of_a_tree_has_that_of_a_child_that_has_ended() -> None:
    burn = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); input()"
    command = [sys.executable, "-c", f"{parent}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        for _ in range(200):
            if cpu_s([process.pid]) >= 0.1 and descendants([process.pid]) == {process.pid}:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        assert cpu_s([process.pid]) >= 0.1
        assert pss_mb(process.pid) > 1
        process.stdin.write(b"\n")
    assert pss_mb(process.pid) == 0


def test_ratios_are_those_of_the_same_round(tmp_path: Path) -> None:
    def runs(*rates: float) -> list[report.Figures]:
        return [Measured(rate, 1.0, 1.0, 2.0) for rate in rates]

    results: report.Results = {
        TEN_KB[0].name: {report.OURS: runs(30, 300, 60), report.THEIRS: runs(10, 100, 20)}
    }
    around = report.Around({("a", "b"): 5.0}, {"relay": 1.0}, {}, {"relay": 0.5}, 3, TEN_KB)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.insert(page, report.write(results, around))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| 60 | 1.00 | 1.0 | 2.0 | 3.00 (met: ≥ 2) | 1.00 (missed: ≤ 0.4) |" in text
