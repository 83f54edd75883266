"""The result of a run.

A `Run` combines an outcome, a trace and the views of them; `prepare.py` builds the parts of a run. Code that reads or
draws the trace is imported on first use (`trace`, `grants` and `views` are lazy packages): numpy, Pillow and the
widgets cost more than a short run itself.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, Unpack

from .. import grants as granting
from .. import module as module_room
from .. import runs, views
from .. import trace as tracing
from ..capabilities import host as host_objects
from ..capabilities.memory.memdir import MemDir
from ..capabilities.protocols import Directory
from ..capabilities.streams import QueueInput
from ..engine.inside.memory_snapshots import MemoryThen
from ..engine.outcome import Outcome
from ..engine.stop import Divergence
from ..engine.worker import Pump, Running
from ..grants import live as live_grants
from ..grants.grants import Grants
from ..module.module import Module
from ..trace.record.recorder import Recorder
from .kept import KEPT
from .prepare import Isolate, Prepared

COLUMN_BYTES = 100
"""Approximate bytes per call of a trace's columns, in addition to the records, once a report was made."""


class MemoryAt(Protocol):
    """Gives the guest's memory at a call."""

    def __call__(self, call: int, *, before: bool = False) -> MemoryThen: ...


class RunError(RuntimeError):
    """A run cannot answer a request (yet); the message says why."""


