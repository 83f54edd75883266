"""The tables of a trace: metadata, notes, stacks, functions and open descriptors, for all formats.

The document is the same in `.wtrace`, `.jsonl` and `.parquet`. The input of reading is untrusted: ValueError says what
is not valid. Not for: calls (`container.py`).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeAlias

from ...wasi.operations import Operation
from .functions import Function
from .layout import Life
from .packing import StoredModule, pack_lives, unpack_lives

_TEXTS = ("name", "module", "sha256", "grants", "source", "lang", "source_name", "wasilab", "platform", "message")
"""Metadata that is text, or None."""
_LAST_NS = (1 << 63) - 1
_MOST_STACK = 1 << 12
"""Maximum frames of one stack in a file; a recorder keeps fewer."""
_MOST_NAME = 1 << 12
"""Maximum characters of the name of a function, parameter or type in a file. The longest type of WASI has 1,541."""
_MOST_PARAMS = 1 << 8
_OPERATIONS = frozenset(operation.value for operation in Operation)


Frame: TypeAlias = tuple[str, int, str | None, int]
"""(function, module offset, file or None, line or 0) of a frame of a stack."""
Note: TypeAlias = tuple[int, int, str]
"""(first seq, last seq, text) of a note."""


class SourceLine(Protocol):
    """A source line."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...


class Resolver(Protocol):
    """Finds the source of an offset in the module (`module/dwarf.py`)."""

    def locate(self, offset: int) -> SourceLine | None:
        """The source line, or None."""
        ...

    def unit_name(self, offset: int) -> str | None:
        """The name of the compile unit with the offset; None if unknown."""
        ...


@dataclass(slots=True)
class Tables:
    """The data that a trace has once, independent of the number of calls."""

    meta: dict[str, Any] = field(default_factory=dict)
    dropped: int = 0
    lives: list[Life] = field(default_factory=list)
    """Descriptors still open at the end."""
    stacks: list[list[int]] = field(default_factory=list)
    """Stack id - 1 -> indices into `frames`, innermost first."""
    frames: list[Frame] = field(default_factory=list)
    """Each distinct frame."""
    notes: list[Note] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    """The trace's own list of functions (`functions.py`)."""
    modules: Sequence[StoredModule] = ()
    """The program, in a recording. Only a container stores it."""
    host_calls: Sequence[bytes | memoryview] = ()
    """The typed host calls of a component, in a recording, as the engine packs them. Only a container stores them."""

    def locate(self, resolver: Resolver) -> None:
        """Set the source line of each frame, from the resolver."""
        for index, (function, offset, _, _) in enumerate(self.frames):
            found = resolver.locate(offset)
            if found is not None:
                self.frames[index] = (function, offset, str(found.file), int(found.line))

    def document(self) -> dict[str, object]:
        """Everything but the lives, as JSON values."""
        document: dict[str, object] = {
            "meta": self.meta, "notes": self.notes, "dropped": self.dropped, "stacks": self.stacks,
            "frames": self.frames,
        }  # fmt: skip
        if self.functions:
            document["functions"] = [asdict(function) for function in self.functions]
        return document

    @classmethod
    def from_document(cls, document: object, lives: Sequence[Life] | bytes | memoryview | str) -> Tables:
        """The tables that `document` describes; `lives` as they are, packed, or packed in hex.

        Raises ValueError, which says what is wrong.
        """
        if not isinstance(document, dict):
            raise ValueError("the tables are not an object")
        try:
            meta, dropped = _meta(document["meta"]), _number(document["dropped"], "dropped calls")
            frames = [_frame(frame) for frame in _rows(document["frames"], "frames")]
            stacks = [_stack(stack, len(frames)) for stack in _rows(document["stacks"], "stacks")]
            notes = [_note(note) for note in _rows(document["notes"], "notes")]
            functions = [_function(entry) for entry in _rows(document.get("functions", []), "functions")]
        except KeyError as missing:
            raise ValueError(f"the tables do not have {missing}") from None
        if isinstance(lives, str):
            lives = bytes.fromhex(lives)
        if isinstance(lives, bytes | memoryview):
            try:
                lives = unpack_lives(memoryview(lives))
            except struct.error:
                raise ValueError("the table of descriptors is truncated") from None
        return cls(meta, dropped, list(lives), stacks, frames, notes, functions)

    def packed_lives(self, lives: Sequence[Life]) -> str:
        """Lives in hex, for `from_document`."""
        return pack_lives(lives).hex()


