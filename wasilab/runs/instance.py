"""A live instance of a module: its exports as Python functions, its memory, and its trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from .. import grants as granting
from .. import module as module_room
from .. import trace as tracing
from .. import views
from ..engine.calls.link import Link
from ..engine.compiling.engine_options import EngineOptions
from ..engine.components.abi.python_values import identifier
from ..engine.inside.memory_snapshots import MemorySnapshots
from ..engine.inside.watched_link import WatchedLink
from ..engine.instances import Live
from ..engine.lab.live_table import LiveTable, table_of
from ..engine.lab.python_functions import Functions, link_functions
from ..grants.grants import Grants
from ..module.inside.memory_layout import with_stack_pointer
from ..module.module import Module
from .prepare import Prepared, Program, RunOptions, load_program


class Exports:
    """An instance's exported functions, as attributes: `exports.add(1, 2)`, or `exports["add"](1, 2)`."""

    def __init__(self, functions: Mapping[str, object], name: str, full: Mapping[str, object] | None = None) -> None:
        self._functions = functions
        self._name = name
        self._full = full or {}

    def __getattr__(self, name: str) -> Any:
        try:
            return self._functions[name] if name in self._functions else self._full[name]
        except KeyError:
            offer = ", ".join(self._functions) or "no functions"
            raise AttributeError(f"{self._name} exports no function {name!r}; it exports {offer}") from None

    __getitem__ = __getattr__

    def __dir__(self) -> list[str]:
        return list(self._functions)

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __repr__(self) -> str:
        return f"<exports of {self._name}: {', '.join(self._functions)}>"


