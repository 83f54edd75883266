"""Guests on worker threads, served by the thread that started them.

Python handles no signal while its main thread is inside WebAssembly. So a guest runs on a separate thread, and the
starting thread stays in `Pump.serve`: it delivers the guest's output, asks for input that the guest waits for, and
turns an interrupt (Ctrl-C, the notebook's stop button) into the end of the run. A detached run has no pump, only a
`Running` handle.

Two mechanisms end a guest early, always together: bumping the engine's epoch stops WebAssembly code at its next loop or
call, and the host's `Interrupt` stops a waiting host call.

`Thread.join` is never called here: on Python 3.11 an interrupted join marks a living thread as dead.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, Unpack

from ..capabilities.streams import QueueInput
from ..capabilities.waiting import Interrupted
from ..module.module import Module
from ..trace.record.recorder import Recorder
from ..wasi.host import Host
from .limits import Limits
from .outcome import EXIT_ERROR, EXIT_INTERRUPT, Outcome
from .session import Session, SessionArguments, run
from .sessions import make_session
from .stop import HostBug
from .threads import TimeLimit, Worker

State = Literal["compiling", "running", "done"]
StopReason = Literal["interrupt", "seconds"]

POLL_SECONDS = 0.03
"""How long the pump collects output before delivering it: a trade-off between message rate and delay."""
MAX_PIECES = 4096
"""Switches between stdout and stderr that the pump keeps in order; see `Pump._post`."""
COMPILING_SECONDS = 0.5
"""A compilation longer than this is reported through `on_compiling`."""


class Running:
    """A guest on its worker thread. `outcome` is None until it is done."""

    def __init__(
        self, session: Session, task: Callable[[], Outcome], worker: Worker, time_limit: TimeLimit | None
    ) -> None:
        self.session = session
        self.state: State = "compiling"
        self.outcome: Outcome | None = None
        self.done = threading.Event()
        self.layers: list[str] | None = None
        """The active layers of its sandbox, by name; None if it has none, or until they are active."""
        self.waker: Callable[[], object] | None = None
        """Called last, after `done` is set."""
        self.started = session.host.run_time() / 1e9
        self._entered = 0.0
        self._task = task
        self._worker = worker
        self._time_limit = time_limit
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    def time(self) -> float:
        """The run's time in seconds; it pauses while the user is asked (`Host.run_time`)."""
        return self.session.host.run_time() / 1e9

    def begin(self) -> Running:
        """Queue the task on the worker; return self."""
        self._worker.do(self._work)
        return self

    def on_done(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the run ends, before `done` is set; at once if it has ended.

        It is called on the worker's thread, or on the thread that interrupted a compilation.
        """
        with self._lock:
            if self.outcome is None:
                self._listeners.append(listener)
                return
        listener()

    def interrupt(self, reason: StopReason = "interrupt") -> None:
        """Request the end, from any thread. Waiting host calls and WebAssembly code both stop at once.

        Compiling cannot be stopped: it continues in the background and fills Wasmtime's cache, but the run is over.
        """
        session = self.session
        with self._lock:
            if self.outcome is not None:
                return
            compiling = self.state == "compiling"
            for each in (session, *session.companions):
                each.stop_reason = each.stop_reason or (reason if each is session else "interrupt")
                each.host.interrupt.set()
                if not compiling and each.is_compiled:
                    each.engine.increment_epoch()
        if compiling:
            self._finish(Outcome("interrupt", EXIT_INTERRUPT, "the run was interrupted while it was compiled"))

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """Wait for the end without serving the run (for detached runs and tests)."""
        self.done.wait(timeout)
        return self.outcome

    # ---- the worker thread

    def enter(self) -> None:
        """Mark compiling as done: the guest may run now. Raises `Interrupted` if the run was abandoned meanwhile."""
        with self._lock:
            if self.outcome is not None or self.session.stop_reason is not None:
                raise Interrupted
            self.state = "running"
            self._entered = self.time()
            if self._time_limit is not None:
                self._time_limit.arm(lambda: self.interrupt("seconds"))

    def relimit(self, limits: Limits) -> None:
        """Change the limits while the guest runs, from any thread (see `Session.relimit`).

        Seconds count from the guest's start: a time limit already passed ends it now.
        """
        before = self.session.limits.seconds
        self.session.relimit(limits)
        if limits.seconds == before:
            return
        with self._lock:
            former, watch = self._time_limit, None
            if limits.seconds is not None:
                gone = self.time() - self._entered if self.state == "running" else 0.0
                watch = TimeLimit(max(0.0, limits.seconds - gone), self.time)
            self._time_limit = watch
            if watch is not None and self.state == "running":
                watch.arm(lambda: self.interrupt("seconds"))
        if former is not None:
            former.close()
        if watch is not None:
            self.on_done(watch.close)

    def _work(self) -> None:
        try:
            outcome = self._task()
        except Interrupted:
            outcome = Outcome("interrupt", EXIT_INTERRUPT, "the run was interrupted")
        except BaseException as error:  # noqa: BLE001  last chance to report: the thread ends here
            outcome = self._outcome_of(error)
        self._finish(outcome)

    def _outcome_of(self, error: BaseException) -> Outcome:
        """The outcome for `error`. It never raises: a run whose end is not reported would be waited for forever."""
        try:
            return self.session.outcome(None, error, self.time() - self.started)
        except BaseException as second:  # noqa: BLE001  as above
            bug = HostBug("the end of the run", second)
            return Outcome("error", EXIT_ERROR, str(bug), detail=bug.detail)

    def _finish(self, outcome: Outcome) -> None:
        with self._lock:
            if self.outcome is not None:
                return
            self.outcome = outcome
            self.state = "done"
        if self._time_limit is not None:
            self._time_limit.disarm()
        try:
            for listener in self._listeners:
                listener()
        finally:
            self.done.set()
            if self.waker is not None:
                self.waker()


class Pump:
    """Serves one run on the thread that started it.

    `on_stdout(bytes)` and `on_stderr(bytes)` get the guest's output in order, collected for at most 30 ms. `on_input()`
    returns a line when the guest waits for stdin: `str` (a newline is added), `bytes` (unchanged) or None for the end
    of input; an `EOFError` also means the end. `on_compiling(seconds)` is called periodically if Wasmtime compiles for
    more than half a second. `on_tick()` is called on every iteration. All are called from `serve`, never on the guest's
    thread; an exception in one ends the run and propagates from `serve`.
    """

    def __init__(
        self,
        on_stdout: Callable[[bytes], object] | None = None,
        on_stderr: Callable[[bytes], object] | None = None,
        on_input: Callable[[], str | bytes | None] | None = None,
        on_compiling: Callable[[float], object] | None = None,
        on_tick: Callable[[], object] | None = None,
    ) -> None:
        self.stdin: QueueInput | None = None
        """The stream that receives answers; set it if the guest's stdin is an `AskInput(pump.want_input, ...)`."""
        self._sinks = {1: on_stdout, 2: on_stderr}
        self._on_input = on_input
        self._on_compiling = on_compiling
        self._on_tick = on_tick
        self._pending: deque[tuple[int, bytearray]] = deque()
        self._pending_lock = threading.Lock()
        self._delivery_lock = threading.RLock()
        self._wants_input = False
        self._wake = threading.Event()

    # ---- called from the guest's thread

    def stdout(self, data: bytes) -> None:
        """Take bytes of stdout (the `fn` of a `CallbackOutput`)."""
        self._post(1, data)

    def stderr(self, data: bytes) -> None:
        """Take bytes of stderr."""
        self._post(2, data)

    def _post(self, stream: int, data: bytes) -> None:
        """Add to the pending output. It may pile up while the user is asked for input, so adjacent output of one stream
        is merged into one piece, and there are at most `MAX_PIECES`.
        """
        if not data:
            return
        with self._pending_lock:
            pending = self._pending
            if pending and pending[-1][0] == stream:
                pending[-1][1].extend(data)
            elif len(pending) < MAX_PIECES:
                pending.append((stream, bytearray(data)))
            else:  # the previous piece is this stream's: gives up the order between the streams, not within each
                pending[-2][1].extend(data)

    def want_input(self) -> None:
        """Request a line of input (the `request` of an `AskInput`)."""
        self._wants_input = True
        self._wake.set()

    # ---- called from the thread that serves

    def serve(self, running: Running) -> Outcome:
        """Serve until the run is over; return its outcome.

        The first KeyboardInterrupt ends the run and waits for it; a second one stops waiting and abandons a host call
        that cannot be stopped, such as a user's blocking function.
        """
        running.waker = self._wake.set
        interrupts = 0
        failure: BaseException | None = None
        while True:
            try:
                if not running.done.is_set():
                    self._wake.wait(POLL_SECONDS)
                self._wake.clear()
                over = running.done.is_set()
                if failure is None:
                    self._serve_once(running, interrupts > 0)
                if over:
                    break
            except KeyboardInterrupt:
                # Do not close the input: a guest waiting for it must see the interrupt, not an end of file.
                interrupts += 1
                running.interrupt()
                if interrupts > 1:
                    break
            except BaseException as error:  # noqa: BLE001  reraised below, once the guest has stopped
                failure = error
                running.interrupt()
                self._end_input()
        if failure is not None:
            raise failure
        if running.outcome is None:
            return Outcome(
                "interrupt", EXIT_INTERRUPT,
                "the run was interrupted; a host call of it has not returned yet and is left to itself",
            )  # fmt: skip
        return running.outcome

    def flush(self) -> None:
        """Collect printed output that was not taken yet; for subclasses whose output is buffered elsewhere."""

    def _serve_once(self, running: Running, interrupted: bool) -> None:
        self.deliver()
        if running.state == "compiling" and self._on_compiling is not None:
            elapsed = running.time() - running.started
            if elapsed > COMPILING_SECONDS:
                self._on_compiling(elapsed)
        if self._on_tick is not None:
            self._on_tick()
        if self._wants_input:
            self._wants_input = False
            if not interrupted and not running.done.is_set():
                self._ask()

    def deliver(self) -> None:
        """Deliver the output so far. The guest's thread may call it where the listeners can be called from any."""
        self.flush()
        with self._delivery_lock:
            for _ in range(len(self._pending)):
                with self._pending_lock:
                    stream, data = self._pending.popleft()
                sink = self._sinks[stream]
                if sink is not None:
                    sink(bytes(data))

    def _ask(self) -> None:
        stream = self.stdin
        if stream is None:
            return
        try:
            answer = None if self._on_input is None else self._on_input()
        except EOFError:
            answer = None
        if answer is None:
            stream.end()
        elif isinstance(answer, bytes):
            stream.feed(answer) if answer else stream.end()
        else:
            stream.feed(answer.encode("utf-8", "surrogateescape") + b"\n")

    def _end_input(self) -> None:
        if self.stdin is not None:
            self.stdin.end()


def start(
    module: Module,
    host: Host,
    recorder: Recorder | None = None,
    limits: Limits | None = None,
    *,
    invoke: str | None = None,
    invoke_args: Sequence[Any] = (),
    worker: Worker | None = None,
    on_session: Callable[[Session], object] | None = None,
    **how: Unpack[SessionArguments],
) -> Running:
    """Run a module detached on a worker thread; `Running.outcome` tells how it ended.

    `invoke` is the export to call (None: `_start`, or a reactor's `_initialize`), `invoke_args` its numbers, or text
    that is parsed as numbers. `how` are arguments of the session (`SessionArguments`). The caller owns the host and
    closes it after the run. `worker`: the thread to use, which stays for further runs; None: its own. `on_session` is
    called with the session before it is compiled.
    """
    session = make_session(module, host, recorder, limits or Limits(), **how)
    if on_session is not None:
        on_session(session)

    def task() -> Outcome:
        session.compile()
        try:
            running.enter()
        except Interrupted:
            session.release()
            raise
        return run(session, invoke, invoke_args)

    thread = worker or Worker(f"wasilab {module.name}"[:60])
    seconds = session.limits.seconds
    time_limit = None if seconds is None else TimeLimit(seconds, lambda: host.run_time() / 1e9)
    running = Running(session, task, thread, time_limit)
    if worker is None:
        running.on_done(thread.end)
    if time_limit is not None:
        running.on_done(time_limit.close)
    # Only once the outcome is set: after that no interrupt bumps the epoch of an engine that another run may use.
    running.on_done(session.release)
    return running.begin()


def execute(
    module: Module,
    host: Host,
    recorder: Recorder | None = None,
    limits: Limits | None = None,
    *,
    invoke: str | None = None,
    invoke_args: Sequence[Any] = (),
    pump: Pump | None = None,
    **how: Unpack[SessionArguments],
) -> Outcome:
    """Run a module to its end and return how it ended; see `start`, and `Pump` for output, input and interrupts."""
    running = start(module, host, recorder, limits, invoke=invoke, invoke_args=invoke_args, **how)
    return (pump or Pump()).serve(running)
