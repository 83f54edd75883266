"""The worker of a sweep: runs one program several times, each time with its own parameters, given as plain values.

`run_some` is called by an executor, in this process or another one. It takes and returns only bytes, texts and numbers.
The program is sent with a worker's first task and is found by its hash afterwards.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from ...capabilities.clocks import Clocks
from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory
from ...capabilities.random import Random
from ...engine.threads import Worker
from ...grants.faults import Fault
from ...grants.forms.python import from_python
from ...grants.grants import Grants
from ...grants.live.pump import Listeners
from ...grants.value import GrantArguments
from ...module.module import Module
from ..prepare import RunOptions
from ..run import Run
from ..runner import start_run

MOST_MODULES = 8
OUTPUT_KEPT = 4096
"""Bytes of stdout kept in a row of the result."""
CALL_COLUMNS = ("seq", "call", "errno", "fd", "path", "bytes", "result", "refused", "injected")


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run of a sweep, as values that an executor can send."""

    number: int
    args: tuple[str, ...]
    grants: str
    """A Python expression of literals (`grants/forms/python.py`)."""
    env: tuple[tuple[str, str], ...] = ()
    stdin: bytes | None = None
    seed: int | None = None
    clock: str | None = None
    faults: tuple[str, ...] = ()
    limits: tuple[tuple[str, float | None], ...] = ()
    invoke: str | None = None

    def granted(self) -> Grants:
        """The grants of the run."""
        grants = _read_grants(self.grants)
        changes: GrantArguments = {}
        if any(type(folder) is MemDir for folder in grants.dirs.values()):  # each run gets its own
            changes["dirs"] = {guest: _begun(folder) for guest, folder in grants.dirs.items()}
            changes["withheld"] = grants.withheld
        if self.env:
            changes["env"] = {**grants.env, **dict(self.env)}
        if self.stdin is not None:
            changes["stdin"] = self.stdin
        if self.seed is not None:
            changes["random"] = Random.seeded(self.seed)
        if self.clock is not None:
            changes["clocks"] = Clocks.parse(self.clock)
        if self.faults:
            changes["faults"] = (*grants.faults, *map(self._seeded, self.faults))
        if self.limits:
            limits: Any = {name: getattr(grants.limits, name) for name in type(grants.limits).__slots__}
            changes["limits"] = type(grants.limits)(**{**limits, **dict(self.limits)})
        return grants.with_(**changes) if changes else grants

    def _seeded(self, rule: str) -> str:
        """A fault of chance that has no seed of its own takes the run's."""
        fault = Fault.parse(rule)
        if self.seed is None or not 0 <= self.seed < 1 << 63 or fault.p == 1 or fault.seed:
            return rule
        return replace(fault, seed=self.seed).rule


@lru_cache(maxsize=32)
def _read_grants(text: str) -> Grants:
    return from_python(text, Grants)


def _begun(folder: Directory) -> Directory:
    """A folder in memory, in its initial state."""
    if type(folder) is not MemDir:
        return folder
    mode: Literal["ro", "rw"] = "rw" if folder.writable else "ro"
    return MemDir(folder.files(), max_bytes=folder.max_bytes, max_names=folder.max_names, mode=mode)


@dataclass(frozen=True, slots=True)
class RunRow:
    """The result of one run."""

    number: int
    kind: str
    """How it ended (`engine.outcome.Kind`), or "lost" if its worker disappeared."""
    exit_code: int
    message: str
    calls: int
    refused: int
    failed: int
    moved: int
    """Bytes read and written by its calls."""
    stdout: bytes
    """The first 4096 bytes."""
    stdout_bytes: int
    seconds: float
    worker: str = ""
    columns: Mapping[str, Sequence[object]] | None = None
    """`CALL_COLUMNS` of its calls; None if they are not kept."""


_modules: OrderedDict[str, Module] = OrderedDict()


def run_some(
    sha256: str, name: str, program: bytes | None, plans: Sequence[RunPlan], calls: bool
) -> list[RunRow] | None:
    """Run the plans; None if the program is unknown here and was not sent. `calls`: also keep the calls."""
    module = _modules.get(sha256)
    if module is None:
        if program is None:
            return None
        module = _modules[sha256] = Module(program, name)
        while len(_modules) > MOST_MODULES:
            _modules.popitem(last=False)
    worker = Worker("wasilab sweep")
    try:
        return [_run(module, plan, calls, worker) for plan in plans]
    finally:
        worker.end()


def _run(module: Module, plan: RunPlan, calls: bool, worker: Worker) -> RunRow:
    options = RunOptions(invoke=plan.invoke, described=False)
    try:
        run = start_run(module, plan.args, plan.granted(), options, Listeners(), worker=worker)
    except ValueError as error:  # a grant that fails here, such as a missing folder
        return RunRow(plan.number, "error", 1, str(error), 0, 0, 0, 0, b"", 0, 0.0)
    trace, outcome = run.trace, run.outcome
    denied, errnos, moved = trace.column("denied_by") != 0, trace.column("errno"), trace.column("nbytes")
    columns = None
    if calls:
        columns = {
            "seq": trace.column("seq").tolist(), "call": trace.column("name").tolist(), "errno": errnos.tolist(),
            "fd": trace.column("fd").tolist(), "path": trace.column("full_path").tolist(), "bytes": moved.tolist(),
            "result": trace.column("result").tolist(), "refused": denied.tolist(),
            "injected": (trace.column("flags") & 1 != 0).tolist(),
        }  # fmt: skip
    out = run.stdout_bytes
    return RunRow(
        plan.number, outcome.kind, outcome.exit_code, outcome.message, len(trace) + trace.dropped, int(denied.sum()),
        int((errnos != 0).sum()) - int((errnos == 255).sum()), int(moved.sum()), out[:OUTPUT_KEPT],
        len(out) + run.output_cut, outcome.seconds, columns=columns,
    )  # fmt: skip


def run_plan(module: Module, plan: RunPlan) -> Run:
    """Run a plan in this process and return the whole run."""
    return start_run(module, plan.args, plan.granted(), RunOptions(invoke=plan.invoke), Listeners())
