"""The guest's descriptor table: small numbers and the capability of each.

The numbers are the guest's own, never descriptors of this process. What a call may do with a descriptor is decided in
`rights.py` and `host.py`; the calls are in `preview1/`.
"""

from __future__ import annotations

import heapq
import posixpath
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from ..capabilities.protocols import Directory, File
from ..capabilities.refusal import DeniedBy, Need, NeedKind
from .errnos import Errno, WasiError
from .rights import ALL, allowed

MAX_LISTED = 32 << 20
"""Approximate total bytes of the listings that open directories keep for `fd_readdir`."""
FIRST = 3
"""The lowest number for a new descriptor, unless the guest itself closed 0, 1 or 2."""

_rights_lock = threading.Lock()


class Mirror(Protocol):
    """Is notified of every change of a host's descriptors and settings; implemented by code that answers some calls in
    the host's place (engine/native). It may also open files itself, and enters them in the table on request."""

    def put(self, descriptor: Descriptor) -> None:
        """The descriptor got its number."""
        ...

    def update(self, descriptor: Descriptor) -> None:
        """The descriptor has changed; from any thread, and perhaps just when it is dropped."""
        ...

    def drop(self, descriptor: Descriptor) -> None:
        """The descriptor is about to lose its number; its object is not closed yet. Its `mirror` becomes None."""
        ...

    def enter_opened(self) -> None:
        """Add the descriptors that it has opened itself (`FdTable.adopt`)."""
        ...

    def renew(self) -> None:
        """Clocks, randomness, limits or withheld rights have changed; from any thread."""
        ...


class Withheld:
    """The rights that a grant withholds from a directory: one object for it and everything opened beneath it.

    It may change while the guest runs (`Host.regrant`); the descriptors that share it are then updated.
    """

    __slots__ = ("giver", "guest", "named", "read_only", "revoked", "unpassed")

    def __init__(self, read_only: int = 0, named: int = 0, guest: str = "") -> None:
        self.guest = guest
        """The guest path at which the directory is granted; "" if there is none."""
        self.read_only = read_only
        """Withheld because the directory is granted read-only. The directory itself refuses as well."""
        self.named = named
        """Withheld by name, in either rights mode."""
        self.revoked = 0
        """Granted, then revoked."""
        self.unpassed = 0
        """Not passed on by another instance."""
        self.giver = ""
        """That instance."""

    @property
    def cut(self) -> int:
        """All withheld rights: no descriptor has them, whatever its own rights."""
        return self.named | self.revoked


_NOTHING = Withheld()


class FileReach:
    """The known minimum size of a descriptor's file, to detect writes that leave a gap. A separate object: code that
    answers calls in the host's place puts an object with the same two attributes here."""

    __slots__ = ("beyond", "known_end")

    def __init__(self) -> None:
        self.known_end = 0
        """The file has at least this size: a write that begins before leaves no gap."""
        self.beyond = False
        """Whether the position may be beyond the end of the file."""


class Listing(NamedTuple):
    """A directory's entries, as `fd_readdir` gives them."""

    data: bytes
    """Packed dirents, in order."""
    starts: list[int]
    """Where each begins in `data`, and the end of the last."""


