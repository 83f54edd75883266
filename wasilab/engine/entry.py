"""The exports of an instance as Python functions of numbers: how a guest is entered.

Only numbers (and external references) pass. The types are read from the module's own bytes: wasmtime-py's `Func.type`
and `Func.__call__` end the whole process when they meet a type that they do not know, such as v128.

Not here: what the guest's end means (`session.py`), and threads (`worker.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import c_float
from functools import partial
from typing import Any

import wasmtime

from ..module.module import Module
from .calls import raw as _raw

NUMBERS = frozenset({"i32", "i64", "f32", "f64"})


class InvokeError(Exception):
    """The entry point cannot be called as asked; the message is for people."""


def offer(module: Module) -> str:
    """What there is to call in it, as the end of a sentence."""
    names = [e.name for e in module.exports if e.kind == "func" and not e.name.startswith("__")]
    if not names:
        return "it exports no function at all"
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"name a function with --invoke: {shown}"


class Exported(Mapping[str, Any]):
    """The exports of an instance by name, as wasmtime objects, each made when it is asked for.

    wasmtime-py makes all of them at once, in time that grows with the square of their number: five minutes for
    the 100,000 that fit into a megabyte. `instance` None has none.
    """

    def __init__(self, module: Module, store: Any, instance: Any) -> None:
        self._names = {} if instance is None else {e.name: e.kind for e in module.exports}
        self._store = store
        self._instance = instance
        self._known: dict[str, Any] = {}
        if instance is not None and not _raw.AVAILABLE:
            self._known = dict(instance.exports(store))

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            if name not in self._names:
                raise KeyError(name)
            self._known[name] = _raw.export(self._store, self._instance, name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def functions(self) -> list[str]:
        """The names of those that are functions."""
        return [name for name, kind in self._names.items() if kind == "func"]


class Entries:
    """The functions that one instance exports; `exports` are all its exports. Drop it with the store."""

    def __init__(self, module: Module, store: Any, instance: Any, *, raw: bool) -> None:
        self.exports = Exported(module, store, instance)
        self._module = module
        self._store = store
        self._raw = raw
        self._known: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}

    def __contains__(self, name: str) -> bool:
        return isinstance(self.exports.get(name), wasmtime.Func)

    def call(self, name: str, arguments: Sequence[Any] = ()) -> Any:
        """Call an export with numbers (text is read as numbers); None, a number or a list of numbers.

        Raises `InvokeError` when there is no such function, or not for such arguments; else what the guest raises.
        """
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._find(name)
        function, kinds = known
        return function(*_converted(name, kinds, arguments))

    def _find(self, name: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
        module = self._module
        if name not in self:
            raise InvokeError(f"{module.name} exports no function {name!r}; {offer(module)}")
        type_ = next((module.function_type(e.index) for e in module.exports if e.name == name), None)
        if type_ is None:
            raise InvokeError(f"the type of {name} in {module.name} cannot be read")
        strange = [kind for kind in (*type_.params, *type_.results) if kind not in NUMBERS and kind != "externref"]
        if strange:
            raise InvokeError(
                f"{name} takes or returns {strange[0]}, which cannot pass between Python and WebAssembly: "
                "export a function of numbers (i32, i64, f32, f64) that calls it"
            )
        function = self.exports[name]
        quick = _raw.entry(self._store, function, type_.params, type_.results) if self._raw else None
        return quick or partial(function, self._store), type_.params


def _converted(name: str, wanted: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
    if len(wanted) != len(arguments):
        shown = ", ".join(wanted[:20]) + (", ..." if len(wanted) > 20 else "")
        raise InvokeError(f"{name} takes {len(wanted)} arguments ({shown}), not {len(arguments)}")
    converted: list[Any] = []
    for given, kind in zip(arguments, wanted, strict=True):
        try:
            if kind in ("i32", "i64"):
                bits = 32 if kind == "i32" else 64
                number = int(given, 0) if isinstance(given, str) else given.__index__()
                if not -(1 << (bits - 1)) <= number < 1 << bits:
                    raise InvokeError(f"{name}: {given!r} does not fit {kind}")
                converted.append(number - (1 << bits) if number >= 1 << (bits - 1) else number)
            elif kind == "f64":
                converted.append(float(given))
            elif kind == "f32":
                converted.append(c_float(float(given)).value)  # rounded, to infinity where it is too large
            else:
                converted.append(given)
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise InvokeError(f"{name}: {given!r} is no {kind}") from None
    return converted
