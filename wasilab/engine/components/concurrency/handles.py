"""The handle table of a component instance: resources, waitables, waitable sets and error contexts by small numbers.

A number means something in one instance only. What stands behind it is checked at every use: the right kind of thing,
the right resource type, owned where ownership is given away, not lent while it is.

Source: component-model, `design/mvp/CanonicalABI.md`, "Table State" and "Resource State".
"""

from __future__ import annotations

from collections.abc import Callable

from ....wasi.components.value_types import ResourceType
from ....wasi.components.waits import Value
from ....wasi.types import Trap

MAX_HANDLES = 1 << 20
"""Entries of one table. The specification allows 2**28 - 1; this many already take 200 MB of the host's memory."""


class Handle:
    """A handle to a resource. `rep` is what the resource type's owner knows it by; `life` its number in the trace."""

    __slots__ = ("lends", "life", "own", "rep", "resource", "scope")

    def __init__(self, resource: ResourceType, rep: Value, own: bool, scope: Value = None, life: int = 0) -> None:
        self.resource = resource
        self.rep = rep
        self.own = own
        self.scope = scope
        """The task to which a borrowed handle was lent."""
        self.lends = 0
        """How many calls in progress it is lent to."""
        self.life = life


class Table:
    """Numbers from 1 to things. The last number given back is the next one given out."""

    __slots__ = ("_free", "_next", "entries", "on_take")

    def __init__(self) -> None:
        self.on_take: Callable[[Handle], object] | None = None
        """Told of every owned handle that is given away."""
        self.entries: dict[int, Value] = {}
        self._free: list[int] = []
        self._next = 1

    def add(self, thing: Value) -> int:
        """Give it a number."""
        if self._free:
            index = self._free.pop()
        else:
            index = self._next
            if index > MAX_HANDLES:
                raise Trap(f"more than {MAX_HANDLES:,} handles are open in one component instance")
            self._next += 1
        self.entries[index] = thing
        return index

    def get(self, index: int, kind: type[Value], what: str) -> Value:
        """The thing of that number, of class `kind`. Traps otherwise."""
        found = self.entries.get(index)
        if not isinstance(found, kind):
            raise Trap(self._wrong(index, found, what))
        return found

    def remove(self, index: int, kind: type[Value], what: str) -> Value:
        """Take the thing of that number out."""
        found = self.get(index, kind, what)
        del self.entries[index]
        self._free.append(index)
        return found

    def _wrong(self, index: int, found: Value, what: str) -> str:
        if found is None:
            return f"unknown handle index {index}: there is no such {what}"
        return f"handle {index} is a {_kind(found)}, not a {what}"

    # ---- resources

    def handle(self, index: int, resource: ResourceType) -> Handle:
        """The handle of that number, which must be of `resource`."""
        found = self.entries.get(index)
        if type(found) is not Handle:
            raise Trap(self._wrong(index, found, f"handle of {resource.name}"))
        if found.resource is not resource:
            raise Trap(
                f"handle index {index} used with the wrong type, expected guest-defined or host-defined resource "
                f"{resource.name} but found {found.resource.name}"
            )
        return found

    def take_own(self, index: int, resource: ResourceType) -> Value:
        """The representation of an owned handle, which is given away."""
        handle = self.handle(index, resource)
        if not handle.own:
            raise Trap(f"cannot lift own resource from a borrow: handle {index} of {resource.name} is only borrowed")
        if handle.lends:
            raise Trap(f"cannot remove owned resource while borrowed: handle {index} of {resource.name}")
        del self.entries[index]
        self._free.append(index)
        if self.on_take is not None:
            self.on_take(handle)
        return handle.rep

    def lend(self, index: int, resource: ResourceType, lenders: list[Handle]) -> Value:
        """The representation of a handle that is lent to a call; `lenders` remembers to give it back."""
        handle = self.handle(index, resource)
        handle.lends += 1
        lenders.append(handle)
        return handle.rep

    def drop(self, index: int, resource: ResourceType) -> Handle:
        """Take a handle out to drop it; what dropping means is the caller's to do."""
        handle = self.handle(index, resource)
        if handle.lends:
            raise Trap(f"cannot remove owned resource while borrowed: handle {index} of {resource.name} is lent")
        del self.entries[index]
        self._free.append(index)
        return handle


def _kind(thing: Value) -> str:
    if type(thing) is Handle:
        return f"handle of {thing.resource.name}"
    words = {"WaitableSet": "waitable set", "Subtask": "subtask", "ErrorContext": "error context"}
    return words.get(type(thing).__name__, "stream or future")


def give_back(lenders: list[Handle]) -> None:
    """End the lending of all of them."""
    for handle in lenders:
        handle.lends -= 1
    lenders.clear()