class Descriptor:
    """An open descriptor. `life` distinguishes two openings that have the same number one after the other."""

    __slots__ = (
        "_beneath", "allowed", "fd", "fdflags", "filetype", "inheriting", "life", "listing", "mirror", "most",
        "most_inheriting", "object", "owned", "path", "preopen", "reach", "rights", "strict", "withheld",
    )  # fmt: skip

    def __init__(
        self,
        obj: File | Directory,
        rights: int,
        inheriting: int,
        path: str,
        strict: bool,
        fdflags: int = 0,
        withheld: Withheld = _NOTHING,
        *,
        preopen: str | None = None,
        owned: bool = True,
    ) -> None:  # each opening makes one: passing all by position takes half the time
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
        """The rights that the guest has not dropped with fd_fdstat_set_rights."""
        self.allowed = allowed(rights, self.filetype, strict) & ~(withheld.named | withheld.revoked)
        """The effective rights, which calls check."""
        self.strict = strict
        self.withheld = withheld
        """The rights that its grant withholds."""
        self.fdflags = fdflags
        """`Fdflags` bits."""
        self.path = path
        """Its guest path, such as "/data/a.txt" or "<stdin>", for messages."""
        self._beneath: str | None = None  # the beginning of the guest paths of the names in it
        self.preopen = preopen
        """The name under which it was granted; None if the guest opened it."""
        self.owned = owned
        """Whether closing the descriptor closes the object: not for granted objects, which other runs may use."""
        self.reach = FileReach()
        """The known minimum size of the file."""
        self.mirror: Mirror | None = None
        """Notified of changes while it is open."""
        self.listing: Listing | None = None
        """What `fd_readdir` serves from."""

    def reduce_rights(self, rights: int, inheriting: int) -> None:
        """Permanently drop the rights that are not in `rights` and `inheriting`."""
        if not (self.rights & ~rights or self.inheriting & ~inheriting):
            return
        with _rights_lock:
            self.most &= ~(self.rights & ~rights)
            self.most_inheriting &= ~(self.inheriting & ~inheriting)
            self.rights &= rights
            self.inheriting &= inheriting
            self._update_allowed()

    def update_rights(self, offered: tuple[int, int] | None = None) -> None:
        """Apply what the grant withholds now. Thread-safe.

        `offered` is the rights and the inheriting set that the grant gives from now on; the guest gets those of them
        that it has not dropped itself.
        """
        with _rights_lock:
            if offered is not None:
                self.rights, self.inheriting = offered[0] & self.most, offered[1] & self.most_inheriting
            self._update_allowed()

    def _update_allowed(self) -> None:
        self.allowed = allowed(self.rights, self.filetype, self.strict) & ~self.withheld.cut
        mirror = self.mirror
        if mirror is not None:
            mirror.update(self)

    def set_fdflags(self, flags: int) -> None:
        """Record the object's new flags."""
        self.fdflags = flags
        if self.mirror is not None:
            self.mirror.update(self)

    def path_of(self, name: str) -> str:
        """The guest path of `name` in this directory, lexically: links are not followed."""
        if "/" in name or name in (".", ".."):
            return posixpath.normpath(f"{self.path.rstrip('/')}/{name}")
        beneath = self._beneath
        if beneath is None:
            beneath = self._beneath = posixpath.normpath(f"{self.path.rstrip('/')}/x")[:-1]
        return beneath + name

    def close(self) -> None:
        """Close the object, if it is the descriptor's own."""
        self.listing = None
        if self.owned:
            self.object.close()

    def __repr__(self) -> str:
        return f"<Descriptor {self.fd} {self.path!r} life {self.life}>"


