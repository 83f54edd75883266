"""The core modules of a script: one store and linker, the module `spectest`, and calls with the script's own bits."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import wasmtime

from ..compiling import engines
from ..compiling.wasm_features import Features
from ..values.wasmtime_objects import as_int
from .script_values import Item, Slot, items_text, matches, put, slot_text

try:
    from wasmtime import _bindings

    _call = _bindings._wasmtime_func_call
    _unroot = _bindings._wasmtime_val_unroot
    _export_get = _bindings._wasmtime_instance_export_get
    _export_nth = _bindings._wasmtime_instance_export_nth
    _define = _bindings._wasmtime_linker_define
    _global_get = _bindings._wasmtime_global_get
    _func_type = _bindings._wasmtime_func_type
    _results_of = _bindings._wasm_functype_results
    _delete_type = _bindings._wasm_functype_delete
    _has_exception = _bindings._wasmtime_context_has_exception
    _take_exception = _bindings._wasmtime_context_take_exception
    _exnref = _bindings.wasmtime_exnref_t
    _unroot_exception = _bindings._wasmtime_exnref_unroot
    _extern = _bindings.wasmtime_extern_t
    _trap_pointer = ctypes.POINTER(_bindings.wasm_trap_t)
    AVAILABLE = True
except (ImportError, AttributeError):
    AVAILABLE = False
"""Whether this wasmtime-py has the needed functions."""

_FUNC, _GLOBAL, _SHARED = 0, 1, 4
"""Kinds of `wasmtime_extern_t`."""
MEMORY_BYTES, TABLE_ELEMENTS = 1 << 30, 20_000_000
"""The most of one memory and of one table."""
_MOST_STORE_ITEMS = 10_000

SPECTEST = """(module
  (func (export "print")) (func (export "print_i32") (param i32)) (func (export "print_i64") (param i64))
  (func (export "print_f32") (param f32)) (func (export "print_f64") (param f64))
  (func (export "print_i32_f32") (param i32 f32)) (func (export "print_f64_f64") (param f64 f64))
  (global (export "global_i32") i32 (i32.const 666)) (global (export "global_i64") i64 (i64.const 666))
  (global (export "global_f32") f32 (f32.const 666.6)) (global (export "global_f64") f64 (f64.const 666.6))
  (table (export "table") 10 20 funcref) (memory (export "memory") 1 2))"""
"""What scripts may import from "spectest". Its functions print nothing. Source: the reference interpreter's README."""
SPECTEST_OF_FEATURES = {
    "memory64": '(module (table (export "table64") i64 10 20 funcref))',
    "threads": '(module (memory (export "shared_memory") 1 2 shared))',
}
"""What "spectest" exports besides if a feature is on."""


Slots: TypeAlias = "ctypes.Array[_bindings.wasmtime_val_t]"


class GuestThrew(Exception):
    """A call ended in an exception that WebAssembly threw."""


def new_engine(features: Features) -> wasmtime.Engine:
    """An engine for the core modules of a script."""
    on = dict(features)
    further = (("shared_memory", int(on["threads"])), ("wasm_branch_hinting", 1))
    return engines.new_engine(engines.settings(features, fuel=False, further=further), disk_cache=False)


class ScriptModule:
    """An instance of a core module, by its exports."""

    def __init__(self, store: CoreStore, instance: wasmtime.Instance) -> None:
        self.store = store
        self._instance = instance

    def export(self, name: str) -> _bindings.wasmtime_extern_t:
        """The `wasmtime_extern_t` of that name. Raises `KeyError`."""
        text, item = name.encode("utf-8", "surrogatepass"), _extern()
        found = _export_get(
            self.store.context, ctypes.byref(self._instance._instance), _buffer(text), len(text), ctypes.byref(item)
        )
        if not found:
            raise KeyError(name)
        return item

    def define_in(self, store: CoreStore, module: str) -> None:
        """Make all exports importable from `module`."""
        store.linker.define_instance(store.store, module, self._instance)

    def shared_memories(self) -> Mapping[str, _bindings.wasmtime_extern_t]:
        """The exported shared memories, which other stores can use."""
        found: dict[str, _bindings.wasmtime_extern_t] = {}
        at = 0
        while True:
            item = _extern()
            name, length = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
            if not _export_nth(
                self.store.context, ctypes.byref(self._instance._instance), at, ctypes.byref(name),
                ctypes.byref(length), ctypes.byref(item),
            ):  # fmt: skip
                return found
            if as_int(item.kind) == _SHARED:
                found[ctypes.string_at(name, length.value).decode("utf-8", "replace")] = item
            at += 1

    def act(self, action: Item, expected: Sequence[Item] | None) -> str:
        """Carry out an `invoke` or a `get`; returns how its results differ from the expected ones, "" if they do not.

        Raises `wasmtime.Trap`, `wasmtime.WasmtimeError`, `GuestThrew` and `NotSupported`.
        """
        name = action["field"]
        try:
            item = self.export(name)
        except KeyError:
            return f"the module has no export {name!r}"
        wanted = {"invoke": _FUNC, "get": _GLOBAL}.get(action["type"])
        if wanted is None or as_int(item.kind) != wanted:
            return f"the export {name!r} is not a {'global' if action['type'] == 'get' else 'function'}"
        if wanted == _GLOBAL:
            slots = (Slot * 1)()
            _global_get(self.store.context, ctypes.byref(item.of.global_), ctypes.byref(slots[0]))
        else:
            slots = self.store.call(item.of.func, action["args"])
        try:
            return "" if expected is None else _difference(self.store.store, list(slots), expected)
        finally:
            for slot in slots:
                _unroot(ctypes.byref(slot))


