"""Grant and run again: reruns a program with one more grant, from a button of the timeline.

A remedy that the user has to complete first (a host folder, a number) is shown without a button. The new run is
detached: it grows in the timeline and can be stopped.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..grants.remedy import Remedy
from ..wasi.operations import Operation
from .subject import Subject, trace_of
from .timeline.columns import Columns, standard_stream


def can_rerun(run: Subject, remedy: Remedy) -> bool:
    """Whether `run` can be repeated with that grant as it stands."""
    if not remedy.complete or run.again is None or run.grants is None:
        return False
    return run.grants.stdin != "ask" or not _read_stdin(run)


def _read_stdin(run: Subject) -> bool:
    """Whether the program read its stdin, as far as the trace shows: typed input cannot be repeated."""
    columns = Columns.of(run)
    stdin = [life.life for life in trace_of(run).store.lives.values() if standard_stream(life) == "stdin"]
    operations = columns.functions.operations
    reads = [number for number in columns.numbers if operations[number] is Operation.READ]
    return columns.dropped > 0 or bool((np.isin(columns.handle, stdin) & np.isin(columns.call, reads)).any())


def rerun(run: Subject, remedy: Remedy) -> Subject:
    """Start the program of `run` again, with the same arguments and one more grant; returns the detached run.

    Call it only if `can_rerun` is true. Raises `GrantError` for what can no longer be granted.
    """
    assert run.again is not None
    assert run.grants is not None
    grants = remedy.apply(run.grants)
    if grants.stdin == "ask":
        grants = replace(grants, stdin=b"")  # the user was not asked the first time and cannot be asked now
    return run.again(grants)