class ResourceClass:
    """A resource type exported by a component. Calling it creates a resource; its static functions are attributes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._make: Callable[..., object] | None = None
        self._static: dict[str, object] = {}

    def __call__(self, *arguments: object) -> object:
        """Create a resource. Raises `TypeError` if the component exports no constructor."""
        if self._make is None:
            raise TypeError(f"{self._name} has no constructor")
        return self._make(*arguments)

    def __getattr__(self, name: str) -> Any:
        found = self.__dict__.get("_static", {}).get(name)
        if found is None:
            raise AttributeError(f"{self.__dict__.get('_name')} has no static function {name!r}")
        return found

    def __dir__(self) -> list[str]:
        return list(self._static)

    def __repr__(self) -> str:
        return f"<resource {self._name}>"


def _arranged(functions: Mapping[str, Callable[..., object]]) -> dict[str, object]:
    """The functions of a component by their Python names, by interface, and by their full names.

    `ns:pkg/counting@1.0.0#[constructor]counter` is `exports.counting.counter`. Methods are on the resources.
    """
    found: dict[str, object] = {}
    inside: dict[str, dict[str, object]] = {}
    for full, call in functions.items():
        interface, _, name = full.rpartition("#")
        place = inside.setdefault(interface, {}) if interface else found
        kind, mark, rest = name.removeprefix("[").partition("]") if name.startswith("[") else ("", "", name)
        if not mark:
            place[identifier(rest)] = call
        else:
            resource, _, member = rest.partition(".")
            made = place.setdefault(identifier(resource), ResourceClass(resource))
            if not isinstance(made, ResourceClass):
                continue  # a function has the same name
            if kind == "constructor":
                made._make = call
            elif kind == "static":
                made._static[identifier(member)] = call
    for interface, members in inside.items():
        short = identifier(interface.partition("@")[0].rpartition("/")[2])
        found[interface if short in found else short] = Exports(members, interface)
    return found


class Instance:
    """A module kept alive: `exports` to call, `memory` to read and write, `trace` of its WASI calls so far.

    One call at a time. An end of the guest (a trap, proc_exit, a limit, an interrupt) raises `GuestError` from the
    call; its `outcome` says how it ended. The instance is then closed. `close()` releases it; so does a context
    manager.
    """

    def __init__(
        self, module: Module, prepared: Prepared, preload: Mapping[str, Module], engine: EngineOptions, *,
        native: bool = True, functions: Functions | None = None, snapshots: bool = False,
    ) -> None:
        self.module = module
        self.grants = prepared.grants
        self.name = prepared.name
        self._prepared = prepared
        self._code = with_stack_pointer(module)
        """The module that runs: a few bytes longer where the stack pointer had to be exported to be read."""
        self._snapshots = MemorySnapshots() if snapshots else None
        try:
            self._live = Live.open(
                self._code,
                prepared.host,
                prepared.recorder,
                prepared.grants.limits,
                preload=preload,
                engine=replace(engine, features=(*engine.features, *prepared.grants.features)),
                overrides=prepared.overrides,
                pump=lambda: prepared.pump,
                native=native and self._snapshots is None,
                link=Link if self._snapshots is None else partial(WatchedLink, self._snapshots.watch),
                prepare=None if functions is None else partial(link_functions, prepared.name, functions),
            )
        except BaseException:
            prepared.release()
            raise
        exported = self._live.exports
        self.exports = Exports(_arranged(exported) if module.is_component else exported, self.name, exported)
        """The exported functions. They take numbers and return a number, a list of numbers or None; those of a
        component take and return values of their types: records as dataclasses, resources as objects."""
        self.memory = self._live.memory
        """`read(pointer, size) -> bytes`, `write(pointer, data)`; `IndexError` outside the memory."""

    @property
    def stdout(self) -> str:
        """What the guest wrote to stdout so far, as UTF-8 text."""
        return self._prepared.output.bytes(1).decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """What the guest wrote to stderr so far, as UTF-8 text."""
        return self._prepared.output.bytes(2).decode("utf-8", "replace")

    @property
    def trace(self) -> tracing.Trace:
        """The trace of its WASI calls so far."""
        recorder = self._prepared.recorder
        assert recorder is not None, "an instance always records"
        lines = module_room.dwarf.source_map(self._code)
        return tracing.Trace.from_recorder(recorder, lines)

    def memory_image(
        self, start: int | None = None, length: int | None = None, *, at: int | None = None, before: bool = False
    ) -> views.memory_image.MemoryImage:
        """Its memory now, as a hexdump with data segments, stack, stack pointer and heap marked.

        `length` bytes from the address `start`; without `start` the beginning of each region. `at`: after that WASI
        call of its trace (`before`: when it was made), for an instance with `snapshots=True`. Raises `IndexError` for
        an address outside the memory or a call whose memory is not kept, `ValueError` for a module without memory.
        """
        if at is not None:
            held = None if self._snapshots is None else self._snapshots.get((at, not before))
            if held is None:
                kept = [] if self._snapshots is None else self._snapshots.calls
                there = f"it is kept at {len(kept):,} calls, {kept[0]} to {kept[-1]}" if kept else "it is kept at none"
                hint = " (instantiate with snapshots=True)" if self._snapshots is None else ""
                raise IndexError(f"{self.name}: the memory at call {at} is not kept: {there}{hint}")
            title = f"{self.name} {'before' if before else 'after'} call {at}"
            return views.memory_image.kept_image(self.module, held.data, held.stack_pointer, title, start, length)
        memory = self.memory
        return views.memory_image.memory_image(
            self.module, len(memory), memory.read, memory.stack_pointer, f"{self.name} now", start, length
        )

    def table(self, name: str | None = None) -> LiveTable:
        """An exported table of function references (default: the only one), to put Python functions into.

        Its `put` takes a function and a type such as "i32 -> i32"; its result is a function pointer of the guest.
        Raises `TableError` (a TypeError) where there is no such table.
        """
        return table_of(self._live, name)

    def code(self, function: str | int) -> views.function_code.FunctionCode:
        """A function's source, WebAssembly text and machine code side by side, with the calls made from it so far.

        `function`: its name, an export or its index. The calls need `stacks=True`. Raises `ModuleError` for a function
        that the program does not define.
        """
        return views.function_code.function_code(self._code, function, self.trace)

    @property
    def denied(self) -> tracing.Refusals:
        """The refusals so far."""
        return granting.denied(self.trace, self.grants)

    @property
    def closed(self) -> bool:
        """Whether it was closed, or ended by the guest."""
        return self._live.outcome is not None

    def close(self) -> None:
        """Release the instance and its resources. Closing twice does nothing."""
        self._live.close()
        self._prepared.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "alive"
        return f"<instance of {self.name}, {state}: {', '.join(self.exports)}>"


def instantiate(
    program: Program,
    grants: Grants | None = None,
    *,
    args: Sequence[str | bytes] = (),
    name: str | None = None,
    preload: Mapping[str, Program] | None = None,
    stacks: bool | int = False,
    snaplen: int | None = 64,
    native: bool = True,
    engine: EngineOptions | None = None,
    functions: Functions | None = None,
    snapshots: bool = False,
) -> Instance:
    """Instantiate a reactor, a library or any other module, and keep it alive: its exports become Python functions.

    `inst.exports.add(1, 2)`, `inst.memory.read(ptr, n)`, `inst.trace`, `inst.close()`; also a context manager. A
    reactor's `_initialize` has been called. With `native=False` Python answers every call. `engine` sets how Wasmtime
    compiles and links it. `functions` are Python functions that it imports, by module and name, as in `Lab.add`. Raises
    `GuestError` if it cannot be instantiated, `LinkError` for functions that it does not import. `snapshots` keeps its
    memory at each WASI call, for its `memory_image`: the newest, up to 64 MiB of different pages. Raises
    `DoesNotFit` (a `ValueError`) for what cannot be done with a component.
    """
    module, engine = load_program(program), engine or EngineOptions()
    preloads = {key: load_program(value) for key, value in (preload or {}).items()}
    options = RunOptions(name, preload=preloads, engine=engine, stacks=stacks, snaplen=snaplen, snapshots=snapshots)
    prepared = Prepared(module, args, grants or Grants(), options)
    return Instance(module, prepared, preloads, engine, native=native, functions=functions, snapshots=snapshots)
