"""`poll_oneoff`, which waits for times and for descriptors, without busy-waiting.

Each subscription is classified once: it is an error, it is ready, it waits for an OS descriptor, or it waits for a
time. Ready ones are reported without waiting. A virtual clock does not sleep: if nothing else is ready, it is advanced
to its earliest deadline, which is reported.
"""

from __future__ import annotations

import time

from ...capabilities.protocols import FileType
from ...capabilities.waiting import hung_up, wait_any
from ..errnos import Errno, WasiError
from ..fdtable import Descriptor
from ..host import Host
from ..operations import Operation as Op
from ..types import Event, Eventrwflags, Eventtype, Rights, Subscription
from . import signature as s
from .signature import Param, Result, call

_CLOCK, _FD_READ, _FD_WRITE = (int(t) for t in Eventtype)
_POLL = int(Rights.POLL_FD_READWRITE)
_RIGHT = {_FD_READ: int(Rights.FD_READ), _FD_WRITE: int(Rights.FD_WRITE)}
_ACCEPT = int(Rights.SOCK_ACCEPT)
_HANGUP = int(Eventrwflags.FD_READWRITE_HANGUP)
_SOCKETS = (FileType.SOCKET_STREAM, FileType.SOCKET_DGRAM)
_ALWAYS_READY = (FileType.REGULAR_FILE, FileType.DIRECTORY)


@call(
    37, Op.POLL, Param("in", s.SUBSCRIPTIONS), Param("out", s.EVENTS), Param("nsubscriptions", s.SIZE),
    results=(Result("nevents", s.SIZE),),
)  # fmt: skip
def poll_oneoff(host: Host, subscriptions: list[Subscription]) -> list[Event]:
    """Wait until at least one of several things happens: a time is reached, a descriptor can be read or written.

    A subscription that cannot be served yields an event with its error at once; the others are still served. Regular
    files and directories are always ready. At most one event for each subscription. Raises `Interrupted` when the run
    is stopped meanwhile.

    Memory:
        reads nsubscriptions x 48 bytes at in (56 in wasi_unstable: an unused u64 before id):
            0        8     9       16      20      24       32         40     42     48
            |userdata|tag 0|       |id u32 |       |timeout |precision |flags |      |   clock, ns
            |userdata|tag 1|       |fd u32 |                                         |   fd_read (tag 2: fd_write)
        writes nevents x 32 bytes at out, u32 at result.nevents:
            0        8     10     11       16      24     26       32
            |userdata|errno|type  |        |nbytes |flags |        |

    Errors:
        EINVAL: nsubscriptions is 0; in an event: an undefined type or flag, or a clock other than the realtime and the
            monotonic one
        EBADF: in an event: the descriptor is not open
        ENOTCAPABLE: in an event: the right poll_fd_readwrite, fd_read or fd_write is missing

    WASI: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#poll_oneoff
    POSIX: https://pubs.opengroup.org/onlinepubs/9799919799/functions/poll.html
    """
    if not subscriptions:
        raise WasiError(Errno.INVAL, "there are no subscriptions")
    host.interrupt.check()
    poll = _Poll(host)
    for sub in subscriptions:
        poll.take(sub)
    return poll.run()


