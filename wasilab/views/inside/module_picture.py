"""A module drawn: its sections, function table, memory, largest functions, and what could be dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...module.inside.function_bodies import FunctionBody, Reachable, bodies, reach
from ...module.inside.function_tables import FunctionTables, tables_of
from ...module.inside.memory_layout import MemoryLayout, memory_layout
from ...module.inside.wasm_sections import WasmSection, sections
from ...module.module import Module, ModuleError
from ...text.escape import html_text, shorten, visible
from ...text.numbers import counted, size
from ..report.page import embedded
from .code_page import styled
from .memory_image import placed_words, region_words
from .memory_page import strip_html

SHOWN = 10
"""Functions and table entries that are listed."""
_BAR = 24
_NAME = 60
STRIP = "wasm-tools strip --all"
"""Removes all custom sections."""


@dataclass(frozen=True)
class ModulePicture:
    """What a module consists of. `print` it, or let a notebook show it. Sizes in bytes."""

    module: Module
    sections: tuple[WasmSection, ...]
    tables: FunctionTables
    layout: MemoryLayout | None
    functions: tuple[FunctionBody, ...]
    """The functions that it defines, the largest first."""
    reach: Reachable

    # ---- what it says, in words

    def table_lines(self) -> list[str]:
        """The function tables: how large, and what is at index 0."""
        found = []
        for number, table in enumerate(self.tables.types):
            entries = self.tables.entries(number)
            name = f" {visible(table.name)!r}" if table.name else ""
            if not table.element:
                found.append(f"table {number}{name} is imported")
                continue
            filled = f"{counted(table.minimum, 'entry', 'entries')}, {len(entries):,} filled at the start"
            zero = "index 0 is empty: calling a null function pointer traps"
            if 0 in entries:
                zero = f"index 0 holds {self.name_of(entries[0])}: a null function pointer would call it"
            found.append(f"table {number}{name} of {table.element}: {filled}; {zero}")
            shown = [f"{at} {self.name_of(entries[at])}" for at in sorted(entries)[:SHOWN]]
            more = f", and {len(entries) - SHOWN:,} more" if len(entries) > SHOWN else ""
            found += [f"  {', '.join(shown)}{more}"] * bool(shown)
        return found or ["no function table: it has no function pointers"]

    def name_of(self, index: int) -> str:
        """The name of a function for people."""
        first = self.module.imported_functions
        if index < first:
            name = self.module.function_name(index)
            return shorten(visible(name), _NAME) if name else f"imported function {index}"
        found = bodies(self.module)
        at = index - first
        return shorten(visible(found[at].name), _NAME) if at < len(found) else f"function {index}"

    def memory_lines(self) -> list[str]:
        """Where data, stack and heap lie."""
        layout = self.layout
        if layout is None:
            return ["no memory"]
        found = [
            f"0x{one.start:08x}  {size(one.size):>9}  {visible(region_words(one, layout))}" for one in layout.regions()
        ]
        if layout.stack_top is None:
            found.append("where the stack lies is not known: no name says __stack_pointer (stripped, or there is none)")
        passive = [one for one in layout.segments if one.start is None]
        if passive:
            total = size(sum(one.size for one in passive))
            found.append(f"{counted(len(passive), 'data segment')} of {total} placed by code")
        return found

    def dropped_lines(self) -> list[str]:
        """What could be dropped without changing what it does."""
        found = []
        if self.reach.unknown:
            found.append(f"unreachable functions: not known ({visible(self.reach.unknown)})")
        elif self.reach.unreachable:
            names = ", ".join(shorten(visible(body.name), _NAME) for body in self.reach.unreachable[:SHOWN])
            more = ", ..." if len(self.reach.unreachable) > SHOWN else ""
            count = counted(len(self.reach.unreachable), "function")
            found.append(f"{count} that nothing reaches, {size(self.reach.bytes)}: {names}{more} (wasm-opt -Oz)")
        debug = [one for one in self.sections if one.name.startswith(".debug_")]
        other = [one for one in self.sections if one.id == 0 and one not in debug]
        if debug:
            words = "source lines in traces, stacks and views come from it"
            found.append(f"debug information, {size(sum(one.size for one in debug))}: {words} ({STRIP})")
        for one in other:
            words = f": {one.words}" if one.words else ""
            found.append(f"the section {shorten(visible(one.name), _NAME)}, {size(one.size)}{words} ({STRIP})")
        return found or ["nothing"]

    # ---- drawn

    def text(self) -> str:
        """For a terminal."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        most = max((one.size for one in self.sections), default=1)
        yield "sections"
        for one in self.sections:
            bar = _bar_text(one.size / most)
            yield f"  {shorten(visible(one.name), 18):18} {size(one.size):>9}  {bar:{_BAR}}  {one.words}".rstrip()
        yield "function table"
        yield from (f"  {line}" for line in self.table_lines())
        yield "memory at the start"
        yield from (f"  {line}" for line in self.memory_lines())
        if self.functions:
            yield "largest functions"
        for body in self.functions[:SHOWN]:
            yield f"  {size(body.size):>9}  {shorten(visible(body.name), _NAME)}"
        yield "could be dropped"
        yield from (f"  {line}" for line in self.dropped_lines())

    __str__ = text

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return embedded(
            html_text(self.module.name), picture_html(self), f"<pre>{html_text(self.text(), lines=True)}</pre>",
            self._height(),
        )  # fmt: skip

    def _height(self) -> int:
        """The page's height in pixels, about; `embedded` tells what it is for."""
        bars = len(self.sections) + min(SHOWN, len(self.functions))
        words = len(self.table_lines()) + len(self.dropped_lines())
        return min(1100, 256 + 21 * bars + 25 * words + 12 * len(self.memory_lines()))

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON values."""
        layout = self.layout
        return {
            "sections": [{"name": one.name, "bytes": one.size, "offset": one.begin} for one in self.sections],
            "table": {str(at): self.name_of(function) for at, function in sorted(self.tables.entries().items())},
            "memory": [] if layout is None else [one._asdict() for one in layout.regions()],
            "functions": [{"name": b.name, "index": b.number, "bytes": b.size} for b in self.functions],
            "unreachable": [body.name for body in self.reach.unreachable],
        }


def picture_html(picture: ModulePicture) -> str:
    """The contents of the page."""
    most = max((one.size for one in picture.sections), default=1)
    bars = [
        (one.name, one.size, most, one.words, " custom" if one.id == 0 else "") for one in picture.sections
    ]
    parts = [f"<h1>{html_text(picture.module.name)}: {size(len(picture.module.bytes))}</h1>"]
    parts += ["<h2>Sections</h2>", _bars(bars)]
    parts += ["<h2>Function table</h2>", _paragraphs(picture.table_lines())]
    parts.append("<h2>Memory at the start</h2>")
    if picture.layout is None:
        parts.append("<p>no memory</p>")
    else:
        regions = picture.layout.regions()
        words = [placed_words(one, picture.layout) for one in regions]
        parts += [strip_html(regions, words), _paragraphs(picture.memory_lines()[len(regions) :])]
    if picture.functions:
        largest = picture.functions[0].size
        rows = [(body.name, body.size, largest, f"function {body.number}", "") for body in picture.functions[:SHOWN]]
        parts += ["<h2>Largest functions</h2>", _bars(rows)]
    parts += ["<h2>Could be dropped</h2>", _paragraphs(picture.dropped_lines())]
    return styled("".join(parts))


def _paragraphs(lines: list[str]) -> str:
    return "".join(f"<p>{html_text(line.strip())}</p>" for line in lines)


def _bars(rows: list[tuple[str, int, int, str, str]]) -> str:
    return f'<div class="bars">{"".join(_bar(*row) for row in rows)}</div>'


def _bar(name: str, count: int, most: int, words: str, kind: str) -> str:
    width = 100 * count / max(1, most)
    return (
        f'<b title="{html_text(words)}">{html_text(name)}</b>'
        f'<span class="bar"><i class="{kind.strip()}" style="width:{width:.1f}%"></i></span>'
        f'<span class="size">{size(count)}</span>'
    )


def _bar_text(part: float) -> str:
    """A bar of block characters, in eighths of one."""
    eighths = max(1, round(8 * _BAR * part))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def look_inside(module: Module) -> ModulePicture:
    """What a core module consists of, read from its bytes. Raises `ModuleError` for a component or a damaged module."""
    if module.is_component:
        raise ModuleError(f"{module.name} is a component, of several modules: look at one of them by itself")
    functions = tuple(sorted(bodies(module), key=lambda body: (-body.size, body.number)))
    return ModulePicture(
        module, tuple(sections(module)), tables_of(module), memory_layout(module), functions, reach(module)
    )
