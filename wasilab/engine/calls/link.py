"""Answers the imports of one instance: trampolines for WASI, exports of preloaded modules, ENOSYS for the rest of WASI.

The functions have the module's own import types, so a module may import a name twice, or with a signature other than
the table's. A WASI name that no snapshot has, or that has another signature there, becomes a function that returns
ENOSYS; its calls are recorded and it is listed in `Link.warnings`. Any other import that nothing provides is a
`LinkError`.

The guest reaches Python in one of two ways that behave the same: the C API's unchecked callback through ctypes
("raw", `wasmtime._bindings`, an order of magnitude faster) and wasmtime-py's public `Func`.

Not here: what a call does (`wasi/`), the source of a trampoline (`codegen.py`), what happens when a call raises
(`failed_calls.py`), running (`session.py`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Mapping, Sequence
from types import FunctionType
from typing import cast

import wasmtime

from ...module.binary import FuncType
from ...module.module import Import, Module
from ...text.nearest import did_you_mean
from ...text.numbers import listed
from ...trace.record.layout import Flag
from ...trace.record.recorder import Recorder
from ...trace.record.writing import meta
from ...wasi import types as t
from ...wasi.host import Host
from ...wasi.library import LIBRARY_LOOKUP, MODULE
from ...wasi.preview1.signature import Call
from ...wasi.preview1.spec import MODULES
from ..compiling.engine_options import UnknownImports
from ..native.layouts import OFF, FunctionState, GuestState
from ..native.native_run import NativeRun
from ..preloads import Origins
from ..stop import HostStop, LinkError, Stop
from ..values.substitutes import can_stand_in, kind_of, stand_in
from ..values.wasmtime_objects import CallerOf, ExternItem, RetainedCallback, as_function_type
from . import raw as _raw
from .absent import absent_function, consequence, has_default, why_absent
from .codegen import code
from .failed_calls import FailedCalls
from .memory import GuestMemory
from .overrides import Override, Overrides
from .record_lines import record_globals
from .stacks import CallStacks
from .trampoline import Variant, identifier

_VALTYPES = {
    "i32": wasmtime.ValType.i32, "i64": wasmtime.ValType.i64, "f32": wasmtime.ValType.f32,
    "f64": wasmtime.ValType.f64,
}  # fmt: skip
_SERVED: dict[str, dict[str, Call]] = {**MODULES, LIBRARY_LOOKUP.module: MODULE}
"""The host's calls: WASI, and the reports of programs compiled in the lab (`wasi/library.py`)."""
PASSED = frozenset({*_VALTYPES, "externref", "funcref"})
"""The value types that wasmtime-py supports in functions; the C API supports all."""


def _bad_descriptor(number: int) -> t.WasiError:
    return t.WasiError(t.Errno.BADF, f"descriptor {number} is not open")


def _missing() -> t.WasiError:
    return t.WasiError(t.Errno.NOENT)


