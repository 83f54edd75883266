"""The resource limits of a run. What it may access is in `grants/`.

The defaults suit a classroom; None means unlimited, where allowed. Each field has a `Bound` with everything that the
command line, policy files, the panel and a running guest need to know about it. All of them import this file, so it
must import fast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from ..text.numbers import exact_size, parse_count, parse_duration, parse_size

MIB = 1 << 20
GIB = 1 << 30

_WASM32_BYTES = 1 << 32
"""The maximum size of a 32-bit memory: 65536 pages of 64 KiB (WebAssembly core, 4.4.8)."""
NONE = "none"
"""The text for "unlimited"."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The description of a limit: its syntax, what it bounds, and whether it can change during a run."""

    flag: str
    """Its command-line option."""
    unit: Literal["count", "bytes", "seconds"]
    words: str
    """What it bounds, as a noun phrase: "linear memory"."""
    none: bool = False
    """Whether it can be unlimited."""
    least: int = 1
    """The smallest value; for seconds, any value above 0."""
    fixed: str = ""
    """Why it cannot change while the guest runs; "" if it can."""
    shown: bool = True
    """Whether the panel has a field for it."""

    @property
    def metavar(self) -> str:
        """The placeholder of its value in help text."""
        return {"count": "N", "bytes": "BYTES", "seconds": "SECONDS"}[self.unit]

    def parse(self, text: str) -> float | None:
        """Parse text such as "64m", "10M", "2.5" or "none"; raises `ValueError` that shows valid text."""
        if text.strip() == NONE and self.none:
            return None
        if self.unit == "bytes":
            return parse_size(text)
        if self.unit == "count":
            return parse_count(text, least=self.least)
        try:
            bare = re.fullmatch(r"[0-9.]+(e[-+]?[0-9]+)?", text.strip())  # parsed directly: nanoseconds would round it
            seconds = float(text) if bare else parse_duration(text) / 1e9
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < 1e9:
            what = "is not a number of seconds above 0 and below 1e9"
            raise ValueError(f"{text!r} {what}: write for example 2.5, or 500ms")
        return seconds

    def text(self, value: float | None) -> str:
        """The shortest text that `parse` reads back as `value`."""
        if value is None:
            return NONE
        return exact_size(int(value)) if self.unit == "bytes" else str(value).removesuffix(".0")

    def check(self, name: str, value: object) -> None:
        """Raise `ValueError`, naming the limit `name`, unless `value` is valid."""
        if value is None:
            if self.none:
                return
            raise ValueError(f"Limits.{name} must be a number; leave it out for its default {DEFAULTS[name]}")
        number = isinstance(value, (int, float) if self.unit == "seconds" else int) and not isinstance(value, bool)
        if not number:
            raise ValueError(f"Limits.{name} must be a number, not {value!r}")
        if self.unit == "seconds":
            if not 0 < value < 1e9:  # type: ignore[operator]
                raise ValueError(f"Limits.{name} must be above 0 and below 1e9, not {value!r}")
        elif not self.least <= value < 1 << 63:  # type: ignore[operator]
            raise ValueError(f"Limits.{name} must be at least {self.least} and below 2**63, not {value!r}")


def _limit(default: float | None, bound: Bound) -> Any:
    return field(default=default, metadata={"bound": bound})


_ENGINE = "the engine sets it when a program starts"
_COMPILED = "a module is compiled before it starts"


@dataclass(frozen=True, slots=True)
class Limits:
    """The resource limits of one run, and the effect of reaching each.

    Raises `ValueError` naming the field if a value is not a positive number in range.
    """

    fuel: int | None = _limit(
        None,
        Bound("--fuel", "count", "instructions", none=True, least=0, fixed="instructions are counted from the start"),
    )
    """WebAssembly instructions, as Wasmtime counts them; the run ends with exit code 137. None: not counted."""
    memory: int = _limit(GIB, Bound("--max-memory", "bytes", "linear memory", least=0, fixed=_ENGINE))
    """Bytes of linear memory of all instances; beyond it `memory.grow` returns -1, and a larger initial memory ends the
    run."""
    seconds: float | None = _limit(None, Bound("--timeout", "seconds", "wall-clock time", none=True))
    """Wall-clock seconds, sleeping and waiting for input included; the run ends with exit code 137."""
    fds: int = _limit(256, Bound("--max-fds", "count", "open descriptors"))
    """Descriptors open at once; opening one more fails with MFILE."""
    bytes_written: int | None = _limit(GIB, Bound("--max-written", "bytes", "bytes written in all", none=True, least=0))
    """Total bytes written to files and streams; a write beyond it fails with NOSPC. Creating a name counts as 256 bytes
    plus its length, a symbolic link as its text, and growing a file without writing as its growth."""
    output: int = _limit(64 * MIB, Bound("--max-output", "bytes", "output kept", least=0))
    """Bytes of stdout and stderr kept; more is counted and dropped, and the guest does not notice."""
    trace: int = _limit(
        256 * MIB,
        Bound("--max-trace", "bytes", "trace kept in memory", fixed="the trace has its memory already", shown=False),
    )
    """Bytes of trace kept in memory; beyond it the oldest records are dropped and counted."""
    io: int = _limit(64 * MIB, Bound("--max-io", "bytes", "bytes moved by one call"))
    """Bytes that one call may transfer; a longer read or write returns short, as POSIX allows."""
    table_elements: int = _limit(
        10_000_000,
        Bound("--max-table", "count", "elements of all tables", least=0, fixed=_ENGINE, shown=False),
    )
    """Elements of all tables of the store together; beyond it `table.grow` returns -1."""
    instances: int = _limit(64, Bound("--max-instances", "count", "instances in the run", fixed=_ENGINE, shown=False))
    """Instances in one run: the program and its preloads."""
    names: int | None = _limit(
        100_000, Bound("--max-names", "count", "names added to folders", none=True, least=0)
    )
    """Names (files, folders, links) added to folders minus names removed; adding one more fails with NOSPC."""
    compile_seconds: float | None = _limit(
        300.0,
        Bound(
            "--max-compile-time", "seconds", "time to compile the module or its source",
            none=True, fixed=_COMPILED, shown=False,
        ),
    )
    """Seconds of processor time to compile the module to machine code; beyond it the run ends with exit code 137. A
    value other than the default also bounds the compiler of its source (`runs/compiler.py`), in wall-clock time."""
    compile_memory: int | None = _limit(
        2 * GIB,
        Bound(
            "--max-compile-memory", "bytes", "memory to compile the module or its source",
            none=True, fixed=_COMPILED, shown=False,
        ),
    )
    """Bytes of memory to compile the module to machine code; beyond it the run ends with exit code 137. A value other
    than the default also bounds each process of the compiler of its source."""

    def __post_init__(self) -> None:
        for name, bound in BOUNDS.items():
            bound.check(name, getattr(self, name))
        if self.io >= _WASM32_BYTES:
            raise ValueError(f"Limits.io must be below 4 GiB, the size of a 32-bit memory, not {self.io}")


BOUNDS: Mapping[str, Bound] = MappingProxyType({each.name: each.metadata["bound"] for each in fields(Limits)})
"""Every limit by field name."""
DEFAULTS: Mapping[str, float | None] = MappingProxyType({name: getattr(Limits(), name) for name in BOUNDS})
"""The default limits."""
