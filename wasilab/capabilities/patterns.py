"""The object-capability patterns: wrappers that grant less than they hold, or that can be revoked.

Each is a function from a capability to a lesser one, under the name that the literature uses, for any directory, file,
stream, clock, random source or socket, wasilab's or your own. They compose. All are built on `interpose.py`. A pattern
is shallow (applies to one object) or deep (also to everything opened through it); its first line says which.

Read: J. Dennis, E. Van Horn 1966 (capabilities); N. Hardy 1988, "The Confused Deputy" (why names without authority are
dangerous); M. Miller 2006, "Robust Composition" (these patterns).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from .interpose import CHANGING, OPENING, interpose, perform
from .protocols import Directory, File, FileFlags, FileType, OpenHow
from .refusal import DeniedBy, Need, NeedKind, Refused, refused_change

T = TypeVar("T")
U = TypeVar("U")


def attenuate(thing: T, allows: Callable[[str, tuple[object, ...]], bool], name: str = "attenuate") -> T:
    """Deep attenuator: only operations for which `allows(operation, args)` is true; `close` is always allowed.

    The general form of attenuation: a proxy that forwards some messages and not others (Miller 2006, 9.3).

    >>> from wasilab.capabilities.memory.memdir import MemDir
    >>> looking = attenuate(MemDir({"a": "text"}), lambda operation, args: operation in ("list", "stat_path"))
    >>> [entry.name for entry in looking.list()]
    ['a']
    >>> looking.unlink("a")
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 1] the operation 'unlink' is not allowed by attenuate
    """

    def gate(inner: object, operation: str, /, *args: object) -> object:
        if operation != "close" and not allows(operation, args):
            raise _refused(f"the operation {operation!r} is not allowed by {name}")
        result = perform(inner, operation, *args)
        return interpose(result, gate, name) if operation in OPENING else result

    return interpose(thing, gate, name)


def facet(thing: T, *operations: str) -> T:
    """Shallow facet: only the named operations of an object; what is opened through it keeps all its operations.

    An object shows different clients different faces of one state (Miller 2006; Morris 1973).

    >>> from wasilab.capabilities.clocks import Clocks
    >>> clock = facet(Clocks.frozen(5).realtime, "now")
    >>> clock.now()
    5
    >>> clock.resolution()
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 1] this facet has no operation 'resolution'
    """

    def gate(inner: object, operation: str, /, *args: object) -> object:
        if operation != "close" and operation not in operations:
            raise _refused(f"this facet has no operation {operation!r}")
        return perform(inner, operation, *args)

    return interpose(thing, gate, f"facet[{', '.join(operations)}]")


def read_only(thing: T) -> T:
    """Deep read-only attenuator: nothing can be changed through it or through anything opened through it.

    The oldest pattern: a capability with fewer rights than its parent (Dennis and Van Horn 1966).

    >>> from wasilab.capabilities.memory.memdir import MemDir
    >>> folder = read_only(MemDir({"a": "text"}))
    >>> folder.mkdir("b")
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 1] 'b' cannot be created or changed: its folder is granted read-only...
    """

    def gate(inner: object, operation: str, /, *args: object) -> object:
        if operation in CHANGING:
            raise _refused_change(args)
        if operation == "open" and cast(OpenHow, args[1]).changes:
            raise refused_change(cast(str, args[0]))
        result = perform(inner, operation, *args)
        return wrap(result) if operation in OPENING else result

    def wrap(inner: U) -> U:
        wrapped = interpose(inner, gate, "read_only")
        if hasattr(wrapped, "writable"):
            wrapped.writable = False
        return wrapped

    return wrap(thing)


def subtree(directory: Directory, path: str) -> Directory:
    """The directory at `path` as a separate capability: nothing above or beside it is reachable.

    Designation is authority: the subtree is all that the holder needs, and all that it gets (Miller 2006, 3.3).

    >>> from wasilab.capabilities.memory.memdir import MemDir
    >>> inner = subtree(MemDir({"a/b/c": "text", "secret": "x"}), "a/b")
    >>> [entry.name for entry in inner.list()]
    ['c']
    >>> inner.stat_path("../../secret", True)
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 1] '../../secret' leaves the directory it was resolved in: ...
    """
    opened = directory.open(path, OpenHow(directory=True))
    if opened.filetype is not FileType.DIRECTORY:
        opened.close()
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return opened  # type: ignore[return-value]


_NOT_APPENDING = CHANGING - {"write", "send", "mkdir", "symlink"}


def append_only(thing: T) -> T:
    """Deep append-only attenuator: new names, and writes at the end; existing data is neither changed nor removed.

    A log that a program may extend but not rewrite (the append right of Multics; Saltzer and Schroeder 1975).

    >>> from wasilab.capabilities.memory.memdir import MemDir
    >>> folder = MemDir({"log": "one "})
    >>> log = append_only(folder).open("log", OpenHow(write=True))
    >>> log.write([memoryview(b"two")])
    3
    >>> folder.read_bytes("log")
    b'one two'
    >>> log.set_size(0)
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 1] this is append-only: 'set_size' would change existing data
    """

    def gate(inner: object, operation: str, /, *args: object) -> object:
        if operation in _NOT_APPENDING or (operation == "open" and cast(OpenHow, args[1]).truncate):
            raise _refused(f"this is append-only: {operation!r} would change existing data")
        if operation == "open":
            path, how = cast(tuple[str, OpenHow], args)
            opened = cast(Directory, inner).open(path, replace(how, append=True) if how.write else how)
            return interpose(opened, gate, "append_only")
        if operation == "set_flags":
            args = (replace(cast(FileFlags, args[0]), append=cast(File, inner).flags().append),)
        if operation == "write":
            file = cast(File, inner)
            if file.filetype is FileType.REGULAR_FILE:
                file.seek(0, os.SEEK_END)
        result = perform(inner, operation, *args)
        return interpose(result, gate, "append_only") if operation in OPENING else result

    return interpose(thing, gate, "append_only")


def quota(thing: T, max_bytes: int) -> T:
    """Deep attenuator of quantity: at most `max_bytes` in total can be written through it (random source: produced).

    Authority is also a matter of quantity: a purse drawn on a bank account (Miller, Morningstar, Frantz 2000). Reading
    is free. What makes a file grow without writing (set_size, allocate, a gap) counts as well; nothing is refunded.

    >>> from wasilab.capabilities.streams import Discard
    >>> purse = quota(Discard(), 5)
    >>> purse.write([memoryview(b"four")])
    4
    >>> purse.write([memoryview(b"two")])
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 122] 3 bytes are more than the 1 left of a quota of 5
    """
    left = max_bytes

    def growth(inner: object, operation: str, args: tuple[object, ...]) -> int:
        """Bytes by which a file grows without being written: up to a new size, or up to the start of a write."""
        if operation not in ("set_size", "allocate", "write", "pwrite"):
            return 0
        file = cast(File, inner)
        if file.filetype is not FileType.REGULAR_FILE:
            return 0
        if operation == "write":
            end = int(file.tell())
        else:
            end = cast(int, args[1]) if operation == "pwrite" else sum(cast(tuple[int, ...], args))
        return max(0, end - int(file.stat().size))

    def gate(inner: object, operation: str, /, *args: object) -> object:
        nonlocal left
        writes = operation in ("write", "pwrite", "send")
        price = 0
        if writes:
            price = sum(map(len, cast(Sequence[memoryview], args[0])))
        elif operation == "fill":
            price = len(cast(memoryview, args[0]))
        grown = growth(inner, operation, args)
        if price + grown > left:
            raise Refused(
                errno.EDQUOT,
                f"{price + grown} bytes are more than the {left} left of a quota of {max_bytes}",
                DeniedBy.QUOTA,
                Need(NeedKind.QUOTA, limit="max_bytes"),
            )
        result = perform(inner, operation, *args)
        left -= grown + (cast(int, result) if writes else price)
        return interpose(result, gate, "quota") if operation in OPENING else result

    return interpose(thing, gate, f"quota[{max_bytes}]")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One operation that went through `logged`: `result`, or the error that it raised."""

    operation: str
    args: tuple[object, ...]
    result: object = None
    error: BaseException | None = None


