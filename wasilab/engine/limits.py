"""What a run may use up, and nothing about what it may touch (that is `grants/`).

Every field is a bound that a classroom can live with by default; `None` means without bound where that is offered.
This file imports nothing heavy: it is read by the command line, the panel and the policy files.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

MIB = 1 << 20
GIB = 1 << 30

_WASM32_BYTES = 1 << 32
"""The most that one 32-bit memory can hold: 65536 pages of 64 KiB (WebAssembly core, 4.4.8)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The resources of one run, each with the way a guest notices that it is used up.

    Raises `ValueError` naming the field when a value is not a positive number in range.
    """

    fuel: int | None = None
    """WebAssembly instructions, as Wasmtime counts them; the run ends with exit code 137. None: not counted."""
    memory: int = GIB
    """Bytes of linear memory of all instances; `memory.grow` answers -1, a larger initial memory ends the run."""
    seconds: float | None = None
    """Wall-clock seconds, sleeping and waiting for input included; the run ends with exit code 137."""
    fds: int = 256
    """Descriptors open at once; opening one more answers MFILE."""
    bytes_written: int | None = GIB
    """Bytes written in all to files and streams; a write beyond answers NOSPC."""
    output: int = 64 * MIB
    """Bytes of stdout and stderr kept; more is counted and cut, and the guest is not told."""
    trace: int = 256 * MIB
    """Bytes of trace kept in memory; beyond it the oldest records go and are counted as dropped."""
    io: int = 64 * MIB
    """Bytes that one call may move; a read or write returns short at this bound, as POSIX allows."""
    table_elements: int = 10_000_000
    """Elements of all tables of the store together; `table.grow` answers -1."""
    instances: int = 64
    """Instances in one run: the program and its preloads."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                if field.name in ("fuel", "seconds", "bytes_written"):
                    continue
                raise ValueError(f"Limits.{field.name} must be a number; leave it out for its default {field.default}")
            kinds = (int, float) if field.name == "seconds" else (int,)
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise ValueError(f"Limits.{field.name} must be a number, not {value!r}")
            lowest = 0 if field.name in ("bytes_written", "output", "memory", "fuel", "table_elements") else 1
            if field.name == "seconds":
                if not 0 < value < 1e9:
                    raise ValueError(f"Limits.seconds must be above 0 and below 1e9, not {value!r}")
            elif not lowest <= value < 1 << 63:
                raise ValueError(f"Limits.{field.name} must be at least {lowest} and below 2**63, not {value!r}")
        if self.io >= _WASM32_BYTES:
            raise ValueError(f"Limits.io must be below 4 GiB, the size of a 32-bit memory, not {self.io}")
