"""Fails every call of a program once, one run each, to see how the program reacts.

The runs are harmless and repeatable: host folders are copied into memory, in-memory folders start as granted, clocks
step and randomness is seeded. Each run is compared with a run without a fault by exit status, stdout and the final
contents of its folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...capabilities.clocks import Clocks
from ...capabilities.host.hostdir import HostDir
from ...capabilities.memory.memdir import MemDir
from ...capabilities.protocols import Directory
from ...capabilities.random import Random
from ...grants.faults import Fault, FaultError
from ...grants.grants import Grants
from ...grants.live.pump import Listeners
from ...module.module import Module
from ...text.escape import shorten, visible
from ...text.numbers import counted
from ..prepare import RunOptions
from ..run import Run
from ..runner import start_run

VERDICTS = {
    "recovers": "same status, output and files",
    "reports": "another exit status",
    "loses": "the same status, but other output or files: a silent loss",
    "crashes": "a trap, or a limit",
}
"""The possible reactions of a program to a fault."""
MOST_RUNS = 1000


@dataclass(frozen=True, slots=True)
class FailedOnce:
    """One run, in which one call failed."""

    call: str
    nth: int
    """Which call of that name, from 1."""
    seq: int
    """The call's number in the run (`seq`)."""
    where: str
    """The path of the call, or ""."""
    verdict: str
    exit_code: int
    said: str
    """The last line of its stderr, or why it ended."""


@dataclass(frozen=True, slots=True)
class Robustness:
    """What a program does when each of its calls fails once."""

    error: str
    baseline: Run
    rows: tuple[FailedOnce, ...]
    left_out: int
    """Calls that were not tried because of the bound on runs."""

    @property
    def counts(self) -> Counter[str]:
        """Runs by verdict."""
        return Counter(row.verdict for row in self.rows)

    def __str__(self) -> str:
        """A table with one line per run, and the totals."""
        lines = [f"{'call':>5}  {'fails with ' + self.error:28} {'verdict':9} {'status':>6}  {'says'}"]
        for row in self.rows:
            name = shorten(f"{row.call} #{row.nth}" + (f" {visible(row.where)}" if row.where else ""), 28)
            lines.append(f"{row.seq:5}  {name:28} {row.verdict:9} {row.exit_code:6}  {shorten(visible(row.said), 60)}")
        found = self.counts
        lines += [f"{found[name]:5} {name}: {words}" for name, words in VERDICTS.items() if found[name]]
        if self.left_out:
            lines.append(f"{counted(self.left_out, 'call')} more were not tried")
        return "\n".join(line.rstrip() for line in lines)


def inject_each(
    module: Module,
    args: Sequence[str],
    grants: Grants,
    options: RunOptions | None = None,
    *,
    error: str = "EIO",
    calls: str = "*",
    most: int = MOST_RUNS,
    on_run: Callable[[int, str], object] | None = None,
) -> Robustness:
    """Run the program once without a fault, then once for each of its calls named by `calls`, which fails with `error`.

    `most` limits the number of runs. `on_run(number, call)` is called for each. Raises `FaultError` for an unknown
    error or call, and `GrantError`.
    """
    options = replace(options or RunOptions(), record=False, spool=None, trace=True)
    names = Fault(calls, error=error).names
    if grants.faults:
        raise FaultError("this fails each call once by itself: remove the other faults")
    baseline = _run(module, args, grants, options, ())
    if baseline.outcome.kind in ("error", "interrupt"):
        return Robustness(error, baseline, (), 0)
    expected = baseline.exit_code, baseline.stdout_bytes, _left(baseline)
    counts = Counter(call.name for call in baseline.trace)
    rows: list[FailedOnce] = []
    wanted = [(name, nth) for name in names for nth in range(1, counts[name] + 1)]
    exhausted: set[str] = set()
    for number, (name, nth) in enumerate(wanted[:most], 1):
        if name in exhausted:
            continue
        if on_run is not None:
            on_run(number, name)
        run = _run(module, args, grants, options, (Fault(name, error=error, when=nth).rule,))
        injected = run.trace.filter("injected")
        if run.outcome.kind == "interrupt":
            break
        if not len(injected):
            exhausted.add(name)  # the other calls fail earlier, for example on a closed descriptor
            continue
        event = injected[0]
        ended = run.exit_code, run.stdout_bytes, _left(run)
        said = run.error or (run.stderr.strip().splitlines() or [""])[-1]
        rows.append(FailedOnce(name, nth, event.seq, event.path or "", _verdict(run, ended, expected),
                               run.exit_code, said))  # fmt: skip
    rows.sort(key=lambda row: row.seq)
    return Robustness(error, baseline, tuple(rows), max(0, len(wanted) - most))


def _verdict(run: Run, ended: tuple[object, ...], expected: tuple[object, ...]) -> str:
    if run.outcome.kind != "exit":
        return "crashes"
    if ended == expected:
        return "recovers"
    return "reports" if ended[0] != expected[0] else "loses"


def _run(module: Module, args: Sequence[str], grants: Grants, options: RunOptions, faults: Sequence[str]) -> Run:
    dirs: dict[str, Directory] = {guest: _beginning(d) for guest, d in grants.dirs.items()}
    harmless = grants.with_(
        dirs=dirs, withheld=grants.withheld, clocks=_repeatable(grants.clocks), random=Random.seeded(0), ask=False,
        stdin=b"" if grants.stdin == "ask" else grants.stdin, faults=tuple(faults),
    )  # fmt: skip
    return start_run(module, args, harmless, options, Listeners())


def _beginning(directory: Directory) -> Directory:
    """A copy in memory of the directory as granted, for one run."""
    if isinstance(directory, HostDir) and directory.mode == "rw":
        return HostDir(directory.path, "copy")
    if type(directory) is MemDir:
        return MemDir(directory.files(), max_bytes=directory.max_bytes, max_names=directory.max_names)
    return directory


def _repeatable(clocks: Clocks) -> Clocks:
    return clocks if clocks.spec == "none" or clocks.realtime.virtual else Clocks.stepped(1000)


def _left(run: Run) -> dict[str, object]:
    """The contents of the run's folders after it."""
    return {guest: d.files() for guest, d in run.directories.items() if isinstance(d, MemDir)}
