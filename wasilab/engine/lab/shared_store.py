"""One store for all instances of a lab, so that memories, tables, globals and references pass between them.

A store has one fuel tank, one set of memory limits and one engine, so its members must agree on these. A trap of one
member ends that member (and its callers), not the store. Functions of numbers still pass through `cross_calls.py`,
which records them and passes descriptors. Everything else is imported as it is, so its exporter is instantiated first.
Source: WebAssembly core 3.0, 4.2.3 (stores).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import wasmtime

from ...module.binary import FuncType
from ...module.module import Module
from ..compiling import engines
from ..limits import BOUNDS
from ..session import Session
from ..stop import LinkError
from ..values.wasmtime_objects import Imported
from .cross_calls import PASSES, Exporter

_OF_A_STORE = ("fuel", "memory", "table_elements", "instances")
"""The limits that a store has once."""


class SharedStore:
    """The store of several sessions. `of` is what `Session.take_store` calls."""

    def __init__(self, sessions: Sequence[tuple[str, Session]]) -> None:
        """Raises `LinkError` where members differ in what a store has only once."""
        self._sessions = [session for _, session in sessions]
        self._compiled: engines.CompiledModules | None = None
        self._store: wasmtime.Store | None = None
        first_name, first = sessions[0]
        for name, session in sessions[1:]:
            if session.options != first.options:
                raise LinkError(f"{first_name} and {name} share a store, and differ in their engine options")
            for limit in _OF_A_STORE:
                if getattr(session.limits, limit) != getattr(first.limits, limit):
                    raise LinkError(
                        f"{first_name} and {name} share a store, which has one limit of {BOUNDS[limit].words}: give "
                        f"both the same limits.{limit}"
                    )

    def of(self, session: Session) -> tuple[engines.CompiledModules, wasmtime.Store]:
        """The compiled modules of one of the sessions, and the store. The first call compiles all."""
        if self._compiled is None or self._store is None:
            for one in self._sessions:
                one.change_code()
            modules = [module for one in self._sessions for module in one.programs()]
            foreign = next((one for one in self._sessions if not one.compiled_here()), self._sessions[0])
            request = replace(foreign.request(), cancelled=self._cancelled)
            self._compiled = engines.acquire(modules, request)
            self._store = wasmtime.Store(self._compiled.engine)
            session.limit_store(self._store, modules)
        at = sum(len(one.programs()) for one in self._sessions[: self._sessions.index(session)])
        session.held = True
        mine = self._compiled.modules[at : at + len(session.programs())]
        return replace(self._compiled, modules=mine, keep=False), self._store

    def _cancelled(self) -> bool:
        return any(session.stop_reason is not None for session in self._sessions)

    def close(self) -> None:
        """Release all sessions and the store, once no guest code runs in it any more."""
        for session in self._sessions:
            session.held = False
            session.release()
        if self._compiled is not None:
            engines.release(self._compiled)
        self._compiled = self._store = None


def passes_directly(item_type: object) -> bool:
    """Whether an import is taken from the exporter as it is: all but functions of numbers and vectors."""
    return not isinstance(item_type, FuncType) or any(
        kind not in PASSES for kind in (*item_type.params, *item_type.results)
    )


def begin_order(modules: Mapping[str, Module], links: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The members so that each comes after those it imports memories, tables, globals or references from.

    `links`: importer -> import module name -> exporter. Raises `LinkError` for a circle of these.
    """
    found: list[str] = []
    entered: list[str] = []

    def visit(name: str) -> None:
        if name in found:
            return
        if name in entered:
            circle = " and ".join(dict.fromkeys([*entered[entered.index(name) :]]))
            raise LinkError(f"{circle} import memories, tables, globals or references in a circle: one must come first")
        entered.append(name)
        for item in modules[name].imports:
            exporter = links[name].get(item.module)
            if exporter is not None and passes_directly(item.type) and exporter != name:
                visit(exporter)
        entered.pop()
        found.append(name)

    for name in modules:
        visit(name)
    return found


def provide_directly(module: Module, exporters: Mapping[str, Exporter]) -> Imported:
    """What a module imports from instances of its own store as it is. Raises `LinkError` for one that is not there."""
    found: Imported = {}
    for item in module.imports:
        exporter = exporters.get(item.module)
        if exporter is None or not passes_directly(item.type):
            continue
        value = exporter.session.exports.get(item.name)
        if value is None:
            raise LinkError(f"{item.module}.{item.name} is not there: {exporter.name} is not instantiated")
        found.setdefault(item.module, {})[item.name] = value
    return found
