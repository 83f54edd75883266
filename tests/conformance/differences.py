"""Where wasilab differs from Wasmtime's own WASI, each with its reason: the one list.

An entry covers a scenario when the first call on which the hosts disagree fits its patterns. A disagreement that no
entry covers fails the test, and so does an entry that covers nothing any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One way of differing, and why."""

    call: str
    """Pattern of the call's name."""
    ours: str
    """Pattern of our errno."""
    theirs: str
    """Pattern of Wasmtime's: "TRAP" and "EXIT" stand for how a call ended the guest."""
    reason: str
    scenario: str = ""
    """Pattern of the scenario's name."""
    rights: str = "strict|compat"
    kind: str = "host|memory"
    access: str = "rw|ro"

    def covers(self, scenario: str, kind: str, rights: str, access: str, call: str, ours: str, theirs: str) -> bool:
        """Whether this is such a disagreement."""
        return (
            re.fullmatch(self.call, call) is not None
            and re.fullmatch(self.ours, ours) is not None
            and re.fullmatch(self.theirs, theirs) is not None
            and re.search(self.scenario, scenario) is not None
            and re.fullmatch(self.rights, rights) is not None
            and re.fullmatch(self.kind, kind) is not None
            and re.fullmatch(self.access, access) is not None
        )


LARGEST_POSITION = Difference(
    "fd_seek", "INVAL", "SUCCESS",
    "Positions are the operating system's, which refuses one that its file system cannot hold; Wasmtime keeps "
    "its own and the next write fails.",
    kind="host", scenario="9223372036854775807",
)  # fmt: skip
"""Only on file systems such as ext4: others, such as tmpfs, hold files of that size."""

