"""The system calls that a confined process may make, as a seccomp filter (Linux, x86-64).

Calls that a guest's host needs are allowed: file access through open descriptors, memory, threads, clocks, waiting.
Calls that we never make and that reach out of the process (programs, sockets, other processes, namespaces, kernel
settings) kill it at once, so that the exit status reveals the attempt. Every other call fails with EPERM.

Sources: https://docs.kernel.org/userspace-api/seccomp_filter.html; the numbers are those of
arch/x86/entry/syscalls/syscall_64.tbl.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence
from functools import cache

ALLOWED = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23,
    "sched_yield": 24, "mremap": 25, "msync": 26, "mincore": 27, "madvise": 28, "dup": 32, "dup2": 33,
    "nanosleep": 35, "getpid": 39, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48,
    "getsockname": 51, "getpeername": 52, "setsockopt": 54, "getsockopt": 55, "exit": 60, "uname": 63, "fcntl": 72,
    "flock": 73, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "getdents": 78, "getcwd": 79, "readlink": 89,
    "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104,
    "geteuid": 107, "getegid": 108, "getppid": 110, "sigaltstack": 131, "statfs": 137, "fstatfs": 138, "gettid": 186,
    "futex": 202, "sched_getaffinity": 204, "getdents64": 217, "set_tid_address": 218, "restart_syscall": 219,
    "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
    "epoll_wait": 232, "epoll_ctl": 233, "openat": 257, "mkdirat": 258, "newfstatat": 262, "unlinkat": 263,
    "renameat": 264, "linkat": 265, "symlinkat": 266, "readlinkat": 267, "faccessat": 269, "pselect6": 270,
    "ppoll": 271, "set_robust_list": 273, "get_robust_list": 274, "sync_file_range": 277, "utimensat": 280,
    "epoll_pwait": 281, "fallocate": 285, "eventfd2": 290, "epoll_create1": 291, "dup3": 292, "pipe2": 293,
    "preadv": 295, "pwritev": 296, "renameat2": 316, "getrandom": 318, "membarrier": 324, "copy_file_range": 326,
    "preadv2": 327, "pwritev2": 328, "statx": 332, "rseq": 334, "close_range": 436, "openat2": 437,
    "faccessat2": 439, "epoll_pwait2": 441,
}  # fmt: skip
"""Calls allowed with any arguments. Landlock and the open descriptors limit what they reach."""
FATAL = {
    "socket": 41, "connect": 42, "bind": 49, "listen": 50, "socketpair": 53, "fork": 57, "vfork": 58, "execve": 59,
    "ptrace": 101, "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166, "swapon": 167, "reboot": 169,
    "init_module": 175, "delete_module": 176, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "unshare": 272, "perf_event_open": 298, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "seccomp": 317,
    "kexec_file_load": 320, "bpf": 321, "execveat": 322, "userfaultfd": 323, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "fsmount": 432, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
    "memfd_secret": 447,
}  # fmt: skip
"""Calls that kill the process (SIGSYS)."""

_MMAP = 9
_MAP_SHARED = 1
_IOCTL, _CLONE, _KILL, _PRCTL, _TGKILL, _ACCEPT, _ACCEPT4, _PRLIMIT, _CLONE3 = 16, 56, 62, 157, 234, 43, 288, 302, 435
_IOCTLS = (0x5450, 0x5451, 0x5421, 0x541B, 0x5401)
"""FIONCLEX, FIOCLEX, FIONBIO, FIONREAD, TCGETS: the ioctls that Python uses on any descriptor."""
_PRCTLS = (15, 16, 0x53564D41)
"""PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: names of threads and of memory."""
_CLONE_THREAD = 0x10000

_ARCH_X86_64 = 0xC000003E
_X32 = 0x40000000
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_SET_MODE_FILTER, _GET_ACTION_AVAIL, _TSYNC = 1, 2, 1
_SECCOMP = 317

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, operand."""


@cache
def available() -> bool:
    """Whether this kernel has filters that can kill the process, and uses the call numbers here."""
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 1 << 32:
        return False
    action = ctypes.c_uint32(_KILL_PROCESS)
    answer = _libc().syscall(ctypes.c_long(_SECCOMP), _GET_ACTION_AVAIL, 0, ctypes.byref(action))
    return int(answer) == 0


def program(process: int, listening: Iterable[int] = ()) -> list[Instruction]:
    """The filter for the process `process` (its PID as it sees it), which may accept on the sockets `listening`."""
    rules: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _ARCH_X86_64), _end(_KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), _end(_KILL_PROCESS),
    ]  # fmt: skip
    for number in ALLOWED.values():
        rules += [(_EQUAL, 0, 1, number), _end(_ALLOW)]
    for number in FATAL.values():
        rules += [(_EQUAL, 0, 1, number), _end(_KILL_PROCESS)]
    rules += [(_EQUAL, 0, 1, _CLONE3), _end(_ERRNO | errno.ENOSYS)]  # the C library falls back to clone
    thread = [(_LOAD, 0, 0, _ARGUMENTS), (_ANY_BIT, 0, 1, _CLONE_THREAD), _end(_ALLOW), _end(_KILL_PROCESS)]
    rules += [(_EQUAL, 0, len(thread), _CLONE), *thread]
    # No process limit counts shared memory.
    shared = [(_LOAD, 0, 0, _ARGUMENTS + 8 * 3), (_ANY_BIT, 0, 1, _MAP_SHARED), _end(_ERRNO | errno.EPERM)]
    shared.append(_end(_ALLOW))
    rules += [(_EQUAL, 0, len(shared), _MMAP), *shared]
    sockets = list(listening)
    for number, argument, values in (
        (_IOCTL, 1, _IOCTLS), (_PRCTL, 0, _PRCTLS), (_KILL, 0, (process,)), (_TGKILL, 0, (process,)),
        (_ACCEPT, 0, sockets), (_ACCEPT4, 0, sockets), (_PRLIMIT, 0, (0, process)),
    ):  # fmt: skip
        rules += _one_of(number, argument, values)
    return [*rules, _end(_ERRNO | errno.EPERM)]


def _one_of(number: int, argument: int, values: Sequence[int]) -> list[Instruction]:
    """Allow a call if its argument is one of `values` (32 bits); otherwise it fails with EPERM."""
    checks: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
    for value in values:
        checks += [(_EQUAL, 0, 1, value), _end(_ALLOW)]
    checks.append(_end(_ERRNO | errno.EPERM))
    return [(_EQUAL, 0, len(checks), number), *checks]


def _end(action: int) -> Instruction:
    return _RETURN, 0, 0, action


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_uint16), ("filter", ctypes.c_void_p)]


def install(rules: Sequence[Instruction]) -> None:
    """Install the filter permanently on every thread of this process. Requires no_new_privs. Raises `OSError`."""
    code = b"".join(struct.pack("<HBBI", *rule) for rule in rules)
    text = ctypes.create_string_buffer(code, len(code))
    whole = _Program(len(rules), ctypes.addressof(text))
    answer = _libc().syscall(ctypes.c_long(_SECCOMP), _SET_MODE_FILTER, _TSYNC, ctypes.byref(whole))
    if answer:
        code_ = ctypes.get_errno() if answer < 0 else errno.EBUSY
        raise OSError(code_, os.strerror(code_))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
