"""A module kept alive: its exports as Python functions, its memory, the record of its calls so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from .. import grants as granting
from .. import module as module_room
from .. import trace as tracing
from ..engine.instances import Live
from ..grants.grants import Grants
from ..module.module import Module
from .prepare import Prepared, Program, RunOptions, load_program


class Exports:
    """The functions that an instance exports, as attributes: `exports.add(1, 2)`, or `exports["add"](1, 2)`."""

    def __init__(self, functions: Mapping[str, Any], name: str) -> None:
        self._functions = functions
        self._name = name

    def __getattr__(self, name: str) -> Any:
        try:
            return self._functions[name]
        except KeyError:
            offer = ", ".join(self._functions) or "none at all"
            raise AttributeError(f"{self._name} exports no function {name!r}; it exports {offer}") from None

    __getitem__ = __getattr__

    def __dir__(self) -> list[str]:
        return list(self._functions)

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __repr__(self) -> str:
        return f"<exports of {self._name}: {', '.join(self._functions)}>"


class Instance:
    """A module kept alive: `exports` to call, `memory` to read and write, `trace` of its WASI calls so far.

    One call at a time. What ends the guest (a trap, proc_exit, a limit, an interrupt) raises `GuestError` out of the
    call, whose `outcome` says how; the instance is over then. `close()` lets go of it; a context manager does too.
    """

    def __init__(self, module: Module, prepared: Prepared, preload: Mapping[str, Module]) -> None:
        self.module = module
        self.grants = prepared.grants
        self.name = prepared.name
        self._prepared = prepared
        try:
            self._live = Live.open(
                module,
                prepared.host,
                prepared.recorder,
                prepared.grants.limits,
                preload=preload,
                overrides=prepared.overrides,
                pump=lambda: prepared.pump,
            )
        except BaseException:
            prepared.release()
            raise
        self.exports = Exports(self._live.exports, self.name)
        """The exported functions: numbers in, a number, a list of numbers or None out."""
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
        """The record of its WASI calls so far."""
        recorder = self._prepared.recorder
        assert recorder is not None, "an instance always records"
        lines = module_room.dwarf.source_map(self.module)
        return tracing.Trace.from_recorder(recorder, lines)

    @property
    def denied(self) -> tracing.Refusals:
        """What was refused so far."""
        return granting.denied(self.trace, self.grants)

    @property
    def closed(self) -> bool:
        """Whether it is over: closed, or ended by what the guest did."""
        return self._live.outcome is not None

    def close(self) -> None:
        """Let go of the instance and of all that it held. Closing twice does nothing."""
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
) -> Instance:
    """Keep a reactor, a library or any module alive: its exports become Python functions.

    `inst.exports.add(1, 2)`, `inst.memory.read(ptr, n)`, `inst.trace`, `inst.close()`; also a context manager. A
    reactor's `_initialize` has been called. Raises `GuestError` when it cannot be instantiated.
    """
    module = load_program(program)
    prepared = Prepared(module, args, grants or Grants(), RunOptions(name, stacks=stacks, snaplen=snaplen))
    return Instance(module, prepared, {key: load_program(value) for key, value in (preload or {}).items()})
