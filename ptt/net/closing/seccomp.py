"""The filter of system calls (seccomp(2)), written as the kernel's classic BPF from ``rules``.

The program loads a word of the call's description, compares, jumps forward; it ends with what is to happen.
Calls of another machine's convention end the process: numbers would mean something else there. Linux keeps
for itself which calls are allowed whatever their arguments, so those cost nothing (since 5.11).
"""

import ctypes
import errno
import struct
from collections.abc import Mapping

from ptt.net.closing.kernel import syscall
from ptt.net.closing.machines import Machine
from ptt.net.closing.rules import Alternatives, Check

SET_MODE_FILTER = 1
ALLOW, KILL_PROCESS, FAIL_WITH = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16  # struct seccomp_data; arguments have 8 octets each
WORD = 0xFFFFFFFF
IO_URING_SETUP = 425  # the same number on every machine
ANSWERED = {
    "listen": 0,  # success, and nothing done: see ``rules``
    "clone3": errno.ENOSYS,  # its flags lie behind a pointer; the C library then takes clone
}

Instruction = tuple[int, int, int, int]
"""Code, offset when true, offset when false, operand (struct sock_filter)."""


def program(rules: Mapping[str, Alternatives], machine: Machine) -> list[Instruction]:
    """The filter that allows what the rules say; names that the machine does not have are left out."""
    written: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, machine.audit_architecture),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    if machine.first_foreign_call is not None:
        written += [(AT_LEAST, 0, 1, machine.first_foreign_call), (RETURN, 0, 0, KILL_PROCESS)]
    blocks = [(name, [(RETURN, 0, 0, FAIL_WITH | code)]) for name, code in ANSWERED.items()]
    blocks += [(name, _block(alternatives)) for name, alternatives in rules.items()]
    for name, block in blocks:
        if (number := machine.numbers.get(name)) is not None:
            written += [(EQUAL, 0, len(block), number), *block]
    return [*written, (RETURN, 0, 0, FAIL_WITH | errno.EPERM)]


def without_rings(machine: Machine) -> list[Instruction]:
    """A filter for before the loop is made: libuv finds no io_uring and takes epoll.

    A ring would make calls past every filter, so a closed unit has none; and one that is made, libuv cannot
    do without later.
    """
    return [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, machine.audit_architecture),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT),
        (EQUAL, 0, 1, IO_URING_SETUP),
        (RETURN, 0, 0, FAIL_WITH | errno.ENOSYS),
        (RETURN, 0, 0, ALLOW),
    ]


def _block(alternatives: Alternatives) -> list[Instruction]:
    """What is done about one call; it always returns."""
    block: list[Instruction] = []
    for checks in alternatives:
        block += _if_all(checks)
    if () not in alternatives:
        block.append((RETURN, 0, 0, FAIL_WITH | errno.EPERM))
    return block


def _if_all(checks: tuple[Check, ...]) -> list[Instruction]:
    """Allow if every check holds; else go on behind."""
    written: list[Instruction] = [(RETURN, 0, 0, ALLOW)]
    for offset, mask, value in reversed([word for check in checks for word in _words(check)]):
        compared: list[Instruction] = [(LOAD, 0, 0, offset)]
        if mask != WORD:
            compared.append((AND, 0, 0, mask))
        written = [*compared, (EQUAL, 0, len(written), value), *written]
    return written


def _words(check: Check) -> list[tuple[int, int, int]]:
    """The 32-bit words to compare: where, which bits, with what. Both machines have the low word first."""
    low = ARGUMENTS_AT + 8 * check.argument
    words = [(low, check.mask, check.value & WORD)]
    return [*words, (low + 4, WORD, check.value >> 32)] if check.whole else words


def install(written: list[Instruction], machine: Machine) -> None:
    """Put the filter on this thread and all that it starts, for good. Needs ``no_new_privs``.

    Raises ``OSError`` where the kernel refuses.
    """
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in written)
    held = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HxxxxxxQ", len(written), ctypes.addressof(held))  # struct sock_fprog, 64 bits
    described = ctypes.create_string_buffer(header, len(header))
    syscall(machine.seccomp_number, SET_MODE_FILTER, 0, ctypes.addressof(described))