class SharedInstance:
    """What a thread of a script sees of another thread's instance: its shared memories."""

    def __init__(self, memories: Mapping[str, _bindings.wasmtime_extern_t]) -> None:
        self._memories = memories

    def shared_memories(self) -> Mapping[str, _bindings.wasmtime_extern_t]:
        """Its shared memories."""
        return self._memories

    def define_in(self, store: CoreStore, module: str) -> None:
        """Make the memories importable from `module`."""
        for name, item in self._memories.items():
            store.define(module, name, item)

    def act(self, action: Item, expected: Sequence[Item] | None) -> str:
        """No function or global is shared."""
        return f"another thread's module shares only memories, and {action['field']!r} is called here"


class CoreStore:
    """The store and the linker of a script or of one of its threads."""

    def __init__(self, engine: wasmtime.Engine, features: Features) -> None:
        self.engine = engine
        self.features = features
        self.store = wasmtime.Store(engine)
        self.store.set_limits(
            memory_size=MEMORY_BYTES, table_elements=TABLE_ELEMENTS, instances=_MOST_STORE_ITEMS,
            tables=_MOST_STORE_ITEMS, memories=_MOST_STORE_ITEMS,
        )  # fmt: skip
        self.linker = wasmtime.Linker(engine)
        self.linker.allow_shadowing = True  # a script may register a name twice
        self.arm()
        texts = [SPECTEST, *(text for name, text in SPECTEST_OF_FEATURES.items() if dict(features)[name])]
        for text in texts:
            self.instantiate(self.compiled(bytes(wasmtime.wat2wasm(text)))).define_in(self, "spectest")

    @property
    def context(self) -> ctypes._Pointer[_bindings.wasmtime_context_t]:
        """The `wasmtime_context_t`."""
        return self.store._context()

    def arm(self) -> None:
        """Make the next epoch end what runs."""
        self.store.set_epoch_deadline(1)

    def compiled(self, data: bytes) -> wasmtime.Module:
        """The machine code of a module. Raises `wasmtime.WasmtimeError`."""
        return wasmtime.Module(self.engine, data)

    def instantiate(self, module: wasmtime.Module) -> ScriptModule:
        """A new instance. Raises `wasmtime.Trap`, and `wasmtime.WasmtimeError` if it cannot be linked."""
        return ScriptModule(self, self.linker.instantiate(self.store, module))

    def define(self, module: str, name: str, item: _bindings.wasmtime_extern_t) -> None:
        """Make one item importable."""
        one, two = module.encode("utf-8", "surrogatepass"), name.encode("utf-8", "surrogatepass")
        error = _define(
            self.linker.ptr(), self.context, _buffer(one), len(one), _buffer(two), len(two), ctypes.byref(item)
        )
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)

    def call(self, function: _bindings.wasmtime_func_t, arguments: Sequence[Item]) -> Slots:
        """The results of a function, as slots; unroot each."""
        type_ = _func_type(self.context, ctypes.byref(function))
        count = _results_of(type_).contents.size
        _delete_type(type_)
        given = (Slot * len(arguments))()
        found: Slots = (Slot * count)()
        trap = _trap_pointer()
        try:
            for slot, item in zip(given, arguments, strict=True):
                put(self.store, slot, item)
            error = _call(
                self.context, ctypes.byref(function), given, len(given), found, count, ctypes.byref(trap)
            )
        finally:
            for slot in given:
                _unroot(ctypes.byref(slot))
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        if trap:
            raised = wasmtime.Trap._from_ptr(trap)
            if self._take_exception():
                raise GuestThrew
            raise raised
        return found

    def _take_exception(self) -> bool:
        """Whether WebAssembly threw an exception that nothing caught; it is removed."""
        if not _has_exception(self.context):
            return False
        thrown = _exnref()
        _take_exception(self.context, ctypes.byref(thrown))
        _unroot_exception(ctypes.byref(thrown))
        return True


def _difference(store: wasmtime.Store, slots: Sequence[_bindings.wasmtime_val_t], expected: Sequence[Item]) -> str:
    if len(slots) == len(expected) and all(matches(store, *pair) for pair in zip(slots, expected, strict=True)):
        return ""
    like = [*expected, *[None] * len(slots)]
    found = ", ".join(slot_text(slot, like[at]) for at, slot in enumerate(slots)) or "no value"
    return f"expected {items_text(expected)}, got {found}"


def _buffer(text: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(text, len(text))
