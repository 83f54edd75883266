"""The life of every descriptor: who opened it, what went through it, whether it was closed.

For: `Trace.fds()`. Figures are computed on whole columns; a descriptor whose opening was dropped from the trace still
has its figures. Not for: descriptor semantics (`wasi/fdtable.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...text.escape import visible
from ...text.numbers import duration, size
from ...wasi.preview1.spec import SNAPSHOT1
from ...wasi.types import Filetype
from ..calls import Calls
from ..strace.show import names_of
from .summary import noted_lines, notes_html, table_html, totals

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
    """`seq` of the call that opened it, -1 when it was there from the start."""
    closed_by: int
    """`seq` of the call that closed it, -1 when none did."""
    preopen: bool
    calls: int
    reads: int
    writes: int
    bytes_read: int
    bytes_written: int
    time: int
    last_fd: int
    """The number that it ended with: another than `fd` after fd_renumber."""
    moved: str = ""
    """All its numbers, `4 -> 7`, when it had several."""

    @property
    def leaked(self) -> bool:
        """Opened by the program and not closed by it."""
        return self.opened_by >= 0 and self.closed_by < 0


@dataclass(frozen=True)
class Fds:
    """The descriptors of a trace in the order of their opening."""

    rows: tuple[FdLife, ...]
    notes: tuple[str, ...] = ()
    """A person's notes on the calls, a line each."""

    @classmethod
    def from_calls(cls, trace: Calls) -> Fds:
        """The descriptors that `trace` knows."""
        handle = trace.column("handle")
        used, number = np.unique(handle, return_inverse=True)
        n = len(used)
        call, moved = trace.column("call"), trace.column("nbytes")
        reads, writes = np.isin(call, _READS), np.isin(call, _WRITES)

        def total(weights: Any) -> dict[int, int]:
            return dict(zip(used.tolist(), totals(number, weights, n).tolist(), strict=True))

        figures = [
            total(weights)
            for weights in (np.ones(len(call)), reads, writes, moved * reads, moved * writes, trace.column("dur"))
        ]
        kinds = names_of(Filetype)
        names = ("calls", "reads", "writes", "bytes_read", "bytes_written", "time")
        rows = [
            FdLife(
                life.life, life.fd, life.generation, visible(life.path), kinds[life.kind].lower(), life.opened_seq,
                life.closed_seq, life.preopen is not None, last_fd=life.numbers[-1],
                moved=" -> ".join(map(str, life.numbers)) if life.moves else "",
                **{name: figure.get(life.life, 0) for name, figure in zip(names, figures, strict=True)},
            )
            for life in trace.store.lives.values()
        ]  # fmt: skip
        return cls(tuple(rows), noted_lines(trace))

    @property
    def leaked(self) -> list[FdLife]:
        """Those that the program opened and never closed."""
        return [row for row in self.rows if row.leaked]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __getitem__(self, index: int) -> FdLife:
        return self.rows[index]

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return [asdict(row) | {"leaked": row.leaked} for row in self.rows]

    def __str__(self) -> str:
        table = [_HEAD, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for row in table:
            pairs = enumerate(zip(row, widths, strict=True))
            lines.append("  ".join(c.ljust(w) if i in _LEFT else c.rjust(w) for i, (c, w) in pairs).rstrip())
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return table_html(_HEAD, list(map(_cells, self.rows))) + notes_html(self.notes)


_HEAD = ("fd", "path", "kind", "opened by", "closed by", "calls", "reads", "read", "writes", "written", "time")
_LEFT = (1, 2, 3, 4)


def _cells(row: FdLife) -> tuple[str, ...]:
    return (
        (row.moved or f"{row.fd}") + (f" ({row.generation})" if row.generation > 1 else ""), row.path, row.kind,
        "preopen" if row.preopen else "start" if row.opened_by < 0 else f"call {row.opened_by}",
        f"call {row.closed_by}" if row.closed_by >= 0 else "LEAKED" if row.leaked else "",
        f"{row.calls:,}", f"{row.reads:,}" if row.reads else "", size(row.bytes_read) if row.reads else "",
        f"{row.writes:,}" if row.writes else "", size(row.bytes_written) if row.writes else "",
        duration(row.time),
    )  # fmt: skip
