"""Source lines of addresses in a module: DWARF, read lazily.

A stack frame holds an offset in the module. That offset minus the offset of the code section's payload is a DWARF
address. Only the compile units that are needed are decoded: all line tables of a C library take seconds, those of one
unit take milliseconds. Nothing is read before the first lookup. Damaged DWARF gives no lines and never an error,
because it is untrusted data.

Not here: taking stacks (`engine/calls/stacks.py`), showing annotated source (`views/`).
"""

from __future__ import annotations

import io
import threading
from bisect import bisect_right
from enum import Enum
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from .binary import Reader
from .compile_units import unit_heads
from .module import Module

MAX_UNITS = 20_000
"""Maximum number of compile units that are read; a larger program has lines only for these."""
MAX_ROWS = 2_000_000
"""Maximum rows decoded of one unit's line table."""
_PROBED = 64
"""Ranges that are compared with the module's functions, to check that DWARF matches the code."""
_PROLOGUE = 16
"""Bytes: a function declares its locals before its first row. A trap there is shown at that row."""
_DROPPED = 0xFFFFFFF0
"""Addresses from here on are of code that the linker dropped: lld writes -1 or -2 in place of the address."""
_SECTIONS = (
    "info", "abbrev", "str", "line", "line_str", "ranges", "rnglists", "addr", "str_offsets", "aranges",
)  # fmt: skip
_ALL = (
    "debug_info_sec", "debug_aranges_sec", "debug_abbrev_sec", "debug_frame_sec", "eh_frame_sec", "debug_str_sec",
    "debug_loc_sec", "debug_ranges_sec", "debug_line_sec", "debug_pubtypes_sec", "debug_pubnames_sec",
    "debug_addr_sec", "debug_str_offsets_sec", "debug_line_str_sec", "debug_loclists_sec", "debug_rnglists_sec",
    "debug_sup_sec", "gnu_debugaltlink_sec", "debug_types_sec",
)  # fmt: skip


class Location(NamedTuple):
    """A line of source: the name of its file, its number from 1, and the file's directory."""

    file: str
    line: int
    directory: str = ""


class _Unit:
    """One compile unit: its rows are decoded when they are first needed."""

    __slots__ = ("addresses", "cu", "locations", "name", "offset")

    def __init__(self, offset: int, name: str | None, cu: object = None) -> None:
        self.offset = offset
        """Its offset in `.debug_info`."""
        self.name = name
        """Its main file; None if it was not read."""
        self.cu = cu
        self.addresses: list[int] | None = None
        self.locations: list[Location | None] = []


class DebugInfo(Enum):
    """How much debug information a module has, which decides what a stack can show."""

    LINES = "names and source lines"
    STALE = "source lines that do not match its code"
    """A tool changed the code after the linker and left the line tables as they were, as wasm-opt does."""
    NAMES = "names of functions, no source lines"
    NOTHING = "neither names of functions nor source lines"


class SourceMap:
    """Source locations of one module. Made by `source_map`. It reads nothing before the first lookup.

    Thread-safe; one thread reads at a time.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._base = module.code_offset or 0
        self._own = PurePosixPath(module.source_name).name if module.source_name else None
        self._cache: dict[int, Location | None] = {}
        self._starts: list[int] = []
        self._ranges: list[tuple[int, int, _Unit]] = []
        self._dwarf: Any = None
        self._lock = threading.Lock()
        self._stale = False

    @property
    def stale(self) -> bool:
        """Whether the addresses do not match the module's code. Then no lines are given: they would be wrong."""
        with self._lock:
            try:
                self._begin()
            except Exception:  # noqa: BLE001  as in locate
                return False
            return self._stale

    def locate(self, offset: int) -> Location | None:
        """The source line of the instruction at byte `offset` of the module; None if unknown."""
        if offset in self._cache:
            return self._cache[offset]
        with self._lock:
            try:
                self._begin()
                found = self._find(offset - self._base)
            except Exception:  # noqa: BLE001  pyelftools raises anything on damaged input: then there is no line
                found = None
            if len(self._cache) < 1 << 20:
                self._cache[offset] = found
        return found

    def unit_name(self, offset: int) -> str | None:
        """The main file of an instruction's compile unit; None if unknown. Decodes no line table."""
        with self._lock:
            try:
                self._begin()
                unit = self._unit_at(offset - self._base)
            except Exception:  # noqa: BLE001  as in locate
                return None
        return None if unit is None else unit.name

    def is_own(self, location: Location | None) -> bool:
        """Whether a location is in the user's own source file. True if that file is not known."""
        if location is None:
            return False
        return self._own is None or location.file == self._own

    # ---- reading

    def _begin(self) -> None:
        if self._dwarf is not None:
            return
        self._dwarf = _dwarf_info(self._module)
        info, abbrev, text, ranges = (
            self._module.custom(f".debug_{name}") or b"" for name in ("info", "abbrev", "str", "ranges")
        )
        heads = unit_heads(info, abbrev, text, ranges, MAX_UNITS)
        if heads is None:
            self._index()
        else:
            self._keep([(begin, end, unit) for head in heads for unit in (_Unit(head.offset, head.name),)
                        for begin, end in head.ranges])  # fmt: skip
        self._stale = not _fit(self._starts[:_PROBED], self._module)
        if self._stale:
            self._keep([])

    def _keep(self, entries: list[tuple[int, int, _Unit]]) -> None:
        # A linker puts the code that it dropped at address 0 or at the top of the address space.
        self._ranges = sorted((e for e in entries if 0 < e[0] < min(e[1], _DROPPED)), key=lambda e: e[0])
        self._starts = [begin for begin, _, _ in self._ranges]

    def _unit_at(self, address: int) -> _Unit | None:
        at = bisect_right(self._starts, address) - 1
        if at < 0:
            return None
        begin, end, unit = self._ranges[at]
        return unit if begin <= address < end else None

    def _index(self) -> None:
        entries: list[tuple[int, int, _Unit]] = []
        ranges = self._dwarf.range_lists()
        for count, cu in enumerate(self._dwarf.iter_CUs()):
            if count >= MAX_UNITS:
                break
            unit = _Unit(cu.cu_offset, None, cu)
            top = cu.get_top_DIE()
            attributes = top.attributes
            low = attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in attributes else 0
            if "DW_AT_ranges" in attributes and ranges is not None:
                at = attributes["DW_AT_ranges"].value
                entries += [(begin, end, unit) for begin, end in _unit_ranges(ranges, cu, at, low)]
            elif "DW_AT_high_pc" in attributes:
                high = attributes["DW_AT_high_pc"]
                end = high.value if high.form == "DW_FORM_addr" else low + high.value
                entries.append((low, end, unit))
        self._keep(entries)

    def _find(self, address: int) -> Location | None:
        unit = self._unit_at(address)
        if unit is None:
            return None
        if unit.addresses is None:
            self._decode(unit)
        assert unit.addresses is not None
        row = bisect_right(unit.addresses, address) - 1
        found = unit.locations[row] if row >= 0 else None
        if found is None and row + 1 < len(unit.addresses) and unit.addresses[row + 1] - address <= _PROLOGUE:
            found = unit.locations[row + 1]
        return found

    def _decode(self, unit: _Unit) -> None:
        rows: list[tuple[int, Location | None]] = []
        if unit.cu is None:
            unit.cu = self._dwarf.get_CU_at(unit.offset)
        program = self._dwarf.line_program_for_CU(unit.cu)
        files: dict[int, tuple[str, str]] = {}
        for count, entry in enumerate(program.get_entries() if program is not None else ()):
            state = entry.state
            if state is None:
                continue
            if count > MAX_ROWS:
                break
            if state.end_sequence:
                rows.append((state.address, None))
                continue
            if state.file not in files:
                files[state.file] = _file_name(program.header, state.file)
            name, directory = files[state.file]
            if 0 < state.line < 1 << 24:  # line 0 is generated code: it belongs to the previous line
                rows.append((state.address, Location(name, state.line, directory) if name else None))
        # The end of a sequence may have the same address as the start of the next one, which then wins.
        rows.sort(key=lambda row: (row[0], row[1] is not None))
        unit.addresses = [address for address, _ in rows]
        unit.locations = [location for _, location in rows]


