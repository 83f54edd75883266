"""The guest's descriptors: the table of small numbers and the capability behind each.

The numbers are the guest's own; they are never descriptors of this process. What a call may do with a descriptor is
decided in `rights.py` and `host.py`; how it is done, in `preview1/`.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..capabilities.protocols import Directory, File
from ..capabilities.refusal import DeniedBy, Need, NeedKind
from .errnos import Errno, WasiError
from .rights import ALL, allowed

MAX_LISTED = 32 << 20
"""Bytes of the listings that open directories keep for `fd_readdir`, roughly and all together."""
FIRST = 3
"""The lowest number given to what is opened, unless the guest itself closed 0, 1 or 2."""

_rights_lock = threading.Lock()


class Mirror(Protocol):
    """Told of every change of a host's descriptors, and of what else it holds, by whoever answers some calls in the
    host's place (engine/native). It may also open files itself, and enters them in the table when it is asked to."""

    def put(self, descriptor: Descriptor) -> None:
        """The descriptor has its number, or something about it has changed; from any thread."""
        ...

    def drop(self, descriptor: Descriptor) -> None:
        """The descriptor is about to lose its number; what it stands for is not closed yet."""
        ...

    def enter_opened(self) -> None:
        """Enter what it has opened itself (`FdTable.enter`)."""
        ...

    def renew(self) -> None:
        """Clocks, randomness, limits or withheld rights have changed; from any thread."""
        ...


class Withheld:
    """The rights that a grant withholds from a directory: one object for it and all that is opened beneath it.

    It may change while the guest runs (`Host.regrant`); the descriptors that share it are then updated.
    """

    __slots__ = ("giver", "guest", "named", "read_only", "revoked", "unpassed")

    def __init__(self, read_only: int = 0, named: int = 0, guest: str = "") -> None:
        self.guest = guest
        """The guest path at which the directory is granted; "" for what comes from no granted directory."""
        self.read_only = read_only
        """Withheld because the directory is granted read-only. The directory itself refuses as well."""
        self.named = named
        """Withheld by name, in either rights mode."""
        self.revoked = 0
        """Granted, then taken back."""
        self.unpassed = 0
        """Not passed on by the instance that it came from."""
        self.giver = ""
        """That instance."""

    @property
    def cut(self) -> int:
        """What no descriptor may do, whatever its own rights say."""
        return self.named | self.revoked


_NOTHING = Withheld()


class FileReach:
    """How far the file behind a descriptor is known to reach, so that a write which leaves a gap is noticed. An object
    of its own: whoever answers calls in the host's place keeps an object of the same two attributes here."""

    __slots__ = ("beyond", "known_end")

    def __init__(self) -> None:
        self.known_end = 0
        """The file reaches so far at least: a write that begins before leaves no gap."""
        self.beyond = False
        """Whether the position was moved to where the next write may leave a gap."""


