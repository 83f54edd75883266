"""Parses the component binary format into a list of definitions in file order.

Every byte is hostile. The reader never goes past its end, a vector is never longer than the remaining bytes, and
nesting is bounded; a format error is a `WasmFormatError` that names the offset. The meaning of definitions and the
range of indices are checked at instantiation (and by Wasmtime, which validates a component first).

Source: component-model, `design/mvp/Binary.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ...module.binary import Reader, WasmFormatError, read_limits, read_type_group, value_type
from ...text.numbers import with_article

MAX_NESTING = 100
"""Maximum nesting of components and types."""

SORTS = {1: "func", 2: "value", 3: "type", 4: "component", 5: "instance"}
CORE_SORTS = {
    0: "core func", 1: "core table", 2: "core memory", 3: "core global", 4: "core tag", 0x10: "core type",
    0x11: "core module", 0x12: "core instance",
}  # fmt: skip
PRIMITIVE_CODES = {
    0x7F: "bool", 0x7E: "s8", 0x7D: "u8", 0x7C: "s16", 0x7B: "u16", 0x7A: "s32", 0x79: "u32", 0x78: "s64",
    0x77: "u64", 0x76: "f32", 0x75: "f64", 0x74: "char", 0x73: "string", 0x64: "error-context",
}  # fmt: skip
BUILTINS = {
    0x02: "resource.new", 0x03: "resource.drop", 0x04: "resource.rep", 0x05: "task.cancel", 0x06: "subtask.cancel",
    0x09: "task.return", 0x0A: "context.get", 0x0B: "context.set", 0x0C: "thread.yield", 0x0D: "subtask.drop",
    0x0E: "stream.new", 0x0F: "stream.read", 0x10: "stream.write", 0x11: "stream.cancel-read",
    0x12: "stream.cancel-write", 0x13: "stream.drop-readable", 0x14: "stream.drop-writable", 0x15: "future.new",
    0x16: "future.read", 0x17: "future.write", 0x18: "future.cancel-read", 0x19: "future.cancel-write",
    0x1A: "future.drop-readable", 0x1B: "future.drop-writable", 0x1C: "error-context.new",
    0x1D: "error-context.debug-message", 0x1E: "error-context.drop", 0x1F: "waitable-set.new",
    0x20: "waitable-set.wait", 0x21: "waitable-set.poll", 0x22: "waitable-set.drop", 0x23: "waitable.join",
    0x24: "backpressure.inc", 0x25: "backpressure.dec", 0x26: "thread.index", 0x27: "thread.new-indirect",
    0x28: "thread.resume-later", 0x29: "thread.suspend", 0x2A: "thread.suspend-then-resume",
    0x2B: "thread.yield-then-resume", 0x2C: "thread.suspend-then-promote", 0x2D: "thread.yield-then-promote",
}  # fmt: skip
_PREAMBLE = b"\0asm\x0d\0\x01\0"

T = TypeVar("T")
Type = int | str
"""A value type in use: an index into the type space, or the name of a primitive type."""


class SortIndex(NamedTuple):
    """A definition, by its sort ("func", "core memory", ...) and its index in that space."""

    sort: str
    number: int


class ExternDesc(NamedTuple):
    """The type of an import or export: its sort, and the index of its type.

    For types, `number` is the type that it equals, or None for a new resource type.
    """

    sort: str
    number: int | None


@dataclass(frozen=True, slots=True)
class CoreModule:
    """A core module: `data` are its bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CoreInstance:
    """A core instance: of module `module` with instances by name, or (module None) made of `exports`."""

    module: int | None
    arguments: tuple[tuple[str, int], ...] = ()
    exports: tuple[tuple[str, SortIndex], ...] = ()


@dataclass(frozen=True, slots=True)
class CoreType:
    """A core type: `kind` "func", "module" or "other"; a function type's parameters and results by name."""

    kind: str
    params: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ComponentBody:
    """A component: its definitions in order."""

    definitions: tuple[Definition, ...]


