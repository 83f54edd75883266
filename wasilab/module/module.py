"""Parses a WebAssembly module without running it: imports, exports, memories, names, debug sections.

The section parser reads only what is useful before a run (types, imports, exports, memories, the start function, custom
sections). It skips function bodies, so a module of 100 MB costs little more than reading its file. Wasmtime validates
the whole module when it is compiled for a run (`engine/`). The input is untrusted: each length is checked against the
remaining bytes before it is used. Source: WebAssembly core 3.0, chapter 5 (binary format), and its appendix on the name
section.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from ..text.escape import shorten, visible
from ..text.numbers import counted
from ..wasi.library import LIBRARY_LOOKUP
from ..wasi.preview1.spec import MODULES
from .binary import ExternType, FuncType, MemoryType, Reader, WasmFormatError, read_limits, read_types, value_type
from .precompiled import MAGIC, Precompiled

ModuleKind = Literal["command", "reactor", "component", "library"]

MAX_BYTES = 1 << 30
"""The largest file that is read: 1 GiB."""
_LONGEST_CAUSE = 300

_MAGIC = b"\0asm"
_EXTERNS = ("func", "table", "memory", "global", "tag")
_LOOKALIKES = (
    (b"\x7fELF", "a native Linux program: compile it for the target wasm32-wasi"),
    (b"\xcf\xfa\xed\xfe", "a native macOS program: compile it for the target wasm32-wasi"),
    (MAGIC, "machine code made ahead of time, which only wasilab run and inspect read"),
    (b"MZ", "a native Windows program: compile it for the target wasm32-wasi"),
    (b"!<arch>", "a library archive: link it into a .wasm first"),
    (b"BC\xc0\xde", "LLVM bitcode: link it into a .wasm first"),
    (b"PK\x03\x04", "a zip file: unpack it first"),
    (b"\x1f\x8b", "a gzip file: unpack it first"),
    (b"#!", "a script"),
)


class ModuleError(ValueError):
    """A file or text is not a WebAssembly module. The message is one sentence for the user, with names escaped."""

    def __init__(self, message: str) -> None:
        super().__init__(visible(message, lines=True))


class Import:
    """One import: its `module` and `name`, and its `type` (`FuncType` for functions)."""

    __slots__ = ("module", "name", "type")

    def __init__(self, module: str, name: str, type: ExternType) -> None:
        self.module = module
        self.name = name
        self.type = type

    def __repr__(self) -> str:
        return f"Import({self.module!r}, {self.name!r}, {self.type})"


class Export:
    """One export: its `name`, its `kind` ("func", "table", "memory", "global", "tag"), and its index in that kind."""

    __slots__ = ("index", "kind", "name")

    def __init__(self, name: str, kind: str, index: int) -> None:
        self.name = name
        self.kind = kind
        self.index = index

    def __repr__(self) -> str:
        return f"Export({self.name!r}, {self.kind})"


class ChangedCode(NamedTuple):
    """How the code of a module relates to that of the module it was made of (`grow_traps.py`)."""

    original: Module
    starts: tuple[int, ...]
    """Offsets in the changed module, ascending."""
    originals: tuple[int, ...]
    """The original's offset for each of `starts`; those between two of them follow in step."""
    added: int
    """The index of the first function that was added."""

    def original_offset(self, offset: int) -> int:
        """The original's offset of an instruction of the changed module; 0 for 0 and for an added function."""
        at = bisect_right(self.starts, offset) - 1
        return self.originals[at] + offset - self.starts[at] if offset and self.originals[at] else 0