class Descriptor:
    """An open descriptor. `life` distinguishes two openings that have the same number one after the other."""

    __slots__ = (
        "allowed", "entries", "fd", "fdflags", "filetype", "inheriting", "life", "mirror", "most", "most_inheriting",
        "object", "owned", "path", "preopen", "reach", "rights", "strict", "withheld",
    )  # fmt: skip

    def __init__(
        self,
        obj: File | Directory,
        rights: int,
        inheriting: int,
        path: str,
        *,
        strict: bool,
        fdflags: int = 0,
        preopen: str | None = None,
        owned: bool = True,
        withheld: Withheld = _NOTHING,
    ) -> None:
        self.fd = -1
        """Its number; -1 until it is in a table."""
        self.life = 0
        """Serial number of this opening, from 1."""
        self.object: Any = obj
        """The capability behind it: a File, a Directory or a socket."""
        self.filetype = int(obj.filetype)
        self.rights = rights
        """The rights that `fd_fdstat_get` shows, as an integer of `Rights` bits."""
        self.inheriting = inheriting
        self.most = self.most_inheriting = ALL
        """The rights that the guest has not given up with fd_fdstat_set_rights."""
        self.allowed = allowed(rights, self.filetype, strict=strict) & ~withheld.cut
        """The effective rights: what a call tests."""
        self.strict = strict
        self.withheld = withheld
        """What the grant that it comes from withholds."""
        self.fdflags = fdflags
        """`Fdflags` bits."""
        self.path = path
        """The guest's name for it, such as "/data/a.txt" or "<stdin>", for messages."""
        self.preopen = preopen
        """The name under which it was granted, None if the guest opened it."""
        self.owned = owned
        """Whether closing the descriptor closes the object: not for what the grants hold and other runs may use."""
        self.reach = FileReach()
        """How far the file is known to reach."""
        self.mirror: Mirror | None = None
        """Who is told of changes while it is open."""
        self.entries: list[bytes] | None = None
        """The listing that `fd_readdir` serves from: packed dirents, in order."""

    def reduce_rights(self, rights: int, inheriting: int) -> None:
        """Give up, for good, the rights that are not in `rights` and `inheriting`."""
        with _rights_lock:
            self.most &= ~(self.rights & ~rights)
            self.most_inheriting &= ~(self.inheriting & ~inheriting)
            self.rights &= rights
            self.inheriting &= inheriting
            self._update_allowed()

    def update_rights(self, offered: tuple[int, int] | None = None) -> None:
        """Apply what the grant withholds now. May be called from any thread.

        `offered` is the rights and the inheriting set that the grant gives from now on; the guest gets those of them
        that it has not given up itself.
        """
        with _rights_lock:
            if offered is not None:
                self.rights, self.inheriting = offered[0] & self.most, offered[1] & self.most_inheriting
            self._update_allowed()

    def _update_allowed(self) -> None:
        self.allowed = allowed(self.rights, self.filetype, strict=self.strict) & ~self.withheld.cut
        if self.mirror is not None:
            self.mirror.put(self)

    def set_fdflags(self, flags: int) -> None:
        """Note that the object has these flags now."""
        self.fdflags = flags
        if self.mirror is not None:
            self.mirror.put(self)

    def close(self) -> None:
        """Close the object, if it is the descriptor's own."""
        self.entries = None
        if self.owned:
            self.object.close()

    def __repr__(self) -> str:
        return f"<Descriptor {self.fd} {self.path!r} life {self.life}>"


