"""The state shared by lifts and lowers with the same canonical options: memory, allocation, encoding, the instance.

It also makes the functions that carry whole values: arguments and results of calls between guests, and the elements of
streams. Source is generated once per type (`emitter.py`), compiled once per source, and bound to the context's globals.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import CodeType, FunctionType

from ....text.numbers import with_article
from ....wasi.components.value_types import (
    MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS,
    ComponentFuncType,
    FutureType,
    PrimitiveType,
    StreamType,
    TupleType,
    ValueType,
    flat,
    layout,
)
from ....wasi.components.waits import Value
from ....wasi.types import Trap
from ..concurrency.fibers import CoreFunction
from ..concurrency.handles import Handle
from ..concurrency.stream_ends import CopyEnd, CopyState, Shared
from ..concurrency.tasks import ComponentInstance, ErrorContext
from .emitter import GLOBALS, Emitter
from .linear_memory import LinearMemory


@lru_cache(maxsize=2048)
def _compiled(text: str) -> CodeType:
    label = f"<wasilab canonical ABI {hash(text) & 0xFFFFFFFFFFFF:x}>"
    linecache.cache[label] = (len(text), None, text.splitlines(True), label)
    return compile(text, label, "exec")


class CanonContext:
    """Memory, allocation and encoding of the canonical options with this `key`, in one component instance."""

    def __init__(
        self,
        instance: ComponentInstance,
        memory: LinearMemory | None,
        realloc: CoreFunction | None,
        encoding: str,
        waits: Value = None,
    ) -> None:
        self.instance = instance
        self.memory: Value = memory
        self.encoding = encoding
        self._realloc = realloc
        self._plain_realloc = None if realloc is None or realloc.on_fiber else realloc.call
        """The realloc's call, if it never needs a fiber."""
        self._waits = waits
        self._elements: dict[tuple[Value, bool], Callable[..., Value]] = {}
        table = instance.handles
        self.globals: dict[str, Value] = {
            **GLOBALS,
            "M": memory, "T": table, "ENTRY": table.entries.get, "HANDLE": Handle, "A": self.allocate,
            "OWN": instance.new_own, "BORROW": instance.new_borrow, "ADD_END": self.add_end, "TAKE_END": self.take_end,
            "ERRCTX": lambda index: table.get(index, ErrorContext, "error context"), "NEWERRCTX": table.add,
            "TASK": None, "LENDERS": None,
        }  # fmt: skip

    def allocate(self, old: int, old_size: int, alignment: int, size: int) -> int:
        """Call the guest's realloc. The result is hostile: the caller must check it."""
        if self._realloc is None:
            raise Trap("a value needs memory of the guest, and no realloc is given for it")
        instance = self.instance
        instance.may_leave = False
        if self._plain_realloc is not None:  # as `call_here`, without its cost
            stack = instance.scheduler.stack
            stack.append(None)
            pointer = self._plain_realloc(old, old_size, alignment, size)
            stack.pop()
        else:
            pointer = instance.scheduler.call_here(self._realloc, old, old_size, alignment, size)
        instance.may_leave = True
        memory = self.memory
        if pointer + size > memory.size:  # type: ignore[operator]
            memory.refresh()
            if pointer + size > memory.size:  # type: ignore[operator]
                raise Trap(f"realloc return: beyond end of memory, 0x{pointer:x} for {size:,} bytes")
        if pointer & (alignment - 1):  # type: ignore[operator]
            raise Trap(f"realloc return: result not aligned, 0x{pointer:x} to {alignment} bytes")
        return pointer  # type: ignore[return-value]

    # ---- streams and futures

    def add_end(self, shared: Shared, type_: StreamType | FutureType) -> int:
        """A handle for the readable end of `shared`."""
        return self.instance.handles.add(CopyEnd(shared, readable=True, future=isinstance(type_, FutureType)))

    def take_end(self, index: int, type_: StreamType | FutureType) -> Shared:
        """Remove the readable end of that number from the table and return its shared object."""
        what = "stream" if isinstance(type_, StreamType) else "future"
        end = self.instance.handles.get(index, CopyEnd, f"{what} end")
        check_end(end, type_, readable=True)
        if end.state is CopyState.DONE:
            raise Trap(
                f"cannot lift {what} after being notified that the "
                + ("writable end dropped" if what == "stream" else "value was read")
            )
        if end.state is not CopyState.IDLE:
            raise Trap(f"cannot lift a {what} that is busy: a copy is in progress")
        if end.set is not None:
            raise Trap("cannot transfer a stream or future that is in a waitable set")
        self.instance.handles.remove(index, CopyEnd, what)
        shared: Shared = end.shared
        return shared

    # ---- functions of whole values

    def function(
        self, name: str, emitter: Emitter, header: str, more: Mapping[str, Value] | None = None
    ) -> Callable[..., Value]:
        """The function with the lines of `emitter`, bound to the names of this context and `more`."""
        text = "\n\n".join([*emitter.functions, "\n".join([header, *emitter.lines])]) + "\n"
        names = {**self.globals, **(more or {})}
        for number, value in enumerate(emitter.constants):
            names[f"K{number}"] = value
        exec(_compiled(text), names)
        made: FunctionType = names[name]
        return made

    def lift_arguments(self, function: ComponentFuncType, most: int) -> Callable[[Sequence[int], Value], list[Value]]:
        """f(core words, lenders) -> the arguments of a call between guests."""
        emitter = Emitter(self.encoding, between=True, lends=True)
        kinds = [word for _, type_ in function.params for word in flat(type_)]
        in_memory = len(kinds) > most
        words = ["i32"] if in_memory else kinds
        emitter.put("; ".join([f"w{n} = W[{n}]" for n in range(len(words))]) or "pass")
        values = emitter.parameters(function, [(f"w{n}", kind) for n, kind in enumerate(words)], in_memory=in_memory)
        emitter.put(f"return [{', '.join(values)}]")
        return self.function("lift", emitter, "def lift(W, LENDERS):")

    def lower_arguments(self, function: ComponentFuncType) -> Callable[[Sequence[Value], Value], Sequence[int]]:
        """f(arguments, task) -> the core words that a lifted function is called with."""
        return self._lowering(tuple(type_ for _, type_ in function.params), MAX_FLAT_PARAMS)

    def _lowering(self, types: tuple[ValueType, ...], most: int) -> Callable[[Sequence[Value], Value], Sequence[int]]:
        emitter = Emitter(self.encoding, between=True)
        names = [emitter.fresh("a") for _ in types]
        emitter.put(f"{', '.join(names)}, = V" if names else "pass")
        if sum(len(flat(type_)) for type_ in types) > most:
            whole = TupleType(types)
            size, alignment = layout(whole)
            emitter.put(f"p = A(0, 0, {alignment}, {size})", f"M.check(p, {size}, {alignment})")
            emitter.store(whole, f"({', '.join(names)},)", "p", 0)
            emitter.put("return (p,)")
        else:
            words = [word for name, type_ in zip(names, types, strict=True) for word in emitter.lower(type_, name)]
            emitter.put(f"return ({', '.join(words)}{',' if words else ''})")
        return self.function("lower", emitter, "def lower(V, TASK):")

    def lift_result(self, result: ValueType | None, most: int = MAX_FLAT_RESULTS) -> Callable[..., list[Value]]:
        """f(core words) -> the result of a lifted function, as a list of none or one."""
        emitter = Emitter(self.encoding, between=True)
        if result is None:
            emitter.put("return []")
        elif len(flat(result)) > most:
            size, alignment = layout(result)
            emitter.put("p = W[0]", f"M.check(p, {size}, {alignment})")
            emitter.put(f"return [{emitter.load(result, 'p', 0)}]")
        else:
            words = [(f"w{n}", kind) for n, kind in enumerate(flat(result))]
            emitter.put("; ".join([f"w{n} = W[{n}]" for n in range(len(words))]) or "pass")
            emitter.put(f"return [{emitter.lift(result, words)}]")
        return self.function("lift", emitter, "def lift(W):")

    def lower_result(self, result: ValueType | None, most: int) -> Callable[[Sequence[Value], int], Sequence[int]]:
        """f(result as a list of none or one, pointer) -> core words; a result that does not fit into words is written
        at the pointer."""
        emitter = Emitter(self.encoding, between=True)
        if result is None:
            emitter.put("return ()")
        elif len(flat(result)) > most:
            size, alignment = layout(result)
            emitter.put("(v,) = V", f"M.check(p, {size}, {alignment})")
            emitter.store(result, "v", "p", 0)
            emitter.put("return ()")
        else:
            emitter.put("(v,) = V")
            words = emitter.lower(result, "v")
            emitter.put(f"return ({', '.join(words)},)")
        return self.function("lower", emitter, "def lower(V, p):")

    # ---- elements of streams

    def load_elements(self, element: ValueType, pointer: int, count: int) -> Value:
        """Elements that lie at a checked pointer: bytes for u8."""
        if isinstance(element, PrimitiveType) and element.name == "u8":
            return bytes(self.memory.octets(pointer, count))
        load = self._elements.get((element, True))
        if load is None:
            emitter = Emitter(self.encoding, between=True)
            found = emitter.elements(element, "p", "n")
            emitter.put(f"return {found}")
            load = self._elements[element, True] = self.function("load", emitter, "def load(p, n):")
        return load(pointer, count)

    def store_elements(self, element: ValueType, values: Value, pointer: int) -> None:
        """Write elements at a checked pointer."""
        if isinstance(element, PrimitiveType) and element.name == "u8":
            self.memory.view[pointer : pointer + len(values)] = values
            return
        store = self._elements.get((element, False))
        if store is None:
            emitter = Emitter(self.encoding, between=True)
            emitter.store_elements(element, "v", "p")
            store = self._elements[element, False] = self.function("store", emitter, "def store(v, p):")
        store(values, pointer)


def check_end(end: CopyEnd, type_: StreamType | FutureType, *, readable: bool) -> None:
    """Trap unless `end` is the right end of a stream or future of this type."""
    future = isinstance(type_, FutureType)
    if end.future is not future or end.readable is not readable or end.shared.element != type_.element:
        wanted = f"{'readable' if readable else 'writable'} end of {with_article(str(type_))}"
        found = f"{'readable' if end.readable else 'writable'} end of a {'future' if end.future else 'stream'}"
        raise Trap(f"unknown handle index: it is the {found}, not the {wanted}")
