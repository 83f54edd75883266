"""`.wtrace`: the lossless format that needs only NumPy. `record/container.py` describes its bytes; a spool has the same
format.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

from ..calls import Calls
from ..columns.container_reader import read as read_container
from ..columns.store import Store
from ..columns.subset import parts_of
from ..record.container import Writer


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write the calls, compressed, and for a complete recording its program."""
    writer = Writer(file, compress=True)
    for part in parts_of(trace.store, trace.rows):
        if part.n or len(part.content.lives):
            writer.chunk(part.section(compress=True))
    tables = trace.store.tables()
    if trace.rows is not None:  # a selection of calls cannot be replayed
        tables.modules = tables.host_calls = ()
    writer.tables(tables)
    writer.close()


def read(path: Path, *, partial: bool = False, max_bytes: int | None = None) -> Store:
    """Open a file; its calls are read on access. Raises TraceError."""
    parts, tables = read_container(path, partial=partial, max_bytes=max_bytes)
    return Store(parts, tables)
