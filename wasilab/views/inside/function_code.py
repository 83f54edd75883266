"""One function: its source lines, its WebAssembly text and its machine code side by side, with the calls made in it.

`function_code` gathers the rows; `FunctionCode` shows them in a terminal or a notebook.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ... import module as module_room
from ...engine.compiling.engine_options import EngineOptions
from ...engine.compiling.engines import WasmtimeCompileError
from ...engine.inside.disassembly import INSTALL, MachineInstruction, disassembled, disassembler
from ...engine.inside.machine_code import MachineCode, NoMachineCode, machine_code
from ...module.inside.function_bodies import FunctionBody, find_body
from ...module.inside.one_function import one_function
from ...module.module import Module, ModuleError
from ...text.escape import visible
from ...toolchains.diagnostics import ToolchainError
from ...toolchains.wasm_tools.wat_printer import print_offsets
from ...trace.calls import Calls
from ...trace.maps.call_sites import CallSite, CallSites, call_sites
from . import code_page

WIDTH = 160


@dataclass(slots=True)
class CodeRow:
    """One instruction of the function, with the machine code that was made from it."""

    offset: int
    """Its offset in the module."""
    wat: str
    """Its text, indented; "" where only machine code is known."""
    file: str = ""
    line: int = 0
    """The source line; 0 if it is not known."""
    machine: list[MachineInstruction] = field(default_factory=list)
    site: CallSite | None = None
    """The recorded calls that were made from here."""


@dataclass(frozen=True)
class FunctionCode:
    """One function, row by row. `print` it, or let a notebook show it."""

    module: Module
    body: FunctionBody
    rows: tuple[CodeRow, ...]
    code: MachineCode | None
    sites: CallSites | None
    """What a trace says of it; None without a trace."""
    notes: tuple[str, ...]
    """What could not be shown, and what would make it possible."""

    @property
    def heading(self) -> str:
        """What it is, in one line."""
        parts = [f"{visible(self.body.name)}: {self.body.size:,} bytes of WebAssembly"]
        if self.code is not None:
            parts.append(f"{self.code.size:,} bytes of {self.code.machine} code by Wasmtime, shown by {disassembler()}")
        return ", ".join(parts)

    def source_line(self, row: CodeRow) -> str:
        """The text of a row's source line; "" if the source is not available."""
        module = self.module
        if not row.line or module.source is None or not _is_own(row.file, module.source_name):
            return ""
        lines = module.source.splitlines()
        return lines[row.line - 1] if row.line <= len(lines) else ""

    def text(self, width: int = WIDTH) -> str:
        """Three columns: source line, WebAssembly text, machine code."""
        first = min(44, max(18, width // 4)) if any(row.line for row in self.rows) else 0
        second = min(56, max(24, (width - first) // 2 - 4))
        third = max(20, width - first - second - 4)
        lines = [self.heading, *([str(self.sites)] if self.sites is not None else []), *self.notes, ""]
        before: tuple[str, int] = ("", 0)
        for row in self.rows:
            source = ""
            if row.line and (row.file, row.line) != before:
                before = row.file, row.line
                own = self.source_line(row)
                label = str(row.line) if own else f"{row.file}:{row.line}"
                source = f"{label:>4} {own.expandtabs(4)}"
            left = [source] if first else []
            wat = [row.wat, *([f"    ^ {row.site}"] if row.site is not None else [])]
            machine = [f"{one.address:4x}  {one.text}" for one in row.machine]
            for at in range(max(len(left), len(wat), len(machine))):
                cells = [(each[at] if at < len(each) else "") for each in ([left] if first else []) + [wat, machine]]
                widths = ([first] if first else []) + [second, third]
                shown = [
                    f"{_cut(visible(cell), wide):<{wide}}" for cell, wide in zip(cells, widths, strict=True)
                ]
                lines.append("  ".join(shown).rstrip())
        return "\n".join(lines)

    __str__ = text

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return code_page.embedded_code(self.heading, self._remarks(), self.groups())

    def _remarks(self) -> list[str]:
        return [*([str(self.sites)] if self.sites is not None else []), *self.notes]

    def groups(self) -> list[code_page.CodeGroup]:
        """Consecutive rows of one source line."""
        found: list[code_page.CodeGroup] = []
        before: tuple[str, int] | None = None
        for row in self.rows:
            key = (row.file, row.line) if row.line else before or ("", 0)
            if key != before:
                before = key
                text = self.source_line(row)
                where = "" if not row.line else str(row.line) if text else f"{row.file}:{row.line}"
                found.append(code_page.CodeGroup(where, text, row.line, []))
            machine = [(f"{one.address:x}", one.text, one.position is None) for one in row.machine]
            site = row.site
            found[-1].rows.append(
                code_page.CodeLine(row.wat, machine, "" if site is None else str(site), bool(site and site.refused))
            )
        return found


def function_code(
    module: Module, function: str | int, trace: Calls | None = None, engine: EngineOptions | None = None
) -> FunctionCode:
    """Gather the code of a function: a name, an export or an index. `trace`: calls of a run of the same module.

    Raises `ModuleError` for a function that the module does not define, `WasmtimeCompileError` for a module that does
    not compile. WebAssembly text needs wasm-tools; without it, and without machine code, a note says why.
    """
    if module.is_component:
        raise ModuleError(f"{module.name} is a component, of several modules: look at one of them by itself")
    body = find_body(module, str(function))
    notes: list[str] = []
    rows: dict[int, CodeRow] = {}
    try:
        data, shift = one_function(module, body)
        for line in print_offsets(data, module.name):
            if line.offset is not None and body.begin <= line.offset + shift < body.end:
                at = line.offset + shift
                if at in rows:
                    rows[at].wat += f"\n{line.text}"
                else:
                    rows[at] = CodeRow(at, line.text)
    except ToolchainError as error:
        notes.append(str(error).splitlines()[0])
    code: MachineCode | None = None
    try:
        code = machine_code(module, body.number, engine)
        _place(rows, disassembled(code), body)
        if disassembler().startswith("hex"):
            notes.append(f"machine code is shown as bytes: {INSTALL} shows instructions")
    except (NoMachineCode, WasmtimeCompileError) as error:
        notes.append(str(error))
    sites = None if trace is None else call_sites(trace, body.begin, body.end)
    sources = module_room.dwarf.source_map(module)
    ordered = [rows[at] for at in sorted(rows)]
    for offset, site in (sites.sites if sites is not None else {}).items():
        row = next((one for one in reversed(ordered) if one.offset <= offset), None)
        if row is not None:
            row.site = site
    if sources is None:
        notes.append("no source lines: the module has no debug information (-g)")
    else:
        for row in ordered:
            found = sources.locate(row.offset)
            if found is not None:
                row.file, row.line = found.file, found.line
    return FunctionCode(module, body, tuple(ordered), code, sites, tuple(notes))


def _place(rows: dict[int, CodeRow], machine: list[MachineInstruction], body: FunctionBody) -> None:
    """Put each machine instruction into the row of the instruction that it was made from.

    What the compiler added follows the instruction before it: the frame's beginning goes to the function's first row.
    """
    starts = sorted(rows)
    last = starts[0] if starts else body.begin
    for one in machine:
        if one.position is not None:
            known = [at for at in starts if at <= one.position] if one.position not in rows else [one.position]
            last = known[-1] if known else one.position
        if last not in rows:
            rows[last] = CodeRow(last, "")
            starts = sorted(rows)
        rows[last].machine.append(one)


def _is_own(file: str, source_name: str | None) -> bool:
    return bool(source_name) and file.replace("\\", "/").rpartition("/")[2] == str(source_name).rpartition("/")[2]


def rows_with_calls(shown: FunctionCode) -> Iterator[CodeRow]:
    """The rows from which calls of the trace were made."""
    return (row for row in shown.rows if row.site is not None)


def _cut(text: str, width: int) -> str:
    """The beginning of `text`, in `width` characters: code is read from the left."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
