"""Putting a gate between a guest and a capability: the one mechanism under all of `patterns.py`.

`interpose(thing, gate)` gives an object of the same kind (Directory, File, Clock, random source, strings, socket) every
operation of which is the call `gate(thing, operation, *args)`. The gate decides: it may refuse, observe, or do it with
`perform(thing, operation, *args)`. No other method of the thing can be called through the new object. Classes of your
own work like those of wasilab, because only the operations of the protocols count.
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
"""The operations that change something. `open` does when its `OpenHow.changes` says so."""

OPENING = frozenset(("open", "accept"))
"""The operations that hand out another capability."""


class Gate(Protocol):
    """The function that every operation on a thing goes through."""

    def __call__(self, thing: object, operation: str, /, *args: object) -> object:
        """Do `operation` on `thing`, or refuse it."""


class PassThrough(Protocol):
    """What is known of a gate that, while it is open, passes every operation on as it is: then whoever wants to save
    the detour may work on the thing itself (`look_through`)."""

    def is_open(self) -> bool:
        """Whether every operation passes now."""
        ...

    def behind(self, thing: object) -> object:
        """What stands behind the gate now; `thing` is what it was made for."""
        ...

    def as_now(self) -> PassThrough:
        """The gate of what is opened through this one now, which is the same for ever; equal ones are one gate."""
        ...

    def wrap(self, thing: T) -> T:
        """`thing` as it is when it is opened through this gate now."""
        ...

    def watch(self, changed: Callable[[], object]) -> None:
        """Call `changed` after every change of the above, in the thread that makes it and before that goes on."""
        ...


def perform(thing: object, operation: str, *args: object) -> object:
    """Do it: `thing.operation(*args)`."""
    return getattr(thing, operation)(*args)


class _Interposed(Uncopyable):
    """An object whose operations all go through a gate; its subclasses get theirs from the lists above."""

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
        """As `HostFile.created`; a file of your own class counts as made where it was opened to be."""
        return getattr(self._thing, "created", True)


class _Connection(_File):
    __slots__ = ()

    @property
    def interrupt(self) -> object:
        """As `StreamSocket.interrupt`: what stops a wait on it."""
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
        """Whether looking into it asks a person (ask mode)."""
        return getattr(self._thing, "asks", False)

    @property
    def hidden(self) -> int:
        """As `HostDir.hidden`: names left out of the last listing."""
        return getattr(self._thing, "hidden", 0)

    @property
    def lasting(self) -> bool:
        """As `HostFolder.lasting`: whether what is left in it stays on the host."""
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
        """As `Random.spec`: what stands behind it, for showing."""
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
    """An object of the same kind as `thing` whose every operation goes through `gate`; `name` shows in its repr.

    `pass_through` says that the gate only passes on, and when. Raises `TypeError` for what is not a
    capability.
    """
    for operation, kind, _ in _KINDS:
        if hasattr(thing, operation):
            made = kind(thing, gate, name)
            made._pass_through = pass_through
            return cast(T, made)
    raise TypeError(
        f"{thing!r} is not a capability: it lacks the operations of a directory, file, clock, random source, strings "
        "or socket"
    )


def look_through(thing: object) -> tuple[object, list[PassThrough]]:
    """The thing itself behind gates that only pass on, and these gates, the outermost first.

    It may be worked on directly while all of them are open. Behind a gate of another kind nothing is seen: then the
    interposed object is what is returned.
    """
    gates: list[PassThrough] = []
    while isinstance(thing, _Interposed) and thing._pass_through is not None:
        gates.append(thing._pass_through)
        thing = thing._pass_through.behind(thing._thing)
    return thing, gates
