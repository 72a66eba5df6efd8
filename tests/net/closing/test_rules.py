"""The filter of system calls, run by an interpreter of the kernel's BPF: on both machines, for every call."""

import errno
import struct
from typing import Any

import pytest

from ptt.boot import Rights
from ptt.net.closing.machines import MACHINES, Machine
from ptt.net.closing.rules import rules
from ptt.net.closing.seccomp import (
    ALLOW,
    AND,
    AT_LEAST,
    EQUAL,
    FAIL_WITH,
    KILL_PROCESS,
    LOAD,
    RETURN,
    Instruction,
    program,
    without_rings,
)

ME = 4711
REFUSED = FAIL_WITH | errno.EPERM
ALL_RIGHTS = Rights(connect_ports=(25, 853), internet=True, udp=True)
STREAM, DATAGRAM, RAW = 1, 2, 3
NONBLOCK_CLOEXEC = 0o2004000


def run(written: list[Instruction], data: bytes) -> int:
    """What the kernel would do with a call (struct seccomp_data)."""
    at, held = 0, 0
    while True:
        code, if_true, if_false, operand = written[at]
        at += 1
        match code:
            case 0x20:
                (held,) = struct.unpack_from("<I", data, operand)
            case 0x54:
                held &= operand
            case 0x15:
                at += if_true if held == operand else if_false
            case 0x35:
                at += if_true if held >= operand else if_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(code)


class Filter:
    """A filter and the machine that it is for."""

    def __init__(self, machine: Machine, rights: Rights) -> None:
        self.machine = machine
        self.written = program(rules(rights, ME), machine)

    def __call__(self, name: str | int, *arguments: int, architecture: int | None = None) -> int:
        number = self.machine.numbers[name] if isinstance(name, str) else name
        head = struct.pack("<IIQ", number, architecture or self.machine.audit_architecture, 0)
        return run(self.written, head + struct.pack("<6Q", *arguments, *[0] * (6 - len(arguments))))

    def may(self, name: str, *arguments: int) -> bool:
        return self(name, *arguments) == ALLOW


@pytest.fixture(params=sorted(MACHINES))
def machine(request: Any) -> Machine:
    found: Machine = MACHINES[request.param]
    return found


def test_the_interpreter_knows_every_instruction() -> None:
    assert (LOAD, AND, EQUAL, AT_LEAST, RETURN) == (0x20, 0x54, 0x15, 0x35, 0x06)


def test_what_is_in_no_rule_is_refused(machine: Machine) -> None:
    filtered = Filter(machine, ALL_RIGHTS)
    known = set(machine.numbers.values())
    assert {filtered(number) for number in range(600) if number not in known} == {REFUSED}
    assert {name for name in machine.numbers if name in rules(ALL_RIGHTS, ME)} | {"listen", "clone3"} == set(
        machine.numbers
    )


def test_calls_of_another_convention_end_the_process(machine: Machine) -> None:
    filtered = Filter(machine, ALL_RIGHTS)
    assert filtered("read", architecture=0x40000003) == KILL_PROCESS  # 32-bit x86
    if machine.first_foreign_call is not None:
        assert filtered(machine.first_foreign_call + 1) == KILL_PROCESS


def test_the_program_fits_into_the_kernel_s_limit_and_every_way_through_it_ends(machine: Machine) -> None:
    written = Filter(machine, ALL_RIGHTS).written
    assert len(written) < 4096
    for at, (_, if_true, if_false, _) in enumerate(written):
        assert at + 1 + max(if_true, if_false) < len(written) + (written[at][0] == RETURN)
        assert max(if_true, if_false) < 256


def test_sockets(machine: Machine) -> None:
    nothing, callers = Filter(machine, Rights()), Filter(machine, Rights(connect_ports=(2424,)))
    everything = Filter(machine, ALL_RIGHTS)
    for family in (2, 10):
        assert [f.may("socket", family, STREAM, 0) for f in (nothing, callers, everything)] == [
            False,
            True,
            True,
        ]
        assert [f.may("socket", family, DATAGRAM, 17) for f in (nothing, callers, everything)] == [
            *(False, False, True)
        ]
        assert everything.may("socket", family, STREAM | NONBLOCK_CLOEXEC, 6)
        assert not everything.may("socket", family, STREAM, 262)
        assert not everything.may("socket", family, DATAGRAM, 136)
        assert not everything.may("socket", family, RAW, 1)
    for family in (*(0, 1), *range(3, 10), *range(11, 50)):
        assert not any(everything.may("socket", family, kind, 0) for kind in (STREAM, DATAGRAM, RAW, 5))
    assert [f.may("connect") for f in (nothing, callers, everything)] == [False, True, True]
    assert [f.may("bind") for f in (nothing, callers, everything)] == [False, False, True]
    assert everything("listen") == FAIL_WITH  # success, and nothing done
    assert not everything.may("sendto", 5, 0, 1, 0x20000000)
    assert not everything.may("sendmsg", 5, 0, 0x20004000)
    assert everything.may("sendto", 5, 0, 1, 0x4000)
    assert everything.may("setsockopt", 5, 6, 1)
    assert not everything.may("setsockopt", 5, 6, 31)  # TCP_ULP
    assert not everything.may("setsockopt", 5, 1, 26)  # SO_ATTACH_FILTER


def test_memory_threads_and_limits(machine: Machine) -> None:
    filtered = Filter(machine, ALL_RIGHTS)
    assert filtered.may("mmap", 0, 4096, 3)
    assert not filtered.may("mmap", 0, 4096, 5)
    assert not filtered.may("mprotect", 0, 4096, 4)
    assert filtered.may("clone", 0x3D0F00)  # a thread, as the C library starts one
    assert not filtered.may("clone", 17)
    assert not filtered.may("clone", 0x3D0F00 | 0x10000000)
    assert filtered("clone3") == FAIL_WITH | errno.ENOSYS
    assert filtered.may("tgkill", ME, 1, 6)
    assert not filtered.may("tgkill", 1, 1, 6)
    assert filtered.may("prlimit64", ME, 7, 0, 0x7FFF00000000)
    assert not filtered.may("prlimit64", ME, 7, 0x7FFF00000000)
    assert not filtered.may("prlimit64", 1, 7, 0)
    assert not filtered.may("prctl", 4, 1)


def test_files(machine: Machine) -> None:
    filtered = Filter(machine, ALL_RIGHTS)
    assert filtered.may("openat", 0xFFFFFF9C, 0, 0o2000000)
    for flags in (1, 2, 0o100, 0o1000, 0o10000000, 0o20200000):  # write, both, create, cut, path, anonymous
        assert not filtered.may("openat", 0xFFFFFF9C, 0, flags)
    assert not filtered.may("newfstatat", 0xFFFFFF9C, 0, 0, 0)


def test_the_first_filter_takes_the_rings_alone(machine: Machine) -> None:
    written = without_rings(machine)
    head = struct.Struct("<IIQ")
    for number in range(600):
        refused = FAIL_WITH | errno.ENOSYS if number == 425 else ALLOW
        assert run(written, head.pack(number, machine.audit_architecture, 0) + bytes(48)) == refused
    assert run(written, head.pack(0, 1, 0) + bytes(48)) == KILL_PROCESS
