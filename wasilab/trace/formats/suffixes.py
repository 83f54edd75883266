"""The suffixes of the trace formats, and a check whether a trace can be saved at a path.

For: a front end that checks a path before a run, without importing a reader of traces. Not for: saving (`storage.py`).
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import TraceError
from ..extras import pyarrow

WRITABLE = (".wtrace", ".jsonl", ".parquet", ".csv", ".strace", ".pftrace", ".json", ".speedscope", ".folded")
"""The suffixes with which a trace can be saved."""
READABLE = (".wtrace", ".jsonl", ".parquet")
"""The suffixes that can be loaded again."""

TOOLS = (
    (".pftrace", "Perfetto", "https://ui.perfetto.dev", "drop the file on the page"),
    (".json", "Chrome's tracing", "chrome://tracing", "type the address in Chrome, then drop the file on the page"),
    (".speedscope", "speedscope", "https://www.speedscope.app", "drop the file on the page"),
    (".folded", "flamegraph.pl", "", "run: flamegraph.pl FILE > flame.svg"),
    (".parquet", "DuckDB, pandas, Polars", "", "in DuckDB: select * from 'FILE'"),
    (".wtrace", "wasilab", "", "in a terminal: wasilab trace FILE; in Python: wasilab.Trace.load('FILE')"),
)
"""Other tools that open a saved trace: (suffix, tool, address of its page or "", what to do there)."""


def opened_in(suffix: str) -> str:
    """What to do with a saved trace, in a sentence; "" for a suffix that only text tools read."""
    for known, tool, address, act in TOOLS:
        if known == suffix and address:
            return f"open it in {tool}: {address}, {act}"
    return ""


def check(path: str | Path) -> Path:
    """Raise the TraceError that `save` would raise, as far as it is known before the run; returns the path."""
    path = Path(path).expanduser()
    if path.suffix.lower() not in WRITABLE:
        raise TraceError(f"{path.name}: the suffix selects the format of a trace: use one of {', '.join(WRITABLE)}")
    if path.suffix.lower() == ".parquet":
        pyarrow()
    if path.is_dir():
        raise TraceError(f"{path} cannot be written: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise TraceError(f"{path} cannot be written: there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise TraceError(f"{path} cannot be written: you are not allowed to write to the folder {str(path.parent)!r}")
    return path
