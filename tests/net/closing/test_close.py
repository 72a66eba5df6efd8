"""Closing, in real processes: on this kernel, on one without Landlock, with two threads, with lazy code."""

import socket
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from ptt.boot import BootRecord, FrameCutter, KeepState, Ready, Rights, decode_unit_frame, encode
from ptt.errors import Malformed
from ptt.net.closing.level import reachable
from ptt.net.closing.machines import this_machine
from ptt.net.run import EXIT_BUG
from ptt.records.journal import JournalLine, decode_line

RECORD = BootRecord("echo", 4, "mail.example", "digest", {}, {}, Rights(connect_ports=(25,), internet=True))
PROGRAM = """
import asyncio, os, signal, struct, sys, threading, traceback
from ptt.boot import KeepState, Ready
from ptt.net.closing import landlock, seccomp, giving_up
from ptt.net.closing.machines import this_machine
from ptt.net.run import main
from ptt.net.tls import link_server_context, make_link_identity, verifying_client_context

def tell(unit, what):
    unit.control.send(KeepState("said", repr(what).encode()))

{before}

async def serve(unit):
{serve}

sys.exit(main(serve))
"""
WITHOUT_LANDLOCK = """
machine = this_machine()
giving_up.prctl(giving_up.PR_SET_NO_NEW_PRIVS, 1)
refused = seccomp.without_rings(machine)
refused[4] = (seccomp.EQUAL, 0, 1, landlock.CREATE_RULESET)
seccomp.install(refused, machine)
"""


def run(serve: str, before: str = "") -> tuple[int, list[Any], list[JournalLine]]:
    """Run a unit to its end: exit code, what it said, its journal."""
    ours, theirs = socket.socketpair()
    program = PROGRAM.format(before=before, serve=textwrap.indent(textwrap.dedent(serve).strip(), "    "))
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=encode(RECORD),
        stdout=theirs.fileno(),
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    theirs.close()
    heard = b""
    with ours:
        while data := ours.recv(65536):
            heard += data
    bodies = FrameCutter().feed(heard)
    assert not isinstance(bodies, Malformed)
    lines = [line for line in map(decode_line, done.stderr.splitlines()) if isinstance(line, JournalLine)]
    return done.returncode, [decode_unit_frame(body) for body in bodies], lines


def test_a_unit_says_how_far_it_is_closed() -> None:
    code, said, journal = run("unit.control.send(Ready(b'', unit.closed))")
    assert (code, journal) == (0, [])
    (ready,) = said
    assert isinstance(ready, Ready)
    assert ready.closed == reachable(own_user=False, memory_locked=ready.closed.memory_locked)


@pytest.mark.skipif(this_machine() is None, reason="no filter is written for this machine")
def test_a_kernel_without_landlock_is_reported_and_the_filter_stands() -> None:
    serve = """
        try:
            os.open("/tmp/ptt-closing", os.O_WRONLY | os.O_CREAT)
        except PermissionError:
            tell(unit, unit.closed.landlock_abi)
    """
    code, said, _ = run(serve, WITHOUT_LANDLOCK)
    assert (code, said) == (0, [KeepState("said", b"0")])


def test_certificates_that_come_later_reach_openssl() -> None:
    """Now and for each change of peers: OpenSSL opens a memory file, from whichever thread."""
    serve = """
        for _ in range(2):
            identity = make_link_identity("echo", 1, unit.world.wall_time())
            link_server_context(identity, [identity.certificate])
            await unit.world.run_in_worker(link_server_context, identity, [])
        tell(unit, bool(verifying_client_context(None).get_ca_certs()))
    """
    before = "import ssl\nhas_authorities = bool(ssl.create_default_context().get_ca_certs())"
    serve += "    tell(unit, has_authorities)\n"
    code, said, journal = run(textwrap.dedent(serve).replace("\n    tell", "\ntell"), before)
    assert (code, journal) == (0, [])
    known, expected = said
    assert known == expected


def test_two_threads_are_one_too_many() -> None:
    before = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    code, said, journal = run("tell(unit, 1)", before)
    assert (code, said) == (EXIT_BUG, [])
    assert "2 threads run at closing" in (journal[0].detail or "")


def test_what_is_imported_or_opened_afterwards_stands_in_the_journal() -> None:
    serve = """
        for attempt in (lambda: __import__("antigravity"), lambda: open("/etc/hostname")):
            try:
                attempt()
            except (ImportError, OSError):
                pass
        try:
            await unit.world.run_in_worker(open, "/etc/passwd")
        except OSError:
            pass
        await asyncio.sleep(0)
    """
    code, _, journal = run(serve)
    details = [line.detail for line in journal]
    assert code == 0
    assert "after closing: import antigravity" in details
    assert "after closing: open /etc/hostname" in details
    assert "after closing: open /etc/passwd" in details


def test_a_traceback_names_file_line_and_function_and_opens_nothing() -> None:
    serve = """
        def divide():
            return 1 / 0
        divide()
    """
    code, _, (line,) = run(serve)
    assert code == EXIT_BUG
    assert line.event == "bug"
    assert 'File "<string>"' in (line.detail or "")
    assert "in divide" in (line.detail or "")
    assert (line.detail or "").endswith("ZeroDivisionError: division by zero")
