"""Numbers of system calls that are tried from inside (unistd.h of each machine)."""

import platform

TABLES = {
    "x86_64": """
execve 59 execveat 322 fork 57 vfork 58 unshare 272 setns 308 ptrace 101 process_vm_readv 310
process_vm_writev 311 kcmp 312 pidfd_open 434 pidfd_getfd 438 pidfd_send_signal 424 mount 165
move_mount 429 fsopen 430 open_tree 428 pivot_root 155 chroot 161 chdir 80 keyctl 250 add_key 248
bpf 321 io_uring_setup 425 io_uring_enter 426 userfaultfd 323 perf_event_open 298 open 2 openat2 437
name_to_handle_at 303 kill 62 open_by_handle_at 304 inotify_init1 294 fanotify_init 300 personality 135
init_module 175 kexec_load 246 reboot 169 settimeofday 164 ioperm 173 shmget 29 msgget 68 semget 64
mq_open 240 setuid 105 capset 126 seccomp 317 landlock_create_ruleset 444 memfd_secret 447 quotactl 179
sched_setaffinity 203 setpriority 141 rt_sigqueueinfo 129 tkill 200 syslog 103 prlimit64 302 clone 56
clone3 435 tgkill 234 prctl 157 listen 50 socketpair 53 dup2 33
""",
    "aarch64": """
execve 221 execveat 281 unshare 97 setns 268 ptrace 117 process_vm_readv 270 process_vm_writev 271
kcmp 272 pidfd_open 434 pidfd_getfd 438 pidfd_send_signal 424 mount 40 move_mount 429 fsopen 430
open_tree 428 pivot_root 41 chroot 51 chdir 49 keyctl 219 add_key 217 bpf 280 io_uring_setup 425
io_uring_enter 426 userfaultfd 282 perf_event_open 241 openat2 437 name_to_handle_at 264 kill 129
open_by_handle_at 265 inotify_init1 26 fanotify_init 262 personality 92 init_module 105 kexec_load 104
reboot 142 settimeofday 170 shmget 194 msgget 186 semget 190 mq_open 180 setuid 146 capset 91
seccomp 277 landlock_create_ruleset 444 memfd_secret 447 quotactl 60 sched_setaffinity 122
setpriority 140 rt_sigqueueinfo 138 tkill 130 syslog 116 prlimit64 261 clone 220 clone3 435 tgkill 131
prctl 167 listen 201 socketpair 199
""",
}
WORDS = TABLES[platform.machine()].split()
NUMBERS = dict(zip(WORDS[::2], map(int, WORDS[1::2]), strict=True))
