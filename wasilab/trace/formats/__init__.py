"""The file formats of a trace, one file each, found by suffix.

    .wtrace   lossless, NumPy only: what the recorder's spool is, too      .csv      a table for spreadsheets
    .jsonl    lossless, one call a line                                    .strace   strace's text
    .parquet  lossless, columnar, compact (extra `arrow`)                  .pftrace  Perfetto: ui.perfetto.dev
                                                                           .json     Chrome's trace viewer
The first three can be loaded again; the others are for other people's tools. Each module has `write(trace, file)`, and
those that can be read `read(path)`.
"""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..answers.arrow import arrow
from ..record.container import MAGIC, TraceError

if TYPE_CHECKING:
    from ..trace import Trace

WRITERS = {
    ".wtrace": "wtrace",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv_table",
    ".strace": "strace",
    ".pftrace": "perfetto",
    ".json": "chrome",
}
"""Suffix -> module of this package that writes it."""
READERS = {".wtrace": "wtrace", ".jsonl": "jsonl", ".parquet": "parquet"}
"""Suffix -> module of this package that reads it."""


def save(trace: Trace, path: str | Path) -> Path:
    """Write `trace` to `path` in the format of its suffix; the file appears only when it is whole.

    Raises TraceError for an unknown suffix, an extra that is not installed, or a file that cannot be written.
    """
    path = check(path)
    write = import_module(f"{__name__}.{WRITERS[path.suffix.lower()]}").write
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


def check(path: str | Path) -> Path:
    """Raise the TraceError that `save` would, for what can be known before there is a trace; returns the path."""
    path = Path(path).expanduser()
    if path.suffix.lower() not in WRITERS:
        raise TraceError(f"{path.name}: a trace is saved as one of {', '.join(WRITERS)}, by the suffix of its name")
    if path.suffix.lower() == ".parquet":
        arrow()
    if path.is_dir():
        raise TraceError(f"{path} cannot be written: that is a folder; name a file in it")
    if not path.parent.is_dir():
        raise TraceError(f"{path} cannot be written: there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise TraceError(f"{path} cannot be written: the folder {str(path.parent)!r} is not yours to write to")
    return path


def load(path: str | Path, *, partial: bool = False) -> Trace:
    """Open a saved trace; raises TraceError."""
    path = Path(path).expanduser()
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from None
    if not start:
        raise TraceError(f"{path} is empty: it is not a trace")
    name = READERS.get(path.suffix.lower())
    if start.startswith(MAGIC):
        name = "wtrace"
    elif start.startswith(b"PAR1"):
        name = "parquet"
    elif start.startswith(b'{"wasilab"'):
        name = "jsonl"
    if name is None:
        known = ", ".join(READERS)
        more = f" (a {path.suffix} file can be written but not read back)" if path.suffix.lower() in WRITERS else ""
        raise TraceError(f"{path} is not a trace that wasilab can read ({known}){more}")
    trace: Trace = import_module(f"{__name__}.{name}").read(path, partial=partial)
    return trace


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
