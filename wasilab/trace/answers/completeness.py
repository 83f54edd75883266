"""Checks whether a trace has everything that a replay without a host needs.

The columns are checked here. Whether each recorded result has the shape that its call needs is checked when it is
replayed (`engine/replay/`).
"""

from __future__ import annotations

import numpy as np

from ...text.numbers import counted
from ...wasi.preview1.spec import SNAPSHOT1
from ..calls import Calls
from ..columns.store import header
from ..record.functions import BUILT_IN
from ..record.layout import Flag
from ..record.payload import MAX_KEPT_EVENTS, Data, schema


def missing_for_replay(trace: Calls) -> str | None:
    """Why the trace cannot be replayed, as a sentence; None if it can."""
    store = trace.store
    if trace.rows is not None:
        return "these are only some of a run's calls: replay the whole trace"
    if store.meta.get("partial"):
        return "the recording was cut short: its last calls are missing"
    if store.dropped:
        return (
            f"{counted(store.dropped, 'call was', 'calls were')} dropped when the trace reached its memory limit, and "
            "a replay needs all: raise limits.trace, or record into a file"
        )
    seqs, numbers, flags = store.column("seq"), store.column("call"), store.column("flags")
    if len(seqs) and (int(seqs[0]) != 0 or int(seqs[-1]) != len(seqs) - 1):
        return "calls are missing from the trace: a replay needs all calls of a run"
    if (flags & Flag.DETACHED).any():
        return "its calls were made by an instance that Python called: only a run can be replayed"
    strange = np.flatnonzero((numbers >= len(BUILT_IN)) & ((flags & Flag.NOSYS) == 0))
    if len(strange) and not store.host_calls:
        return (
            f"call {int(strange[0])} is a component's, and the trace does not have the typed calls that its replay "
            "needs: record=True keeps them"
        )
    good = store.column("errno") == 0
    many = good & (numbers == SNAPSHOT1["poll_oneoff"].number) & (store.column("result") > MAX_KEPT_EVENTS)
    for row in np.flatnonzero(many).tolist():
        part, index = store.locate(row)
        head = header(part, int(part.records["payload"][index]))
        if head is None or head[3] == 0:
            return (
                f"call {row} (poll_oneoff) had more than {MAX_KEPT_EVENTS:,} events, and the trace kept none: "
                "record=True keeps all of them"
            )
    for row in np.flatnonzero(good & ((flags & Flag.TRUNCATED) != 0) & (numbers < len(BUILT_IN))).tolist():
        part, index = store.locate(row)
        head = header(part, int(part.records["payload"][index]))
        call = BUILT_IN[int(numbers[row])]
        whole = head is not None and head[3] == int(store.column("result")[row])
        if schema(call).data in (Data.MOVED, Data.BUFFER) and call.results and whole:
            continue  # only the array of its buffers was cut, and the program will pass that again
        return f"call {row} ({call.name}) transferred more bytes than the trace kept: record=True keeps all of them"
    return None
