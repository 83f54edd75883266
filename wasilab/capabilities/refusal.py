"""The error with which a capability refuses an operation, and its reason.

A capability raises a plain `OSError` for what the operating system or the kind of file forbids (no such file, not a
directory), and a `Refused` for what *the grant* forbids. The difference is shown in the trace's `denied_by` column. A
`Refused` also carries what was needed (`Need`): a value, from which other code makes text, a flag or a change of the
grants. This file knows nothing of WASI; `wasi/errnos.py` maps both errors to WASI errnos.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from errno import EPERM
from functools import lru_cache


class DeniedBy(IntEnum):
    """Which part of the capability system refused a call (the trace's `denied_by` column)."""

    NONE = 0
    """Not refused."""
    GRANT = 1
    """No grant allows it: there is no such preopen, or it is read-only."""
    RIGHT = 2
    """The descriptor does not have a right that the call needs (preview1's rights model)."""
    PATH = 3
    """The path leaves the directory in which it is resolved."""
    HOST = 4
    """The host's operating system refused (its own permissions)."""
    REVOKED = 5
    """The capability was granted, then taken back."""
    QUOTA = 6
    """A limit of the grants was reached."""
    POLICY = 7
    """A rule refused: a special file, an absolute link target, an override."""
    ASK = 8
    """The user was asked and denied it."""


class NeedKind(StrEnum):
    """The kinds of `Need`. The values are written to trace files and do not change."""

    DIRECTORY = "directory"
    """A directory that contains `guest`; no granted directory does."""
    ABOVE = "above"
    """A directory that contains all of a path that leaves the granted directory in which it begins."""
    WRITE = "write"
    """Write access to the directory granted at `guest`."""
    RIGHTS = "rights"
    """The preview1 rights `rights`, which the grant of the directory at `guest` withholds."""
    COMPAT = "compat"
    """The rights mode "compat": in "strict" mode the descriptor does not have a right that it was not opened with."""
    CLOCK = "clock"
    """A clock."""
    RANDOM = "random"
    """A source of randomness."""
    STDIN = "stdin"
    STDOUT = "stdout"
    STDERR = "stderr"
    """A standard stream."""
    LIMIT = "limit"
    """More of the limit `limit`, a field of `engine.limits.Limits`."""
    CONNECT = "connect"
    """A connection to `limit`, HOST:PORT."""
    RESOLVE = "resolve"
    """Looking up the name `limit`."""
    HTTP = "http"
    """Requests to the origin `limit`."""
    QUOTA = "quota"
    """A larger bound `limit` ("max_bytes", "max_names") of the directory itself that is granted at `guest`."""


@dataclass(frozen=True, slots=True)
class Need:
    """What would have to be granted for a refused call to succeed, as a value without command-line text.

    A refusal that no grant can lift (by a rule, the operating system or the user's answer) has no `Need`.
    """

    kind: NeedKind
    guest: str = ""
    """The guest path that `kind` refers to, "" if unknown.

    A capability does not know under which name it was granted: in a `Refused` this is the path as requested, relative
    to the capability. `wasi.host.Host.explain` replaces it with the full path.
    """
    rights: tuple[str, ...] = ()
    limit: str = ""
    """The limit, or the network address, name or origin that is needed."""


_init_error = OSError.__init__
"""`super().__init__` takes longer, and a program may be refused in a loop."""


class Refused(OSError):
    """An operation that the grant behind a capability forbids.

    `errno` is the POSIX number (from the `errno` module), `reason` one sentence for the user in which all guest text is
    escaped, `by` the part that refused, `need` what would have allowed it (None: nothing would). `notcapable=True` asks
    for WASI's ENOTCAPABLE, for which POSIX has no number.
    """

    def __init__(
        self,
        errno: int,
        reason: str,
        by: DeniedBy = DeniedBy.GRANT,
        need: Need | None = None,
        *,
        notcapable: bool = False,
    ) -> None:
        _init_error(self, errno, reason)
        self.reason = reason
        self.by = by
        self.need = need
        self.notcapable = notcapable


def refused_change(path: str) -> Refused:
    """The refusal to create or change `path` in a folder that is granted read-only."""
    reason, need = _read_only(path)
    return Refused(EPERM, reason, need=need, notcapable=True)


@lru_cache(64)  # as in a loop; a path is a guest's own and may be long, so the cache is small
def _read_only(path: str) -> tuple[str, Need]:
    return f"{path!r} cannot be created or changed: its folder is granted read-only", Need(NeedKind.WRITE, path)
