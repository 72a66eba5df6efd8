"""Sets up sink and contenders, runs them in turns, and writes what came out.

``python -m bench.measure [--quick] [--rounds N] [--no-docs]`` inside the namespaces of ``bench/run.py``.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from bench import ours, report, scenarios, tools
from bench.load import Order, Result
from bench.processes import PeakMemory, cpu_s, pss_mb
from bench.scenarios import Scenario
from bench.sink import REPORT_HOST, Tally
from bench.theirs import CONCURRENCY, PostfixWithOpendkim
from ptt.records.passwords import make_argon2id
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.namespace import add_addresses

DOMAIN = "mirage.org"
OURS_RSA, OURS_SHIPPED, THEIRS = "192.0.2.10", "192.0.2.11", "192.0.2.20"
SINK = "203.0.113.25"
REPORT_PORT = 7999
LOGIN, PASSWORD = "alice", "correct horse battery staple"
ZONE = f"dest.example MX 10 mx.dest.example\nmx.dest.example A {SINK}\n"
DELIVERY_TIMEOUT_S = 60.0
DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Contender:
    """Who takes part. ``roots``: the processes whose trees are paid for."""

    name: str
    address: str
    roots: Callable[[], Sequence[int]]
    signatures: int
    knows_plain: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: per second until the last was delivered, CPU time a message, answers to the dot."""

    rate: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


def order_for(contender: Contender, scenario: Scenario, seconds: float) -> Order:
    """How to send to a contender."""
    is_plain = scenario.plain_theirs and contender.knows_plain
    return Order(
        host=contender.address,
        port=25 if is_plain else 465,
        tls=not is_plain,
        login="" if is_plain else LOGIN,
        password=PASSWORD,
        sender=f"{LOGIN}@{DOMAIN}",
        sessions=scenario.sessions,
        messages_per_connection=scenario.messages_per_connection,
        size=scenario.size,
        seconds=DELIVERY_TIMEOUT_S if scenario.limit else seconds * scenario.longer,
        limit=scenario.limit,
    )


def send(order: Order) -> Result:
    """Run the load tool."""
    command = [sys.executable, "-m", "bench.load", msgspec.json.encode(order).decode()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout, type=Result)


def tally() -> Tally:
    """What the sink has."""
    with (
        socket.create_connection((REPORT_HOST, REPORT_PORT)) as connection,
        connection.makefile("rb") as file,
    ):
        return msgspec.json.decode(file.read(), type=Tally)


