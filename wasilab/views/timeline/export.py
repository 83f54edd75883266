"""A run or trace as the bytes of a file, for the timeline's export menu. The formats are `trace/formats`' work."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from .columns import trace_of


def exported(run_or_trace: Any, suffix: str) -> tuple[str, bytes]:
    """(file name, content) in the format that `suffix` names, such as ".parquet"; ".html" is the report of a run.

    Raises `trace.TraceError` for an unknown suffix or a missing extra, in words.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", str(getattr(run_or_trace, "name", "") or "trace"))[:60].strip("._")
    name = f"{stem or 'trace'}{suffix}"
    with tempfile.TemporaryDirectory(prefix="wasilab-") as folder:
        path = Path(folder) / name
        if suffix == ".html" and hasattr(run_or_trace, "trace"):
            from ..report.report import to_html

            to_html(run_or_trace, path)
        else:
            trace_of(run_or_trace).save(path)
        return name, path.read_bytes()
