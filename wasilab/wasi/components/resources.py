"""The objects of WASI 0.2's resources: streams, pollables, errors.

A descriptor of WASI 0.2 and 0.3 is a `Descriptor` of the host's table, as in preview1, with the same rights, limits,
lives in the trace, and switches. Its number there is not visible to the guest.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from ...capabilities.clocks import Clock
from ...capabilities.refusal import DeniedBy
from ...capabilities.waiting import wait_any
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor
from ..host import Host
from ..preview1 import fd as preview1
from ..types import Rights
from .interfaces import ResultError

PIECE = 1 << 20
"""The maximum bytes that one read of a stream returns, and that `check-write` permits."""
_READ, _WRITE = int(Rights.FD_READ), int(Rights.FD_WRITE)


class Closed(ResultError):
    """A stream is at its end."""

    def __init__(self) -> None:
        super().__init__(("closed", None))


def need(host: Host, d: Descriptor, right: int) -> None:
    """Raise `WasiError` unless the descriptor has the right.

    What its grant withholds is refused as in preview1; a right that it was not opened with is BADF, for which these
    versions have a name.
    """
    if right & ~d.allowed:
        try:
            host.check(d, right)
        except WasiError as error:
            if error.denied_by is DeniedBy.RIGHT:
                raise WasiError(Errno.BADF, error.reason, error.denied_by) from None
            raise


class IoError:
    """`wasi:io/error`: the failure of a stream."""

    def __init__(self, failure: WasiError) -> None:
        self.failure = failure

    def __str__(self) -> str:
        return str(self.failure)


class Pollable:
    """`wasi:io/poll`: something that becomes ready; immediately unless an argument says otherwise.

    `clock` and `deadline`: a time on a clock of the grants, ns. `reader` and `writer` give a descriptor of the OS to
    wait for, or None if it never blocks. `ready` is called before waiting.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        deadline: int = 0,
        reader: Callable[[], int | None] | None = None,
        writer: Callable[[], int | None] | None = None,
        ready: Callable[[], bool] | None = None,
    ) -> None:
        self.clock = clock
        self.deadline = deadline
        self.reader = reader
        self.writer = writer
        self.ready = ready


def wait_for(host: Host, pollables: list[Pollable], *, block: bool = True) -> list[int]:
    """The indices of those that are ready. If none is, waits for the first, unless `block` is false.

    A virtual clock does not sleep: if nothing else is ready it advances to the earliest deadline.
    """
    host.interrupt.check()
    while True:
        found: list[int] = []
        readers: dict[int, list[int]] = {}
        writers: dict[int, list[int]] = {}
        sleeps: list[int] = []
        jumps: list[tuple[int, int, Clock]] = []
        for place, one in enumerate(pollables):
            if one.ready is not None and one.ready():
                found.append(place)
                continue
            if one.clock is not None:
                left = one.deadline - one.clock.now()
                if left <= 0:
                    found.append(place)
                elif one.clock.virtual:
                    jumps.append((left, one.deadline, one.clock))
                else:
                    sleeps.append(left)
                continue
            fd = one.reader() if one.reader is not None else one.writer() if one.writer is not None else None
            if fd is not None:
                (readers if one.reader is not None else writers).setdefault(fd, []).append(place)
            elif one.ready is None:
                found.append(place)
        if readers or writers:
            timeout = 0.0 if found or jumps or not block else min(sleeps) / 1e9 if sleeps else None
            can_read, can_write = wait_any(list(readers), list(writers), timeout, host.interrupt)
            found += [place for fd in can_read for place in readers[fd]]
            found += [place for fd in can_write for place in writers[fd]]
        elif not found and not jumps and sleeps and block:
            host.interrupt.wait(min(sleeps) / 1e9)
            host.interrupt.check()
        if found or not block:
            return sorted(set(found))
        if jumps:
            _, deadline, clock = min(jumps, key=lambda jump: jump[0])
            clock.advance_to(deadline)
            if clock.now() < deadline:  # a frozen clock does not advance, and a sleep on it ends at once
                return [place for place, one in enumerate(pollables) if one.clock is clock and one.deadline == deadline]
        elif not (readers or writers or sleeps):
            raise WasiError(Errno.DEADLK, "the wait would never end")


class InputStream:
    """`wasi:io/streams` input-stream: the bytes of a descriptor from an offset on, or of a stream without offsets."""

    def __init__(self, descriptor: Descriptor, offset: int | None = None, *, owned: bool = False) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.owned = owned
        """Whether dropping the stream closes the descriptor (a socket's)."""
        self.over: IoError | None = None

    @property
    def path(self) -> str:
        """For display."""
        return self.descriptor.path

    def read(self, host: Host, count: int, *, block: bool) -> bytes | memoryview:
        """At most `count` bytes, possibly none if it must not wait. Raises `Closed` at the end."""
        d = self.descriptor
        if not d.allowed & _READ:
            need(host, d, _READ)
        size = min(count, PIECE, host.max_io)
        if size == 0:
            return b""
        if not block and not self.is_ready(host):
            return b""
        buffer = memoryview(bytearray(size))
        if self.offset is None:
            got = preview1.fd_read(host, d, [buffer])
        else:
            got = preview1.fd_pread(host, d, [buffer], self.offset)
            self.offset += got
        if got == 0:
            raise Closed
        return buffer[:got]

    def is_ready(self, host: Host) -> bool:
        """Whether a read would not wait."""
        fd = self.fileno()
        return fd is None or bool(wait_any([fd], (), 0, host.interrupt)[0])

    def fileno(self) -> int | None:
        """A descriptor of the OS that is readable when a read would not wait; None when it never waits."""
        if self.offset is not None:
            return None
        found: int | None = self.descriptor.object.fileno()
        return found

    def pollable(self, host: Host) -> Pollable:
        """Ready when there is something to read."""
        return Pollable(reader=self.fileno)


class OutputStream:
    """`wasi:io/streams` output-stream. `offset` None writes at the position; `append` at the end of a file."""

    def __init__(
        self, descriptor: Descriptor, offset: int | None = None, *, append: bool = False, owned: bool = False
    ) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.append = append
        self.owned = owned
        self.permit = 0

    @property
    def path(self) -> str:
        """For display."""
        return self.descriptor.path

    def write(self, host: Host, data: bytes | memoryview) -> None:
        """Write all bytes; waits if the descriptor blocks."""
        d = self.descriptor
        if not d.allowed & _WRITE:
            need(host, d, _WRITE)
        if not data:
            return
        view = data if data.__class__ is memoryview else memoryview(data)
        while True:
            if self.offset is None and not self.append:
                done = preview1.fd_write(host, d, [view])
            else:
                at: int = d.object.stat().size if self.append else self.offset or 0
                done = preview1.fd_pwrite(host, d, [view], at)
                if not self.append and self.offset is not None:
                    self.offset += done
            if done <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if done >= len(view):
                return
            view = view[done:]

    def fileno(self) -> int | None:
        """A descriptor of the OS that is writable when a write would not wait; None when it never waits."""
        if self.offset is not None or self.append:
            return None
        found: int | None = self.descriptor.object.fileno()
        return found

    def pollable(self, host: Host) -> Pollable:
        """Ready when a write is possible."""
        return Pollable(writer=self.fileno)


def monotonic_deadline(clock: Clock, when: int) -> int:
    """Converts a time of a granted real clock to a time of `time.monotonic_ns`."""
    return time.monotonic_ns() + max(0, when - int(clock.now()))
