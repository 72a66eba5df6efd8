"""System call numbers of the machines that a filter can be written for (unistd.h of each)."""

import platform
from dataclasses import dataclass

_X86_64 = """
read 0 write 1 readv 19 writev 20 pread64 17 lseek 8 close 3 fstat 5 newfstatat 262 openat 257 fcntl 72
ioctl 16 pipe2 293 eventfd2 290 memfd_create 319 getcwd 79
epoll_create1 291 epoll_ctl 233 epoll_wait 232 epoll_pwait 281 epoll_pwait2 441 poll 7 ppoll 271 select 23
pselect6 270 timerfd_create 283 timerfd_settime 286 timerfd_gettime 287
socket 41 connect 42 bind 49 listen 50 accept 43 accept4 288 getsockname 51 getpeername 52 setsockopt 54
getsockopt 55 sendto 44 recvfrom 45 sendmsg 46 recvmsg 47 sendmmsg 307 recvmmsg 299 shutdown 48 socketpair 53
mmap 9 munmap 11 mremap 25 mprotect 10 madvise 28 brk 12 mincore 27
futex 202 futex_waitv 449 set_robust_list 273 get_robust_list 274 rseq 334 sched_yield 24
sched_getaffinity 204 membarrier 324 getcpu 309 clone 56 clone3 435 exit 60 exit_group 231
restart_syscall 219 set_tid_address 218 prctl 157
rt_sigaction 13 rt_sigprocmask 14 rt_sigreturn 15 sigaltstack 131 rt_sigpending 127 rt_sigtimedwait 128
tgkill 234
clock_gettime 228 clock_getres 229 clock_nanosleep 230 nanosleep 35 gettimeofday 96 time 201 times 100
getpid 39 gettid 186 getppid 110 getuid 102 geteuid 107 getgid 104 getegid 108 getgroups 115
uname 63 sysinfo 99 getrusage 98 prlimit64 302 getrlimit 97 getrandom 318
"""
_AARCH64 = """
read 63 write 64 readv 65 writev 66 pread64 67 lseek 62 close 57 fstat 80 newfstatat 79 openat 56 fcntl 25
ioctl 29 pipe2 59 eventfd2 19 memfd_create 279 getcwd 17
epoll_create1 20 epoll_ctl 21 epoll_pwait 22 epoll_pwait2 441 ppoll 73
pselect6 72 timerfd_create 85 timerfd_settime 86 timerfd_gettime 87
socket 198 connect 203 bind 200 listen 201 accept 202 accept4 242 getsockname 204 getpeername 205
setsockopt 208 getsockopt 209 sendto 206 recvfrom 207 sendmsg 211 recvmsg 212 sendmmsg 269 recvmmsg 243
shutdown 210 socketpair 199
mmap 222 munmap 215 mremap 216 mprotect 226 madvise 233 brk 214 mincore 232
futex 98 futex_waitv 449 set_robust_list 99 get_robust_list 100 rseq 293 sched_yield 124
sched_getaffinity 123 membarrier 283 getcpu 168 clone 220 clone3 435 exit 93 exit_group 94
restart_syscall 128 set_tid_address 96 prctl 167
rt_sigaction 134 rt_sigprocmask 135 rt_sigreturn 139 sigaltstack 132 rt_sigpending 136 rt_sigtimedwait 137
tgkill 131
clock_gettime 113 clock_getres 114 clock_nanosleep 115 nanosleep 101 gettimeofday 169 times 153
getpid 172 gettid 178 getppid 173 getuid 174 geteuid 175 getgid 176 getegid 177 getgroups 158
uname 160 sysinfo 179 getrusage 165 prlimit64 261 getrandom 278
"""


def _numbers(text: str) -> dict[str, int]:
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of processor: what the kernel calls it, its call numbers by name, and seccomp(2) itself.

    ``first_foreign_call``: numbers from here on are of another calling convention (x32), None: there is none.
    """

    audit_architecture: int
    numbers: dict[str, int]
    seccomp_number: int
    first_foreign_call: int | None = None


MACHINES = {
    "x86_64": Machine(0xC000003E, _numbers(_X86_64), 317, first_foreign_call=0x40000000),
    "aarch64": Machine(0xC00000B7, _numbers(_AARCH64), 277),
}


def this_machine() -> Machine | None:
    """What this process runs on; None: no filter can be written for it."""
    return MACHINES.get(platform.machine())