DIFFERENCES = (
    # -- the rights model
    Difference(
        "fd_.*|sock_.*", "NOTCAPABLE", "BADF|SPIPE|INVAL|NOTSUP|NOTSOCK|TRAP",
        "Strict rights: a right that the descriptor lacks is NOTCAPABLE, before anything else is looked at, as the"
        " document says. Wasmtime has no rights. (wasi-libc turns it into what POSIX has: EBADF, ESPIPE, EINVAL.)",
        rights="strict",
    ),
    Difference(
        "sock_(send|recv)", "BADF", "NOTSOCK",
        "The descriptor is tested for reading or writing before it is tested for being a socket.",
        rights="compat",
    ),
    Difference(
        "path_.*", "NOTCAPABLE", "PERM|EXIST|NOTEMPTY|NOENT|NOTDIR|ISDIR|INVAL|LOOP|XDEV|ILSEQ",
        "Strict rights: a read-only grant lacks the rights to change anything, so a change is NOTCAPABLE and the "
        "path is not looked at.",
        rights="strict", access="ro",
    ),
    Difference(
        "path_.*", "NOENT|INVAL", "PERM",
        "The path is bad in itself (empty, or with a NUL) and the grant is read-only; the path is looked at first.",
        rights="compat", access="ro",
    ),
    # -- bad arguments
    Difference(
        ".*", "INVAL|BADF", "TRAP",
        "An undefined enum value or flag bit is an error that the program can handle (INVAL, or BADF if the "
        "descriptor is bad too), where Wasmtime ends the program.",
    ),
    Difference(
        "fd_advise", "INVAL", "SUCCESS",
        "An offset of 2**63 or more is INVAL in every call (POSIX offsets are signed).",
    ),
    LARGEST_POSITION,
    Difference(
        "fd_pread|fd_pwrite|fd_filestat_set_times|fd_allocate", "BADF|INVAL", "INVAL|SPIPE|NOTSUP",
        "Two things are wrong with the call; each host names the one that it looks at first.",
    ),
    Difference(
        "path_symlink|path_link|path_rename", "NOENT|INVAL", "PERM|NOTDIR|ILSEQ|INVAL",
        "Both paths are bad; each host names the error of the one that it looks at first. Nothing is changed.",
    ),
    Difference(
        "path_link|path_open", "EXIST|PERM", "LOOP|ISDIR",
        "Two things are wrong with a path that ends in a slash and is a link; each host names the one that it looks at "
        "first. Nothing is changed.",
        scenario="random",
    ),
    Difference(
        "path_open", "INVAL", "ILSEQ",
        "The flags contradict each other and the path is not UTF-8; the flags are looked at first.",
    ),
    # -- descriptors of the wrong type
    Difference(
        "path_.*", "NOTDIR", "BADF",
        "A path call on what is not a directory is NOTDIR, as in POSIX's *at calls.",
    ),
    Difference(
        "fd_sync|fd_datasync", "SUCCESS", "BADF",
        "A directory can be synced, as fsync(2) can: it is how a program makes a new name durable.",
        scenario="directory|random",
    ),
    Difference(
        "fd_write|fd_pwrite|fd_filestat_set_size", "BADF|INVAL|NOTCAPABLE", "SUCCESS",
        "A file that is created or truncated by opening it can be written only if that right was asked for; Wasmtime "
        "opens it for writing in any case. An offset of 2**63 or more is INVAL, also where a file in append mode "
        "ignores it.",
        scenario="random",
    ),
    Difference(
        "fd_read|fd_tell|fd_seek", "SUCCESS|INVAL", "SUCCESS",
        "A write of no bytes has no other result (POSIX write). Under Wasmtime it moves the position to the end of a "
        "file in append mode.",
        scenario="random",
    ),
    Difference(
        "fd_fdstat_set_flags", "SUCCESS|INVAL", "BADF",
        "The standard streams have flags too: each says itself which it can have, so that a program may make its "
        "input non-blocking.",
        scenario="stdin|stdout",
    ),
    # -- what Wasmtime does not offer
    Difference(
        "path_open", "SUCCESS", "NOTSUP",
        "The flags dsync, rsync and sync are passed to the operating system.",
        scenario="fdflags",
    ),
    Difference(
        "fd_read|fd_write", "SUCCESS", "SUCCESS",
        "All buffers of a call are moved in one operation; Wasmtime moves the first that is not empty, which the "
        "document allows but which makes a record of several parts not atomic.",
        scenario=r"\[2, 0, 20\]|b'a', b'', b'bc'",
    ),
    Difference(
        "fd_allocate", "SUCCESS|BADF", "NOTSUP",
        "Files in memory can be allocated (and one that is not open for writing says BADF, as posix_fallocate "
        "does).",
        kind="memory",
    ),
    Difference(
        "clock_res_get", "SUCCESS", "BADF",
        "The CPU-time clocks of the process and the thread are served, when clocks are granted.",
    ),
    Difference(
        "proc_raise", "SUCCESS", "NOTSUP",
        "A signal whose action is to be ignored (none, SIGPIPE, SIGCHLD, SIGCONT, SIGURG, SIGWINCH) is ignored.",
    ),
    Difference(
        "proc_exit", "EXIT", "TRAP",
        "Every exit code is reported; Wasmtime traps on 126 and above.",
    ),
    # -- polling
    Difference(
        "poll_oneoff.*", "SUCCESS", "BADF|INVAL",
        "A bad subscription yields an event with its error and the others are served, as the document says; "
        "Wasmtime fails the whole call.",
    ),
    Difference(
        "poll_oneoff.*", "SUCCESS", "SUCCESS",
        "nbytes of a readable file or stream is what can be read (0 at the end), so that FIONREAD works; Wasmtime "
        "says 1.",
    ),
    # -- slashes after names
    Difference(
        "path_remove_directory", "NOTEMPTY", "INVAL",
        "A directory that is not empty is NOTEMPTY, with a slash or `/..` after it too (Linux has the same).",
    ),
    Difference(
        "path_(remove_directory|unlink_file)", "NOTDIR", "INVAL|ISDIR|NOENT",
        "A slash after a link does not make it a directory to remove: NOTDIR, as on Linux.",
        scenario="(dirlink|dangling)/",
    ),
    Difference(
        "path_symlink", "EXIST", "NOTDIR|NOENT",
        "The name is taken by a link, slash or not: EXIST, as on Linux.",
        scenario="link/'|dangling/'",
    ),
    Difference(
        "path_open", "NOTDIR", "LOOP",
        "A link that is not to be followed is not a directory: NOTDIR, as O_DIRECTORY|O_NOFOLLOW has it on Linux.",
    ),
)  # fmt: skip
