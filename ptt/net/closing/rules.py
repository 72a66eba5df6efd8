"""Which system calls a closed unit may make, and with which arguments.

A list of what is allowed: whatever the kernel learns in future is refused. Refused means EPERM, not the end
of the process: a library that tries something dispensable goes on without it, and who owns a unit gains
nothing by being told. Arguments are looked at where a call can do more than a unit needs; what lies behind a
pointer cannot be, that is Landlock's part.

Kept: what is open; sockets of TCP, of UDP where declared; threads, but no processes; memory that is never
executable; memory files, for certificates, opened to be read only. ``listen`` does nothing and reports
success: listeners come listening from the host, and nobody makes another.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ptt.boot import Rights

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SOCK_STREAM, SOCK_DGRAM = 1, 2
SOCKET_KIND = 0xF  # of a socket's type, the rest are flags
ANY_PROTOCOL, TCP, UDP = 0, 6, 17
MSG_FASTOPEN = 0x20000000  # connects without connect(2), past Landlock
PROT_EXEC = 4
CLONE_THREAD = 0x10000
CLONE_NEW = 0x7E020080  # every flag that makes a namespace
NOT_READ_ONLY = 0xFFFFFFFF & ~0o2000000 & ~0x8000 & ~0x20000  # all but O_CLOEXEC and either O_LARGEFILE
AT_EMPTY_PATH = 0x1000

FCNTL_DUPFD, FCNTL_DUPFD_CLOEXEC, FCNTL_ADD_SEALS = 0, 1030, 1033
FCNTLS = (FCNTL_DUPFD, 1, 2, 3, 4, FCNTL_DUPFD_CLOEXEC, FCNTL_ADD_SEALS)  # flags of descriptors between
IOCTLS = (0x5421, 0x5450, 0x5451, 0x541B)  # FIONBIO, FIONCLEX, FIOCLEX, FIONREAD
PRCTLS = (15, 16, 3, 39)  # a thread's name; whether we can be dumped, whether we may gain rights
SOCKET_OPTIONS = {  # by level
    1: (2, 7, 8, 9, 13, 15),  # SOL_SOCKET: REUSEADDR SNDBUF RCVBUF KEEPALIVE LINGER REUSEPORT
    TCP: (1, 3, 4, 5, 6, 12, 18),  # NODELAY CORK KEEPIDLE KEEPINTVL KEEPCNT QUICKACK USER_TIMEOUT
    0: (10, 11, 24),  # IP: MTU_DISCOVER RECVERR BIND_ADDRESS_NO_PORT
    41: (23, 25, 26),  # IPv6: MTU_DISCOVER RECVERR V6ONLY
}

_WITHOUT_CONDITION = """
read write readv writev pread64 lseek close fstat pipe2 eventfd2 memfd_create getcwd
epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6
timerfd_create timerfd_settime timerfd_gettime
accept accept4 getsockname getpeername getsockopt recvfrom recvmsg recvmmsg shutdown
munmap mremap madvise brk mincore
futex futex_waitv set_robust_list get_robust_list rseq sched_yield sched_getaffinity membarrier getcpu
exit exit_group restart_syscall set_tid_address
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack rt_sigpending rt_sigtimedwait
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times
getpid gettid getppid getuid geteuid getgid getegid getgroups uname sysinfo getrusage getrlimit getrandom
"""


@dataclass(frozen=True, slots=True)
class Check:
    """An argument, by number, holds ``value`` in the bits of ``mask``; ``whole``: all its 64 bits do."""

    argument: int
    value: int
    mask: int = 0xFFFFFFFF
    whole: bool = False


Alternatives = tuple[tuple[Check, ...], ...]
"""Any of these, each of which asks for all its checks; none at all: refused. One without checks: allowed."""
ALLOWED: Alternatives = ((),)


def rules(rights: Rights, process_id: int) -> Mapping[str, Alternatives]:
    """Every call that is allowed, by name, under what conditions."""
    no_fast_open = Check(3, 0, MSG_FASTOPEN)
    return {
        "sendto": ((no_fast_open,),),
        "sendmsg": ((Check(2, 0, MSG_FASTOPEN),),),
        "sendmmsg": ((no_fast_open,),),
        "mmap": ((Check(2, 0, PROT_EXEC),),),
        "mprotect": ((Check(2, 0, PROT_EXEC),),),
        "fcntl": _any_of(1, FCNTLS),
        "ioctl": _any_of(1, IOCTLS),
        "setsockopt": tuple(
            (Check(1, level), Check(2, option))
            for level, options in SOCKET_OPTIONS.items()
            for option in options
        ),
        "socket": _sockets(rights),
        # A loop that runs anew wakes itself up by one; two streams joined to each other lead nowhere else.
        "socketpair": ((Check(0, AF_UNIX), Check(1, SOCK_STREAM, SOCKET_KIND)),),
        "connect": ALLOWED if rights.connect_ports or rights.udp else (),
        "bind": ALLOWED if rights.internet else (),
        "openat": ((Check(2, 0, NOT_READ_ONLY),),),
        "newfstatat": ((Check(3, AT_EMPTY_PATH),),),
        "clone": ((Check(0, CLONE_THREAD, CLONE_THREAD | CLONE_NEW),),),
        "tgkill": ((Check(0, process_id),),),
        "prlimit64": (
            (Check(0, 0), Check(2, 0, whole=True)),
            (Check(0, process_id), Check(2, 0, whole=True)),
        ),
        "prctl": _any_of(0, PRCTLS),
        **dict.fromkeys(_WITHOUT_CONDITION.split(), ALLOWED),
    }


def _any_of(argument: int, values: tuple[int, ...]) -> Alternatives:
    return tuple((Check(argument, value),) for value in values)


def _sockets(rights: Rights) -> Alternatives:
    """TCP for who calls somebody, UDP for who declares it; no protocol whose connects Landlock misses."""
    kinds = [(SOCK_STREAM, TCP)] if rights.connect_ports else []
    if rights.udp:
        kinds.append((SOCK_DGRAM, UDP))
    return tuple(
        (Check(0, family), Check(1, kind, SOCKET_KIND), Check(2, protocol))
        for kind, its_own in kinds
        for family in (AF_INET, AF_INET6)
        for protocol in (ANY_PROTOCOL, its_own)
    )
