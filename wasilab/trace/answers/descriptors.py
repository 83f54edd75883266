"""The life of every descriptor: which call opened it, the bytes read and written, and whether it was closed.

For: `Trace.fds()`. Figures are computed on whole columns. A descriptor whose opening call was dropped from the trace
still has its figures. Not for: descriptor semantics (`wasi/fdtable.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from ...text.escape import visible
from ...text.numbers import duration, size
from ...wasi.operations import Operation
from ...wasi.preview1.spec import SNAPSHOT1
from ...wasi.types import Filetype
from ..calls import Calls
from ..columns.records import Array
from ..strace.values import names_of
from .tabular import noted_lines, notes_html, table_html, text_table, totals

_READS = [SNAPSHOT1[name].number for name in ("fd_read", "fd_pread", "sock_recv", "fd_readdir")]
_WRITES = [SNAPSHOT1[name].number for name in ("fd_write", "fd_pwrite", "sock_send")]


@dataclass(frozen=True, slots=True)
class FdLife:
    """One descriptor from open to close. Bytes moved, times in ns."""

    life: int
    fd: int
    """The number that it was opened as."""
    generation: int
    path: str
    kind: str
    opened_by: int
    """`seq` of the call that opened it; -1 if it was open from the start."""
    closed_by: int
    """`seq` of the call that closed it; -1 if none did."""
    preopen: bool
    calls: int
    reads: int
    writes: int
    bytes_read: int
    bytes_written: int
    time: int
    last_fd: int
    """Its last number, which differs from `fd` after fd_renumber."""
    moved: str = ""
    """All its numbers, `4 -> 7`, if it had several."""

    @property
    def leaked(self) -> bool:
        """Whether the program opened it and did not close it."""
        return self.opened_by >= 0 and self.closed_by < 0


def _further(trace: Calls, wanted: tuple[Operation, ...]) -> list[int]:
    """The numbers of a component's functions with these operations."""
    operations = trace.functions.operations
    return [number for number in trace.functions.known if trace.functions.get(number) and operations[number] in wanted]


@dataclass(frozen=True)
class Fds:
    """The descriptors of a trace in the order of their opening."""

    rows: tuple[FdLife, ...]
    notes: tuple[str, ...] = ()
    """The user's notes on calls, one line each."""

    @classmethod
    def from_calls(cls, trace: Calls) -> Fds:
        """The descriptors of `trace`, with the figures of its calls."""
        used, number = np.unique(trace.column("handle"), return_inverse=True)
        call, moved = trace.column("call"), trace.column("nbytes")
        reads, writes = (
            np.isin(call, [*built_in, *_further(trace, wanted)])
            for built_in, wanted in (
                (_READS, (Operation.READ, Operation.RECEIVE)), (_WRITES, (Operation.WRITE, Operation.SEND)),
            )
        )  # fmt: skip

        def total(weights: Array) -> dict[int, int]:
            return dict(zip(used.tolist(), totals(number, weights, len(used)).tolist(), strict=True))

        figures = {
            "calls": total(np.ones(len(call))), "reads": total(reads), "writes": total(writes),
            "bytes_read": total(moved * reads), "bytes_written": total(moved * writes),
            "time": total(trace.column("dur")),
        }  # fmt: skip
        kinds = names_of(Filetype)
        rows = [
            FdLife(
                life.life, life.fd, life.generation, visible(life.path),
                life.type if life.type and not life.kind else kinds[life.kind].lower(), life.opened_seq,
                life.closed_seq, life.preopen is not None, last_fd=life.numbers[-1],
                moved=" -> ".join(map(str, life.numbers)) if life.moves else "",
                **{name: figure.get(life.life, 0) for name, figure in figures.items()},
            )
            for life in trace.lives.values()
        ]  # fmt: skip
        return cls(tuple(rows), noted_lines(trace))

    @property
    def leaked(self) -> list[FdLife]:
        """Those that the program opened and never closed."""
        return [row for row in self.rows if row.leaked]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[FdLife]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> FdLife:
        return self.rows[index]

    def to_dicts(self) -> list[dict[str, object]]:
        """The rows as dictionaries."""
        return [asdict(row) | {"leaked": row.leaked} for row in self.rows]

    def __str__(self) -> str:
        return "\n".join([*text_table([_HEAD, *map(_cells, self.rows)], _LEFT), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return table_html(_HEAD, list(map(_cells, self.rows))) + notes_html(self.notes)


_HEAD = ("fd", "path", "kind", "opened by", "closed by", "calls", "reads", "read", "writes", "written", "time")
_LEFT = (1, 2, 3, 4)
"""Columns that are texts."""


def _cells(row: FdLife) -> tuple[str, ...]:
    return (
        (row.moved or f"{row.fd}") + (f" ({row.generation})" if row.generation > 1 else ""), row.path, row.kind,
        "preopen" if row.preopen else "start" if row.opened_by < 0 else f"call {row.opened_by}",
        f"call {row.closed_by}" if row.closed_by >= 0 else "LEAKED" if row.leaked else "",
        f"{row.calls:,}", f"{row.reads:,}" if row.reads else "", size(row.bytes_read) if row.reads else "",
        f"{row.writes:,}" if row.writes else "", size(row.bytes_written) if row.writes else "",
        duration(row.time),
    )  # fmt: skip
