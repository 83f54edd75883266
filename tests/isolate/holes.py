"""What a guest that has broken out of the engine would do: planted in place of `proc_raise`, by its argument.

It runs in the confined process, in Python, with all its powers. Reports go to stderr, as JSON, and an exit status
of 99 with them.
"""

import ctypes
import json
import os
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
ABORT, EAT, FAULT, LOOK, LIE, FORGE, FLOOD, SYSCALL = 1000, 1001, 1002, 1003, 1004, 1005, 1006, 2000
MMAP, MEMFD_CREATE, OPEN, KILL, PTRACE, TRUNCATE = 9, 319, 2, 62, 101, 76


def proc_raise(original, number):
    number = int(number)
    if number == ABORT:
        os.abort()
    if number == FAULT:
        ctypes.string_at(8)
    if number == EAT:
        held = []
        try:
            while True:
                held.append(bytearray(64 << 20))
        except MemoryError:
            report({"eaten": len(held) * (64 << 20)})
    if number == LOOK:
        report(look())
    if number == LIE:
        say(b"\xff" * 64)
    if number == FORGE:
        say(request({"do": "open", "args": [7, "../secret", ["read"]], "call": 0}))
    if number == FLOOD:
        say(request({"use": "clocks", "call": 0}) * 1000)
    libc.syscall(ctypes.c_long(number - SYSCALL), 0, 0, 0, 0, 0, 0)
    report({"survived": number - SYSCALL})


def report(found):
    sys.stderr.write(json.dumps(found))
    sys.stderr.flush()
    os._exit(99)


def look():
    """What can be reached from inside, by the errors that trying brings."""
    folders = []
    for descriptor in range(3, 4096):
        try:
            if os.path.isdir(f"/proc/self/fd/{descriptor}") or os.fstat(descriptor).st_mode & 0o170000 == 0o040000:
                folders.append(descriptor)
        except OSError:
            continue
    return {
        "environment": sorted(os.environ),
        "root": tried(lambda: os.listdir("/")),
        "passwd": tried(lambda: open("/etc/passwd").close()),
        "above": [tried(lambda d=d: os.close(os.open("../outside", os.O_RDONLY, dir_fd=d))) for d in folders],
        "granted": [tried(lambda d=d: os.close(os.open("inside", os.O_RDONLY, dir_fd=d))) for d in folders],
        "create": [tried(lambda d=d: os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=d))) for d in folders],
        "kill": tried(lambda: os.kill(1, 0)),
        "file in memory": tried(lambda: os.memfd_create("x")),
        "shared memory": tried(shared),
        "processes": tried(lambda: os.listdir("/proc")),
        "pid": os.getpid(),
    }


def shared():
    import mmap

    mmap.mmap(-1, 4096).close()


def tried(attempt):
    try:
        attempt()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "done"


def request(found):
    """A message of ask mode."""
    body = json.dumps(found).encode()
    return struct.pack("<BI", 45, len(body)) + body


def say(data):
    """Send the parent these bytes, on every descriptor, and wait."""
    for descriptor in range(3, 4096):
        try:
            os.write(descriptor, data)
        except OSError:
            continue
    while True:
        libc.pause()


OVERRIDES = {"proc_raise": proc_raise}
