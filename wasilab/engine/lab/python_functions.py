"""Python functions as imports of a guest, with numbers, vectors and external references.

An external reference is a capability that a guest cannot forge: the guest gets a Python object, can keep it, pass it on
and return it, but cannot look into it. An exception in a function ends the guest with a message, never the process.
Source: WebAssembly core 3.0, 4.4.10 (calls of host functions).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence

import wasmtime

from ...module.binary import FuncType
from ...text.nearest import did_you_mean
from ...text.numbers import with_article
from ...trace.record.functions import Function, pack_values
from ...trace.record.layout import DID_NOT_RETURN
from ...trace.record.payload import pack_payload
from ...wasi.types import ProcExit, Trap
from ..calls import raw as _raw
from ..entry import InvokeError, python_value
from ..session import Session
from ..stop import LinkError
from ..values import references
from ..values.raw_slots import clear_slots, read_slot, write_slot
from ..values.wasmtime_objects import Imported, RawWords, RetainedCallback, as_function_type

try:
    from wasmtime import _bindings

    _reference = _bindings.wasmtime_externref_t
    _from_raw, _to_raw = _bindings._wasmtime_externref_from_raw, _bindings._wasmtime_externref_to_raw
    _unroot = _bindings._wasmtime_externref_unroot
except (ImportError, AttributeError):
    pass

PASSES = frozenset({"i32", "i64", "f32", "f64", "v128", "externref"})
"""The types of a Python function's parameters and results."""
Functions = Mapping[str, Mapping[str, Callable[..., object]]]
"""Import module name -> import name -> function."""


def check_functions(name: str, session: Session, functions: Functions) -> None:
    """Raise `LinkError` for a function that the module does not import, or that has unsupported types."""
    imported = {(i.module, i.name): i.type for i in session.module.imports}
    for module, members in functions.items():
        for member, function in members.items():
            type_ = imported.get((module, member))
            if type_ is None:
                near = did_you_mean(f"{module}.{member}", [f"{m}.{n}" for m, n in imported])
                raise LinkError(f"{name} imports no {module}.{member}, which a Python function was given for{near}")
            if not isinstance(type_, FuncType):
                raise LinkError(
                    f"{name} imports {module}.{member} as {with_article(str(type_).split(' ')[0])}, not as a "
                    "function"
                )
            strange = [kind for kind in (*type_.params, *type_.results) if kind not in PASSES]
            if strange:
                raise LinkError(f"{module}.{member} takes or returns {strange[0]}, which no Python function can")
            if not callable(function):
                raise LinkError(f"{module}.{member}: {function!r} is not a function")


def link_functions(name: str, functions: Functions, session: Session) -> None:
    """Let a session that is not compiled yet import Python functions. Raises `LinkError` as `check_functions`."""
    check_functions(name, session, functions)
    session.linked = lambda compiled: provide_functions(session, functions, compiled, session.keep)


def provide_functions(
    session: Session, functions: Functions, compiled: wasmtime.Module, keep: list[RetainedCallback]
) -> Imported:
    """The functions as imports of the session's instance. Call it once the store exists, and retain the objects in
    `keep` as long as the store.
    """
    found: Imported = {}
    types: Sequence[wasmtime.ImportType] | None = None
    for position, item in enumerate(session.module.imports):
        function = functions.get(item.module, {}).get(item.name)
        if function is None or not isinstance(item.type, FuncType):
            continue
        if types is None:
            types = compiled.imports
        target = target_of(session, item.module, item.name, item.type, function)
        made, callback = _raw.function(session.store, as_function_type(types[position]), target)
        keep.append(callback)
        found.setdefault(item.module, {})[item.name] = made
    return found


def target_of(
    session: Session, module: str, name: str, type_: FuncType, function: Callable[..., object]
) -> Callable[..., int]:
    """A raw callback (`calls/raw.py`) that calls a Python function and records the call as `module`.`name`."""
    store, recorder = session.store, session.recorder
    number = 0
    if recorder is not None:
        params = tuple((f"${at}", kind) for at, kind in enumerate(type_.params))
        results = tuple(("result" if at == 0 else f"result{at}", kind) for at, kind in enumerate(type_.results))
        number = recorder.function_number(Function(name, "python", module, params=params, results=results))
    write = None if recorder is None else recorder.make_writer()

    def target(env: int, caller: int, slots: RawWords, count: int) -> int:
        start = session.host.run_time()
        values: list[object] = []
        each: list[object] = []
        errno, why = DID_NOT_RETURN, ""
        try:
            values = [_take(store, slots, at, kind) for at, kind in enumerate(type_.params)]
            try:
                result = function(*values)
            except (ProcExit, Trap):
                raise
            except Exception as error:  # noqa: BLE001  user code: its exceptions are shown, not fatal
                raise Trap(f"the Python function {module}.{name} failed: {_said(error)}") from None
            each = _results(f"{module}.{name}", result, type_.results)
            clear_slots(slots, len(type_.results))
            for at, (kind, value) in enumerate(zip(type_.results, each, strict=True)):
                _give(store, slots, at, kind, value)
            errno = 0
            return 0
        except BaseException as error:  # noqa: BLE001  nothing may leave a callback
            why = _said(error)
            session.stop_for(error, f"{module}.{name}")
            return _raw.trap()
        finally:
            if write is not None and recorder is not None:
                try:
                    reason = recorder.intern_reason(why) if why else 0
                    data = pack_values(_shown(each), 256) if errno == 0 and each else b""
                    payload = pack_payload(pack_values(_shown(values), 256), data, (), reason)
                    write(start, session.host.run_time() - start, 0, 0, None, payload, number, errno, 0, 0, 0, 0, 0, 0)
                except Exception:  # noqa: BLE001  a user's __repr__ may fail: the call is not recorded
                    why = ""

    return target


def _take(store: wasmtime.Store, slots: RawWords, at: int, kind: str) -> object:
    if kind != "externref":
        return read_slot(slots, at, kind)
    reference = _reference()
    if not slots[4 * at]:
        return None
    _from_raw(store._context(), slots[4 * at], ctypes.byref(reference))
    try:
        return references.take_object(store, reference)
    finally:
        _unroot(ctypes.byref(reference))


def _give(store: wasmtime.Store, slots: RawWords, at: int, kind: str, value: object) -> None:
    if kind != "externref":
        write_slot(slots, at, kind, value)
        return
    if value is None:
        return
    reference = _reference()
    references.put_object(store, reference, value)
    try:
        slots[4 * at] = _to_raw(store._context(), ctypes.byref(reference))
    finally:
        _unroot(ctypes.byref(reference))


def _results(name: str, result: object, kinds: Sequence[str]) -> list[object]:
    """Convert a function's return value to its result types. Raises `Trap` with a message if it does not fit."""
    each = [] if not kinds else list(result) if len(kinds) > 1 and isinstance(result, (list, tuple)) else [result]
    if len(each) != len(kinds):
        raise Trap(f"the Python function {name} returned {len(each)} values, and its type has {len(kinds)}")
    try:
        return [python_value(name, kind, value) for kind, value in zip(kinds, each, strict=True)]
    except InvokeError as error:
        raise Trap(f"the Python function returned what its type has not: {error}") from None


def _shown(values: Sequence[object]) -> list[object]:
    return ["null" if value is None else value for value in values]


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:400] if not isinstance(error, Trap) else str(error)[:400]
    except Exception:  # noqa: BLE001  a user's class: its __str__ may fail too
        return type(error).__name__
