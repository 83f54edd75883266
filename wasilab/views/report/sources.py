"""Where in the guest's source a call came from: the line and its neighbours. `module/dwarf.py` finds the lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ...text.escape import visible
from ...trace.answers.event import StackFrame
from ..subject import Subject, trace_of

AROUND = 4
"""Lines shown before and after the marked one."""


def source_of(run: Subject) -> tuple[str, str]:
    """(file name, text) of the guest's source, ("", "") if it is not available."""
    meta = trace_of(run).meta
    text = (run.module.source if run.module is not None else None) or meta.get("source") or ""
    name = (run.module.source_name if run.module is not None else None) or meta.get("source_name") or ""
    return (str(name), str(text)) if isinstance(text, str) else ("", "")


def source_lines(run: Subject, stack: Sequence[StackFrame]) -> tuple[str, int, list[tuple[int, str]]] | None:
    """(file, line, [(number, text), ...]) of the innermost frame in the guest's own source, else None.

    If the source is not available, names the innermost frame with a line, without source lines.
    """
    name, text = source_of(run)
    known = [frame for frame in stack if frame.file and frame.line]
    own = [frame for frame in known if name and PurePosixPath(frame.file or "").name == PurePosixPath(name).name]
    if not own:
        return (visible(known[0].file or ""), known[0].line, []) if known and not name else None
    line = own[0].line
    lines = text.splitlines()
    first = max(line - AROUND, 1)
    shown = [(at, visible(lines[at - 1]).replace("\\t", "    ")[:300])
             for at in range(first, min(line + AROUND, len(lines)) + 1)]  # fmt: skip
    return visible(PurePosixPath(name).name), line, shown
