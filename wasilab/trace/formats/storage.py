"""Saves a trace to a file and loads one, in the format of the file's suffix or content.

Not for: the formats, which have one module each.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..calls import Calls
from ..columns.store import Store
from ..errors import TraceError
from ..record.container import MAGIC
from . import chrome, csv_table, jsonl, parquet, perfetto, strace_text, wtrace
from .stacks import folded, speedscope
from .suffixes import READABLE, WRITABLE, check

WRITERS: dict[str, Callable[[Calls, IO[bytes]], None]] = {
    ".wtrace": wtrace.write,
    ".jsonl": jsonl.write,
    ".parquet": parquet.write,
    ".csv": csv_table.write,
    ".strace": strace_text.write,
    ".pftrace": perfetto.write,
    ".json": chrome.write,
    ".speedscope": speedscope.write,
    ".folded": folded.write,
}
_READERS: dict[str, Callable[..., Store]] = {
    ".wtrace": wtrace.read, ".jsonl": jsonl.read, ".parquet": parquet.read,
}  # fmt: skip
_MARKS = ((MAGIC, ".wtrace"), (b"PAR1", ".parquet"), (b'{"wasilab"', ".jsonl"))
"""The first bytes of a file -> its format, regardless of its name."""
assert tuple(WRITERS) == WRITABLE
assert tuple(_READERS) == READABLE


def save(trace: Calls, path: str | Path) -> Path:
    """Write `trace` to `path` in the format of its suffix. The file appears only when it is complete.

    Raises TraceError for an unknown suffix, an extra that is not installed, or a file that cannot be written.
    """
    path = check(path)
    write = WRITERS[path.suffix.lower()]
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                write(trace, file)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise TraceError(f"{path} cannot be written: {error.strerror or error}") from None
    return path


def load(path: str | Path, *, partial: bool = False, max_bytes: int | None = None) -> Store:
    """The calls of a saved trace; raises TraceError.

    `max_bytes`: the maximum memory, by default 100 times the file's size and at least 64 MiB.
    """
    path = Path(path).expanduser()
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from None
    if not start:
        raise TraceError(f"{path} is empty: it is not a trace")
    suffix = next((known for mark, known in _MARKS if start.startswith(mark)), path.suffix.lower())
    if suffix not in _READERS:
        known = ", ".join(READABLE)
        more = f" (a {path.suffix} file can be written but not read back)" if suffix in WRITABLE else ""
        raise TraceError(f"{path} is not a trace that wasilab can read ({known}){more}")
    try:
        return _READERS[suffix](path, partial=partial, max_bytes=max_bytes)
    except MemoryError:
        raise TraceError(f"{path} does not fit into memory") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
