"""Our load tool and our sink beside Postfix's own, on plain SMTP: they must not be what is measured.

All four pairs send 10 kB messages over ten connections that stay.
"""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec

from bench.load import Order, Result

HOST = "127.0.0.1"
OUR_SINK, OUR_REPORT, THEIR_SINK = 7001, 7002, 7003
SESSIONS = 10
SIZE = 10_000
THEIR_MESSAGES = 4000  # smtp-source counts messages, not seconds


def compare(seconds: float) -> dict[tuple[str, str], float]:
    """Messages a second by (source, sink)."""
    with _our_sink(), _their_sink():
        return {
            ("bench.load", "bench.sink"): _our_load(OUR_SINK, seconds),
            ("bench.load", "smtp-sink"): _our_load(THEIR_SINK, seconds),
            ("smtp-source", "bench.sink"): _their_load(OUR_SINK),
            ("smtp-source", "smtp-sink"): _their_load(THEIR_SINK),
        }


@contextlib.contextmanager
def _our_sink() -> Iterator[None]:
    command = [sys.executable, "-m", "bench.sink", HOST, str(OUR_SINK), str(OUR_REPORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sink:
        assert sink.stdout is not None
        sink.stdout.readline()
        yield
        sink.kill()


@contextlib.contextmanager
def _their_sink() -> Iterator[None]:
    command = ["/usr/sbin/smtp-sink", "-u", "nobody", f"{HOST}:{THEIR_SINK}", "1024"]
    with subprocess.Popen(command) as sink:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, THEIR_SINK)):
                break
            if time.monotonic() > deadline:
                raise SystemExit("smtp-sink does not start")
            time.sleep(0.02)
        yield
        sink.kill()


def _our_load(port: int, seconds: float) -> float:
    order = Order(
        host=HOST, port=port, sessions=SESSIONS, messages_per_connection=1_000_000, size=SIZE, seconds=seconds
    )
    command = [sys.executable, "-m", "bench.load", msgspec.json.encode(order).decode()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result = msgspec.json.decode(done.stdout, type=Result)
    if result.failures:
        raise SystemExit(result.failures[0])
    return result.sent / (result.ended_at - result.started_at)


def _their_load(port: int) -> float:
    began = time.monotonic()
    arguments = ["-d", "-s", str(SESSIONS), "-m", str(THEIR_MESSAGES), "-l", str(SIZE)]
    addresses = ["-f", "alice@mirage.org", "-t", "bob@dest.example"]
    subprocess.run(["/usr/sbin/smtp-source", *arguments, *addresses, f"{HOST}:{port}"], check=True)
    return THEIR_MESSAGES / (time.monotonic() - began)
