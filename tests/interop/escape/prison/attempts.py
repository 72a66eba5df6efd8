"""Ways out of a closed unit, each a function that raises ``OSError`` where it is refused.

They are tried from inside, by a process that closed itself like the unit whose place it takes.
"""

# ruff: noqa: S108, S606 - reaching for folders and programs is the purpose

import ctypes
import errno
import importlib
import mmap
import os
import resource
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from prison.numbers import NUMBERS  # type: ignore[import-not-found]
from ptt.net.tls import link_server_context, make_link_identity

LIBRARY = ctypes.CDLL(None, use_errno=True)
BUFFER = ctypes.create_string_buffer(4096)
LIMITS = ctypes.create_string_buffer(struct.pack("=QQ", 1, 1), 16)
PTRACE_SEIZE = 0x4206
MSG_FASTOPEN = 0x20000000
IPPROTO_SCTP, IPPROTO_MPTCP, IPPROTO_UDPLITE = 132, 262, 136
AF_UNSPEC_ADDRESS = struct.pack("=H14x", socket.AF_UNSPEC)
CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID = 0x10000000, 0x40000000, 0x20000, 0x20000000
# Tried for real below, or harmless.
NOT_TRIED_WITH_NOTHING = {
    "clone",
    "clone3",
    "tgkill",
    "prctl",
    "listen",
    "socketpair",
    "fork",
    "vfork",
    "prlimit64",
}

Attempt = Callable[[], Any]