def number_frames(table: Sequence[Sequence[tuple[str, int]]]) -> tuple[list[list[int]], list[Frame]]:
    """Stacks of (function, offset) as lists of frame numbers, and the frames."""
    ids: dict[tuple[str, int], int] = {}
    stacks = [[ids.setdefault(frame, len(ids)) for frame in stack] for stack in table]
    return stacks, [(function, offset, None, 0) for function, offset in ids]


def encodable(text: str) -> str:
    """Text that every format can hold: a lone surrogate, which UTF-8 cannot encode, becomes an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


# -- reading files that may be corrupt ---------------------------------------------------------------------------------


def _meta(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError("the metadata is not an object")
    for name in _TEXTS:
        if not isinstance(found.get(name), str | None):
            raise ValueError(f"the metadata entry {name!r} is not a text")
    _number(found.get("start_epoch_ns", 0), "the time of its start")
    if not isinstance(found.get("args", []), list) or not all(isinstance(arg, str) for arg in found.get("args", [])):
        raise ValueError("the metadata entry 'args' is not a list of texts")
    seconds = found.get("seconds")
    if not isinstance(seconds, int | float | None) or not math.isfinite(seconds or 0):
        raise ValueError("the metadata entry 'seconds' is not a number")
    return {encodable(str(key)): _cleaned(one) for key, one in found.items()}


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {encodable(str(key)): _cleaned(one) for key, one in value.items()}
    return value


def _rows(found: object, what: str) -> list[object]:
    if not isinstance(found, list):
        raise ValueError(f"the {what} are not a list")
    return found


def _number(found: object, what: str) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= _LAST_NS:
        raise ValueError(f"invalid value for {what}: {str(found)[:40]!r}")
    return found


def _frame(found: object) -> Frame:
    if not isinstance(found, list) or len(found) != 4 or not isinstance(found[0], str):
        raise ValueError("a frame of a stack is not valid")
    function, offset, file, line = found
    if not isinstance(file, str | None):
        raise ValueError("the file of a frame is not a text")
    where = None if file is None else encodable(file)
    return encodable(function), _number(offset, "an offset"), where, _number(line, "a line")


def _function(found: object) -> Function:
    if not isinstance(found, dict):
        raise ValueError("a function is not an object")
    name, family, module, version = (_name(found.get(key, "")) for key in ("name", "family", "module", "version"))
    params, results = (_signature(found.get(key, [])) for key in ("params", "results"))
    operation = found.get("operation")
    known = Operation(operation) if operation in _OPERATIONS else Operation.UNKNOWN
    return Function(name, family, module, version, known, params, results, found.get("raw") is True)


def _name(found: object) -> str:
    if not isinstance(found, str) or len(found) > _MOST_NAME:
        raise ValueError("the name of a function, parameter or type is not a text, or too long")
    return encodable(found)


def _signature(found: object) -> tuple[tuple[str, str], ...]:
    rows = _rows(found, "parameters of a function")
    pairs = [row for row in rows if isinstance(row, list) and len(row) == 2]
    if len(rows) > _MOST_PARAMS or len(pairs) < len(rows):
        raise ValueError("the parameters of a function are not pairs of a name and a type")
    return tuple((_name(name), _name(type_)) for name, type_ in pairs)


def _stack(found: object, frames: int) -> list[int]:
    if not isinstance(found, list) or len(found) > _MOST_STACK:
        raise ValueError("a stack is not a list of frames")
    if not all(type(index) is int and 0 <= index < frames for index in found):
        raise ValueError("a stack names frames that do not exist")
    return found


def _note(found: object) -> Note:
    if not isinstance(found, list) or len(found) != 3 or not isinstance(found[2], str):
        raise ValueError("a note is not valid")
    return _number(found[0], "a note's call"), _number(found[1], "a note's call"), encodable(found[2])
