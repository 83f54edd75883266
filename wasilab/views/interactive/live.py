"""Sends a running run's new calls to the timeline, at most ten times a second.

Reads the recorder's chunks as they grow (a record counts once its chunk says so) and sends only new ones, so the cost
depends on the new calls, not on the trace. The widget's `on_end` handles the end of the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ...trace.columns.records import RECORD, records_of
from ...trace.record.functions import Functions
from ...trace.record.recorder import Recorder
from ..subject import Subject, snapshot
from ..timeline.columns import FAMILIES
from .feed import LAYOUT, Feed, exports, packed, vocabulary

PERIOD = 0.1
"""Seconds between two updates."""
QUIET_PERIOD = 0.5
"""Seconds between two updates while the guest makes no call: the axis still grows."""
WORDS_PERIOD = 1.0
"""Seconds, at least, between two lists of descriptors and lines of output."""
WAIT_FOR_COST = 40
"""Seconds of the run per second of CPU time that its updates take: they cost it less than 3 %."""
CALL_COST, WORDS_COST = 1e-7, 3e-7
"""CPU seconds that sending a call, and telling descriptors and output, take for each call, until they were measured."""
MOST_CALLS = 1 << 17
"""The most calls sent in one update; the rest follow in later ones."""
AGAIN_SECONDS, AGAIN_CALLS = 5.0, 20_000
"""How long, and up to how many calls, each update holds all calls. A page hears nothing before it shows the timeline,
and cannot ask while its kernel executes the cell."""
MOST_LIVE = 2_000_000
"""The most calls sent while it runs; the rest is shown when it has ended."""


class LiveFeed:
    """Sends the growth of `run` through `send(content, buffers)` from its own thread."""

    def __init__(self, run: Subject, send: Callable[..., None], on_end: Callable[[Subject], None]) -> None:
        self.run = run
        self._send = send
        self._on_end = on_end
        assert run.recorder is not None, "a run for which `possible` is true"
        self._recorder = run.recorder
        self._base = self._recorder.chunks[0].first
        self._next = self._base
        self._met: set[str] = set()
        self._sent = self._tell_at = 0.0
        self._begun = time.monotonic()
        self._cost = 0.0
        self._call_cost, self._words_cost = CALL_COST, WORDS_COST
        self._told = -1
        self._closed = threading.Event()
        self._woken = threading.Event()
        self.over = threading.Event()
        """Set when the end of the run has been sent, or nothing more will be."""
        self._thread = threading.Thread(target=self._follow, name="wasilab-timeline", daemon=True)
        self._feed: tuple[float, Feed] | None = None

    @staticmethod
    def possible(run: Subject) -> bool:
        """Whether `run` still runs and is recorded."""
        return run.running and run.recorder is not None

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def close(self) -> None:
        """Stop sending."""
        self._closed.set()
        self._woken.set()

    def hurry(self) -> None:
        """Send what is new now, whatever it costs: the run has ended."""
        self._woken.set()

    def stop(self) -> None:
        """Stop the guest, as an interrupt does."""
        self.run.stop(0.0)

    def feed(self) -> Feed:
        """A snapshot (at most a second old), to answer questions about it."""
        now = time.monotonic()
        if self._feed is None or now - self._feed[0] > 1.0:
            self._feed = (now, Feed(snapshot(self.run)))
        return self._feed[1]

    def _follow(self) -> None:
        while not self._closed.is_set():
            ended = not self.run.running
            begun = time.thread_time()
            self.push()
            if ended:
                break
            self._cost += time.thread_time() - begun
            self._pause(max(PERIOD, -self._left() * WAIT_FOR_COST))
        try:
            if not self._closed.is_set():
                self._on_end(self.run)
        finally:
            self.over.set()

    def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the run, which need not wait for the cost of earlier updates."""
        until = time.monotonic() + seconds
        while self.run.running and (left := until - time.monotonic()) > 0:
            if self._woken.wait(min(left, PERIOD)):
                self._woken.clear()
                return

    def _left(self) -> float:
        """CPU seconds that updates may still take for the time that the run has taken; below 0 if they took more."""
        return (time.monotonic() - self._begun) / WAIT_FOR_COST - self._cost

    def push(self) -> None:
        """Send the calls since the last update and the run's time; occasionally also if there were none.

        Sends no more than it may cost: the rest follows.
        """
        begun = time.thread_time()
        most = max(min(MOST_CALLS, int(self._left() / self._call_cost)), 1000)
        now = time.monotonic()
        again = now - self._begun < AGAIN_SECONDS and self._next - self._base < min(AGAIN_CALLS, most)
        since = self._base if again else self._next
        records = grown(self._recorder, since, most if since - self._base < MOST_LIVE else 0)
        if since + len(records) <= self._next and now - self._sent < QUIET_PERIOD:
            return
        self._sent = now
        first = since - self._base
        functions = Functions(self._recorder.functions)
        numbers = np.flatnonzero(np.bincount(records["call"], minlength=256)).tolist()
        self._met |= {functions.families[number] for number in numbers}
        self._next = max(self._next, since + len(records))
        last = int((records["t_start"] + records["dur"]).max()) if len(records) else 0
        words = self._words()
        meta = {
            "calls": self._next - self._base,
            "span": max(last, time.perf_counter_ns() - self._recorder.origin_ns),
            "live": True,
            **vocabulary([family for family in FAMILIES if family in self._met], functions),
            **words,
            "exports": exports(),
        }
        self._send({"push": "calls", "first": first, "count": len(records), "meta": meta}, columns(records))
        if len(records) > 1000 and not words:
            self._call_cost = (time.thread_time() - begun) / len(records)

    def _words(self) -> dict[str, object]:
        """The descriptors and the output so far, if they may have changed, an update is due and its cost is allowed."""
        begun = time.monotonic()
        if self._next == self._told or begun < self._tell_at:
            return {}
        calls = self._recorder.chunks[-1].first + self._recorder.chunks[-1].n - self._base  # they need the whole trace
        if calls * self._words_cost > self._left():
            return {}
        spent = time.thread_time()
        self._feed = None
        feed = self.feed()
        words = {"lives": feed.lives(), "output": list(feed.outputs())}
        self._told = self._next
        self._tell_at = begun + WORDS_PERIOD
        if calls > 1000:
            self._words_cost = (time.thread_time() - spent) / calls
        return words


def grown(recorder: Recorder, since: int, most: int) -> npt.NDArray[np.void]:
    """The records from call `since` on, at most `most`, as one structured array."""
    found: list[npt.NDArray[np.void]] = []
    for chunk in list(recorder.chunks):
        if most <= 0 or chunk.first + chunk.n <= since:
            continue
        part = records_of(chunk)[max(since - chunk.first, 0) :][:most]
        if chunk.first > since and not found:  # calls in between were dropped: a gap keeps the row numbers right
            since = chunk.first
        found.append(part)
        most -= len(part)
    return np.concatenate(found) if found else np.zeros(0, RECORD)


def columns(records: npt.NDArray[np.void]) -> list[bytes]:
    """The buffers of `Feed.calls` for raw records."""
    return [packed(records["t_start" if name == "start" else name], kind) for name, kind in LAYOUT]