class FdTable:
    """The table. `entries` may be read directly; change it only through the methods.

    The hooks `on_open(descriptor)` and `on_close(descriptor)` are called after the change; a renumbered descriptor
    keeps its life, and `on_renumber(descriptor, old number)` says so.
    """

    def __init__(self, max_fds: int) -> None:
        self.entries: dict[int, Descriptor] = {}
        self.max_fds = max_fds
        self.on_open: Callable[[Descriptor], object] | None = None
        self.on_close: Callable[[Descriptor], object] | None = None
        self.on_renumber: Callable[[Descriptor, int], object] | None = None
        self._listed: dict[Descriptor, int] = {}  # descriptor -> bytes of its listing, the oldest first
        self._free: list[int] = []  # a heap of numbers below `_next`; `enter` may have taken some of them
        self._freed: set[int] = set()  # the same numbers
        self._next = FIRST
        self.lives = 0
        """Openings so far."""
        self.mirror: Mirror | None = None

    def require_room(self) -> None:
        """Raise MFILE when no further descriptor may be opened."""
        if len(self.entries) >= self.max_fds:
            raise WasiError(
                Errno.MFILE, f"the limit of {self.max_fds} open descriptors is reached",
                DeniedBy.QUOTA, Need(NeedKind.LIMIT, limit="fds"),
            )  # fmt: skip

    def open(self, descriptor: Descriptor, fd: int | None = None) -> Descriptor:
        """Put a descriptor in at the smallest free number, or at `fd`, which must be free."""
        self.require_room()
        if fd is None:
            fd = self._lowest_free()
        self._skip_to(fd)
        self.lives += 1
        descriptor.fd = fd
        descriptor.life = self.lives
        self._register(descriptor)
        if self.on_open is not None:
            self.on_open(descriptor)
        return descriptor

    def enter(self, descriptor: Descriptor, fd: int, life: int) -> None:
        """Put in a descriptor that the mirror opened, at the number and with the life that it has there."""
        self._skip_to(fd)
        descriptor.fd = fd
        descriptor.life = life
        self._register(descriptor)

    def take_out(self) -> list[Descriptor]:
        """Take all descriptors out without closing them, as if none had been opened; `put_back` is for later."""
        found = list(self.entries.values())
        self.entries.clear()
        self._free.clear()
        self._freed.clear()
        self._next, self.lives = FIRST, 0
        return found

    def put_back(self, descriptors: Iterable[tuple[Descriptor, int, int]], freed: Iterable[int], lives: int) -> None:
        """Put descriptors into an empty table, each with its number and life; `freed` are further numbers that had been
        used, and `lives` is the number of openings before."""
        for descriptor, fd, life in descriptors:
            self.enter(descriptor, fd, life)
        for fd in freed:
            self._skip_to(fd)
            self._free_number(fd)
        self.lives = lives

    def reflect(self, mirror: Mirror | None) -> None:
        """Let `mirror` be told of what is open and of every change from now on; None: nobody any more."""
        self.mirror = mirror
        for descriptor in list(self.entries.values()):
            descriptor.mirror = mirror
            if mirror is not None:
                mirror.put(descriptor)

    def _register(self, descriptor: Descriptor) -> None:
        self.entries[descriptor.fd] = descriptor
        if descriptor.withheld.revoked:
            descriptor.update_rights()  # another thread took rights back while this was not in the table yet
        if self.mirror is not None:
            descriptor.mirror = self.mirror
            self.mirror.put(descriptor)

    def _leave(self, descriptor: Descriptor) -> None:
        if self.mirror is not None:
            self.mirror.drop(descriptor)
            descriptor.mirror = None

    def _lowest_free(self) -> int:
        while self._free:
            fd = heapq.heappop(self._free)
            self._freed.discard(fd)
            if fd not in self.entries:
                return fd
        return self._next

    def _skip_to(self, fd: int) -> None:
        """Take the number `fd`: those between the ones given so far and it become free ones."""
        for skipped in range(self._next, fd):
            self._free_number(skipped)
        self._next = max(self._next, fd + 1)

    def _free_number(self, fd: int) -> None:
        if fd not in self._freed:
            self._freed.add(fd)
            heapq.heappush(self._free, fd)

    def keep_listing(self, descriptor: Descriptor, entries: list[bytes]) -> None:
        """Keep a directory's listing; the oldest listings are dropped when all together exceed `MAX_LISTED`.

        A dropped listing is read again when it is asked for: a guest that lists huge directories through many
        descriptors gets slower, and wasilab's memory stays bounded.
        """
        self._listed.pop(descriptor, None)
        self._listed[descriptor] = sum(map(len, entries)) + 48 * len(entries)
        descriptor.entries = entries
        while len(self._listed) > 1 and sum(self._listed.values()) > MAX_LISTED:
            oldest = next(iter(self._listed))
            del self._listed[oldest]
            oldest.entries = None

    def close(self, descriptor: Descriptor) -> None:
        """Take a descriptor out, free its number and close it. An error of closing is raised, the number free."""
        self._leave(descriptor)
        del self.entries[descriptor.fd]
        self._free_number(descriptor.fd)
        self._listed.pop(descriptor, None)
        if self.on_close is not None:
            self.on_close(descriptor)
        descriptor.close()

    def renumber(self, source: Descriptor, target: Descriptor) -> None:
        """Give `source` the number of `target`, which is closed; the same descriptor twice changes nothing."""
        if source is target:
            return
        old, new = source.fd, target.fd
        self._leave(target)
        self._leave(source)
        self.entries[new] = source  # before the old entry goes: a thread that takes rights back must find it
        del self.entries[old]
        self._free_number(old)
        source.fd = new
        self._register(source)
        self._listed.pop(target, None)
        if self.on_close is not None:
            self.on_close(target)
        if self.on_renumber is not None:
            self.on_renumber(source, old)
        target.close()

    def close_all(self) -> None:
        """Close every descriptor, whatever errors closing some of them raises."""
        if self.mirror is not None:
            self.mirror.enter_opened()
        for descriptor in list(self.entries.values()):
            try:
                self.close(descriptor)
            except OSError:
                continue  # the number is free, and the run is over
