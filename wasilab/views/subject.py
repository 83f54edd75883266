"""The interface that views need, and its three implementations: a run, a snapshot of a running run, a bare trace.

Every view takes a `Subject`. `runs.run.Run` is one; a class in a notebook can be one too. `as_subject` makes one from a
bare `Trace`; `snapshot` makes one from a running run, whose parts all describe the same calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, get_args

from ..capabilities.memory.changes import Changes
from ..engine.outcome import Kind, Outcome
from ..grants.grants import Grants
from ..grants.remedy import denied
from ..module.module import Module
from ..trace.answers.refusals import Refusals
from ..trace.moments.history import History
from ..trace.record.recorder import Recorder
from ..trace.trace import Trace

_LONGEST = 1e9
"""The longest run time accepted from a trace file: some 30 years, in seconds."""


class Subject(Protocol):
    """What a view reads of a run. Every member is read-only."""

    @property
    def name(self) -> str:
        """The name of the run; "" for none."""
    @property
    def args(self) -> tuple[str, ...]:
        """The program's arguments after argv[0]."""
    @property
    def module(self) -> Module | None:
        """The program; None if only its trace is available."""
    @property
    def grants(self) -> Grants | None:
        """What the program was given; None if only its trace is available."""
    @property
    def running(self) -> bool:
        """Whether the guest still runs."""
    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None if unknown. May raise while `running`: see `outcome_of`."""
    @property
    def seconds(self) -> float:
        """Seconds that the run took; seconds so far while it runs."""
    @property
    def traced(self) -> bool:
        """Whether the calls were recorded."""
    @property
    def snapshots(self) -> bool:
        """Whether the memory at each call is wanted, and can be rebuilt."""
    @property
    def trace(self) -> Trace:
        """The record of the calls. May raise where not `traced`: see `trace_of`."""
    @property
    def history(self) -> History:
        """The state at any call. May raise where not `traced`."""
    @property
    def denied(self) -> Refusals:
        """What was refused. May raise where not `traced`."""
    @property
    def stdout_bytes(self) -> bytes:
        """What the guest wrote to stdout, as far as it was kept."""
    @property
    def stderr_bytes(self) -> bytes:
        """What the guest wrote to stderr, as far as it was kept."""
    @property
    def streamed(self) -> bool:
        """Whether the output was already shown as it arrived, so that a report need not repeat it."""
    @property
    def changes(self) -> Mapping[str, Changes]:
        """What the run changed in its copied directories: guest path -> changes."""
    @property
    def recorder(self) -> Recorder | None:
        """What the running guest's calls are written to; None where not `traced`."""
    @property
    def again(self) -> Callable[[Grants], Subject] | None:
        """Starts the same program with other grants in the background; None if that is impossible."""
    def stop(self, timeout: float | None = None) -> object:
        """End the running guest, waiting at most `timeout` seconds for it."""
    def unload(self) -> None:
        """Free the memory of the trace until it is next used; does nothing if that is impossible."""


@dataclass(frozen=True, eq=False)
class TraceSubject:
    """A trace without its run: a loaded file, or a part of another trace."""

    trace: Trace
    outcome: Outcome | None = None
    name: str = ""
    args: tuple[str, ...] = ()
    module: None = None
    grants: None = None
    running: bool = False
    traced: bool = True
    snapshots: bool = False
    stdout_bytes: bytes = b""
    stderr_bytes: bytes = b""
    streamed: bool = False
    recorder: None = None
    again: None = None

    @property
    def history(self) -> History:
        return self.trace.history

    @property
    def denied(self) -> Refusals:
        return denied(self.trace)

    @property
    def seconds(self) -> float:
        return 0.0 if self.outcome is None else self.outcome.seconds

    @property
    def changes(self) -> Mapping[str, Changes]:
        return {}

    def stop(self, timeout: float | None = None) -> None:
        """Nothing runs."""

    def unload(self) -> None:
        """A trace without its run stays in memory."""


class RunSnapshot:
    """A running run at one moment: what grows is copied, everything else is the run's own."""

    running = True
    outcome = None

    def __init__(self, run: Subject) -> None:
        self._run = run
        self.seconds = run.seconds
        self.traced = run.traced
        self.snapshots = run.snapshots
        self.trace = trace_of(run)
        self.denied = denied(self.trace, run.grants)
        self.stdout_bytes = run.stdout_bytes
        self.stderr_bytes = run.stderr_bytes
        self.name = run.name
        self.args = run.args
        self.module = run.module
        self.grants = run.grants
        self.streamed = run.streamed
        self.recorder = run.recorder
        self.again = run.again

    @property
    def history(self) -> History:
        """The state at any call until now."""
        return self.trace.history

    @property
    def changes(self) -> Mapping[str, Changes]:
        return self._run.changes

    def stop(self, timeout: float | None = None) -> object:
        """End the run that this is a snapshot of."""
        return self._run.stop(timeout)

    def unload(self) -> None:
        """A snapshot is short-lived."""


def snapshot(run: Subject) -> Subject:
    """A consistent snapshot of a running run; an ended run never changes and is returned itself."""
    return RunSnapshot(run) if run.running and not isinstance(run, RunSnapshot) else run


def as_subject(run_or_trace: Subject | Trace) -> Subject:
    """The run itself; of a bare trace, the trace with what its file says of the run (`Trace.meta`)."""
    if not isinstance(run_or_trace, Trace):
        return run_or_trace
    whole = run_or_trace.rows is None  # part of a trace did not end as the run did
    return TraceSubject(run_or_trace, _outcome(run_or_trace.meta) if whole else None)


def _outcome(meta: Mapping[str, object]) -> Outcome | None:
    """How the run of a trace ended, if the trace says so. A file may hold anything: invalid values are ignored."""
    kind, code, seconds = meta.get("outcome"), meta.get("exit_code"), meta.get("seconds")
    known: Kind | None = next((each for each in get_args(Kind) if each == kind), None)
    if known is None or not isinstance(code, int) or not isinstance(seconds, (int, float)):
        return None
    if not 0 <= seconds < _LONGEST:
        return None
    return Outcome(known, code, str(meta.get("message") or ""), seconds=float(seconds))


def trace_of(run: Subject) -> Trace:
    """The trace of a run; an empty one for a run that was not traced."""
    return run.trace if run.traced else Trace.from_recorder(Recorder())


def outcome_of(run: Subject) -> Outcome | None:
    """How the run ended; None while it runs, and for a trace that does not say."""
    return None if run.running else run.outcome
