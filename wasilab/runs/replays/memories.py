"""The guest's memory at any call of a recording, rebuilt by replaying to it.

The replay pauses at the requested call, on its own thread, and continues from there for a later one. For an earlier
call it starts again, and also keeps the memory at the calls just before it, so that the user can step back.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from functools import partial

from ...engine.calls.memory import GuestMemory
from ...engine.inside.memory_snapshots import MemorySnapshots, MemoryThen, Point
from ...engine.limits import Limits
from ...engine.replay.recorded_calls import ReplayCursor
from ...engine.replay.replay_link import ReplayLink
from ...engine.stop import CannotReplay, EndOfReplay
from ...engine.worker import Running, start
from ...grants.fitting import MEMORY
from ...grants.grants import Grants
from ...module.inside.memory_layout import with_stack_pointer
from ...module.module import Module
from ...text.numbers import counted
from ...trace.trace import Trace
from ..prepare import Prepared, RunOptions
from ..run import MemoryAt
from .recordings import Recording

MOST_PAUSED = 4
"""Replays of this process that wait for a further call; the one used longest ago is ended."""
STEPS_BACK = 16
"""Calls before an earlier one whose memory is kept as well."""


class _PausedReplay:
    """A replay that runs to one point after another. All but `watch` is called by the thread that asks."""

    def __init__(
        self, recording: Recording, limits: Limits, features: Sequence[str], snapshots: MemorySnapshots
    ) -> None:
        self.position: Point = (-1, True)
        """Where it waits."""
        self._snapshots = snapshots
        self._change = threading.Condition()
        self._target: Point = (-1, True)
        self._keep_from: Point = (0, False)
        self._closed = False
        self.cursor: ReplayCursor = recording.cursor(exact=not recording.is_other)
        self.cursor.watch = self._watch
        options = RunOptions(
            name=recording.trace.meta.get("name"), invoke=recording.how.get("invoke"), preload=recording.preload,
            trace=False,
        )  # fmt: skip
        self._prepared = Prepared(recording.module, (), Grants.nothing(limits=limits), options)
        self._begin = partial(
            start, with_stack_pointer(recording.module), self._prepared.host, None, limits, invoke=options.invoke,
            invoke_args=recording.arguments if options.invoke is not None else (), preload=options.preload,
            native=False, link=partial(ReplayLink, self.cursor), engine=recording.engine(features),
        )  # fmt: skip
        self._running: Running | None = None

    def go_to(self, target: Point, keep_from: Point) -> None:
        """Run to `target`, which must lie ahead; keep the memory at the points from `keep_from` on that have the same
        second part. Raises `CannotReplay` if it ends before."""
        with self._change:
            self._target, self._keep_from = target, keep_from
            self._change.notify_all()
        if self._running is None:
            self._running = self._begin()
            self._running.on_done(self._prepared.release)
            self._running.on_done(self._ended)
        try:
            with self._change:
                while self.position != target and not self._closed:
                    self._change.wait()
        except BaseException:
            self.close()
            raise
        if self.position != target:
            outcome = self._running.wait()
            why = self.cursor.divergence or (outcome.message if outcome is not None else "") or "the program ended"
            raise CannotReplay(f"the replay did not come to call {target[0]}: {why}")

    def _ended(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it can go no further."""
        return self._closed

    def close(self) -> None:
        """End it, wherever it is."""
        self._ended()
        if self._running is not None:
            self._running.interrupt()

    def _watch(self, point: Point, memory: GuestMemory, pointer: int | None) -> None:
        """On the guest's thread, at each point: keep the memory, and wait at the target."""
        if point >= self._keep_from and point[1] == self._target[1]:
            self._snapshots.add(point, memory.view, pointer)
        if point < self._target and not self._closed:
            return
        with self._change:
            self.position = point
            self._change.notify_all()
            while self._target <= point and not self._closed:
                self._change.wait()
            if self._closed:
                raise EndOfReplay("interrupt", 130, "the replay is not needed any more")


_paused: list[weakref.ref[_PausedReplay]] = []
_paused_lock = threading.Lock()


def _admit(replay: _PausedReplay) -> None:
    """Note a use of `replay`, and end those used longest ago above `MOST_PAUSED`."""
    with _paused_lock:
        alive = [each for reference in _paused if (each := reference()) is not None and each is not replay]
        alive = [each for each in alive if not each.closed]
        for old in alive[: max(0, len(alive) + 1 - MOST_PAUSED)]:
            old.close()
        _paused[:] = [weakref.ref(each) for each in [*alive, replay][-MOST_PAUSED:]]


class ReplayedMemory:
    """The memory at any call of a recording. Thread-safe. `limits` and `features`: see `replay`."""

    def __init__(self, recording: Recording, limits: Limits | None = None, features: Sequence[str] = ()) -> None:
        recording.refuse_component(MEMORY)
        self._recording = recording
        self._limits = recording.limits(limits or Limits())
        self._features = features
        self._snapshots = MemorySnapshots()
        self._replays: list[_PausedReplay] = []
        """The replay that waits, if there is one."""
        self._lock = threading.Lock()
        weakref.finalize(self, _end_all, self._replays)

    def at(self, call: int, *, before: bool = False) -> bytes:
        """The memory of the instance that made `call`, after it returned; `before`: when it was made. Raises as `then`.
        """
        return self.then(call, before=before).data

    def then(self, call: int, *, before: bool = False) -> MemoryThen:
        """The memory as `at` gives it, and the stack pointer.

        Raises `IndexError` for a call that the recording does not have, and `CannotReplay`.
        """
        count = len(self._recording.trace)
        if not 0 <= call < count:
            raise IndexError(f"there is no call {call:,}: the recording has {counted(count, 'call')}, from 0")
        target = (call, not before)
        with self._lock:
            found = self._snapshots.get(target)
            if found is None:
                self._run_to(target)
                found = self._snapshots.get(target)
        assert found is not None, "the replay kept the memory at its target"
        return found

    @property
    def kept(self) -> tuple[int, int]:
        """At how many points the memory is kept, and the bytes that this takes."""
        return self._snapshots.size

    def close(self) -> None:
        """End the replay that waits; the next question starts one again."""
        _end_all(self._replays)

    def _run_to(self, target: Point) -> None:
        replay = self._replays[0] if self._replays else None
        keep_from = target
        if replay is None or replay.closed or replay.position >= target:
            if replay is not None and replay.position >= target:
                keep_from = (max(0, target[0] - STEPS_BACK), target[1])
            self.close()
            replay = _PausedReplay(self._recording, self._limits, self._features, self._snapshots)
            self._replays.append(replay)
        _admit(replay)
        replay.go_to(target, keep_from)


def _end_all(replays: list[_PausedReplay]) -> None:
    while replays:
        replays.pop().close()


def memory_of(trace: Trace, module: Module, options: RunOptions) -> MemoryAt:
    """The memory at any call of a run of this process."""
    recording = Recording(trace, module, options.preload)
    return ReplayedMemory(recording, features=trace.meta["replay"]["features"]).then
