"""The numbers of the system calls that the seccomp filter names, for each kind of processor.

Sources: arch/x86/entry/syscalls/syscall_64.tbl; for aarch64 include/uapi/asm-generic/unistd.h. The architectures are
the AUDIT_ARCH_* of include/uapi/linux/audit.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SystemCalls:
    """The system calls of one kind of processor by name, with their numbers."""

    architecture: int
    """The AUDIT_ARCH_* constant of calls with these numbers."""
    allowed: Mapping[str, int]
    """Allowed with any arguments. Landlock and the open descriptors limit what they reach."""
    fatal: Mapping[str, int]
    """They kill the process (SIGSYS)."""
    checked: Mapping[str, int]
    """Allowed with some arguments."""
    first_foreign: int | None = None
    """The first number of a further ABI (x32) with the same architecture; None: there is none."""


X86_64 = SystemCalls(
    0xC000003E,
    allowed={
        "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mprotect": 10,
        "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17,
        "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23, "sched_yield": 24,
        "mremap": 25, "msync": 26, "mincore": 27, "madvise": 28, "dup": 32, "dup2": 33, "nanosleep": 35, "getpid": 39,
        "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "getsockname": 51,
        "getpeername": 52, "setsockopt": 54, "getsockopt": 55, "exit": 60, "uname": 63, "fcntl": 72, "flock": 73,
        "fsync": 74, "fdatasync": 75, "ftruncate": 77, "getdents": 78, "getcwd": 79, "readlink": 89,
        "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102,
        "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "sigaltstack": 131, "statfs": 137,
        "fstatfs": 138, "gettid": 186, "futex": 202, "sched_getaffinity": 204, "getdents64": 217,
        "set_tid_address": 218, "restart_syscall": 219, "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229,
        "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "openat": 257, "mkdirat": 258,
        "newfstatat": 262, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "readlinkat": 267,
        "faccessat": 269, "pselect6": 270, "ppoll": 271, "set_robust_list": 273, "get_robust_list": 274,
        "sync_file_range": 277, "utimensat": 280, "epoll_pwait": 281, "fallocate": 285, "eventfd2": 290,
        "epoll_create1": 291, "dup3": 292, "pipe2": 293, "preadv": 295, "pwritev": 296, "renameat2": 316,
        "getrandom": 318, "membarrier": 324, "copy_file_range": 326, "preadv2": 327, "pwritev2": 328, "statx": 332,
        "rseq": 334, "close_range": 436, "openat2": 437, "faccessat2": 439, "epoll_pwait2": 441,
    },
    fatal={
        "socket": 41, "connect": 42, "bind": 49, "listen": 50, "socketpair": 53, "fork": 57, "vfork": 58, "execve": 59,
        "ptrace": 101, "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166, "swapon": 167, "reboot": 169,
        "init_module": 175, "delete_module": 176, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
        "unshare": 272, "perf_event_open": 298, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
        "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "seccomp": 317,
        "kexec_file_load": 320, "bpf": 321, "execveat": 322, "userfaultfd": 323, "io_uring_setup": 425,
        "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
        "fsmount": 432, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
        "memfd_secret": 447,
    },
    checked={
        "mmap": 9, "ioctl": 16, "accept": 43, "clone": 56, "kill": 62, "prctl": 157, "tgkill": 234, "accept4": 288,
        "prlimit64": 302, "clone3": 435,
    },
    first_foreign=0x40000000,
)  # fmt: skip
AARCH64 = SystemCalls(
    0xC00000B7,
    allowed={
        "getcwd": 17, "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "dup": 23, "dup3": 24,
        "fcntl": 25, "flock": 32, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38,
        "statfs": 43, "fstatfs": 44, "ftruncate": 46, "fallocate": 47, "faccessat": 48, "openat": 56, "close": 57,
        "pipe2": 59, "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67,
        "pwrite64": 68, "preadv": 69, "pwritev": 70, "pselect6": 72, "ppoll": 73, "readlinkat": 78, "newfstatat": 79,
        "fstat": 80, "fsync": 82, "fdatasync": 83, "sync_file_range": 84, "utimensat": 88, "exit": 93,
        "exit_group": 94, "set_tid_address": 96, "futex": 98, "set_robust_list": 99, "get_robust_list": 100,
        "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_getaffinity": 123,
        "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135,
        "rt_sigreturn": 139, "times": 153, "uname": 160, "getrlimit": 163, "getrusage": 165, "gettimeofday": 169,
        "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178,
        "sysinfo": 179, "getsockname": 204, "getpeername": 205, "sendto": 206, "recvfrom": 207, "setsockopt": 208,
        "getsockopt": 209, "shutdown": 210, "sendmsg": 211, "recvmsg": 212, "brk": 214, "munmap": 215, "mremap": 216,
        "fadvise64": 223, "mprotect": 226, "msync": 227, "mincore": 232, "madvise": 233, "renameat2": 276,
        "getrandom": 278, "membarrier": 283, "copy_file_range": 285, "preadv2": 286, "pwritev2": 287, "statx": 291,
        "rseq": 293, "close_range": 436, "openat2": 437, "faccessat2": 439, "epoll_pwait2": 441,
    },
    fatal={
        "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "unshare": 97, "kexec_load": 104,
        "init_module": 105, "delete_module": 106, "ptrace": 117, "reboot": 142, "socket": 198, "socketpair": 199,
        "bind": 200, "listen": 201, "connect": 203, "add_key": 217, "request_key": 218, "keyctl": 219, "execve": 221,
        "swapon": 224, "perf_event_open": 241, "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268,
        "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "seccomp": 277,
        "bpf": 280, "execveat": 281, "userfaultfd": 282, "kexec_file_load": 294, "io_uring_setup": 425,
        "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
        "fsmount": 432, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
        "memfd_secret": 447,
    },
    checked={
        "ioctl": 29, "kill": 129, "tgkill": 131, "prctl": 167, "accept": 202, "clone": 220, "mmap": 222,
        "accept4": 242, "prlimit64": 261, "clone3": 435,
    },
)  # fmt: skip
"""It has no older forms of calls, such as stat, pipe, select and fork: the C library uses the newer ones."""
MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}
"""By what `platform.machine()` answers."""