class Run:
    """A run of a program: how it ended, what it printed, and the trace of its calls.

    A detached run is still running when it is returned: `run.running`, `run.wait()`, `await run`, `run.stop()`; its
    `trace` grows.
    """

    streamed: bool = False
    """Whether the output was already shown live, so that a report need not repeat it."""
    divergence: Divergence | None = None
    """Where a replay diverged from its recording; None if it did not, or if the run is not a replay."""
    memory: bytes | None = None
    """The guest's memory at the point where a replay stopped; see `replay`."""
    repeats: tuple[float, ...] = ()
    """The seconds of each run of `--repeat N`; this is the last of them."""

    def __init__(
        self,
        module: Module,
        args: tuple[str, ...],
        grants: Grants,
        name: str,
        running: Running,
        prepared: Prepared,
        again: Callable[[Grants], Run],
        replay: Callable[..., Run],
        remember: Callable[[], MemoryAt],
    ) -> None:
        self.module = module
        self.args = args
        self.grants = grants
        self.name = name
        self._running = running
        self._again = again
        self._replay = replay
        self._remember = remember
        self._memory_at: MemoryAt | None = None
        self._prepared = prepared
        self._outcome: Outcome | None = None
        self._trace: tracing.Trace | None = None
        self._trace_lock = threading.RLock()
        self._history: tracing.History | None = None
        self._file: Path | None = None
        """The file of the calls, once they were moved out of memory."""
        self._notes: list[tuple[int, int, str]] = []

    # ---- how it ended

    @property
    def running(self) -> bool:
        """Whether the guest still runs (a detached run)."""
        return self._outcome is None and not self._running.done.is_set()

    @property
    def isolate(self) -> Isolate:
        """Whether it runs in a confined process, as `wasilab.run` was told; "strict": only with all sandbox layers."""
        level = self._prepared.options.isolate
        return "strict" if level == "strict" else level is not None

    @property
    def layers(self) -> list[str] | None:
        """The active layers of an isolated run's sandbox; None for a run in this process, or until they are active."""
        return self._running.layers

    @property
    def outcome(self) -> Outcome:
        """How it ended: kind, exit code, message, the guest's stack. Raises `RunError` while it runs."""
        outcome = self._outcome or self._running.outcome
        if outcome is None:
            raise RunError(f"{self.name} still runs: run.wait() waits for it, run.stop() ends it")
        return outcome

    @property
    def seconds(self) -> float:
        """Duration in seconds; so far, while it runs."""
        outcome = self._outcome or self._running.outcome
        return outcome.seconds if outcome is not None else self._running.time() - self._running.started

    @property
    def exit_code(self) -> int:
        """The guest's exit status; 134 after a trap, 137 when a limit ended it, 130 when it was interrupted."""
        return self.outcome.exit_code

    @property
    def error(self) -> str | None:
        """Why it ended, as a sentence, if it did not end by itself; else None."""
        return None if self.outcome.kind == "exit" else self.outcome.message

    # ---- what it did

    @property
    def stdout(self) -> str:
        """What the guest wrote to stdout, as UTF-8 text (bad bytes replaced); `stdout_bytes` has the bytes."""
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """What the guest wrote to stderr, as UTF-8 text."""
        return self.stderr_bytes.decode("utf-8", "replace")

    @property
    def stdout_bytes(self) -> bytes:
        """What the guest wrote to stdout, up to `grants.limits.output`."""
        return self._prepared.output.bytes(1)

    @property
    def stderr_bytes(self) -> bytes:
        """What the guest wrote to stderr, up to `grants.limits.output`."""
        return self._prepared.output.bytes(2)

    @property
    def output(self) -> list[tuple[str, bytes]]:
        """What the guest wrote, in order: ("stdout" or "stderr", bytes), a new entry where the stream changes."""
        return [("stdout" if stream == 1 else "stderr", data) for stream, data in self._prepared.output.pieces()]

    @property
    def output_cut(self) -> int:
        """Number of output bytes beyond the limit, which are not kept."""
        return self._prepared.output.cut

    @property
    def trace(self) -> tracing.Trace:
        """The trace of its calls (so far, while it runs). Raises `RunError` for a run without a trace."""
        with self._trace_lock:
            trace = self._trace
            if trace is None:
                trace = self._record_so_far() if self._file is None else self._load(self._file)
            kept = self._trace is not None
        if kept:
            KEPT.used(self)
        return trace

    def _record_so_far(self) -> tracing.Trace:
        """The current trace; cached once the run has ended."""
        recorder = self._prepared.recorder
        if recorder is None:
            raise RunError(f"{self.name} was run with trace=False (--no-trace): nothing was recorded")
        over = not self.running
        if self._prepared.asking is not None:
            self._prepared.asking.mark()
        if over:
            recorder.meta["exit_code"] = self.outcome.exit_code
            recorder.meta["outcome"] = self.outcome.kind
            recorder.meta["message"] = self.outcome.message
            recorder.meta["seconds"] = self.outcome.seconds
        lines = module_room.dwarf.source_map(self.module)
        trace = tracing.Trace.from_recorder(recorder, lines)
        if over:
            self._trace = trace
        return trace

    @property
    def traced(self) -> bool:
        """Whether there is a trace."""
        return self._prepared.recorder is not None

    @property
    def snapshots(self) -> bool:
        """Whether it was run to see its memory at each call (`snapshots=True`, --snapshots)."""
        return self._prepared.options.snapshots

    @property
    def recorder(self) -> Recorder | None:
        """The recorder of its calls while it runs; None without a trace."""
        return self._prepared.recorder

    @property
    def weight(self) -> int:
        """Approximate bytes of memory that its trace uses; 0 if it is in a file."""
        recorder = self._prepared.recorder
        if recorder is None or (self._file is not None and self._trace is None):
            return 0
        calls = 0 if self._trace is None else len(self._trace)
        return (recorder.nbytes() if self._file is None else 0) + calls * COLUMN_BYTES

    def unload(self) -> None:
        """Move the trace of an ended run to a file of this process; `trace` loads it again."""
        with self._trace_lock:
            recorder = self._prepared.recorder
            if self.running or recorder is None or recorder.spooled:
                return
            if self._file is None:
                _ = self._trace or self._record_so_far()
                path = KEPT.new_file()
                try:
                    recorder.move_to(path)
                except OSError:  # disk full: the calls stay in memory
                    path.unlink(missing_ok=True)
                    return
                self._file = path
                weakref.finalize(self, path.unlink, missing_ok=True)
            if self._trace is not None:
                self._notes = self._trace.notes
                self._trace = self._history = None

    def _load(self, file: Path) -> tracing.Trace:
        trace = self._trace = tracing.Trace.load(file)
        trace.store.resolver = module_room.dwarf.source_map(self.module)
        trace.store.notes[:] = self._notes
        return trace

    @property
    def history(self) -> tracing.History:
        """Its state at any call, derived from the trace, the grants and the initial contents of its folders in
        memory."""
        trace = self.trace
        if self._history is None or self._history.calls.store is not trace.store:
            grants = self.grants
            words = {item.name: item.granted for item in granting.compare.items(grants, None) if item.granted}
            folders = tuple(g for g, d in self._prepared.dirs.items() if isinstance(d, MemDir))
            outputs = (self.stdout_bytes, self.stderr_bytes)
            self._history = tracing.History(
                trace, self._prepared.before, folders, outputs, words, lambda seq: self.memory_at(seq)
            )
        return self._history

    def at(self, call: int | tracing.CallEvent) -> tracing.Moment:
        """The state when a call (its number `seq`, or the call itself) had returned, without running it again.

        Open descriptors with path, rights and offset; the grants and which were revoked; the files in folders in memory
        and copies, and what the run wrote elsewhere; the output so far; the source line. File contents are known as far
        as the trace kept the data (`snaplen=None`, --snaplen all). Its `memory` is rebuilt by a replay on access
        (`memory_at`). Raises IndexError for a call that is not in the trace.
        """
        if not isinstance(call, (int, tracing.CallEvent)):
            raise TypeError(f"give the number of a call, or a call of the trace, not {call!r:.80}")
        return self.history.at(call if isinstance(call, int) else call.seq)

    def memory_at(self, call: int | tracing.CallEvent, *, before: bool = False) -> bytes:
        """The linear memory of the instance that made a call, when that call had returned; `before`: when it was made.

        The program is replayed up to that call without a host. The replay then waits there, so that later calls cost
        only what lies between, and the memory at neighbouring calls is kept (up to 64 MiB). Raises `CannotReplay` (a
        ValueError) where the trace does not hold what a replay needs (`snapshots=True` keeps it), and IndexError for a
        call that it does not have.
        """
        return self._memory_then(call if isinstance(call, int) else call.seq, before).data

    def _memory_then(self, call: int, before: bool) -> MemoryThen:
        if self._memory_at is None:
            _ = self.outcome
            self._memory_at = self._remember()
        return self._memory_at(call, before=before)

    def memory_image(
        self, at: int | tracing.CallEvent | None = None, start: int | None = None, length: int | None = None, *,
        before: bool = False,
    ) -> views.memory_image.MemoryImage:  # fmt: skip
        """The memory that `memory_at` gives after call `at` (default: the last), as a hexdump with its regions marked.

        `length` bytes from the address `start`; without `start` the beginning of each region. Raises `CannotReplay` (a
        ValueError), `IndexError` for a call or an address that is not there.
        """
        call = max(0, len(self.trace) - 1) if at is None else at if isinstance(at, int) else at.seq
        held = self._memory_then(call, before)
        title = f"{self.name} {'before' if before else 'after'} call {call}"
        return views.memory_image.kept_image(self.module, held.data, held.stack_pointer, title, start, length)

    @property
    def denied(self) -> tracing.Refusals:
        """The refusals: the call, its request, the reason, and the smallest grant that would allow it."""
        return granting.denied(self.trace, self.grants)

    @property
    def changes(self) -> runs.RunChanges:
        """Its changes in `copy` directories; `.apply()` writes them to the host."""
        copies = {guest: d for guest, d in self._prepared.dirs.items() if isinstance(d, host_objects.copydir.CopyDir)}
        return runs.RunChanges({guest: copy.changes() for guest, copy in copies.items()})

    @property
    def directories(self) -> dict[str, Directory]:
        """Its granted folders by guest path, in their current state. For `copy` folders these are the copies."""
        return dict(self._prepared.dirs)

    @property
    def asked(self) -> list[live_grants.ask.Asked]:
        """The questions of ask mode (`grants.ask`) and their answers, in order."""
        asking = self._prepared.asking
        return [] if asking is None else list(asking.asked)

    def diff(
        self, other: Run | tracing.Trace, *, ignore: Sequence[str] = (), by: str | None = None
    ) -> runs.RunDiff:
        """How `other` differs from this run, call by call; in a notebook, both on one axis with the differences marked.

        `ignore` and `by` are those of `Trace.diff`. Raises `RunError` for a run without a trace.
        """
        return runs.RunDiff.from_runs(self, other, ignore, by)

    def again(self, grants: Grants) -> Run:
        """Start the same program with the same arguments and options but other grants; returns the detached run."""
        return self._again(grants)

    def replay(
        self, *, until: int | None = None, continue_with: Grants | None = None, stacks: bool | int = False
    ) -> Run:
        """Run it again without a host (no folder, clock or network); each call is answered from the trace.

        A call that differs from what was recorded ends the replay; its `divergence` says how. `until`: stop before that
        call; `memory` of the returned run is the guest's memory there. `continue_with`: go on live under these grants
        from there, from the first call that differs, or from the end of the record: clocks and randomness are theirs,
        stdin begins with what they hold, and descriptors that are open are opened again with the same numbers, paths,
        offsets and flags. What the replayed part wrote to files is not written again. `stacks=True` takes the guest's
        stacks, which the first run need not have done. Raises `CannotReplay` (a ValueError) where the trace does not
        hold what a replay needs: a run with `record=True` always does.
        """
        _ = self.outcome
        return self._replay(until=until, continue_with=continue_with, stacks=stacks)

    def code(self, function: str | int) -> views.function_code.FunctionCode:
        """A function's source, WebAssembly text and machine code side by side, with the calls made from it.

        `function`: its name, an export or its index. The calls need `stacks=True`. Raises `ModuleError` for a function
        that the program does not define.
        """
        return views.function_code.function_code(self.module, function, self.trace if self.traced else None)

    # ---- a detached run

    @property
    def live(self) -> live_grants.switches.LiveGrants:
        """The switches of a detached run: `run.live.revoke("/data")` takes a grant back at once, `restore` gives it
        back."""
        if self._prepared.live is None:
            raise RunError(f"{self.name} has no switches: start it with detach=True (--detach) to revoke while it runs")
        return self._prepared.live

    def regrant(self, grants: Grants) -> dict[str, str]:
        """Change the grants of a detached run while it runs. What is no longer granted is refused from the next call
        on.

        Returns the grants that cannot change while it runs, by name, with the reason. Raises `GrantError` for a folder
        that cannot be copied; then nothing has changed.
        """
        return self._live_update.become(grants)

    @property
    def fixed(self) -> dict[str, str]:
        """The grants that `regrant` cannot change in a detached run, by name, with the reason."""
        return dict(self._live_update.fixed)

    @property
    def _live_update(self) -> live_grants.update.LiveUpdate:
        _ = self.live
        assert self._prepared.live_update is not None, "a detached run always has a LiveUpdate"
        return self._prepared.live_update

    @property
    def question(self) -> live_grants.ask.Question | None:
        """In ask mode, the question that the guest is waiting for."""
        questions = self._prepared.questions
        return None if questions is None else questions.question

    def answer(self, answer: live_grants.ask.Answer) -> bool:
        """Answer the pending question; returns whether there was one."""
        questions = self._prepared.questions
        return questions is not None and questions.answer(answer)

    @property
    def preloads(self) -> dict[str, Module]:
        """The modules whose exports it imported, by import name."""
        return dict(self._prepared.options.preload)

    def serve(self, pump: Pump) -> None:
        """Serve the run's output, input and interrupts from this thread until it ends."""
        self._outcome = pump.serve(self._running)

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the end, at most `timeout` seconds; returns the run."""
        self._running.wait(timeout)
        return self

    def stop(self, timeout: float | None = 5.0) -> Self:
        """End the guest immediately; waits at most `timeout` seconds for it."""
        self._running.interrupt()
        return self.wait(timeout)

    def send(self, text: str | bytes) -> None:
        """Send input to a detached run whose stdin is "ask"; `end_input()` ends the input."""
        self._asking().feed(text if isinstance(text, bytes) else text.encode())

    def end_input(self) -> None:
        """End the input of a detached run."""
        self._asking().end()

    def _asking(self) -> QueueInput:
        stdin = self._prepared.pump.stdin
        if stdin is None:
            raise RunError(f'{self.name} takes no input: its stdin was not granted as "ask" (--stdin -)')
        return stdin

    def __await__(self) -> Generator[object, None, Self]:
        """`await run`: the notebook stays responsive meanwhile."""
        import asyncio  # imported only when awaited: it adds 0.1 s to the start

        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        def wake() -> None:
            loop.call_soon_threadsafe(over.set)

        self._running.on_done(wake)
        yield from over.wait().__await__()
        return self

    # ---- how it looks

    def __repr__(self) -> str:
        return views.static.text(self)

    def _ipython_display_(self) -> None:
        views.display.show(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return views.static.mimebundle(self)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the whole report as one self-contained HTML file."""
        views.static.to_html(self, path)

    def plot(self, kind: str = "timeline", ax: Any = None, **options: Unpack[views.PlotOptions]) -> Any:
        """A matplotlib `Figure` of the run. The error for an unknown kind lists all kinds.

        `options` depend on the kind: `run.plot("compare", other=run2)`, `run.plot("paths", by="bytes")`.
        """
        return views.static.plot(self, kind, ax=ax, **options)

    def plots(self) -> Any:
        """A one-page overview as a matplotlib `Figure`."""
        return views.static.plots(self)

    def timeline(self) -> Any:
        """The interactive timeline as a widget."""
        return views.display.timeline(self)

    def annotate(self) -> Any:
        """The source with calls, bytes and time in the margin (needs `stacks=True`)."""
        return self.trace.annotate(self.module.source, self.module.source_name)
