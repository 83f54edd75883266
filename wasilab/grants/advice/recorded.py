"""The input of advice: a run with its trace, or a bare trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...module.module import Module
from ...trace.trace import Trace
from ..grants import Grants
from ..live.ask import Asked
from ..value import GrantError


class RecordedRun(Protocol):
    """What advice reads of a run besides its trace. Every member is read-only."""

    @property
    def trace(self) -> Trace: ...
    @property
    def grants(self) -> Grants: ...
    @property
    def module(self) -> Module: ...
    @property
    def args(self) -> tuple[str, ...]: ...
    @property
    def asked(self) -> Sequence[Asked]: ...


Recorded = RecordedRun | Trace


def trace_of(recorded: Recorded) -> Trace:
    """The trace of a run, or the trace itself; raises `GrantError` for anything else."""
    trace = recorded if isinstance(recorded, Trace) else getattr(recorded, "trace", None)
    if not isinstance(trace, Trace):
        raise GrantError(f"a run or a trace is expected here, not {type(recorded).__name__}")
    return trace


def grants_of(recorded: Recorded) -> Grants | None:
    """What the run was given, if available."""
    return None if isinstance(recorded, Trace) else recorded.grants