def _fit(starts: list[int], module: Module) -> bool:
    """Whether sorted DWARF ranges start where functions of the module start: a linker writes one range for each
    function.

    Some start elsewhere (parts of Rust's). In a module that was changed afterwards, there are none or hardly any match.
    """
    if not starts or module.code_offset is None:
        return False
    begins = set()
    reader = Reader(module.bytes, module.code_offset)
    for _ in range(reader.u32()):
        size = reader.u32()
        begins.add(reader.position - module.code_offset)
        if reader.position - module.code_offset > starts[-1]:
            break
        reader.sub(size)
    return 2 * len(begins.intersection(starts)) >= len(starts)


def _unit_ranges(ranges: Any, cu: Any, at: int, low: int) -> list[tuple[int, int]]:
    """The ranges of a unit whose list lies at `at`; `low` is the base of its addresses."""
    if cu.header.version >= 5:
        entries = ranges.get_range_list_at_offset(at, cu)
    else:
        entries = ranges.get_range_list_at_offset(at)
    found = []
    base = low
    for entry in entries:
        if hasattr(entry, "base_address"):
            base = entry.base_address
            continue
        begin, end = entry.begin_offset, entry.end_offset
        if not getattr(entry, "is_absolute", False):
            begin, end = begin + base, end + base
        found.append((begin, end))
    return found


def _file_name(header: Any, index: int) -> tuple[str, str]:
    """(name, directory) of a file number of a line program; empty strings if there is no such file."""
    entries = header["file_entry"]
    five = header["version"] >= 5
    at = index if five else index - 1
    if not 0 <= at < len(entries):
        return "", ""
    entry = entries[at]
    directories = header["include_directory"]
    chosen = entry.dir_index if five else entry.dir_index - 1
    directory = directories[chosen] if 0 <= chosen < len(directories) else b""
    return PurePosixPath(_text(entry.name)).name, _text(directory)


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _dwarf_info(module: Module) -> Any:
    from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

    sections: dict[str, DebugSectionDescriptor | None] = dict.fromkeys(_ALL)
    for name in _SECTIONS:
        payload = module.custom(f".debug_{name}")
        if payload:
            sections[f"debug_{name}_sec"] = DebugSectionDescriptor(
                io.BytesIO(payload), f".debug_{name}", 0, len(payload), 0
            )
    return DWARFInfo(DwarfConfig(True, "wasm", 4), **sections)


def import_reader() -> None:
    """Import what the first lookup of a line needs."""
    import elftools.dwarf.dwarfinfo  # noqa: F401  (also imported only when needed)


@lru_cache(maxsize=16)
def source_map(module: Module) -> SourceMap | None:
    """The module's source map; None when it has no line tables. Cached by the module's bytes.

    For a component it is the map of its `source_module`, and offsets are relative to that module.
    """
    found = module.source_module
    return SourceMap(found) if found is not None and found.has_dwarf else None


def debug_info(module: Module) -> DebugInfo:
    """How much debug information a module has."""
    sources = source_map(module)
    if sources is not None:
        return DebugInfo.STALE if sources.stale else DebugInfo.LINES
    return DebugInfo.NAMES if module.function_names else DebugInfo.NOTHING
