"""Puts a gate between a guest and a capability: the mechanism under all of `patterns.py`.

`interpose(thing, gate)` returns an object of the same kind (Directory, File, Clock, random source, strings, socket).
Each of its operations calls `gate(thing, operation, *args)`. The gate may refuse, observe, or do the operation with
`perform(thing, operation, *args)`. No other method of the object can be called through the new one. Your own classes
work like those of wasilab, because only the operations of the protocols matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from .clocks import Clock
from .protocols import Directory, File, Listening
from .random import RandomSource
from .strings import Strings
from .uncopyable import Uncopyable

T = TypeVar("T")


def _operations(protocol: type) -> list[str]:
    return [name for name, value in vars(protocol).items() if callable(value) and not name.startswith("_")]


FILE_OPERATIONS = _operations(File)
DIRECTORY_OPERATIONS = _operations(Directory)
CLOCK_OPERATIONS = _operations(Clock)
RANDOM_OPERATIONS = _operations(RandomSource)
STRINGS_OPERATIONS = _operations(Strings)
CONNECTION_OPERATIONS = [*FILE_OPERATIONS, "recv", "send", "shutdown"]
LISTENER_OPERATIONS = [*FILE_OPERATIONS, "accept"]

_CHANGING_FILES = ("write", "pwrite", "set_size", "allocate", "set_times", "send", "shutdown")
_CHANGING_NAMES = ("mkdir", "rmdir", "unlink", "symlink", "rename", "rename_from", "link", "link_from")
CHANGING = frozenset((*_CHANGING_FILES, *_CHANGING_NAMES, "set_times_path"))
"""The operations that change something. `open` does if its `OpenHow.changes` is true."""

OPENING = frozenset(("open", "accept"))
"""The operations that return another capability."""


class Gate(Protocol):
    """The function through which every operation goes."""

    def __call__(self, thing: object, operation: str, /, *args: object) -> object:
        """Do `operation` on `thing`, or raise `Refused`."""


class PassThrough(Protocol):
    """A gate that forwards every operation unchanged while it is open. Then a caller can skip the gate and work on the
    object behind it (`look_through`)."""

    def is_open(self) -> bool:
        """Whether every operation is forwarded now."""
        ...

    def behind(self, thing: object) -> object:
        """The object behind the gate now; `thing` is the one that it was made for."""
        ...

    def as_now(self) -> PassThrough:
        """The gate of objects opened through this one now. It never changes; equal gates are the same gate."""
        ...

    def wrap(self, thing: T) -> T:
        """`thing`, wrapped as if it were opened through this gate now."""
        ...

    def watch(self, changed: Callable[[], object]) -> None:
        """Call `changed` after every change of these, in the thread that makes the change, before it continues."""
        ...


def perform(thing: object, operation: str, *args: object) -> object:
    """Call `thing.operation(*args)`."""
    return getattr(thing, operation)(*args)


class _Interposed(Uncopyable):
    """An object whose operations all go through a gate; its subclasses get their operations from the lists above."""

    __slots__ = ("_gate", "_name", "_pass_through", "_thing")

    def __init__(self, thing: Any, gate: Gate, name: str) -> None:
        self._thing = thing
        self._gate = gate
        self._name = name
        self._pass_through: PassThrough | None = None

    def __repr__(self) -> str:
        return f"{self._name}({self._thing!r})"


def _through_the_gate(operation: str) -> Callable[..., object]:
    def method(self: _Interposed, *args: object) -> object:
        return self._gate(self._thing, operation, *args)

    method.__name__ = operation
    return method


class _File(_Interposed):
    __slots__ = ("filetype",)

    def __init__(self, thing: File, gate: Gate, name: str) -> None:
        super().__init__(thing, gate, name)
        self.filetype = thing.filetype

    @property
    def created(self) -> bool:
        """As `HostFile.created`; a file of your own class counts as created if it was opened to be created."""
        return getattr(self._thing, "created", True)


class _Connection(_File):
    __slots__ = ()

    @property
    def interrupt(self) -> object:
        """As `StreamSocket.interrupt`: stops a wait on it."""
        return self._thing.interrupt

    @interrupt.setter
    def interrupt(self, interrupt: object) -> None:
        self._thing.interrupt = interrupt


class _Listener(_File):
    __slots__ = ("address",)

    def __init__(self, thing: Listening, gate: Gate, name: str) -> None:
        super().__init__(thing, gate, name)
        self.address = thing.address


class _Directory(_Interposed):
    __slots__ = ("filetype", "writable")

    def __init__(self, thing: Directory, gate: Gate, name: str) -> None:
        super().__init__(thing, gate, name)
        self.filetype = thing.filetype
        self.writable = thing.writable

    @property
    def asks(self) -> bool:
        """Whether accessing it asks the user (ask mode)."""
        return getattr(self._thing, "asks", False)

    @property
    def hidden(self) -> int:
        """As `HostDir.hidden`: names left out of the last listing."""
        return getattr(self._thing, "hidden", 0)

    @property
    def lasting(self) -> bool:
        """As `HostFolder.lasting`: whether files written to it stay on the host."""
        return getattr(self._thing, "lasting", False)


class _Clock(_Interposed):
    __slots__ = ("virtual",)

    def __init__(self, thing: Clock, gate: Gate, name: str) -> None:
        super().__init__(thing, gate, name)
        self.virtual = thing.virtual


class _Random(_Interposed):
    __slots__ = ()

    @property
    def spec(self) -> str:
        """As `Random.spec`: the source, for display."""
        return getattr(self._thing, "spec", "custom")


class _Strings(_Interposed):
    __slots__ = ()


# By an operation that only this kind has, the more specific kinds first.
_KINDS: tuple[tuple[str, type[_Interposed], list[str]], ...] = (
    ("mkdir", _Directory, DIRECTORY_OPERATIONS),
    ("accept", _Listener, LISTENER_OPERATIONS),
    ("recv", _Connection, CONNECTION_OPERATIONS),
    ("pread", _File, FILE_OPERATIONS),
    ("now", _Clock, CLOCK_OPERATIONS),
    ("fill", _Random, RANDOM_OPERATIONS),
    ("sizes", _Strings, STRINGS_OPERATIONS),
)
for _, _kind, _names in _KINDS:
    for _operation in _names:
        if _operation not in vars(_kind):
            setattr(_kind, _operation, _through_the_gate(_operation))


def interpose(thing: T, gate: Gate, name: str = "interposed", pass_through: PassThrough | None = None) -> T:
    """An object of the same kind as `thing` whose operations all go through `gate`; `name` is for its repr.

    `pass_through` tells when the gate only forwards. Raises `TypeError` for anything that is not a capability.
    """
    for operation, kind, _ in _KINDS:
        if hasattr(thing, operation):
            made = kind(thing, gate, name)
            made._pass_through = pass_through
            return cast(T, made)
    raise TypeError(
        f"{thing!r} is not a capability: it does not have the operations of a directory, file, clock, random source, "
        "strings or socket"
    )


def look_through(thing: object) -> tuple[object, list[PassThrough]]:
    """The object behind gates that only forward, and these gates, the outermost first.

    It may be used directly while all of them are open. A gate of another kind cannot be skipped: then the interposed
    object is returned.
    """
    gates: list[PassThrough] = []
    while isinstance(thing, _Interposed) and thing._pass_through is not None:
        gates.append(thing._pass_through)
        thing = thing._pass_through.behind(thing._thing)
    return thing, gates