class Link:
    """The functions for the imports of one instance.

    `instance` numbers it in the trace (0 is the program). `overrides` maps names of calls to Python functions
    `f(original, *decoded)`. `detached` flags the calls as made outside a program's run. `foreign`: another instance may
    call the functions, which then use that instance's memory. `native` is the run's native path, which answers the
    calls it can and records all; it requires `raw`. Keep the `Link` as long as the store: it owns the callbacks.
    """

    def __init__(
        self,
        module: Module,
        store: wasmtime.Store,
        host: Host,
        recorder: Recorder | None,
        stop: Stop,
        *,
        instance: int = 0,
        raw: bool = True,
        overrides: Overrides | None = None,
        detached: bool = False,
        foreign: bool = False,
        native: NativeRun | None = None,
        unknown_imports: UnknownImports | None = None,
    ) -> None:
        self.module = module
        self._store: wasmtime.Store | None = store
        self.host = host
        self.stop = stop
        self.memory = GuestMemory(store)
        self.warnings: list[str] = []
        self.overrides: dict[str, Override] = {
            name: Override(name, function, host) for name, function in (overrides or {}).items()
        }
        self._unknown_imports = unknown_imports
        self._instance = instance
        self._flags = int(Flag.DETACHED) if detached else 0
        self._raw = raw and _raw.AVAILABLE
        self._native = native if self._raw else None
        self._foreign = foreign
        self._recorder = recorder
        self._callbacks: list[RetainedCallback | FunctionState] = []
        self._native_states: list[tuple[str, FunctionState]] = []
        """The native functions by the names of their calls."""
        self._without_stacks: list[tuple[str, FunctionState]] = []
        """The native functions whose calls go to Python while stacks are recorded."""
        self._functions: dict[tuple[str, str], FunctionType] = {}
        self._types: dict[FuncType, wasmtime.FuncType] = {}
        self._compiled_imports: Sequence[wasmtime.ImportType] | None = None
        self._globals: dict[str, object] = {}
        self._guest = GuestState()
        caller_of = cast(CallerOf, _raw.caller if self._raw else _same)
        self._stacks = CallStacks(store, module, recorder, self._leave_out_stacks, raw=raw)
        if self._native is not None:
            self.memory.copy = self._guest = self._native.guest(self._find_memory)
        self._failed_calls = FailedCalls(
            host, stop, self.memory, recorder, self._stacks, caller_of, instance=instance, flags=self._flags,
        )  # fmt: skip
        self._globals.update(record_globals(recorder), **self._call_globals(caller_of))

    @property
    def store(self) -> wasmtime.Store:
        """The store of the instance, until `close`."""
        assert self._store is not None, "not closed"
        return self._store

    # ---- imports

    def imports(
        self, compiled: wasmtime.Module, provided: Mapping[str, Mapping[str, ExternItem]],
        origins: Origins | None = None, later: Collection[str] = (),
    ) -> list[ExternItem]:  # fmt: skip
        """A value for each import of the module, in order. `provided`: module name -> exports of a preloaded module;
        `origins`: those exports that are WASI functions; this instance gets its own. `later`: the names of the preloads
        that are not there yet.

        Raises `LinkError` naming every import that nothing provides.
        """
        answers: list[ExternItem] = []
        missing: list[Import] = []
        for position, item in enumerate(self.module.imports):
            given = provided.get(item.module, {}).get(item.name)
            origin = (origins or {}).get((item.module, item.name))
            if origin is not None and origin[2] == item.type:
                answers.append(self._wasi(*origin, compiled, position))
            elif given is not None:
                answers.append(given)
            elif self._answers(item):
                assert isinstance(item.type, FuncType)
                answers.append(self._wasi(item.module, item.name, item.type, compiled, position))
            elif self._unknown_imports == "default" and not isinstance(item.type, FuncType) and can_stand_in(item):
                answers.append(stand_in(self.store, item, compiled.imports[position].type))
                kind = kind_of(item)
                self.warnings.append(f"{item.module}.{item.name} is provided by nothing: it is an empty {kind}")
            else:
                missing.append(item)
        if missing:
            raise LinkError(self._missing(missing, provided, later))
        return answers

    def _answers(self, item: Import) -> bool:
        """Whether this link answers an import that no preloaded module provides, if only with ENOSYS."""
        if not isinstance(item.type, FuncType):
            return False
        unknown = self._unknown_imports
        if unknown == "default" and not has_default(item.type):
            return False
        if item.module == LIBRARY_LOOKUP.module and _served(MODULE.get(item.name), item.type):
            return True
        if item.module not in MODULES:
            return unknown in ("trap", "default")
        return unknown != "error" or _served(MODULES[item.module].get(item.name), item.type)

    def _missing(
        self, missing: list[Import], provided: Mapping[str, Mapping[str, ExternItem]], later: Collection[str]
    ) -> str:
        """What to say of imports that nothing provides: those of one given module, else all of them."""
        given = next((item.module for item in missing if item.module in provided), None)
        if given is not None:
            lacking, exports = [item for item in missing if item.module == given], provided[given]
            return (
                f"{self.module.name} imports {listed(map(_shown, lacking))}, and what is given as {given!r} does not "
                f"export {'it' if len(lacking) == 1 else 'them'}: it exports {listed(exports)}"
                f"{did_you_mean(lacking[0].name, exports)}"
            )
        shown = listed(map(_shown, missing))
        first = missing[0].module
        if first in later:
            return (
                f"{self.module.name} imports {shown}, and {first!r} is given after it: preloads are instantiated in "
                f"their order, so give {first!r} before {self.module.name}"
            )
        if self._unknown_imports == "error" and first in MODULES:
            return (
                f"{self.module.name} imports what WASI preview 1 does not have: {shown}; "
                "without --unknown-imports error it runs, and a call of one answers ENOSYS"
            )
        hint = f"give a module that exports it with --preload {first}=FILE (preload={{{first!r}: module}})"
        if first.startswith("wasi:"):
            hint = "it is built for WASI 0.2; compile for wasm32-wasip1 instead"
        elif first in ("wasi", "wasi_nn", "wasi_ephemeral_nn") or first.startswith("wasi_"):
            hint = "only wasi_snapshot_preview1 and wasi_unstable are provided"
        elif first == "env" and missing[0].name.startswith("emscripten"):
            hint = "it is built for JavaScript by Emscripten; compile for wasm32-wasi instead"
        return f"{self.module.name} imports what nothing here provides: {shown}; {hint}"

    def _wasi(
        self, module: str, name: str, wanted: FuncType, compiled: wasmtime.Module, position: int
    ) -> wasmtime.Func:
        call = _SERVED.get(module, {}).get(name)
        strange = [kind for kind in (*wanted.params, *wanted.results) if kind not in PASSED]
        raw = self._raw or bool(strange and _raw.AVAILABLE)
        if strange and not raw:
            raise LinkError(
                f"{self.module.name} imports {module}.{name} as {wanted}, and this wasmtime-py cannot pass "
                f"{strange[0]}: take the import out, or install the wasmtime that wasilab is tested with"
            )
        function: Callable[..., object] | None
        if call is not None and _served(call, wanted):
            key = (module, name)
            function = self._functions.get(key)
            if function is None:
                function = self._functions[key] = self._trampoline(call)
            if self._native is not None:
                return self._native_function(self._native, call, function, self._type(wanted, compiled, position))
        else:
            function = self._absent(module, name, call, wanted, raw=raw)
        type_ = self._type(wanted, compiled, position)
        if raw:
            made, callback = _raw.function(self.store, type_, cast("Callable[..., int]", function))
            self._callbacks.append(callback)
            return made
        return wasmtime.Func(self.store, type_, function, access_caller=True)

    def _absent(
        self, module: str, name: str, call: Call | None, wanted: FuncType, *, raw: bool
    ) -> Callable[..., object]:
        """The function for an import that no host serves."""
        unknown = self._unknown_imports
        why = why_absent(module, name, call, wanted)
        self.warnings.append(f"{why}: {consequence(wanted, unknown)}")
        return absent_function(self._failed_calls, module, name, call, wanted, raw=raw, why=why, unknown=unknown)

    def _type(self, wanted: FuncType, compiled: wasmtime.Module, position: int) -> wasmtime.FuncType:
        type_ = self._types.get(wanted)
        if type_ is None:
            if self._compiled_imports is None and not _VALTYPES.keys() >= {*wanted.params, *wanted.results}:
                self._compiled_imports = compiled.imports  # a new object at each access, so read it once
            type_ = self._types[wanted] = _function_type(wanted, self._compiled_imports or (), position)
        return type_

    # ---- functions

    def _trampoline(self, call: Call) -> FunctionType:
        override = self.overrides.get(call.name)
        traced = self._recorder is not None
        native = self._native
        variant = Variant(
            raw=self._raw and native is None,
            traced=traced and native is None,
            stacks=self._stacks.wanted,
            overridden=override is not None and (traced or native is not None),
            foreign=self._foreign,
            native=native is not None,
        )
        unstable = call.module == "wasi_unstable"
        perform = call.function
        if override is not None:
            perform = override.prepare(call, perform)
        flags = self._flags | (int(Flag.UNSTABLE) if unstable else 0)
        names = self._globals
        # Two names, for a call may still be in its old code when an override comes or goes.
        names[f"{'OVERRIDE' if variant.overridden else 'PERFORM'}_{identifier(call)}"] = perform
        names[f"CALL_{identifier(call)}"] = call
        names[f"META_{identifier(call)}"] = meta(call.number, self._instance, flags)
        for result in call.results:
            if result.type.record and result.type.struct is not None:
                names[f"PACK_{result.type.name}{'_0' if unstable else ''}"] = result.type.struct.pack_into
        return FunctionType(code(call, variant), names, call.name)

    def _native_function(
        self, native: NativeRun, call: Call, trampoline: FunctionType, type_: wasmtime.FuncType
    ) -> wasmtime.Func:
        """The library's function for `call`; it calls `trampoline` for what it cannot answer itself."""
        off = call.name in self.overrides or self._foreign or self._stacks.wanted
        meta = cast(int, self._globals[f"META_{identifier(call)}"])
        state = native.function(self._guest, call, meta, trampoline, off=off, foreign=self._foreign)
        if self._stacks.wanted and not self._foreign and call.name not in self.overrides:
            self._without_stacks.append((call.name, state))
        self._native_states.append((call.name, state))
        self._callbacks.append(state)
        return _raw.native_function(self.store, type_, native.address_of(call), ctypes.addressof(state))

    def _find_memory(self, caller: int) -> int:
        """Refresh the view of the memory, when the library asks. An exception from here is ignored."""
        if self._foreign:
            self.memory.forget()
        self.memory.look(_raw.caller(caller))
        return 0

    def count_from(self, origin_ns: int) -> None:
        """Make the trampolines count time from `origin_ns` (perf_counter_ns)."""
        self._globals["ORIGIN"] = origin_ns

    def _call_globals(self, caller_of: CallerOf) -> dict[str, object]:
        """The values of the upper-case names in a trampoline, except its record's (see `record_globals`)."""
        return {
            "now": self.host.run_time,
            "HOST": self.host,
            "MEMORY": self.memory,
            "MAX_IO": self.host.max_io,
            "CALLER": caller_of,
            "DESCRIPTOR": self.host.fds.entries.get,
            "CHECK": self.host.check,
            "BADF": _bad_descriptor,
            "FAIL": self._failed_calls.answer,
            "TRAP": _raw.trap,
            "STOP": HostStop,
            "STACK": self._stacks.number,
            "NATIVE": None if self._native is None else self._native.state,
            "FOLDERS": {} if self._native is None else self._native.slots.directories,
            "LEARN": None if self._native is None else self._native.slots.learn,
            "MISSING": _missing,
            "NORETURN": t.Trap("proc_exit returned"),
            "SUBSCRIPTIONS": t.decode_subscriptions,
            "EVENTS": t.encode_events,
            "TOO_MANY_EVENTS": ValueError("poll_oneoff: more events than subscriptions"),
            "PACK_U16": t.U16.pack_into,
        }

    def _leave_out_stacks(self) -> None:
        """Stop recording stacks, so that they cost nothing more."""
        self._globals["STACK"] = _no_stack
        for name, function in self._without_stacks:
            if name not in self.overrides:
                function.mode = 0
        self._without_stacks.clear()

    def override(self, name: str, function: Callable[..., object] | None) -> None:
        """Let `function` answer the calls of `name` from the next one on; None: the host. From any thread."""
        if function is None:
            self.overrides.pop(name, None)
        else:
            self.overrides[name] = Override(name, function, self.host)
        for (module, call), trampoline in list(self._functions.items()):
            if call == name:  # the guest holds the function, so its code is replaced
                trampoline.__code__ = self._trampoline(_SERVED[module][call]).__code__
        waiting = {id(state) for _, state in self._without_stacks}
        for call, state in self._native_states:
            if call == name and not self._foreign:
                state.mode = OFF if function is not None or id(state) in waiting else 0

    def end(self, error: BaseException, name: str) -> None:
        """Store why the guest ends: `name`, which is not a WASI call, raised `error`. Raises nothing."""
        self._failed_calls.end(error, name)

    def limit_io(self, count: int) -> None:
        """Limit the bytes that one call may move, from the next call on."""
        if "MAX_IO" in self._globals:
            self._globals["MAX_IO"] = count

    def close(self) -> None:
        """Drop every reference to the store, once no guest code will run in it any more.

        wasmtime-py keeps public `Func`s in a global table until the store is freed. If they referred to the store,
        neither would be freed, nor would anything granted to the guest.
        """
        self._globals.clear()
        self._functions.clear()
        self._callbacks.clear()
        self._without_stacks.clear()
        self._native_states.clear()
        self._guest = GuestState()
        self._compiled_imports = None
        self._failed_calls.close()
        self.memory = GuestMemory(None)
        self._store = None


def _served(call: Call | None, wanted: FuncType) -> bool:
    """Whether an import of that type has the call's WASI signature."""
    return call is not None and wanted == FuncType(call.signature, ("i32",) if call.returns else ())


def _no_stack(caller: object) -> int:
    return 0


def _same(caller: wasmtime.Caller) -> wasmtime.Caller:
    return caller


def _function_type(wanted: FuncType, imports: Sequence[wasmtime.ImportType], position: int) -> wasmtime.FuncType:
    """The `wasmtime.FuncType`; for types other than numbers, the one from the compiled module."""
    if imports and not _VALTYPES.keys() >= {*wanted.params, *wanted.results}:
        return as_function_type(imports[position])
    return wasmtime.FuncType(
        [_VALTYPES[name]() for name in wanted.params], [_VALTYPES[name]() for name in wanted.results]
    )


def _shown(item: Import) -> str:
    return f"{kind_of(item)} {item.module}.{item.name}"
