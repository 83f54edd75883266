"""The handle table of a component instance: resources, waitables, waitable sets and error contexts by small numbers.

A number is valid in one instance only. Every use checks the kind of entry and the resource type; passing ownership
requires an owned handle that is not lent.

Source: component-model, `design/mvp/CanonicalABI.md`, "Table State" and "Resource State".
"""

from __future__ import annotations

from collections.abc import Callable

from ....text.numbers import with_article
from ....wasi.components.value_types import ResourceType
from ....wasi.components.waits import Value
from ....wasi.types import Trap

MAX_HANDLES = 1 << 20
"""Maximum entries of a table. The specification allows 2**28 - 1; this many already take 200 MB of host memory."""


class Handle:
    """A handle to a resource. `rep` is the representation chosen by the type's owner; `life` its number in the
    trace."""

    __slots__ = ("lends", "life", "own", "rep", "resource", "scope")

    def __init__(self, resource: ResourceType, rep: Value, own: bool, scope: Value = None, life: int = 0) -> None:
        self.resource = resource
        self.rep = rep
        self.own = own
        self.scope = scope
        """The task to which a borrowed handle was lent."""
        self.lends = 0
        """Number of calls in progress that it is lent to."""
        self.life = life


class Table:
    """Maps numbers from 1 to entries. The last freed number is reused first."""

    __slots__ = ("_free", "_next", "entries", "on_take")

    def __init__(self) -> None:
        self.on_take: Callable[[Handle], object] | None = None
        """Called for every owned handle whose ownership passes on."""
        self.entries: dict[int, Value] = {}
        self._free: list[int] = []
        self._next = 1

    def add(self, thing: Value) -> int:
        """Add an entry; return its number."""
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
        """The entry of that number; traps unless it is of class `kind`."""
        found = self.entries.get(index)
        if not isinstance(found, kind):
            raise Trap(self._wrong(index, found, what))
        return found

    def remove(self, index: int, kind: type[Value], what: str) -> Value:
        """Remove and return the entry of that number."""
        found = self.get(index, kind, what)
        del self.entries[index]
        self._free.append(index)
        return found

    def _wrong(self, index: int, found: Value, what: str) -> str:
        if found is None:
            return f"unknown handle index {index}: there is no such {what}"
        return f"handle {index} is {with_article(_kind(found))}, not {with_article(what)}"

    # ---- resources

    def handle(self, index: int, resource: ResourceType) -> Handle:
        """The handle of that number; traps unless it is of `resource`."""
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
        """Remove an owned handle, to pass ownership; returns its representation."""
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
        """Lend a handle to a call; returns its representation. `lenders` collects the handles to return."""
        handle = self.handle(index, resource)
        handle.lends += 1
        lenders.append(handle)
        return handle.rep

    def drop(self, index: int, resource: ResourceType) -> Handle:
        """Remove a handle to drop it; the caller runs the destructor."""
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
    """End the lending of all these handles."""
    for handle in lenders:
        handle.lends -= 1
    lenders.clear()
