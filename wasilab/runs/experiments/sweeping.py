"""`sweep`: runs a program with every combination of some parameters, here or in an executor, as one result.

The same sweep gives the same calls and outputs: clocks are stepped and randomness is seeded unless set by the grants.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ... import views
from ...capabilities.host.hostdir import HostDir
from ...engine.limits import BOUNDS
from ...grants.faults import Fault
from ...grants.fitting import FAULTS
from ...grants.forms.python import to_python
from ...grants.grants import Grants
from ...grants.value import GrantError
from ...module.module import Module
from ...text.nearest import did_you_mean
from ...text.numbers import counted
from ...text.shell import join
from ...trace.sql.statements import SqlResult
from ...trace.sql.sweep_tables import CallsFile, ask, runs_table, write_parquet
from ..prepare import Program, load_program
from ..run import Run
from .executors import SweepError, answers
from .sweep_worker import RunPlan, RunRow, run_plan, run_some

Value = Any
"""A value of a parameter, or an executor of any library."""

PARAMETERS = ("args", "stdin", "seed", "clock", "faults", "grants")
"""Parameters that can be swept besides "env.NAME" and "limits.NAME"."""
A_TASK = 20
"""Runs per task: enough to make the sending cheap, few enough to show progress."""
_USUAL = Grants()
_LOST = "the worker of this run was lost: "


@dataclass(frozen=True, slots=True)
class SweptRow(RunRow):
    """What came of one run of a sweep."""

    again: Callable[[], Run] | None = field(default=None, repr=False, compare=False)

    def rerun(self) -> Run:
        """Run it again here, as a whole `Run` with its trace."""
        assert self.again is not None, "a sweep knows how to make its runs"
        return self.again()


class Sweep(Sequence[SweptRow]):
    """The runs of a sweep: `runs[3]`, `runs.table`, `runs.calls`, `runs.sql("select ...")`, `runs[3].rerun()`."""

    def __init__(self, module: Module, plans: Sequence[RunPlan], parameters: Sequence[Mapping[str, Value]]) -> None:
        self.module = module
        self.parameters = parameters
        """The parameters of each run, as displayed."""
        self.rows: list[SweptRow] = []
        """The result of each run, in the order of `parameters`."""
        self.partial = False
        """Whether it was interrupted; only the runs that ended before that are present."""
        self._plans = plans
        self._calls: CallsFile | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Value) -> Value:
        return self.rows[index]

    def keep_calls(self, calls: CallsFile) -> None:
        """Set the file of the calls."""
        self._calls = calls

    @property
    def table(self) -> Value:
        """A pyarrow.Table with one row per run: parameters, end, calls, refusals, bytes, output, seconds."""
        return runs_table([dict(p) for p in self.parameters[: len(self.rows)]], self.rows)

    @property
    def calls(self) -> Path:
        """The Parquet file of all calls, with the number of their run. It is deleted with this object."""
        if self._calls is None:
            raise SweepError("the calls were not kept: use sweep(..., calls=True), which needs pyarrow")
        return self._calls.path

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `runs.parquet` and, if the calls were kept, `calls.parquet` into a folder."""
        write_parquet(self.table, Path(folder) / "runs.parquet")
        if self._calls is not None:
            shutil.copyfile(self._calls.path, Path(folder) / "calls.parquet")

    def sql(self, statement: str) -> SqlResult:
        """Query the views `runs` and `calls` with SQL; needs the extra `arrow`."""
        return ask(statement, self.table, self._calls)

    def plot(
        self, kind: str = "heat", *, x: str | None = None, y: str | None = None, by: str | None = None,
        value: str | None = None, ax: Value = None,
    ) -> Value:  # fmt: skip
        """A matplotlib `Figure` of the runs: "heat" (a value over the parameters `x` and `y`), "lines" (over `x`, a
        line for each value of `by`, with least and most), "box" (its distribution for each value of `x`).

        `value`: "ok" (the share of runs that ended with status 0), "exit_code", "calls", "refused", "failed", "bytes",
        "stdout_bytes" or "seconds". Parameters that are not named are those with the most values. Raises PlotError (a
        ValueError) for a kind, parameter or value that does not exist.
        """
        parameters = list(self.parameters[0]) if self.parameters else []
        return views.sweep_plot(kind, self.table.to_pydict(), parameters, x=x, y=y, by=by, value=value, ax=ax)

    def rerun(self, number: int) -> Run:
        """Run one of them again here; returns the `Run` with its trace."""
        return run_plan(self.module, self._plans[range(len(self._plans))[number]])

    def __str__(self) -> str:
        ends: dict[str, int] = {}
        for row in self.rows:
            end = f"exit {row.exit_code}" if row.kind == "exit" else row.kind
            ends[end] = ends.get(end, 0) + 1
        of = f" of {len(self._plans):,}" if len(self.rows) < len(self._plans) else ""
        shown = ", ".join(f"{end}: {count:,}" for end, count in sorted(ends.items(), key=lambda e: -e[1])[:8])
        return f"{counted(len(self.rows), 'run')}{of} of {self.module.name}; {shown}{' (interrupted)' * self.partial}"

    __repr__ = __str__