@dataclass(frozen=True, slots=True)
class InstanceDefinition:
    """An instance: of component `component` with definitions by name, or (component None) made of `exports`."""

    component: int | None
    arguments: tuple[tuple[str, SortIndex], ...] = ()
    exports: tuple[tuple[str, SortIndex], ...] = ()


@dataclass(frozen=True, slots=True)
class AliasDefinition:
    """An alias: of the export `name` of instance `index` ("export", "core export"), or of definition `index` of
    the component `outward` levels up ("outer")."""

    sort: str
    kind: str
    index: int
    name: str = ""
    outward: int = 0


TypeBody: TypeAlias = Any
"""Depends on the kind of type: names, types, pairs of them, or declarations."""


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A type: `kind` is "record", "variant", ..., "func", "component", "instance", "resource" or "primitive".

    `body` depends on the kind: see `_Parser._type`.
    """

    kind: str
    body: TypeBody = None


@dataclass(frozen=True, slots=True)
class Options:
    """The canonical options of a lift, a lower or a built-in."""

    encoding: str = "utf8"
    memory: int | None = None
    realloc: int | None = None
    post_return: int | None = None
    is_async: bool = False
    callback: int | None = None


@dataclass(frozen=True, slots=True)
class Lift:
    """A component function of type `type` from core function `function`."""

    function: int
    options: Options
    type: int


@dataclass(frozen=True, slots=True)
class Lower:
    """A core function from component function `function`."""

    function: int
    options: Options


@dataclass(frozen=True, slots=True)
class Builtin:
    """A core function provided by the engine: `name` in `BUILTINS`, and its immediates in the binary."""

    name: str
    type: Type | None = None
    """The type index of a resource, stream or future; the result type of task.return; a core type or value type."""
    options: Options = field(default_factory=Options)
    is_async: bool = False
    """async? of a cancel, cancellable? of a wait or yield."""
    number: int = 0
    """The slot of context.get and context.set; the table of thread.new-indirect; the memory of a wait."""


@dataclass(frozen=True, slots=True)
class ImportDefinition:
    """An import."""

    name: str
    desc: ExternDesc


@dataclass(frozen=True, slots=True)
class ExportDefinition:
    """An export, which also adds an index to the space of its sort."""

    name: str
    item: SortIndex
    desc: ExternDesc | None


@dataclass(frozen=True, slots=True)
class ExportDeclaration:
    """An export of a component type or an instance type."""

    name: str
    desc: ExternDesc


Definition = (
    CoreModule | CoreInstance | CoreType | ComponentBody | InstanceDefinition | AliasDefinition | TypeDefinition
    | Lift | Lower | Builtin | ImportDefinition | ExportDefinition | ExportDeclaration
)  # fmt: skip


def is_component(data: bytes) -> bool:
    """Whether the bytes start with the component header of the supported version."""
    return data[:8] == _PREAMBLE


def parse(data: bytes) -> ComponentBody:
    """Parse a component. Raises `WasmFormatError`."""
    if not is_component(data):
        raise WasmFormatError("it does not begin as a component does (version 0xd, layer 1)")
    parser = _Parser(Reader(data, 8), 0)
    return ComponentBody(tuple(parser.component()))


class _Parser:
    """Reads the definitions of one component from one reader."""

    def __init__(self, reader: Reader, depth: int) -> None:
        self.r = reader
        self.depth = depth
        if depth > MAX_NESTING:
            raise WasmFormatError(f"components are nested more than {MAX_NESTING} deep")

    # ---- numbers, names, vectors

    def u32(self) -> int:
        return self.r.u32()

    def byte(self) -> int:
        return self.r.byte()

    def name(self) -> str:
        return self.r.name()

    def vector(self, item: Callable[[], T]) -> list[T]:
        """Read a count and that many items; the count may not exceed the remaining bytes."""
        count = self.u32()
        if count > self.r.end - self.r.position:
            raise WasmFormatError(f"a vector of {count:,} items is longer than what is left of its section")
        return [item() for _ in range(count)]

    def optional(self, item: Callable[[], T]) -> T | None:
        present = self.byte()
        if present > 1:
            raise self.unknown("optional item", present)
        return item() if present else None

    def unknown(self, what: str, code: int) -> WasmFormatError:
        """The error for an unknown code."""
        return WasmFormatError(f"0x{code:02x} at offset {self.r.position - 1:,} is not {with_article(what)}")

    def extern_name(self) -> str:
        form = self.byte()
        if form > 2:
            raise self.unknown("form of a name", form)
        name = self.name()
        if form == 2:
            self.vector(self._attribute)
        return name

    def _attribute(self) -> None:
        kind = self.byte()
        if kind > 2:
            raise self.unknown("attribute of a name", kind)
        self.name()

    def core_sort(self) -> str:
        code = self.byte()
        if code not in CORE_SORTS:
            raise self.unknown("core sort", code)
        return CORE_SORTS[code]

    def sort(self) -> str:
        code = self.byte()
        if code == 0:
            return self.core_sort()
        if code not in SORTS:
            raise self.unknown("sort", code)
        return SORTS[code]

    def sort_index(self) -> SortIndex:
        return SortIndex(self.sort(), self.u32())

    # ---- sections

    def component(self) -> list[Definition]:
        """The definitions of all sections."""
        found: list[Definition] = []
        r = self.r
        while r.position < r.end:
            section, size = r.byte(), r.u32()
            if size > r.end - r.position:
                raise WasmFormatError(f"section {section} at offset {r.position:,} is longer than the component")
            end = r.position + size
            inner = _Parser(Reader(r.data, r.position, end), self.depth)
            found += inner.section(section)
            if inner.r.position != end:
                raise WasmFormatError(f"section {section} has {end - inner.r.position:,} bytes too many")
            r.position = end
        return found

    def section(self, number: int) -> list[Definition]:
        r = self.r
        if number == 0 or number == 1:
            rest = r.data[r.position : r.end]
            r.position = r.end
            return [CoreModule(bytes(rest))] if number == 1 else []
        if number == 4:
            if r.data[r.position : r.position + 8] != _PREAMBLE:
                raise WasmFormatError("a nested component does not begin as a component does")
            r.position += 8
            nested = _Parser(r, self.depth + 1)
            return [ComponentBody(tuple(nested.component()))]
        readers: dict[int, Callable[[], Definition]] = {
            2: self._core_instance, 3: self._core_type, 5: self._instance, 6: self._alias, 7: self._type,
            8: self._canon, 10: self._import, 11: self._export,
        }  # fmt: skip
        if number in (9, 12):
            raise WasmFormatError("values of components (start functions, value imports) are not supported")
        if number not in readers:
            raise WasmFormatError(f"section {number} is not known")
        return self.vector(readers[number])

    def _core_instance(self) -> CoreInstance:
        form = self.byte()
        if form == 0:
            return CoreInstance(self.u32(), tuple(self.vector(self._core_argument)))
        if form == 1:
            return CoreInstance(None, exports=tuple(self.vector(self._core_export)))
        raise self.unknown("core instance", form)

    def _core_argument(self) -> tuple[str, int]:
        name, sort = self.name(), self.byte()
        if sort != 0x12:
            raise self.unknown("core instance as an argument", sort)
        return name, self.u32()

    def _core_export(self) -> tuple[str, SortIndex]:
        return self.name(), SortIndex(self.core_sort(), self.u32())

    def _instance(self) -> InstanceDefinition:
        form = self.byte()
        if form == 0:
            return InstanceDefinition(self.u32(), tuple(self.vector(lambda: (self.name(), self.sort_index()))))
        if form == 1:
            return InstanceDefinition(None, exports=tuple(self.vector(lambda: (self.extern_name(), self.sort_index()))))
        raise self.unknown("instance", form)

    def _alias(self) -> AliasDefinition:
        sort, form = self.sort(), self.byte()
        if form == 0:
            return AliasDefinition(sort, "export", self.u32(), self.name())
        if form == 1:
            return AliasDefinition(sort, "core export", self.u32(), self.name())
        if form == 2:
            outward = self.u32()
            return AliasDefinition(sort, "outer", self.u32(), outward=outward)
        raise self.unknown("alias", form)

    def _import(self) -> ImportDefinition:
        return ImportDefinition(self.extern_name(), self._desc())

    def _export(self) -> ExportDefinition:
        return ExportDefinition(self.extern_name(), self.sort_index(), self.optional(self._desc))

    def _desc(self) -> ExternDesc:
        code = self.byte()
        if code == 0:
            inner = self.byte()
            if inner != 0x11:
                raise self.unknown("core module", inner)
            return ExternDesc("core module", self.u32())
        if code == 3:
            bound = self.byte()
            if bound > 1:
                raise self.unknown("bound of a type", bound)
            return ExternDesc("type", self.u32() if bound == 0 else None)
        if code == 2 or code not in SORTS:
            raise self.unknown("supported extern type", code)
        return ExternDesc(SORTS[code], self.u32())

    # ---- types

    def value_type(self) -> Type:
        first = self.r.data[self.r.position] if self.r.position < self.r.end else 0
        if first in PRIMITIVE_CODES:
            self.byte()
            return PRIMITIVE_CODES[first]
        index = self.r.s33()
        if index < 0:
            raise WasmFormatError(f"{index} at offset {self.r.position:,} is not a value type")
        return index

    def _field(self) -> tuple[str, Type]:
        return self.name(), self.value_type()

    def _case(self) -> tuple[str, Type | None]:
        name, type_ = self.name(), self.optional(self.value_type)
        if self.byte() != 0:
            raise WasmFormatError("a case of a variant does not end with 0x00")
        return name, type_

    def _result(self) -> Type | None:
        form = self.byte()
        if form == 0:
            return self.value_type()
        if form != 1 or self.byte() != 0:
            raise self.unknown("result list", form)
        return None

    def _type(self) -> TypeDefinition:
        """A type. The bodies: a record's fields, a variant's cases, (element, length) of a list, the types of a tuple,
        the labels of flags and enums, the type of an option, (ok, error) of a result, (key, value) of a map, the
        index of a resource (own, borrow), the element of a stream or future, (params, result, is_async) of a
        function, the declarations of a component or instance type, the destructor of a resource.
        """
        code = self.byte()
        if code in PRIMITIVE_CODES:
            return TypeDefinition("primitive", PRIMITIVE_CODES[code])
        if code in (0x40, 0x43):
            params = tuple(self.vector(self._field))
            return TypeDefinition("func", (params, self._result(), code == 0x43))
        if code in (0x41, 0x42):
            inner = _Parser(self.r, self.depth + 1)
            declarations = tuple(inner.vector(inner._declaration))
            return TypeDefinition("component" if code == 0x41 else "instance", declarations)
        if code == 0x3F:
            if self.byte() != 0x7F:
                raise WasmFormatError("a resource is represented by something else than an i32")
            return TypeDefinition("resource", self.optional(self.u32))
        readers: dict[int, tuple[str, Callable[[], object]]] = {
            0x72: ("record", lambda: tuple(self.vector(self._field))),
            0x71: ("variant", lambda: tuple(self.vector(self._case))),
            0x70: ("list", lambda: (self.value_type(), None)),
            0x67: ("list", lambda: (self.value_type(), self.u32())),
            0x6F: ("tuple", lambda: tuple(self.vector(self.value_type))),
            0x6E: ("flags", lambda: tuple(self.vector(self.name))),
            0x6D: ("enum", lambda: tuple(self.vector(self.name))),
            0x6B: ("option", self.value_type),
            0x6A: ("result", lambda: (self.optional(self.value_type), self.optional(self.value_type))),
            0x69: ("own", self.u32),
            0x68: ("borrow", self.u32),
            0x66: ("stream", lambda: self.optional(self.value_type)),
            0x65: ("future", lambda: self.optional(self.value_type)),
            0x63: ("map", lambda: (self.value_type(), self.value_type())),
        }
        if code not in readers:
            raise self.unknown("type", code)
        kind, body = readers[code]
        return TypeDefinition(kind, body())

    def _declaration(self) -> Definition:
        code = self.byte()
        if code == 0:
            return self._core_type()
        if code == 1:
            return self._type()
        if code == 2:
            return self._alias()
        if code == 3:
            return self._import()
        if code == 4:
            return ExportDeclaration(self.extern_name(), self._desc())
        raise self.unknown("declaration", code)

    def _core_type(self) -> CoreType:
        r = self.r
        code = r.byte()
        if code == 0x50:
            inner = _Parser(r, self.depth + 1)
            inner.vector(inner._module_declaration)
            return CoreType("module")
        # An open type (sub) is preceded by a zero here, because its code is also that of a module type.
        (type_, *more) = read_type_group(r, r.byte() if code == 0 else code) or [None]
        if type_ is None or more:
            return CoreType("other")
        return CoreType("func", type_.params, type_.results)

    def _core_value(self) -> str:
        return value_type(self.r)

    def _module_declaration(self) -> None:
        code = self.byte()
        if code == 0:
            self.name()
            self.name()
            self._core_extern()
        elif code == 1:
            self._core_type()
        elif code == 2:
            if self.byte() != 0x10 or self.byte() != 1:
                raise WasmFormatError("an alias in a core module type is not one of an outer type")
            self.u32()
            self.u32()
        elif code == 3:
            self.name()
            self._core_extern()
        else:
            raise self.unknown("declaration of a core module type", code)

    def _core_extern(self) -> None:
        code = self.byte()
        if code == 0:
            self.u32()
        elif code == 1:
            value_type(self.r)
            read_limits(self.r)
        elif code == 2:
            read_limits(self.r)
        elif code == 3:
            value_type(self.r)
            self.byte()
        elif code == 4:
            self.byte()
            self.u32()
        else:
            raise self.unknown("core extern type", code)

    # ---- canonical definitions

    def _options(self) -> Options:
        chosen: dict[str, Any] = {}
        for _ in range(self.u32()):
            code = self.byte()
            if code in (0, 1, 2):
                chosen["encoding"] = ("utf8", "utf16", "latin1+utf16")[code]
            elif code in (3, 4, 5, 7):
                chosen[{3: "memory", 4: "realloc", 5: "post_return", 7: "callback"}[code]] = self.u32()
            elif code == 6:
                chosen["is_async"] = True
            else:
                raise self.unknown("canonical option", code)
        return Options(**chosen)

    def _canon(self) -> Lift | Lower | Builtin:
        code = self.byte()
        if code in (0, 1):
            if self.byte() != 0:
                raise WasmFormatError("a lift or lower of something else than a function")
            if code == 0:
                return Lift(self.u32(), self._options(), self.u32())
            return Lower(self.u32(), self._options())
        name = BUILTINS.get(code)
        if name is None:
            raise self.unknown("canonical function", code)
        if name == "task.return":
            return Builtin(name, self._result(), self._options())
        if name.startswith("context."):
            return Builtin(name, self._core_value(), number=self.u32())
        if name.startswith("resource.") or name.endswith((".new", "-readable", "-writable")):
            if name in ("waitable-set.new", "error-context.new"):
                return Builtin(name, options=self._options() if name == "error-context.new" else Options())
            return Builtin(name, self.u32())
        if name.endswith((".read", ".write")):
            return Builtin(name, self.u32(), self._options())
        if name.endswith((".cancel-read", ".cancel-write")):
            return Builtin(name, self.u32(), is_async=self._flag())
        if name == "error-context.debug-message":
            return Builtin(name, options=self._options())
        if name in ("waitable-set.wait", "waitable-set.poll"):
            cancellable = self._flag()
            return Builtin(name, is_async=cancellable, options=Options(memory=self.u32()))
        if name == "thread.new-indirect":
            return Builtin(name, self.u32(), number=self.u32())
        if name in ("subtask.cancel", "thread.yield", "thread.suspend") or name.startswith(
            ("thread.suspend-", "thread.yield-")
        ):
            return Builtin(name, is_async=self._flag())
        return Builtin(name)

    def _flag(self) -> bool:
        code = self.byte()
        if code > 1:
            raise self.unknown("flag", code)
        return code == 1