def measure(contender: Contender, scenario: Scenario, seconds: float) -> Measured:
    """One run of a contender, until the sink has everything."""
    before, cpu_before = tally(), cpu_s(contender.roots())
    result = send(order_for(contender, scenario, seconds))
    if result.failures:
        raise SystemExit(f"{contender.name}, {scenario.name}: {len(result.failures)}, {result.failures[0]}")
    if not scenario.messages_per_connection:
        spent = cpu_s(contender.roots()) - cpu_before
        duration = result.ended_at - result.started_at
        return Measured(result.connections / duration, spent / result.connections * 1000, 0.0, 0.0)
    deadline = time.monotonic() + DELIVERY_TIMEOUT_S
    while (now := tally()).messages - before.messages < result.sent:
        if time.monotonic() > deadline:
            raise SystemExit(f"{contender.name}: {result.sent} sent, {now.messages - before.messages} came")
        time.sleep(0.02)
    if now.signatures - before.signatures != contender.signatures * result.sent:
        raise SystemExit(
            f"{contender.name}: {now.signatures - before.signatures} signatures on {result.sent}"
        )
    time.sleep(0.1)  # what is done after the delivery is paid for too
    spent = cpu_s(contender.roots()) - cpu_before
    answers = sorted(result.answers_ms)
    return Measured(
        result.sent / (now.last_at - result.started_at),
        spent / result.sent * 1000,
        answers[len(answers) // 2],
        answers[len(answers) * 99 // 100],
    )


@contextlib.contextmanager
def running_sink(folder: Path) -> Iterator[int]:
    """The sink, with a certificate; gives its process id."""
    certificate = Authority().issue("mx.dest.example").write(folder / "sink.pem")
    command = [sys.executable, "-m", "bench.sink", SINK, "25", str(REPORT_PORT), str(certificate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sink:
        assert sink.stdout is not None
        sink.stdout.readline()
        yield sink.pid
        sink.kill()


@contextlib.contextmanager
def running_ours(address: str, selectors: tuple[str, ...]) -> Iterator[ours.Started]:
    """Our units; gives what was started."""
    wanted = ours.Wanted(address, ZONE, LOGIN, PASSWORD, selectors, CONCURRENCY)
    command = [sys.executable, "-m", "bench.ours", msgspec.json.encode(wanted).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        yield msgspec.json.decode(host.stdout.readline(), type=ours.Started)


@contextlib.contextmanager
def running_theirs(folder: Path) -> Iterator[PostfixWithOpendkim]:
    """Postfix with OpenDKIM."""
    certificate = Authority().issue(f"theirs.{DOMAIN}").write(folder / "theirs.pem")
    verifier = make_argon2id(PASSWORD, os.urandom(16)).text
    theirs = PostfixWithOpendkim(folder / "theirs", THEIRS, DOMAIN, SINK, LOGIN, verifier, certificate)
    try:
        theirs.start()
        yield theirs
    finally:
        theirs.stop()


def peaks(contender: Contender, groups: dict[str, list[int]], of: Sequence[Scenario]) -> report.Peaks:
    """The most memory (PSS, MB) that each group had under each scenario, in runs of their own."""
    found = {}
    for scenario in of:
        with PeakMemory(groups) as peak:
            measure(contender, scenario, 1.0)
        found[scenario.name] = dict(peak.mb)
    return found


def _line(turn: str, scenario: Scenario, contender: Contender, measured: Measured) -> str:
    return (
        f"{turn}  {scenario.name:40.40}  {contender.name:24} {measured.rate:8.1f}/s"
        f"  {measured.cpu_ms:8.2f} ms CPU  p50 {measured.p50_ms:7.1f}  p99 {measured.p99_ms:7.1f}"
    )


def main(arguments: Sequence[str]) -> int:
    """Measure everything and write it down."""
    parser = argparse.ArgumentParser(prog="bench/run.py")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, docs left alone")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", default="", help="scenarios whose name holds this text")
    parser.add_argument("--no-docs", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    rounds = options.rounds or (1 if options.quick else 3)
    seconds = 1.0 if options.quick else 1.5
    chosen = [
        each
        for each in scenarios.ALL
        if options.only in each.name and (each.is_quick or options.only or not options.quick)
    ]
    add_addresses([OURS_RSA, OURS_SHIPPED, THEIRS, SINK])
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ptt-bench-")))
        folder.chmod(0o755)
        checks = tools.compare(1.0)
        stack.enter_context(running_sink(folder))
        rsa = stack.enter_context(running_ours(OURS_RSA, ("rsa1",)))
        both = stack.enter_context(running_ours(OURS_SHIPPED, ("rsa1", "ed1")))
        theirs = stack.enter_context(running_theirs(folder))
        contenders = [
            Contender(report.OURS, OURS_RSA, lambda: [rsa.host], 1),
            Contender(report.SHIPPED, OURS_SHIPPED, lambda: [both.host], 2),
            Contender(report.THEIRS, THEIRS, lambda: theirs.roots, 1, knows_plain=True),
        ]
        idle = {unit: pss_mb(pid) for unit, pid in both.units.items()}
        # Before anything else: an allocator keeps what it has once had.
        memory = peaks(contenders[1], {unit: [pid] for unit, pid in both.units.items()}, scenarios.LARGE)
        results: report.Results = {}
        for contender in contenders:  # a first run of each is not counted: processes start, caches fill
            measure(contender, scenarios.TEN_KB[1], 0.5)
        for number in range(rounds):
            for scenario in chosen:
                for contender in contenders:
                    measured = measure(contender, scenario, seconds)
                    results.setdefault(scenario.name, {}).setdefault(contender.name, []).append(measured)
                    print(_line(f"{number + 1}/{rounds}", scenario, contender, measured), flush=True)
        starts = {unit: median(times) for unit, times in both.start_s.items()}
    text = report.write(results, report.Around(checks, idle, memory, starts, rounds, scenarios.ALL))
    print(text)
    if not (options.quick or options.no_docs or options.only):
        report.insert(DOCS, text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