def logged(thing: T, log: Callable[[LogEntry], object]) -> T:
    """Deep observer: `log` is called after every operation; nothing is refused or changed.

    Interposition without loss of authority: the client cannot detect it (as in Horton; Miller, Donnelley, Karp 2007).

    >>> from wasilab.capabilities.memory.memdir import MemDir
    >>> seen = []
    >>> _ = logged(MemDir({"a": "text"}), seen.append).open("a", OpenHow()).tell()
    >>> [entry.operation for entry in seen]
    ['open', 'tell']
    """

    def gate(inner: object, operation: str, /, *args: object) -> object:
        try:
            result = perform(inner, operation, *args)
        except BaseException as error:
            log(LogEntry(operation, args, error=error))
            raise
        log(LogEntry(operation, args, result))
        return interpose(result, gate, "logged") if operation in OPENING else result

    return interpose(thing, gate, "logged")


class Switch:
    """The off switch of a revocable capability: `switch()` revokes at once, from any thread; `restore()` undoes it.

    A subclass may refuse only some operations: it overrides `check` and sets `restricted` while it refuses any.
    """

    __slots__ = ("_watchers", "reason", "restricted", "revoked")

    def __init__(self, reason: str = "it was granted, then taken back") -> None:
        self._watchers: list[Callable[[], object]] = []
        self.revoked = False
        self.restricted = False
        """Whether `check` must be called. Usually an operation only tests this flag."""
        self.reason = reason
        """The reason shown in the trace for a refused call."""

    def __call__(self) -> None:
        """Revoke."""
        self.revoked = self.restricted = True
        self.changed()

    def restore(self) -> None:
        """Enable the capability again."""
        self.revoked = self.restricted = False
        self.changed()

    def watch(self, watcher: Callable[[], object]) -> None:
        """Call `watcher` after each switch, before `switch()` and `restore()` return."""
        if watcher not in self._watchers:
            self._watchers.append(watcher)

    def changed(self) -> None:
        """Notify the watchers; for a subclass that sets `restricted`."""
        for watcher in list(self._watchers):
            watcher()

    def check(self, operation: str, args: tuple[object, ...] = ()) -> None:
        """Raise `Refused` (EPERM, by REVOKED) if revoked."""
        if self.revoked:
            raise Refused(errno.EPERM, self.reason, DeniedBy.REVOKED, notcapable=True)


