"""The exports of an instance as Python functions, by which the host enters a guest.

Supported values are numbers, vectors, and references to functions and host objects (`values/`). Types are read from the
module's bytes: wasmtime-py's `Func.type` and `Func.__call__` abort the process on a type that they do not know, such as
v128.

Not here: how the guest's end is interpreted (`session.py`), and threads (`worker.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import wasmtime

from ..module.binary import FuncType
from ..module.module import Module
from ..text.numbers import counted, listed, with_article
from .calls import raw as _raw
from .values.checked_call import checked_entry
from .values.references import ForeignReference, FunctionReference
from .values.texts import EXAMPLES, KINDS, FunctionName, as_f32, parse_value
from .values.vector import V128
from .values.wasmtime_objects import ExternItem

NUMBERS = frozenset({"i32", "i64", "f32", "f64"})


class InvokeError(Exception):
    """The entry point cannot be called as requested; the message is for the user."""


def offer(module: Module) -> str:
    """List the callable exports, as the end of a sentence."""
    names = [e.name for e in module.exports if e.kind == "func" and not e.name.startswith("__")]
    if not names:
        return "it exports no function at all"
    return f"name a function with --invoke: {listed(names, 10)}"


class Exported(Mapping[str, ExternItem]):
    """The exports of an instance by name, as wasmtime objects made on demand.

    wasmtime-py makes all at once, in quadratic time: five minutes for the 100,000 that fit into a megabyte. With
    `instance` None it is empty.
    """

    def __init__(self, module: Module, store: wasmtime.Store | None, instance: wasmtime.Instance | None) -> None:
        self._names = {} if instance is None else {e.name: e.kind for e in module.exports}
        self._store = store
        self._instance = instance
        self._known: dict[str, ExternItem] = {}
        if instance is not None and store is not None and not _raw.AVAILABLE:
            self._known = dict(instance.exports(store))

    def __getitem__(self, name: str) -> ExternItem:
        if name not in self._known:
            if name not in self._names or self._store is None or self._instance is None:
                raise KeyError(name)
            found = _raw.export(self._store, self._instance, name)
            if found is None:
                raise KeyError(name)
            self._known[name] = found
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def functions(self) -> list[str]:
        """The names of the exported functions."""
        return [name for name, kind in self._names.items() if kind == "func"]


class Entries:
    """The exported functions of one instance; `exports` are all its exports. Drop it with the store."""

    def __init__(
        self, module: Module, store: wasmtime.Store | None, instance: wasmtime.Instance | None, *, raw: bool
    ) -> None:
        self.exports = Exported(module, store, instance)
        self._module = module
        self._store = store
        self._raw = raw
        self._known: dict[str, tuple[Callable[..., object], tuple[str, ...]]] = {}

    def __contains__(self, name: str) -> bool:
        return isinstance(self.exports.get(name), wasmtime.Func)

    def call(self, name: str, arguments: Sequence[object] = ()) -> object:
        """Call an export with values (text is parsed as a number or vector); returns None, a value or a list of values.

        Raises `InvokeError` for an unknown function or wrong arguments, and whatever the guest raises.
        """
        function, kinds = self._known.get(name) or self._look_up(name)
        try:
            return function(*_converted(name, kinds, arguments))
        except ForeignReference as error:
            raise InvokeError(f"{name}: {error}") from None

    def read(self, name: str, arguments: Sequence[object]) -> list[object]:
        """Parse a user's texts as arguments of the export `name` (`values/texts.py`).

        Arguments that are not text are unchanged. Raises `InvokeError` as `call` does.
        """
        _, kinds = self._known.get(name) or self._look_up(name)
        _check_count(name, kinds, arguments)
        values = [
            _read(name, kind, text) if isinstance(text, str) else text
            for kind, text in zip(kinds, arguments, strict=True)
        ]
        return [self._reference(name, value) if isinstance(value, FunctionName) else value for value in values]

    def results(self, name: str) -> tuple[str, ...]:
        """The result types of the export `name`; empty if there is no such function."""
        type_ = self._type(name)
        return () if type_ is None else type_.results

    def _type(self, name: str) -> FuncType | None:
        module = self._module
        found = (module.function_type(e.index) for e in module.exports if e.name == name and e.kind == "func")
        return next(found, None)

    def _reference(self, name: str, to: str) -> FunctionReference:
        function = self.exports.get(to)
        if not isinstance(function, wasmtime.Func):
            raise InvokeError(f"{name}: func:{to}: {self._module.name} exports no function {to!r}")
        return FunctionReference(function._func)

    def _look_up(self, name: str) -> tuple[Callable[..., object], tuple[str, ...]]:
        found = self._known[name] = self._find(name)
        return found

    def _find(self, name: str) -> tuple[Callable[..., object], tuple[str, ...]]:
        module = self._module
        if name not in self:
            raise InvokeError(f"{module.name} exports no function {name!r}; {offer(module)}")
        type_ = self._type(name)
        if type_ is None:
            raise InvokeError(f"the type of {name} in {module.name} cannot be read")
        kinds = (*type_.params, *type_.results)
        strange = [kind for kind in kinds if kind not in KINDS]
        if strange:
            raise InvokeError(
                f"{name} takes or returns {strange[0]}, which cannot pass between Python and WebAssembly: "
                f"export a function of other types ({', '.join(sorted(KINDS))}) that calls it"
            )
        function = self.exports[name]
        assert isinstance(function, wasmtime.Func), "as its kind says"
        assert self._store is not None, "it has an instance"
        found = None
        if self._raw:
            enter = _raw.entry if {*kinds} <= NUMBERS else checked_entry
            found = enter(self._store, function, type_.params, type_.results)
        if found is None and not {*kinds} <= NUMBERS | {"externref"}:
            raise InvokeError(f"{name} is {type_}, and this wasmtime-py passes only numbers and external references")
        return found or partial(function, self._store), type_.params


def _check_count(name: str, wanted: Sequence[str], arguments: Sequence[object]) -> None:
    if len(wanted) != len(arguments):
        shown = ", ".join(wanted[:20]) + (", ..." if len(wanted) > 20 else "")
        raise InvokeError(f"{name} takes {counted(len(wanted), 'argument')} ({shown}), not {len(arguments)}")


def _read(name: str, kind: str, text: str) -> object:
    try:
        return parse_value(kind, text)
    except ValueError as error:
        raise InvokeError(f"{name}: {error}") from None


def _converted(name: str, wanted: Sequence[str], arguments: Sequence[object]) -> list[object]:
    _check_count(name, wanted, arguments)
    converted: list[object] = []
    for given, kind in zip(arguments, wanted, strict=True):
        if isinstance(given, str) and kind not in ("externref", "funcref"):
            converted.append(_read(name, kind, given))
            continue
        converted.append(python_value(name, kind, given))
    return converted


def python_value(name: str, kind: str, given: object) -> object:
    """Convert a Python value to type `kind`; raises `InvokeError`, naming the function `name`, if it does not fit."""
    try:
        return _value(name, kind, given)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise InvokeError(f"{name}: {given!r} is not {with_article(kind)}: give for example {EXAMPLES[kind]}") from None


def _value(name: str, kind: str, given: Any) -> object:
    """Convert a Python value to type `kind`."""
    if kind in ("i32", "i64"):
        bits = 32 if kind == "i32" else 64
        number: int = given.__index__()
        if not -(1 << (bits - 1)) <= number < 1 << bits:
            raise InvokeError(f"{name}: {given!r} does not fit {kind}")
        return number - (1 << bits) if number >= 1 << (bits - 1) else number
    if kind == "f64":
        return float(given)
    if kind == "f32":
        return as_f32(float(given))  # rounded, to infinity if it is too large
    if kind == "v128":
        return given if isinstance(given, V128) else V128(bytes(memoryview(given)))
    if kind == "funcref" and not isinstance(given, FunctionReference | None):
        raise InvokeError(f"{name}: {given!r} is not a function reference: give one that an export returned, or None")
    return given