class Module:
    """A WebAssembly module with the source it came from, when it was compiled here.

    `data` is the binary. `name` is what reports call it. `source`, `lang` and `source_name` are the text that it was
    compiled from, the language ("c", "wat", ...) and the file name that the compiler saw, which DWARF repeats.
    Raises `ModuleError` when the bytes are not a module.
    """

    def __init__(
        self,
        data: bytes,
        name: str = "module",
        *,
        source: str | None = None,
        lang: str | None = None,
        source_name: str | None = None,
    ) -> None:
        self.bytes = bytes(data)
        self.name = name
        self.source = source
        self.lang = lang
        self.source_name = source_name
        self.warnings = ""
        """The compiler's warnings; "" for a module that was loaded."""
        self.without_reports: Callable[[], Module] | None = None
        """Compiles the module again without `reports_lookups`; None if it was not compiled in this process."""
        self.changed: ChangedCode | None = None
        """How its code was changed for a run; None: it was not."""
        self.precompiled: Precompiled | None = None
        """Its machine code, if it was made ahead of time; None: the engine makes it."""
        self.is_component = False
        self.types: list[FuncType | None] = []
        self.imports: list[Import] = []
        self.exports: list[Export] = []
        self.memories: list[MemoryType] = []
        """All memories by index: the imported ones come first."""
        self.tables = 0
        """How many tables the module defines, without imported ones."""
        self.imported_tables: list[tuple[bytes, bool]] = []
        """The element type of each imported table in binary, and whether its indexes have 64 bits."""
        self.functions: list[int] = []
        """The type index of each function that the module defines, without imported ones."""
        self.start: int | None = None
        """The index of the start function, which runs at instantiation; None if there is none."""
        self.code_offset: int | None = None
        """Byte offset of the code section's payload, from which DWARF counts addresses. None without code."""
        self.code_size = 0
        """Bytes of the code section's payload."""
        self._custom: list[tuple[str, int, int]] = []
        _check_head(self.bytes[:16], name)
        try:
            self._parse()
        except WasmFormatError as error:
            cause = shorten(visible(str(error)), _LONGEST_CAUSE)
            raise ModuleError(f"{name} is a damaged WebAssembly module: {cause}") from None

    # ---- queries

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the binary, in hexadecimal."""
        return hashlib.sha256(self.bytes).hexdigest()

    @cached_property
    def kind(self) -> ModuleKind:
        """"command" (has `_start`), "reactor" (has `_initialize`), "component" (another format), or "library"."""
        if self.is_component:
            return "component"
        functions = {export.name for export in self.exports if export.kind == "func"}
        return "command" if "_start" in functions else "reactor" if "_initialize" in functions else "library"

    @cached_property
    def source_module(self) -> Module | None:
        """The module that source lines refer to: itself; in a component, the largest core module that has line
        tables."""
        if not self.is_component:
            return self
        for data in sorted(set(_core_modules(Reader(self.bytes, 8), 0)), key=len, reverse=True)[:_CORE_MODULES]:
            if b".debug_line" not in data:
                continue
            try:
                found = Module(data, self.name, source=self.source, lang=self.lang, source_name=self.source_name)
            except ModuleError:
                continue
            if found.has_dwarf:
                return found
        return None

    @cached_property
    def wasi_imports(self) -> list[Import]:
        """The imports from WASI preview 1 and from its predecessor, `wasi_unstable`."""
        return [item for item in self.imports if item.module in ("wasi_snapshot_preview1", "wasi_unstable")]

    @cached_property
    def reports_lookups(self) -> bool:
        """Whether it imports wasilab's report function, through which its C library reports the paths it refuses."""
        return any(item.module == LIBRARY_LOOKUP.module for item in self.imports)

    def portable(self) -> Module:
        """The module without the import that only wasilab provides: compiled again if it has that import, else itself.

        Raises `ModuleError` for a module with that import that was not compiled in this process.
        """
        if not self.reports_lookups:
            return self
        if self.without_reports is None:
            raise ModuleError(
                f"{self.name} imports wasilab's report function, and its source is not available: compile it "
                "again (wasilab compile)"
            )
        return self.without_reports()

    def asks(self) -> dict[str, list[str]]:
        """The WASI calls that the module imports, by family; "unknown" for names that are in no snapshot.

        This is an upper bound of what it can call.
        """
        found: dict[str, list[str]] = {}
        for item in self.wasi_imports:
            call = MODULES[item.module].get(item.name)
            names = found.setdefault("unknown" if call is None else call.family, [])
            if item.name not in names:
                names.append(item.name)
        return {family: sorted(found[family]) for family in sorted(found)}

    @property
    def memory(self) -> MemoryType | None:
        """The memory exported as "memory", in which WASI calls work; None when there is none."""
        for export in self.exports:
            if export.kind == "memory" and export.name == "memory" and export.index < len(self.memories):
                return self.memories[export.index]
        return None

    def function_type(self, index: int) -> FuncType | None:
        """The type of function `index`, imports counted first; None when there is no such function."""
        imported = [item.type for item in self.imports if isinstance(item.type, FuncType)]
        if 0 <= index < len(imported):
            return imported[index]
        index -= len(imported)
        if 0 <= index < len(self.functions) and self.functions[index] < len(self.types):
            return self.types[self.functions[index]]
        return None

    @property
    def imported_functions(self) -> int:
        """How many functions are imported: the index of the first function that the module defines."""
        return sum(isinstance(item.type, FuncType) for item in self.imports)

    # ---- custom sections

    @property
    def custom_sections(self) -> dict[str, int]:
        """The custom sections' names and sizes in bytes (of the first of each name)."""
        sizes: dict[str, int] = {}
        for name, begin, end in self._custom:
            sizes.setdefault(name, end - begin)
        return sizes

    def custom(self, name: str) -> bytes | None:
        """The payload of the first custom section of that name, None when there is none."""
        for found, begin, end in self._custom:
            if found == name:
                return self.bytes[begin:end]
        return None

    @property
    def has_dwarf(self) -> bool:
        """Whether the module has line tables, which map addresses to source lines."""
        sizes = self.custom_sections
        return ".debug_line" in sizes and ".debug_info" in sizes

    @cached_property
    def function_names(self) -> dict[int, str]:
        """Function index -> name, as the name section has it: mangled names stay mangled. Empty without a section."""
        return self.names(1)

    def names(self, part: int) -> dict[int, str]:
        """Index -> name, of one part of the name section: 1 functions, 7 globals, 9 data segments. Empty without it.

        A damaged section gives the names before the damage, since no run needs names.
        """
        names: dict[int, str] = {}
        payload = self.custom("name")
        if payload is None:
            return names
        reader = Reader(payload)
        try:
            while not reader.at_end:
                number = reader.byte()
                body = reader.sub(reader.u32())
                if number == part:
                    for _ in range(body.count(2)):
                        index = body.u32()
                        names[index] = body.name()
        except WasmFormatError:
            return names
        return names

    def function_name(self, index: int) -> str | None:
        """The name of function `index`: from the name section, else the name it is exported under, else None."""
        name = self.function_names.get(index)
        if name is None:
            name = next((e.name for e in self.exports if e.kind == "func" and e.index == index), None)
        return name

    # ---- presentation

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON values (`wasilab inspect --json`)."""
        memory = self.memory
        return {
            "name": self.name,
            "bytes": len(self.bytes),
            "sha256": self.sha256,
            "kind": self.kind,
            "lang": self.lang,
            "asks": self.asks(),
            "imports": [{"module": i.module, "name": i.name, "type": str(i.type)} for i in self.imports],
            "exports": [
                {"name": e.name, "kind": e.kind, "type": str(self.function_type(e.index)) if e.kind == "func" else None}
                for e in self.exports
            ],
            "memory": None if memory is None else {"min": memory.min_bytes, "max": memory.max_bytes},
            "start": self.start is not None,
            "dwarf": self.has_dwarf,
            "custom_sections": self.custom_sections,
        }

    def __repr__(self) -> str:
        asked = len({item.name for item in self.wasi_imports})
        imports = "" if self.is_component else f", imports {counted(asked, 'WASI call')}"
        return f"<Module {self.name}: {self.kind}, {len(self.bytes):,} bytes{imports}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Module) and self.bytes == other.bytes

    def __hash__(self) -> int:
        return hash(self.sha256)

    # ---- reading the binary

    def _parse(self) -> None:
        if self.bytes[4:8] in (b"\x0d\x00\x01\x00", b"\x0a\x00\x01\x00"):
            self.is_component = True
            return
        if self.bytes[4:8] != b"\x01\x00\x00\x00":
            raise WasmFormatError(f"unknown format version {int.from_bytes(self.bytes[4:8], 'little')}")
        reader = Reader(self.bytes, 8)
        function_payload: Reader | None = None
        while not reader.at_end:
            section = reader.byte()
            size = reader.u32()
            begin = reader.position
            body = reader.sub(size)
            if section == 0:
                label = body.name()
                self._custom.append((label, body.position, begin + size))
            elif section == 1:
                self.types = read_types(body)
            elif section == 2:
                self.imports = list(self._read_imports(body))
            elif section == 3:
                function_payload = body
            elif section == 4:
                self.tables = body.count(2)
            elif section == 5:
                self.memories += [MemoryType(*read_limits(body)) for _ in range(body.count(2))]
            elif section == 7:
                self.exports = list(_read_exports(body))
            elif section == 8:
                self.start = body.u32()
            elif section == 10:
                self.code_offset, self.code_size = begin, size
            elif section > 13:
                raise WasmFormatError(f"unknown section {section} at byte {begin}")
        if function_payload is not None:
            self.functions = [function_payload.u32() for _ in range(function_payload.count(1))]

    def _read_imports(self, body: Reader) -> Iterator[Import]:
        """The imports; also those of the proposal compact-imports, where several share a module name or also a type.

        Source: WebAssembly/compact-import-section, "Binary Format".
        """
        for _ in range(body.count(4)):
            module, name, kind = body.name(), body.name(), body.byte()
            if name == "" and kind == _SHARED_MODULE:
                for _ in range(body.count(3)):
                    name = body.name()
                    yield self._import(body, module, name, body.byte())
            elif name == "" and kind == _SHARED_TYPE:
                shared = self._import(body, module, "", body.byte())
                for at in range(body.count(1)):
                    if at and isinstance(shared.type, MemoryType):
                        self.memories.append(shared.type)
                    elif at and str(shared.type).startswith("table "):
                        self.imported_tables.append(self.imported_tables[-1])
                    yield Import(module, body.name(), shared.type)
            else:
                yield self._import(body, module, name, kind)

    def _import(self, body: Reader, module: str, name: str, kind: int) -> Import:
        """One import, of which the type follows."""
        found: ExternType
        if kind == 0:
            index = body.u32()
            signature = self.types[index] if index < len(self.types) else None
            if signature is None:
                raise WasmFormatError(f"import {module}.{name} names type {index}, which is not a function type")
            found = signature
        elif kind == 1:
            begin = body.position
            described, element = value_type(body), body.data[begin : body.position]
            limits = read_limits(body)
            self.imported_tables.append((element, limits[3]))
            found = f"table of {described} {_bounds(limits)}"
        elif kind == 2:
            found = MemoryType(*read_limits(body))
            self.memories.append(found)
        elif kind == 3:
            described = value_type(body)
            found = f"global {'mut ' if body.byte() else ''}{described}"
        elif kind == 4:
            body.byte()
            found = f"tag of type {body.u32()}"
        else:
            raise WasmFormatError(f"import {module}.{name} has the unknown kind {kind}")
        return Import(module, name, found)


_SHARED_MODULE, _SHARED_TYPE = 0x7F, 0x7E
"""In the place of the kind of an import: several of one module follow, with or without a type each."""
_CORE_MODULES = 16
"""Core modules of a component that are searched for source lines, the largest first."""


def _core_modules(reader: Reader, depth: int) -> Iterator[bytes]:
    """The core modules in a component and in those within it; as far as it can be read."""
    try:
        while not reader.at_end:
            section = reader.byte()
            body = reader.sub(reader.u32())
            content = body.data[body.position : body.end]
            if section == 1 and content[:8] == b"\0asm\1\0\0\0":
                yield bytes(content)
            elif section == 4 and depth < 20:
                body.position += 8
                yield from _core_modules(body, depth + 1)
    except WasmFormatError:
        return  # a run reports the damage


def _read_exports(body: Reader) -> Iterator[Export]:
    for _ in range(body.count(3)):
        name, kind, index = body.name(), body.byte(), body.u32()
        if kind >= len(_EXTERNS):
            raise WasmFormatError(f"export {name!r} has the unknown kind {kind}")
        yield Export(name, _EXTERNS[kind], index)


def _bounds(limits: tuple[int, int | None, bool, bool, int]) -> str:
    return f"{limits[0]}..{'' if limits[1] is None else limits[1]}"


def _check_head(head: bytes, name: str) -> None:
    if head[:4] == _MAGIC:
        if len(head) < 8:
            raise ModuleError(f"{name} is a damaged WebAssembly module: it ends after {len(head)} bytes")
        return
    if not head:
        raise ModuleError(f"{name} is empty: not a WebAssembly module")
    for start, what in _LOOKALIKES:
        if head.startswith(start):
            raise ModuleError(f"{name} is not a WebAssembly module but {what}")
    raise ModuleError(f"{name} is not a WebAssembly module: it starts with {head[:8]!r}, not with b'\\x00asm'")


def load(source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Module:
    """A `Module` from a .wasm or .wat file, or from the bytes of either.

    `source` is a path (`str` or `Path`) or `bytes`. Text, which begins with "(" or ";;", is assembled by Wasmtime.
    `name` is what reports call the module (default: the file's name). Raises `ModuleError` with one sentence.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data, label = bytes(source), name or "module"
    else:
        path = Path(source)
        label = name or path.name
        data = _read(path)
    if data[:4] != _MAGIC and _is_text(data):
        return from_wat(data.decode("utf-8", "replace"), name=label)
    return Module(data, label)


def is_module(path: Path) -> bool:
    """Whether a file begins as a module or a component does, whatever it is called."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\0asm"
    except OSError:
        return False


def from_wat(text: str, *, name: str = "module", source_name: str | None = None) -> Module:
    """Assemble WebAssembly text; a mistake raises `ModuleError` with the assembler's message (line, column, text)."""
    from wasmtime import WasmtimeError, wat2wasm

    try:
        data = wat2wasm(text)
    except WasmtimeError as error:
        raise ModuleError(f"{name} does not assemble:\n{error}") from None
    return Module(bytes(data), name, source=text, lang="wat", source_name=source_name or name)


def _is_text(data: bytes) -> bool:
    return data[:4096].lstrip().startswith((b"(", b";;"))


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ModuleError(f"{path} is a directory, not a WebAssembly module")
        if path.exists() and not path.is_file():
            raise ModuleError(f"{path} is a FIFO, socket or device, not a file: copy its contents into a file first")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModuleError(f"{path} has {size:,} bytes; modules above {MAX_BYTES:,} bytes are not read")
        with path.open("rb") as file:
            head = file.read(4096)
            if not (_is_text(head) and head[:4] != _MAGIC):
                _check_head(head[:16], str(path))
            return head + file.read(size)  # not MAX_BYTES, for which Python takes memory
    except OSError as error:
        raise ModuleError(f"{path} cannot be read: {error.strerror or error}") from None