def revocable(thing: T, switch: Switch | None = None) -> tuple[T, Switch]:
    """Shallow caretaker: the capability and its off switch; what was opened through it keeps working.

    A forwarder that its owner can cut off (Redell 1974). A file that was opened before stays usable: this is the known
    limit of the pattern, and the reason for `membrane`.

    >>> from wasilab.capabilities.memory.memdir import MemDir
    >>> folder, off = revocable(MemDir({"a": "text"}))
    >>> file = folder.open("a", OpenHow())
    >>> off()
    >>> folder.list()
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 1] it was granted, then taken back
    >>> file.stat().size
    4
    """
    switch = switch or Switch()

    def gate(inner: object, operation: str, /, *args: object) -> object:
        if switch.restricted and operation != "close":
            switch.check(operation, args)
        return getattr(inner, operation)(*args)

    return interpose(thing, gate, "revocable"), switch


def membrane(thing: T, switch: Switch | None = None) -> tuple[T, Switch]:
    """Deep caretaker: the capability, and an off switch for it and everything that was opened through it.

    Everything that crosses the membrane is wrapped in it, so one switch revokes everything (Miller 2006, 9.3).

    >>> from wasilab.capabilities.memory.memdir import MemDir
    >>> folder, off = membrane(MemDir({"a": "text"}))
    >>> file = folder.open("a", OpenHow())
    >>> off()
    >>> file.stat()
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 1] it was granted, then taken back
    """
    switch = switch or Switch()

    def gate(inner: object, operation: str, /, *args: object) -> object:
        if switch.restricted and operation != "close":
            switch.check(operation, args)
        result = getattr(inner, operation)(*args)
        return interpose(result, gate, "membrane", passes) if operation in OPENING else result

    passes = Membrane(switch)
    return interpose(thing, gate, "membrane", passes), switch


