"""The kinds of calls, named alike for all versions of WASI.

Each call of preview1 is declared with one `Operation` (`preview1/`), so that code that needs all calls which open a
file or wait need not list names of calls. `FAMILIES` are the coarser groups in which calls are listed and coloured.
"""

from __future__ import annotations

from enum import StrEnum

OPERATION = "operation="
"""In front of names of operations where calls are named, as in `-e operation=open,read`."""


class Operation(StrEnum):
    """The kind of a call. The values are names for display and for filters."""

    ARGUMENTS = "arguments"
    """Read the program's arguments."""
    ENVIRONMENT = "environment"
    """Read the environment variables."""
    CLOCK = "clock"
    """Read a clock or its resolution."""
    RANDOM = "random"
    """Get random bytes."""
    PREOPENS = "preopens"
    """List the granted directories."""
    OPEN = "open"
    """Open or create a file or directory."""
    CLOSE = "close"
    """Close a descriptor."""
    READ = "read"
    """Read bytes."""
    WRITE = "write"
    """Write bytes."""
    SEEK = "seek"
    """Set or get the position in a file."""
    SYNC = "sync"
    """Write a file to storage."""
    ADVISE = "advise"
    """Declare how a range of a file will be used."""
    ALLOCATE = "allocate"
    """Reserve space for a range of a file."""
    RESIZE = "resize"
    """Truncate or extend a file."""
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
    """Drop rights of a descriptor."""
    RENUMBER = "renumber"
    """Give a descriptor another number."""
    POLL = "poll"
    """Wait for descriptors and times."""
    SLEEP = "sleep"
    """Wait only for a time."""
    YIELD = "yield"
    """Let other threads run."""
    CONNECT = "connect"
    """Make a connection."""
    ACCEPT = "accept"
    """Accept a connection of a listening socket."""
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
    """An unknown call, such as one in a trace file from a later version of wasilab."""


_BY_OPERATION = {
    Operation.ARGUMENTS: "args", Operation.ENVIRONMENT: "environ", Operation.CLOCK: "clock", Operation.RANDOM: "random",
    Operation.SLEEP: "poll", Operation.POLL: "poll", Operation.YIELD: "sched", Operation.EXIT: "proc",
    Operation.PREOPENS: "path", Operation.MAKE: "path", Operation.REMOVE: "path", Operation.RENAME: "path",
    Operation.LINK: "path", Operation.SYMLINK: "path", Operation.READ_LINK: "path",
}  # fmt: skip


def family_of(package: str, operation: Operation, name: str) -> str:
    """The family, one of `FAMILIES`, of a function of WASI 0.2 or 0.3: the one of preview1's calls with the same
    operation. `package` is "filesystem", "sockets", ...; a function of a path ends in `-at`.
    """
    if package in ("sockets", "http"):
        return "poll" if operation is Operation.POLL else "sock"
    if package == "filesystem" and (name.endswith("-at") or operation is Operation.OPEN):
        return "path"
    return _BY_OPERATION.get(operation, "fd")


FAMILIES = ("args", "environ", "clock", "random", "path", "library", "fd", "poll", "sched", "sock", "proc")
"""The families of calls (the first part of a call's name), in display order. "library" has the paths that a program's
own library refused without a call (`library.py`)."""
