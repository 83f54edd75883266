"""`.csv`: one row per call, for spreadsheets and scripts. Arguments are strace's text. Not for: loading again.

A cell that a spreadsheet would treat as a formula (it starts with =, +, -, @, a tab or a line end) gets an apostrophe
before it: the text of a path comes from the guest and must not be executed by a spreadsheet.
"""

from __future__ import annotations

import csv
import io
from typing import IO

from ...capabilities.refusal import DeniedBy
from ...text.escape import visible
from ..calls import Calls
from ..columns.store import reason_of
from ..strace.lines import lines
from ..strace.style import Style

COLUMNS = (
    "seq", "t_start_ns", "dur_ns", "tid", "instance", "call", "family", "fd", "path", "errno", "result", "nbytes",
    "denied_by", "reason", "flags", "line", "text", "note",
)  # fmt: skip


def write(trace: Calls, file: IO[bytes]) -> None:
    """Write the head row and one row per call."""
    names = ("seq", "t_start", "dur", "tid", "instance", "name", "family", "fd", "full_path", "errno_name", "result",
             "nbytes", "denied_by", "flags", "line")  # fmt: skip
    columns = [trace.column(name).tolist() for name in names]
    file.write((",".join(COLUMNS) + "\n").encode())
    notes = trace.notes
    done = 0
    texts = lines(trace, Style(pid=False, time="none", durations=False, notes=False))
    for (part, index, _), some in zip(trace.store.batches(trace.rows), texts, strict=True):
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        reasons = [reason_of(part, payload).text for payload in part.records["payload"][index].tolist()]
        for i, (reason, text) in enumerate(zip(reasons, some, strict=True), done):
            row = [column[i] for column in columns]
            row[8] = safe(visible(row[8]))
            denied = row[12]
            row[12] = DeniedBy(denied).name.lower() if 0 < denied <= max(DeniedBy) else ""
            row.insert(13, safe(visible(reason)))
            note = "; ".join(visible(label) for first, last, label in notes if first <= row[0] <= last)
            writer.writerow([*row, safe(text), safe(note)])
        done += len(some)
        file.write(buffer.getvalue().encode())


def safe(cell: str) -> str:
    """The cell, with an apostrophe if a spreadsheet would treat it as a formula."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and cell else cell
