"""The output of `--repeat` and `--time`: where the time went, and how time and calls varied over several runs.

Of each run only three numbers are kept; the traces of all but the last would fill the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...engine.compiling.engine_options import EngineOptions
from ...engine.outcome import Outcome
from ...runs.run import Run
from ...text.numbers import counted, duration

BARS = "▁▂▃▄▅▆▇█"
BINS = 32
DRAWN_FROM = 8
"""The number of runs from which a histogram says more than best, median and worst."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One of several runs."""

    seconds: float
    calls: int
    status: int

    @classmethod
    def of(cls, run: Run) -> Turn:
        """What is kept from a run."""
        return cls(run.outcome.seconds, len(run.trace) + run.trace.dropped if run.traced else 0, run.exit_code)


def timing(first: Outcome, compile_seconds: float, engine: EngineOptions) -> str:
    """Where a run's time went (of several, the first run's)."""
    native = first.native_calls
    how = f" ({', '.join(words)})" if (words := engine.words()) else ""
    return (
        f"time: {duration(compile_seconds * 1e9)} to compile or read, "
        f"{duration(first.compile_seconds * 1e9)} in Wasmtime's compiler{how}, "
        f"{duration(first.seconds * 1e9)} running, "
        + ("every call answered in Python" if native is None else f"{counted(native, 'call')} answered natively")
    )


def distribution(turns: Sequence[Turn]) -> str:
    """The spread of wall time and calls over several runs; for many runs with a histogram of the time."""
    times = sorted(turn.seconds for turn in turns)
    calls = sorted(turn.calls for turn in turns)
    codes = sorted({turn.status for turn in turns})
    line = (
        f"{counted(len(turns), 'run')}: time {duration(times[0] * 1e9)} at best, "
        f"{duration(times[len(times) // 2] * 1e9)} median, {duration(times[-1] * 1e9)} at worst; calls {calls[0]:,}"
        + (f" to {calls[-1]:,}" if calls[0] != calls[-1] else " each")
        + f"; exit status {', '.join(map(str, codes))}"
    )
    return line if len(times) < DRAWN_FROM else f"{line}\n{histogram(times)}"


def histogram(times: Sequence[float]) -> str:
    """Sorted times in seconds as one line of bars, from the best to the 95th percentile; the rest is counted."""
    most = times[max(len(times) * 19 // 20 - 1, 0)]
    width = (most - times[0]) / BINS
    counts = [0] * BINS
    inside = [time for time in times if time <= most]
    for time in inside:
        counts[min(int((time - times[0]) / width), BINS - 1) if width > 0 else 0] += 1
    top = max(counts)
    bars = "".join(BARS[-(-count * len(BARS) // top) - 1] if count else " " for count in counts)
    beyond = len(times) - len(inside)
    more = f", {beyond:,} beyond it" if beyond else ""
    return f"  {duration(times[0] * 1e9)} |{bars}| {duration(most * 1e9)}{more}"
