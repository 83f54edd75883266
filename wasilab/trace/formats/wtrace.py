"""`.wtrace`: the lossless format that needs only NumPy. The bytes, and those of a spool, are `container.py`'s."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..columns.subset import parts_of
from ..record import container

if TYPE_CHECKING:
    from ..trace import Trace


def write(trace: Trace, file: IO[bytes]) -> None:
    """Write all that the trace knows, compressed."""
    writer = container.Writer(file, compress=True)
    for part in parts_of(trace.store, trace.rows):
        if part.n or part.lives:
            writer.chunk(part)
    writer.tables(trace.store.tables())
    writer.close()


def read(path: Path, *, partial: bool = False) -> Trace:
    """Open a file; raw blocks (of a spool) stay on disk and are mapped. Raises TraceError."""
    from ..columns.store import Store
    from ..trace import Trace

    parts, tables = container.read(path, partial=partial)
    return Trace(Store(parts, tables))