class FdTable:
    """The table. `entries` may be read directly; change it only through the methods.

    The hooks `on_open(descriptor)` and `on_close(descriptor)` are called after the change; a renumbered descriptor
    keeps its life, and `on_renumber(descriptor, old number)` is called.
    """

    def __init__(self, max_fds: int) -> None:
        self.entries: dict[int, Descriptor] = {}
        self.max_fds = max_fds
        self.on_open: Callable[[Descriptor], object] | None = None
        self.on_close: Callable[[Descriptor], object] | None = None
        self.on_renumber: Callable[[Descriptor, int], object] | None = None
        self._listed: dict[Descriptor, int] = {}  # descriptor -> bytes of its listing, the oldest first
        self._next = FIRST  # every number from here on is free
        self._lowest = FIRST  # the lowest free number, unless `adopt` has taken it
        self._others: list[int] = []  # a heap of further ones below `_next`; `adopt` may have taken some of them
        self._other_set: set[int] = set()  # the same numbers
        self.lives = 0
        """The number of openings so far."""
        self.mirror: Mirror | None = None

    def require_room(self) -> None:
        """Raise MFILE if no further descriptor may be opened."""
        if len(self.entries) >= self.max_fds:
            raise WasiError(
                Errno.MFILE, f"the limit of {self.max_fds} open descriptors is reached",
                DeniedBy.QUOTA, Need(NeedKind.LIMIT, limit="fds"),
            )  # fmt: skip

    def open(self, descriptor: Descriptor, fd: int | None = None) -> Descriptor:
        """Add a descriptor at the smallest free number, or at `fd`, which must be free."""
        entries = self.entries
        if len(entries) >= self.max_fds:
            self.require_room()
        if fd is None:
            fd = self._lowest
            self._go_on()
            while fd in entries:
                fd = self._lowest
                self._go_on()
        self.lives = life = self.lives + 1
        descriptor.life = life
        self._register(descriptor, fd)
        if self.on_open is not None:
            self.on_open(descriptor)
        return descriptor

    def adopt(self, descriptor: Descriptor, fd: int, life: int) -> None:
        """Add a descriptor that the mirror opened, with its number and life there; the mirror is not notified.

        Another thread may have revoked rights before: then call `update_rights`.
        """
        descriptor.fd, descriptor.life, descriptor.mirror = fd, life, self.mirror
        self.entries[fd] = descriptor
        if fd >= self._next:
            self._skip_to(fd)

    def take_out(self) -> list[Descriptor]:
        """Remove all descriptors without closing them, as if none had been opened; `put_back` adds them again."""
        found = list(self.entries.values())
        self.entries.clear()
        self._next, self._lowest, self.lives = FIRST, FIRST, 0
        self._others.clear()
        self._other_set.clear()
        return found

    def put_back(self, descriptors: Iterable[tuple[Descriptor, int, int]], freed: Iterable[int], lives: int) -> None:
        """Put descriptors into an empty table, each with its number and life; `freed` are further numbers that had been
        used, and `lives` is the number of openings before."""
        for descriptor, fd, life in descriptors:
            descriptor.life = life
            self._register(descriptor, fd)
        for fd in freed:
            if fd >= self._next:
                self._skip_to(fd)
            self._free(fd)
        self.lives = lives

    def reflect(self, mirror: Mirror | None) -> None:
        """Notify `mirror` of the open descriptors and of every change from now on; None: stop notifying."""
        self.mirror = mirror
        for descriptor in list(self.entries.values()):  # another thread may close some meanwhile
            descriptor.mirror = mirror
            if mirror is not None:
                mirror.put(descriptor)

    def _register(self, descriptor: Descriptor, fd: int) -> None:
        descriptor.fd = fd
        self.entries[fd] = descriptor
        if fd >= self._next:
            self._skip_to(fd)
        if descriptor.withheld.revoked:
            descriptor.update_rights()  # another thread may have revoked rights before it was in the table
        if self.mirror is not None:
            descriptor.mirror = self.mirror
            self.mirror.put(descriptor)

    def _go_on(self) -> None:
        """The lowest free number is taken, or was: find the next one."""
        if self._others:
            self._lowest = heapq.heappop(self._others)
            self._other_set.discard(self._lowest)
        else:
            if self._lowest == self._next:
                self._next += 1
            self._lowest = self._next

    def _skip_to(self, fd: int) -> None:
        """The number `fd` from `_next` on is in use: those before it are free."""
        former, self._next = self._next, fd + 1
        if self._lowest == former:
            self._lowest = former if former < fd else self._next
            former += 1
        for skipped in range(former, fd):
            self._free(skipped)

    def _free(self, fd: int) -> None:
        """Free a number that has been used."""
        higher = fd
        if fd < self._lowest:
            higher, self._lowest = self._lowest, fd
        if higher < self._next and higher not in self._other_set:
            self._other_set.add(higher)
            heapq.heappush(self._others, higher)

    def keep_listing(self, descriptor: Descriptor, listing: Listing) -> None:
        """Keep a directory's listing; the oldest listings are dropped when all together exceed `MAX_LISTED`.

        A dropped listing is read again when needed: a guest that lists huge directories through many descriptors gets
        slower, and wasilab's memory stays bounded.
        """
        self._listed.pop(descriptor, None)
        self._listed[descriptor] = len(listing.data) + 40 * len(listing.starts)
        descriptor.listing = listing
        while len(self._listed) > 1 and sum(self._listed.values()) > MAX_LISTED:
            oldest = next(iter(self._listed))
            del self._listed[oldest]
            oldest.listing = None

    def close(self, descriptor: Descriptor) -> None:
        """Remove a descriptor, free its number and close it. An error of closing is raised afterwards."""
        fd = descriptor.fd
        if self.mirror is not None:
            self.mirror.drop(descriptor)
        del self.entries[fd]
        if self._lowest == self._next:
            self._lowest = fd  # nothing else is free, as usual
        else:
            self._free(fd)
        if descriptor.listing is not None:
            self._listed.pop(descriptor, None)
        if self.on_close is not None:
            self.on_close(descriptor)
        if descriptor.listing is not None or not descriptor.owned:
            descriptor.close()
        else:
            descriptor.object.close()

    def renumber(self, source: Descriptor, target: Descriptor) -> None:
        """Give `source` the number of `target`, which is closed; the same descriptor twice changes nothing."""
        if source is target:
            return
        old, new = source.fd, target.fd
        if self.mirror is not None:
            self.mirror.drop(target)
            self.mirror.drop(source)
        self._register(source, new)  # before removing the old entry: a thread that revokes rights must find it
        del self.entries[old]
        self._free(old)
        if target.listing is not None:
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
                continue  # the number is free, and the run has ended
