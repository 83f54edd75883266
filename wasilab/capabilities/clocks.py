"""A guest's clocks: real, frozen, stepped, coarse, or none.

A clock is a capability like any other: a precise clock helps attacks such as Spectre (see the WASI rationale). `Clocks`
is the value that grants hold, one clock for each of WASI's four clock ids; `parse` and `spec` are its textual form.
Sleeping is not here: `poll_oneoff` waits in real time on a clock that is not `virtual` and calls `advance_to` on one
that is.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, runtime_checkable

from .refusal import Need, NeedKind, Refused


@runtime_checkable
class Clock(Protocol):
    """One clock; all times and durations are integer nanoseconds."""

    virtual: bool
    """Whether its time is simulated: nothing sleeps on it, `advance_to` is called instead."""

    def resolution(self) -> int:
        """Its smallest step (POSIX clock_getres)."""

    def now(self) -> int:
        """The time: since the epoch for a realtime clock, since some fixed point for the others."""

    def advance_to(self, deadline: int) -> None:
        """The guest sleeps until `deadline`: a virtual clock jumps there (a frozen one stays), others do nothing."""


class RealClock:
    """A clock of the machine."""

    virtual = False

    def __init__(self, now: Callable[[], int], resolution: int) -> None:
        self.now: Callable[[], int] = now  # the builtin itself: no Python frame on the hot path
        self._resolution = resolution

    def resolution(self) -> int:
        return self._resolution

    def advance_to(self, deadline: int) -> None:
        return


class CoarseClock:
    """Another clock, rounded down to multiples of `step` ns: too coarse to time a cache."""

    def __init__(self, clock: Clock, step: int) -> None:
        self.virtual = clock.virtual
        self._clock = clock
        self._step = step

    def resolution(self) -> int:
        return max(self._step, self._clock.resolution())

    def now(self) -> int:
        now = self._clock.now()
        return now - now % self._step

    def advance_to(self, deadline: int) -> None:
        self._clock.advance_to(deadline)


class FrozenClock:
    """A clock that does not advance; a sleep on it returns at once and no time passes."""

    virtual = True

    def __init__(self, time_ns: int) -> None:
        self._time = time_ns

    def resolution(self) -> int:
        return 1

    def now(self) -> int:
        return self._time

    def advance_to(self, deadline: int) -> None:
        return


@dataclass(slots=True)
class Timeline:
    """The virtual time that stepped clocks share, in ns since the run's start."""

    step: int
    elapsed: int = 0


class SteppedClock:
    """A virtual clock: each reading is one step later than the previous one, and a sleep jumps to its deadline.

    The clocks of one run share a `Timeline`, so readings of the realtime and the monotonic clock are in order.
    """

    virtual = True

    def __init__(self, timeline: Timeline, start: int = 0) -> None:
        self._timeline = timeline
        self._start = start

    def resolution(self) -> int:
        return max(1, self._timeline.step)

    def now(self) -> int:
        time_ns = self._start + self._timeline.elapsed
        self._timeline.elapsed += self._timeline.step
        return time_ns

    def advance_to(self, deadline: int) -> None:
        self._timeline.elapsed = max(self._timeline.elapsed, deadline - self._start)


class NoClock:
    """A clock that was not granted: every use is refused (ENOTCAPABLE)."""

    virtual = True  # so that poll calls `advance_to`, which refuses, instead of sleeping

    def _refuse(self) -> Refused:
        return Refused(errno.EPERM, "no clock is granted", need=Need(NeedKind.CLOCK), notcapable=True)

    def resolution(self) -> int:
        raise self._refuse()

    def now(self) -> int:
        raise self._refuse()

    def advance_to(self, deadline: int) -> None:
        raise self._refuse()


@cache
def _real(name: str) -> RealClock:
    """A clock of the machine. It has no state, and asking for its resolution takes longer than reading it."""
    now = {
        "realtime": time.time_ns,
        "monotonic": time.monotonic_ns,
        "process": time.process_time_ns,
        "thread": time.thread_time_ns,
    }[name]
    info = {"realtime": "time", "monotonic": "monotonic", "process": "process_time", "thread": "thread_time"}[name]
    return RealClock(now, max(1, round(time.get_clock_info(info).resolution * 1e9)))  # type: ignore[arg-type]


_NAMES = ("realtime", "monotonic", "process", "thread")