def sweep(
    program: Program,
    over: Mapping[str, Sequence[Value]],
    executor: Value = None,
    *,
    args: Sequence[str] = (),
    grants: Grants | None = None,
    invoke: str | None = None,
    calls: bool = True,
    runs_per_task: int = A_TASK,
    progress: bool | Callable[[int, int], object] = False,
) -> Sweep:
    """Run a program with every combination of the values in `over`; the last name changes fastest.

    `over` maps names to lists of values: "args" (lists of arguments), "stdin" (bytes or text), "seed" (of the
    randomness), "clock" ("stepped:1000"), "faults" (lists of `Fault` or their texts), "grants" (whole `Grants`),
    "env.NAME" and "limits.NAME". `args` and `grants` apply to every run; clocks are stepped and randomness is seeded
    unless set by them. `executor`: one of `concurrent.futures`, a Dask client, an ipyparallel view, a
    `joblib.Parallel`; with None they run here. `calls`: keep all calls in a Parquet file (needs pyarrow). `progress`:
    True shows a bar (`tqdm.auto`, if it is installed); a function is called after each task with the number of
    completed and of all runs. A fault of chance without a seed takes the run's. A lost worker gives a row of kind
    "lost". An interrupt returns the runs so far (`partial`). Raises `SweepError` (a ValueError), `GrantError`.
    """
    module = load_program(program)
    if module.is_component and "faults" in over:
        raise SweepError(f"faults are not for {module.name}, a component: {FAULTS}")
    base = grants or Grants()
    plans, parameters = _plans(over, tuple(map(str, args)), base, invoke)
    found = Sweep(module, plans, parameters)
    file = CallsFile(_folder_for(found) / "calls.parquet") if calls else None
    if file is not None:
        found.keep_calls(file)
    size = max(1, runs_per_task)
    tasks = [plans[at : at + size] for at in range(0, len(plans), size)]

    def task(number: int, *, whole: bool) -> tuple[int, Value]:
        program = module.bytes if whole else None
        return number, (run_some, (module.sha256, module.name, program, tasks[number], calls))

    outputs: dict[bytes, bytes] = {}
    bar = _bar(len(plans)) if progress is True else None
    report = progress if callable(progress) else None if bar is None else bar.update_to
    try:
        for number, answer in answers(executor, (task(n, whole=n == 0) for n in range(len(tasks)))):
            if answer is None:  # this worker does not have the program yet
                ((_, answer),) = list(answers(executor, [task(number, whole=True)]))
            if isinstance(answer, Exception):
                lost = f"{_LOST}{type(answer).__name__}: {answer}"[:400]
                answer = [RunRow(p.number, "lost", 1, lost, 0, 0, 0, 0, b"", 0, 0.0) for p in tasks[number]]
            ended = next((at for at, row in enumerate(answer) if row.kind == "interrupt"), None)
            answer = answer[:ended]
            if file is not None:
                file.add(answer)
            found.rows += [_kept(row, outputs, partial(run_plan, module, plans[row.number])) for row in answer]
            if report is not None:
                report(len(found.rows), len(plans))
            if ended is not None:
                found.partial = True
                break
    except KeyboardInterrupt:
        found.partial = True
    finally:
        if bar is not None:
            bar.close()
        if file is not None:
            file.close()
    return found


class _Bar:
    """A progress bar of tqdm."""

    def __init__(self, bar: Value) -> None:
        self._bar = bar

    def update_to(self, done: int, of: int) -> None:
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def _bar(runs: int) -> _Bar | None:
    """A bar for so many runs; None where tqdm is not installed."""
    try:
        from tqdm.auto import tqdm  # optional, and only for who asks for a bar
    except ImportError:
        return None
    return _Bar(tqdm(total=runs, unit="run"))


def _kept(row: RunRow, outputs: dict[bytes, bytes], again: Callable[[], Run]) -> SweptRow:
    """The row without its calls; equal outputs are kept once."""
    fields = {name: getattr(row, name) for name in RunRow.__slots__}
    fields |= {"stdout": outputs.setdefault(row.stdout, row.stdout), "columns": None}
    return SweptRow(**fields, again=again)