def call(name: str, *arguments: int) -> int:
    """Make a system call; ``OSError`` when it fails."""
    result: int = LIBRARY.syscall(*map(ctypes.c_long, (NUMBERS[name], *arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result


def attempts(told: dict[str, Any], listeners: list[socket.socket]) -> Iterator[tuple[str, Attempt]]:
    """All of them, by name. ``told``: who is where; ``listeners``: what the host gave this unit.

    Listeners come last and in a round of their own: what dissolves them they share with the host.
    """
    if told["last_round"]:
        yield from _by_listeners(told, listeners)
        return
    yield from _files(told)
    yield from _programs(told)
    yield from _others(told)
    yield from _kernel()
    yield from _sockets(told)
    yield from _what_stays()
    yield from _connects(told)
    yield from _datagrams(told)


def _files(told: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    for path in ("/etc/passwd", "/proc/self/environ", "/proc/self/mem", "/dev/null", __file__):
        shown = "own source" if path == __file__ else path
        yield f"file: read {shown}", partial(_read, path)
    for path in ("/tmp/ptt-escape", "/dev/shm/ptt-escape", "/dev/null"):
        yield f"file: write {path}", partial(os.open, path, os.O_WRONLY | os.O_CREAT, 0o600)
    yield "file: anonymous, in /tmp", lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
    yield "file: path only", lambda: os.open("/etc", os.O_PATH)
    yield "file: list /", lambda: os.listdir("/")  # noqa: PTH208
    yield "file: look at /etc/passwd", lambda: os.stat("/etc/passwd")  # noqa: PTH116
    yield "file: remove", lambda: os.unlink(told["file"])  # noqa: PTH108
    yield "file: rename", lambda: os.rename(told["file"], told["file"] + "2")  # noqa: PTH104
    yield "file: link", lambda: os.symlink("/etc", "/tmp/ptt-escape")  # noqa: PTH211
    yield "file: folder", lambda: os.mkdir("/tmp/ptt-escape")  # noqa: PTH102
    yield "file: change the folder", lambda: os.chdir("/tmp")
    yield "file: where a link leads", lambda: os.readlink("/proc/self/exe")  # noqa: PTH115
    for path in told["secret_files"]:
        yield f"secret: {path}", partial(_read, path)


def _programs(told: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    yield "program: exec", lambda: os.execv("/bin/true", ["true"])
    yield "program: spawn", lambda: os.posix_spawn("/bin/true", ["true"], {})
    yield "program: memory file", _exec_memory
    yield "program: fork", _fork
    yield "program: fork by clone", lambda: _child(call("clone", signal.SIGCHLD, 0, 0, 0, 0))
    yield "program: fork by clone3", lambda: _child(call("clone3", ctypes.addressof(BUFFER), 64))
    for name, flag in (
        *(("user", CLONE_NEWUSER), ("network", CLONE_NEWNET)),
        *(("mount", CLONE_NEWNS), ("process", CLONE_NEWPID)),
    ):
        flags = flag | signal.SIGCHLD
        yield f"namespace: {name}", partial(call, "unshare", flag)
        yield f"namespace: {name}, a child", partial(_clone, flags)
    yield "library: load", lambda: ctypes.CDLL(told["library"])
    yield "library: module", lambda: importlib.import_module("antigravity")
    yield "library: executable memory", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
    yield "library: executable afterwards", _make_executable


def _read(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY))


def _clone(flags: int) -> None:
    _child(call("clone", flags, 0, 0, 0, 0))


def _fork() -> None:
    _child(os.fork())


def _child(pid: int) -> None:
    """A child must not go on with what its parent does."""
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _exec_memory() -> None:
    descriptor = os.memfd_create("escape")
    with open("/proc/self/fd/%d" % descriptor, "wb", buffering=0) as file:  # noqa: PTH123, UP031
        file.write(b"#!/bin/true\n")
    os.execve(descriptor, ["escape"], {})


def _make_executable() -> None:
    area = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    if LIBRARY.mprotect(ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")


def _others(told: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    """Other units, the host, and ourselves as somebody else would see us."""
    here = ctypes.addressof(BUFFER)
    for name, pid in told["processes"].items():
        for part in ("mem", "environ", "maps", "fd/0", "status"):
            path = f"/proc/{pid}/{part}"
            yield f"other: {part} of {name}", partial(_read, path)
        yield f"other: trace {name}", partial(call, "ptrace", PTRACE_SEIZE, pid, 0, 0)
        yield f"other: read {name}", partial(call, "process_vm_readv", pid, here, 1, here, 1, 0)
        yield f"other: write {name}", partial(call, "process_vm_writev", pid, here, 1, here, 1, 0)
        yield f"other: compare with {name}", partial(call, "kcmp", os.getpid(), pid, 0, 0, 0)
        yield f"other: hold {name}", partial(call, "pidfd_open", pid, 0)
        yield f"other: signal {name}", partial(os.kill, pid, 0)
        yield f"other: signal a thread of {name}", partial(call, "tgkill", pid, pid, 0)
        yield (
            f"other: limits of {name}",
            partial(call, "prlimit64", pid, resource.RLIMIT_CPU, ctypes.addressof(LIMITS), 0),
        )
    limits = ctypes.addressof(LIMITS)
    yield "self: a core file", lambda: call("prlimit64", 0, resource.RLIMIT_CORE, limits, 0)
    yield "self: seen by others", lambda: call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
    yield "self: more descriptors", lambda: call("prlimit64", os.getpid(), resource.RLIMIT_NOFILE, limits, 0)


def _kernel() -> Iterator[tuple[str, Attempt]]:
    """Calls that no unit needs, with nothing but zeros: refused before the kernel looks at them."""
    for name in NUMBERS.keys() - NOT_TRIED_WITH_NOTHING:
        yield f"kernel: {name}", partial(call, name, 0, 0, 0, 0, 0)


def _sockets(told: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    kinds = {
        "unix stream": (socket.AF_UNIX, socket.SOCK_STREAM, 0),
        "unix datagrams": (socket.AF_UNIX, socket.SOCK_DGRAM, 0),
        "netlink": (socket.AF_NETLINK, socket.SOCK_RAW, 0),
        "packets": (socket.AF_PACKET, socket.SOCK_RAW, 0),
        "raw": (socket.AF_INET, socket.SOCK_RAW, 1),
        "ping": (socket.AF_INET, socket.SOCK_DGRAM, 1),
        "virtual machines": (socket.AF_VSOCK, socket.SOCK_STREAM, 0),
        "kernel's ciphers": (socket.AF_ALG, socket.SOCK_SEQPACKET, 0),
        "bluetooth": (31, socket.SOCK_RAW, 0),
        "mptcp": (socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP),
        "sctp": (socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP),
        "udplite": (socket.AF_INET, socket.SOCK_DGRAM, IPPROTO_UDPLITE),
    }
    for name, kind in kinds.items():
        yield f"socket: {name}", partial(_open_socket, *kind)
    yield "socket: pair of datagrams", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for name, where in told["host_sockets"].items():
        address = where.encode().replace(b"@", b"\0", 1)
        yield f"socket: the host's, {name}", partial(_through_a_pair, address)


def _open_socket(family: int, kind: int, protocol: int) -> None:
    socket.socket(family, kind, protocol).close()


def _through_a_pair(address: bytes) -> None:
    """Two streams joined to each other are allowed: one of them must not lead elsewhere."""
    one, other = socket.socketpair()
    other.close()
    one.connect(address)


def _what_stays() -> Iterator[tuple[str, Attempt]]:
    """What a closed unit goes on doing."""
    yield "stays: a new certificate", _new_certificate
    yield "stays: a thread", _thread
    yield "stays: randomness", lambda: os.urandom(16)
    yield "stays: a memory file", lambda: os.close(os.memfd_create("escape"))


def _new_certificate() -> None:
    from datetime import UTC, datetime  # noqa: PLC0415 - loaded long ago

    identity = make_link_identity("escape", 1, datetime.now(UTC))
    link_server_context(identity, [identity.certificate])


def _thread() -> None:
    done: list[bytes] = []
    thread = threading.Thread(target=lambda: done.append(os.urandom(1)))
    thread.start()
    thread.join()
    if not done:
        raise OSError(errno.EAGAIN, "no thread")


def _connects(told: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    for name, (host, port) in told["tcp"].items():
        yield f"tcp: {name}", partial(_connect, host, port)
        yield f"fast open: {name}", partial(_fast_open, host, port)
    yield "tcp: bind 2525", lambda: _bind(2525)
    yield "tcp: bind any", lambda: _bind(0)
    yield "tcp: listen", _listen


def _tcp(host: str = "127.0.0.1") -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)


def _connect(host: str, port: int) -> None:
    with _tcp(host) as connection:
        connection.settimeout(5)
        connection.connect((host, port))


def _fast_open(host: str, port: int) -> None:
    with _tcp(host) as connection:
        connection.sendto(b"escape", MSG_FASTOPEN, (host, port))


def _bind(port: int) -> None:
    with _tcp() as bound:
        bound.bind(("127.0.0.1", port))


def _listen() -> None:
    """Say that we listen; the answer is success, but nobody listens."""
    with _tcp() as listening:
        listening.listen()
        if listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0:
            raise OSError(errno.EPERM, "nothing listens")


def _datagrams(told: dict[str, Any]) -> Iterator[tuple[str, Attempt]]:
    for name, (host, port) in told["udp"].items():
        yield f"udp: {name}", partial(_send, host, port)


def _send(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.sendto(b"escape", (host, port))


def _by_listeners(told: dict[str, Any], listeners: list[socket.socket]) -> Iterator[tuple[str, Attempt]]:
    """Leave through what the host has bound: connections from a published port."""
    far = told["tcp"]["internet port 4444"]
    for listening in listeners:
        if listening.type == socket.SOCK_DGRAM and listening.family == socket.AF_INET:
            near = told["udp"]["internet port 4444"]
            yield (
                "by a listener: datagrams",
                partial(listening.sendto, b"escape", tuple(near)),
            )
        elif listening.type == socket.SOCK_STREAM and listening.family == socket.AF_INET:
            yield "by a listener: connect", partial(_turn_round, listening, far)


def _turn_round(listening: socket.socket, to: list[Any]) -> None:
    """A listener that is dissolved can connect, from the port that it was bound to."""
    descriptor = ctypes.c_int(listening.fileno())
    LIBRARY.connect(descriptor, AF_UNSPEC_ADDRESS, len(AF_UNSPEC_ADDRESS))
    address = struct.pack("!HH4s8x", 0, to[1], socket.inet_aton(to[0]))
    address = struct.pack("=H", socket.AF_INET) + address[2:]
    if LIBRARY.connect(descriptor, address, len(address)) != 0:
        code = ctypes.get_errno()
        if code != errno.EINPROGRESS:
            raise OSError(code, os.strerror(code))
