"""A run of given values, as the views see it: a `Subject` without an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wasilab.capabilities.memory.changes import Changes
from wasilab.engine.outcome import Outcome
from wasilab.grants.grants import Grants
from wasilab.module.module import Module
from wasilab.trace.answers.refusals import Refusals
from wasilab.trace.moments.history import History
from wasilab.trace.record.recorder import Recorder
from wasilab.trace.trace import Trace
from wasilab.views.subject import Subject


@dataclass(frozen=True, eq=False)
class FakeRun:
    """A `Subject` of given values; `dataclasses.replace` makes another."""

    trace: Trace
    outcome: Outcome | None
    name: str = "copy.c"
    args: tuple[str, ...] = ()
    module: Module | None = None
    grants: Grants | None = field(default_factory=Grants)
    running: bool = False
    traced: bool = True
    snapshots: bool = False
    stdout_bytes: bytes = b"line 0\nline 1\n"
    stderr_bytes: bytes = b""
    streamed: bool = False
    changes: Mapping[str, Changes] = field(default_factory=dict)
    recorder: Recorder | None = None
    again: Callable[[Grants], Subject] | None = None
    refused: Refusals | None = None
    """Given refusals; None: those of the trace."""
    so_far: float = 0.0
    """Seconds, while it runs."""

    @property
    def seconds(self) -> float:
        return self.so_far if self.outcome is None else self.outcome.seconds

    @property
    def history(self) -> History:
        return self.trace.history

    @property
    def denied(self) -> Refusals:
        return self.trace.denied if self.refused is None else self.refused

    def unload(self) -> None:
        """Nothing is kept elsewhere."""

    def stop(self, timeout: float | None = None) -> None:
        """Nothing runs."""


_: type[Subject] = FakeRun
