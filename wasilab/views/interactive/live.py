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
"""Seconds to wait per second of CPU time that an update took: it costs the run less than 3 %."""
MOST_CALLS = 1 << 17
"""The most calls sent in one update; the rest follow in later ones."""
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
        self._told = -1
        self._closed = threading.Event()
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
            self._closed.wait(max(PERIOD, (time.thread_time() - begun) * WAIT_FOR_COST))
        try:
            if not self._closed.is_set():
                self._on_end(self.run)
        finally:
            self.over.set()

    def push(self) -> None:
        """Send the calls since the last update and the run's time; occasionally also if there were none."""
        records = grown(self._recorder, self._next, MOST_CALLS if self._next - self._base < MOST_LIVE else 0)
        if not len(records) and time.monotonic() - self._sent < QUIET_PERIOD:
            return
        self._sent = time.monotonic()
        first = self._next - self._base
        functions = Functions(self._recorder.functions)
        numbers = np.flatnonzero(np.bincount(records["call"], minlength=256)).tolist()
        self._met |= {functions.families[number] for number in numbers}
        self._next += len(records)
        last = int((records["t_start"] + records["dur"]).max()) if len(records) else 0
        meta = {
            "calls": self._next - self._base,
            "span": max(last, time.perf_counter_ns() - self._recorder.origin_ns),
            "live": True,
            **vocabulary([family for family in FAMILIES if family in self._met], functions),
            **self._words(),
            "exports": exports(),
        }
        self._send({"push": "calls", "first": first, "count": len(records), "meta": meta}, columns(records))

    def _words(self) -> dict[str, object]:
        """The descriptors and the output so far, if they may have changed and an update is due."""
        begun = time.monotonic()
        if self._next == self._told or begun < self._tell_at:
            return {}
        self._feed = None
        feed = self.feed()
        words = {"lives": feed.lives(), "output": list(feed.outputs())}
        self._told = self._next
        self._tell_at = begun + max(WORDS_PERIOD, 20 * (time.monotonic() - begun))  # they need the whole trace
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