def _folder_for(owner: object) -> Path:
    folder = tempfile.TemporaryDirectory(prefix="wasilab-sweep-")
    weakref.finalize(owner, folder.cleanup)
    return Path(folder.name)


# --- parameters ---


def _plans(
    over: Mapping[str, Sequence[Value]], args: tuple[str, ...], base: Grants, invoke: str | None
) -> tuple[list[RunPlan], list[dict[str, Value]]]:
    for name, values in over.items():
        _check_name(name)
        if isinstance(values, str | bytes) or not isinstance(values, Sequence) or not len(values):
            raise SweepError(f"{name}: give a list of the values to try, not {values!r:.80}")
    texts: dict[int, str] = {}
    try:
        _plan(0, {}, args, base, invoke, texts).granted()
    except (ValueError, TypeError, AttributeError) as error:
        raise SweepError(f"grants: {error}") from None
    for name, values in over.items():  # check each value, not each combination: there may be many
        for value in values:
            try:
                _plan(0, {name: value}, args, base, invoke, texts).granted()
            except (ValueError, TypeError, AttributeError) as error:
                raise SweepError(f"{name}: {value!r:.80} cannot be used: {error}") from None
    plans, parameters = [], []
    for number, values in enumerate(itertools.product(*over.values())):
        given = dict(zip(over, values, strict=True))
        plans.append(_plan(number, given, args, base, invoke, texts))
        parameters.append({name: _shown(value) for name, value in given.items()})
    return plans, parameters


def _check_name(name: str) -> None:
    family, _, rest = name.partition(".")
    if name in PARAMETERS or (family == "env" and rest):
        return
    if family == "limits":
        if rest in BOUNDS:
            return
        raise SweepError(f"unknown limit {rest!r}{did_you_mean(rest, BOUNDS, f'; the limits are {list(BOUNDS)}')}")
    known = (*PARAMETERS, "env.NAME", "limits.NAME")
    raise SweepError(f"unknown parameter {name!r}{did_you_mean(name, known, f'; the parameters are {list(known)}')}")


def _plan(
    number: int, given: Mapping[str, Value], args: tuple[str, ...], base: Grants, invoke: str | None,
    texts: dict[int, str],
) -> RunPlan:  # fmt: skip
    grants = given.get("grants", base)
    if not isinstance(grants, Grants):
        raise SweepError(f"grants: {grants!r:.80} is not a Grants object")
    if id(grants) not in texts:
        texts[id(grants)] = _text_of(grants)
    stdin = given.get("stdin")
    seed = given.get("seed", 0 if grants.random == _USUAL.random else None)
    if seed is not None and type(seed) is not int:
        raise ValueError("a seed must be a whole number")
    faults = given.get("faults", ())
    faults = (faults,) if isinstance(faults, str | Fault) else faults
    words = given.get("args", args)
    if isinstance(words, str) or not isinstance(words, Sequence):
        raise SweepError(f"args: {words!r:.80} is not a list of arguments: write [{words!r:.80}]")
    return RunPlan(
        number, tuple(map(str, words)), texts[id(grants)],
        tuple((name.partition(".")[2], str(value)) for name, value in given.items() if name.startswith("env.")),
        stdin.encode() if isinstance(stdin, str) else stdin,
        seed,
        given.get("clock", "stepped:1000" if grants.clocks == _USUAL.clocks else None),
        tuple(str(fault) for fault in faults),
        tuple((name.partition(".")[2], value) for name, value in given.items() if name.startswith("limits.")),
        invoke,
    )  # fmt: skip


def _text_of(grants: Grants) -> str:
    """The grants as text that can be sent to a worker."""
    if grants.overrides:
        raise SweepError(f"the overrides ({', '.join(grants.overrides)}) cannot be sent: they are Python functions")
    if grants.ask or grants.stdin == "ask":
        raise SweepError("a sweep cannot ask questions: remove ask=True and stdin=\"ask\"")
    for guest, folder in grants.dirs.items():
        if isinstance(folder, HostDir) and folder.mode == "rw":
            raise SweepError(f"the runs of a sweep would overwrite each other's files in {guest!r}: grant it as copy")
    text = to_python(grants)
    try:
        from_text = RunPlan(0, (), text).granted()
    except GrantError as error:
        raise SweepError(f"the grants cannot be sent to a worker: {error}") from None
    assert from_text is not None
    return text


def _shown(value: Value) -> Value:
    """A parameter as the table shows it."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Grants):
        return to_python(value, contents=256)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return join(str(each) for each in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)