@dataclass(frozen=True)
class Membrane:
    """The gate of a membrane, for `look_through` (`interpose.PassThrough`)."""

    switch: Switch

    def is_open(self) -> bool:
        return not self.switch.restricted

    def behind(self, thing: object) -> object:
        return thing

    def as_now(self) -> Membrane:
        return self

    def wrap(self, thing: T) -> T:
        return membrane(thing, self.switch)[0]

    def watch(self, changed: Callable[[], object]) -> None:
        self.switch.watch(changed)


def ask(thing: T, decide: Callable[[str], bool], what: str) -> T:
    """Shallow, lazy grant: `decide(what)` is called at the first use, and its answer applies from then on.

    Permission by asking, as in a browser for the camera (compare the powerbox, Stiegler and Miller 2006, where choosing
    is granting and no question is needed).

    >>> from wasilab.capabilities.clocks import Clocks
    >>> clock = ask(Clocks.frozen(5).realtime, lambda what: False, "the time")
    >>> clock.now()
    Traceback (most recent call last):
    wasilab.capabilities.refusal.Refused: [Errno 1] asked for the time, the answer was no
    """
    answer: bool | None = None

    def gate(inner: object, operation: str, /, *args: object) -> object:
        nonlocal answer
        if answer is None and operation != "close":
            answer = decide(what)
        if not answer and operation != "close":
            raise Refused(errno.EPERM, f"asked for {what}, the answer was no", DeniedBy.ASK, notcapable=True)
        return perform(inner, operation, *args)

    return interpose(thing, gate, "ask")


class Box:
    """A sealed box: anyone can pass it on, but only its unsealer can open it."""

    __slots__ = ("__weakref__",)

    def __repr__(self) -> str:
        return "<sealed box>"


@dataclass(frozen=True, slots=True)
class SealerPair(Generic[T]):
    """The result of `sealer`: `seal` and `unseal`, which can be given away separately."""

    seal: Callable[[T], Box]
    unseal: Callable[[Box], T]


def sealer() -> SealerPair[object]:
    """A sealer and its unsealer: the box alone is useless; box and unsealer together give the contents.

    Rights amplification: two capabilities together give what neither gives alone (Morris 1973). It is how a file dialog
    can pass a directory through code that must not use it.

    >>> pair = sealer()
    >>> box = pair.seal("the directory")
    >>> box
    <sealed box>
    >>> pair.unseal(box)
    'the directory'
    >>> sealer().unseal(box)
    Traceback (most recent call last):
    PermissionError: this box was sealed by another sealer
    """
    contents: WeakKeyDictionary[Box, object] = WeakKeyDictionary()

    def seal(value: object) -> Box:
        box = Box()
        contents[box] = value
        return box

    def unseal(box: Box) -> object:
        if box not in contents:
            raise PermissionError("this box was sealed by another sealer")
        return contents[box]

    return SealerPair(seal, unseal)


def _refused(reason: str, need: Need | None = None) -> Refused:
    return Refused(errno.EPERM, reason, need=need, notcapable=True)


def _refused_change(args: tuple[object, ...]) -> Refused:
    names = [arg for arg in args if isinstance(arg, str)]
    if names:
        return refused_change(names[0])
    return _refused("this cannot be changed: it is granted read-only", Need(NeedKind.WRITE))