class _Poll:
    """The state of one call: the subscriptions by what they wait for."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.events: list[Event] = []
        self.started = time.monotonic_ns()
        self.sleeps: list[tuple[int, Subscription]] = []
        """(ns from `started`, subscription) of clocks that run."""
        self.jumps: list[tuple[int, int, Subscription]] = []
        """(ns to go, deadline, subscription) of virtual clocks."""
        self.waits: list[tuple[int, Descriptor, Subscription]] = []
        """(OS descriptor, guest descriptor, subscription)."""

    def take(self, sub: Subscription) -> None:
        """Classify one subscription; a failure becomes its event."""
        try:
            if sub.type == _CLOCK:
                self._take_clock(sub)
            elif sub.type in (_FD_READ, _FD_WRITE):
                self._take_fd(sub)
            else:
                raise WasiError(Errno.INVAL)
        except (WasiError, OSError, ValueError) as error:
            failure = self.host.explain(error) or WasiError(Errno.IO)
            self.events.append(Event(sub.userdata, failure.errno, sub.type))

    def _take_clock(self, sub: Subscription) -> None:
        if sub.clock > 1 or sub.flags & ~1:
            raise WasiError(Errno.INVAL)
        clock = self.host.clock_list[sub.clock]
        now = clock.now()
        deadline = sub.timeout if sub.flags else now + sub.timeout
        if deadline <= now:
            self.events.append(Event(sub.userdata, 0, _CLOCK))
        elif clock.virtual:
            self.jumps.append((deadline - now, deadline, sub))
        else:
            self.sleeps.append((deadline - now, sub))

    def _take_fd(self, sub: Subscription) -> None:
        descriptor = self.host.fds.entries.get(sub.fd)
        if descriptor is None:
            raise WasiError(Errno.BADF)
        # A listening socket is polled for reading to detect a connection; it has no right to read.
        listening = descriptor.allowed & _ACCEPT and sub.type == _FD_READ
        self.host.check(descriptor, _POLL if listening else _POLL | _RIGHT[sub.type])
        fileno = None if descriptor.filetype in _ALWAYS_READY else descriptor.object.fileno()
        if fileno is None:
            self.events.append(self._ready(descriptor, sub, 0))
        else:
            self.waits.append((fileno, descriptor, sub))

    def _ready(self, descriptor: Descriptor, sub: Subscription, flags: int) -> Event:
        count = 1 if sub.type == _FD_WRITE else 0  # the free space is unknown, but at least 1
        if sub.type == _FD_READ and descriptor.filetype != FileType.DIRECTORY:
            if descriptor.filetype == FileType.REGULAR_FILE:
                count = max(0, descriptor.object.stat().size - descriptor.object.tell())
            else:
                count = descriptor.object.available()
        return Event(sub.userdata, 0, sub.type, count, flags)

    def collect(self, timeout: float | None) -> None:
        """Wait up to `timeout` seconds and add the events of descriptors that are ready."""
        if not self.waits:
            wait_any([], [], timeout, self.host.interrupt)
            return
        readers = [fd for fd, _, sub in self.waits if sub.type == _FD_READ]
        writers = [fd for fd, _, sub in self.waits if sub.type == _FD_WRITE]
        can_read, can_write = wait_any(readers, writers, timeout, self.host.interrupt)
        for fd, descriptor, sub in self.waits:
            if fd in (can_read if sub.type == _FD_READ else can_write):
                flags = _HANGUP if descriptor.filetype in _SOCKETS and hung_up(fd) else 0
                try:
                    self.events.append(self._ready(descriptor, sub, flags))
                except OSError as error:
                    failure = self.host.explain(error) or WasiError(Errno.IO)
                    self.events.append(Event(sub.userdata, failure.errno, sub.type))

    def due(self) -> None:
        """Add the events of expired clock subscriptions."""
        elapsed = time.monotonic_ns() - self.started
        self.events += [Event(sub.userdata, 0, _CLOCK) for left, sub in self.sleeps if left <= elapsed]

    def jump(self) -> None:
        """Advance virtual time to the earliest deadline and report the expired subscriptions."""
        earliest = min(left for left, _, _ in self.jumps)
        for left, deadline, sub in self.jumps:
            if left == earliest:
                self.host.clock_list[sub.clock].advance_to(deadline)
                self.events.append(Event(sub.userdata, 0, _CLOCK))

    def run(self) -> list[Event]:
        """Wait, unless something is ready, and report."""
        if self.events or self.jumps:
            if self.waits:
                self.collect(0)
            self.due()
            if not self.events:
                self.jump()
            return self.events
        nearest = min([left for left, _ in self.sleeps]) if self.sleeps else None
        while not self.events:
            left = None
            if nearest is not None:
                left = max(0, nearest - (time.monotonic_ns() - self.started)) / 1e9
            self.collect(left)
            self.due()
        return self.events
