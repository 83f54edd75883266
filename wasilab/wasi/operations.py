"""What a call does, in words that all versions of WASI share.

Each call of preview1 is declared with one `Operation` (`preview1/`), so that whoever asks "which calls open a file?" or
"what waits?" need not list names of calls. `FAMILIES` are the coarser groups in which calls are listed and coloured.
"""

from __future__ import annotations

from enum import StrEnum


class Operation(StrEnum):
    """What a call is for. The values are words for people and for filters."""

    ARGUMENTS = "arguments"
    """Read the program's arguments."""
    ENVIRONMENT = "environment"
    """Read the environment variables."""
    CLOCK = "clock"
    """Read a clock or its resolution."""
    RANDOM = "random"
    """Take random bytes."""
    PREOPENS = "preopens"
    """Learn which directories were granted."""
    OPEN = "open"
    """Open or create a file or directory."""
    CLOSE = "close"
    """Close a descriptor."""
    READ = "read"
    """Read bytes."""
    WRITE = "write"
    """Write bytes."""
    SEEK = "seek"
    """Move or ask the position in a file."""
    SYNC = "sync"
    """Bring a file to the storage."""
    ADVISE = "advise"
    """Say how a range of a file will be used."""
    ALLOCATE = "allocate"
    """Reserve room for a range of a file."""
    RESIZE = "resize"
    """Cut or extend a file."""
    STAT = "stat"
    """Read the attributes of a file."""
    SET_TIMES = "set-times"
    """Set the times of a file."""
    LIST = "list"
    """List a directory."""
    MAKE = "make"
    """Create a directory."""
    REMOVE = "remove"
    """Remove a file, a link or a directory."""
    RENAME = "rename"
    """Rename or move a file or directory."""
    LINK = "link"
    """Give a file a second name."""
    SYMLINK = "symlink"
    """Create a symbolic link."""
    READ_LINK = "read-link"
    """Read the text of a symbolic link."""
    DESCRIBE = "describe"
    """Read the type, flags and rights of a descriptor."""
    CONFIGURE = "configure"
    """Change the flags of a descriptor."""
    REDUCE_RIGHTS = "reduce-rights"
    """Give up rights of a descriptor."""
    RENUMBER = "renumber"
    """Give a descriptor another number."""
    POLL = "poll"
    """Wait for descriptors and times."""
    SLEEP = "sleep"
    """Wait for a time only."""
    YIELD = "yield"
    """Let other threads run."""
    CONNECT = "connect"
    """Make a connection."""
    ACCEPT = "accept"
    """Take a connection of a listening socket."""
    RECEIVE = "receive"
    """Receive from a connection."""
    SEND = "send"
    """Send on a connection."""
    SHUTDOWN = "shutdown"
    """Close one or both directions of a connection."""
    EXIT = "exit"
    """End the program."""
    SIGNAL = "signal"
    """Send the program a signal."""
    UNKNOWN = "unknown"
    """A call that this version of wasilab does not know, such as one in a trace file of a later version."""


_BY_OPERATION = {
    Operation.ARGUMENTS: "args", Operation.ENVIRONMENT: "environ", Operation.CLOCK: "clock", Operation.RANDOM: "random",
    Operation.SLEEP: "poll", Operation.POLL: "poll", Operation.YIELD: "sched", Operation.EXIT: "proc",
    Operation.PREOPENS: "path", Operation.MAKE: "path", Operation.REMOVE: "path", Operation.RENAME: "path",
    Operation.LINK: "path", Operation.SYMLINK: "path", Operation.READ_LINK: "path",
}  # fmt: skip


def family_of(package: str, operation: Operation, name: str) -> str:
    """The family, one of `FAMILIES`, in which a function of WASI 0.2 or 0.3 is listed: that of the calls of preview1
    which do the same. `package` is "filesystem", "sockets", ...; a function of a path ends in `-at`.
    """
    if package in ("sockets", "http"):
        return "poll" if operation is Operation.POLL else "sock"
    if package == "filesystem" and (name.endswith("-at") or operation is Operation.OPEN):
        return "path"
    return _BY_OPERATION.get(operation, "fd")


FAMILIES = ("args", "environ", "clock", "random", "path", "library", "fd", "poll", "sched", "sock", "proc")
"""The families of calls (the first part of a call's name), in the order in which they are shown. "library" holds what a
program asked its own library and never the host (`library.py`)."""