@dataclass(frozen=True, slots=True)
class Clocks:
    """One clock for each WASI clock id. Build it with `real()`, `frozen(t)`, `stepped(ns)`, `coarse(ns)`, `nothing()`.

    Two `Clocks` are equal if their `spec` is, unless they hold your own clocks (`Clocks(mine, mine, ...)`): these are
    equal if the clocks are. A stepped clock has state: `fresh()` returns clocks in the initial state for one run.
    """

    realtime: Clock
    monotonic: Clock
    process: Clock
    thread: Clock
    spec: str = field(default="custom", kw_only=True)
    """The textual form: "real", "frozen:0", "stepped:1000", "coarse:1000000", "none"; "custom" for your own clocks."""

    @property
    def kind(self) -> str:
        """The part of `spec` before the colon."""
        return self.spec.partition(":")[0]

    @classmethod
    def real(cls) -> Clocks:
        """The machine's clocks, with full precision."""
        return cls(*map(_real, _NAMES), spec="real")

    @classmethod
    def frozen(cls, time_ns: int = 0) -> Clocks:
        """Clocks that do not advance: realtime at `time_ns` since the epoch, the others at 0."""
        _positive("frozen", time_ns, 0)
        zero = FrozenClock(0)
        return cls(FrozenClock(time_ns), zero, zero, zero, spec=f"frozen:{time_ns}")

    @classmethod
    def stepped(cls, step_ns: int = 1000, start_ns: int = 0) -> Clocks:
        """Virtual clocks for repeatable runs: `step_ns` per reading, realtime from `start_ns` since the epoch."""
        _positive("stepped", step_ns, 0)
        _positive("stepped", start_ns, 0)
        line = Timeline(step_ns)
        rest = SteppedClock(line)
        spec = f"stepped:{step_ns}:{start_ns}" if start_ns else f"stepped:{step_ns}"
        return cls(SteppedClock(line, start_ns), rest, rest, rest, spec=spec)

    @classmethod
    def coarse(cls, step_ns: int = 1_000_000) -> Clocks:
        """The machine's clocks, rounded down to multiples of `step_ns`."""
        _positive("coarse", step_ns, 1)
        return cls(*(CoarseClock(_real(name), step_ns) for name in _NAMES), spec=f"coarse:{step_ns}")

    @classmethod
    def nothing(cls) -> Clocks:
        """No clock at all: reading one or sleeping on one is refused."""
        none = NoClock()
        return cls(none, none, none, none, spec="none")

    @classmethod
    def parse(cls, spec: str) -> Clocks:
        """The clocks that `spec` names, e.g. "coarse:1000000". `ValueError` lists the choices."""
        kind, *texts = spec.strip().split(":")
        makers = {"real": (cls.real, 0), "frozen": (cls.frozen, 1), "stepped": (cls.stepped, 2)}
        makers |= {"coarse": (cls.coarse, 1), "none": (cls.nothing, 0)}
        if kind in makers and len(texts) <= makers[kind][1]:
            maker: Callable[..., Clocks] = makers[kind][0]
            try:
                return maker(*(int(text.replace("_", "")) for text in texts))
            except ValueError as error:
                if "int()" in str(error):
                    error = ValueError("write a whole number of nanoseconds after the colon")
                raise ValueError(f"clock {spec!r}: {error}") from None
        raise ValueError(f"unknown clock {spec!r}: use real, frozen:NS, stepped:NS, coarse:NS or none")

    def fresh(self) -> Clocks:
        """These clocks in their initial state, for one run."""
        return Clocks.parse(self.spec) if self.kind == "stepped" else self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Clocks):
            return NotImplemented
        return self.spec == other.spec and (self.spec != "custom" or self._own() == other._own())

    def __hash__(self) -> int:
        return hash(self.spec)

    def _own(self) -> tuple[Clock, ...]:
        return (self.realtime, self.monotonic, self.process, self.thread)

    def __repr__(self) -> str:
        if self.spec == "custom":
            return f"Clocks{self._own()!r}"
        kind, _, rest = self.spec.partition(":")
        return f"Clocks.{'nothing' if kind == 'none' else kind}({rest.replace(':', ', ')})"


def _positive(kind: str, number: int, least: int) -> None:
    if not least <= number < 2**64:
        raise ValueError(f"{kind} takes a number of nanoseconds from {least} to 2**64 - 1, not {number}")
