"""A module kept alive: its exports called from Python, its memory read and written, until it is closed or ends itself.

Every call runs on the instance's own worker thread with a pump, as a whole run does, so it can be interrupted and
prints where it was called. One call at a time. What ends a program (a trap, `proc_exit`, a limit, an interrupt) ends
the instance: the call raises `GuestError` with the outcome, and so does every later one.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import wasmtime

from ..module.module import Module
from ..trace.record.recorder import Recorder
from ..wasi.host import Host
from .compiling.engine_options import EngineOptions
from .entry import InvokeError
from .limits import Limits
from .outcome import Outcome
from .session import Session, forget
from .sessions import make_session
from .threads import TimeLimit, Worker
from .worker import Pump, Running


class GuestError(Exception):
    """The guest ended instead of returning; `outcome` says how."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message or f"the program ended with exit code {outcome.exit_code}")
        self.outcome = outcome


class LiveMemory:
    """The memory that the instance exports as "memory". Addresses and sizes in bytes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _memory(self) -> Any:
        memory = self._session.exports.get("memory")
        if not isinstance(memory, wasmtime.Memory) or self._session.store is None:
            raise ValueError(f'{self._session.module.name} exports no memory under the name "memory"')
        return memory

    def __len__(self) -> int:
        return int(self._memory().data_len(self._session.store))

    def _range(self, pointer: int, size: int) -> None:
        if pointer < 0 or size < 0 or pointer + size > len(self):
            raise IndexError(f"{size:,} bytes at 0x{pointer:x} lie outside the memory of {len(self):,} bytes")

    def read(self, pointer: int, size: int) -> bytes:
        """A copy of `size` bytes at `pointer`. Raises `IndexError` outside the memory."""
        self._range(pointer, size)
        return bytes(self._memory().read(self._session.store, pointer, pointer + size))

    def write(self, pointer: int, data: bytes) -> None:
        """Put `data` at `pointer`. Raises `IndexError` outside the memory."""
        self._range(pointer, len(data))
        if data:
            self._memory().write(self._session.store, bytearray(data), pointer)


class Live:
    """An instance that stays. Make it with `Live.open`; `exports[name](*numbers)` calls, `memory` reads and writes."""

    def __init__(self, session: Session, pump: Callable[[], Pump], lock: threading.Lock | None = None) -> None:
        """`lock`: shared by instances of which only one may be called at a time."""
        self.session = session
        self.memory = LiveMemory(session)
        self.outcome: Outcome | None = None
        """How it ended; None while it lives."""
        self.warnings: tuple[str, ...] = ()
        self._pump = pump
        self._lock = lock or threading.Lock()
        self._running: Running | None = None
        self._results: Any = None
        here = weakref.ref(self)

        def perform(call: Callable[[], Any]) -> Any:
            live = here()
            if live is None:
                raise RuntimeError(f"the instance of {session.module.name} is gone")
            return live.perform(call)

        session.perform = perform
        self._worker = Worker(f"wasilab {session.module.name}"[:60])
        seconds = session.limits.seconds
        self._time_limit = TimeLimit(seconds) if seconds is not None else None
        if self._time_limit is not None:
            weakref.finalize(self, self._time_limit.close).atexit = False

    @classmethod
    def open(
        cls,
        module: Module,
        host: Host,
        recorder: Recorder | None = None,
        limits: Limits | None = None,
        *,
        preload: Mapping[str, Module] | None = None,
        engine: EngineOptions | None = None,
        overrides: Mapping[str, Callable[..., Any]] | None = None,
        pump: Callable[[], Pump] = Pump,
        raw: bool = True,
        native: bool = True,
    ) -> Live:
        """Compile, instantiate and, for a reactor, call `_initialize`; `_start` of a command is not called.

        `pump()` makes the pump that serves a call. Raises `GuestError` when any of that ends the guest.
        """
        session = make_session(
            module, host, recorder, limits or Limits(), preload=preload, engine=engine, overrides=overrides, raw=raw,
            native=native, detached=True,
        )  # fmt: skip
        live = cls(session, pump)
        live.begin()
        return live

    def begin(self) -> None:
        """Compile, instantiate and, for a reactor, call `_initialize`: once. Raises `GuestError`."""

        def work() -> None:
            self.session.open()
            if self.session.module.kind == "reactor":
                self.session.call("_initialize")

        self._run(work, compile_first=True)

    @property
    def exports(self) -> dict[str, Callable[..., Any]]:
        """The exported functions, callable with numbers."""
        return {name: self._caller(name) for name in self.session.exported()}

    def _caller(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            return self.call(name, *arguments)

        call.__name__ = call.__qualname__ = name
        return call

    def call(self, name: str, *arguments: Any) -> Any:
        """Call an export. Returns None, a number, or a list of numbers; for a component a value of its type.

        Raises `TypeError` for arguments of the wrong number or kind, `GuestError` when the guest ended.
        """
        return self.perform(lambda: self.session.call(name, arguments))

    def perform(self, call: Callable[[], Any]) -> Any:
        """Let the guest do something, on the instance's worker, with its limits. Raises as `call` does."""

        def work() -> None:
            self.session.arm()
            self._results = call()

        self._run(work)
        return self._results

    def close(self) -> None:
        """Let go of the instance. Closing twice does nothing; the host stays the caller's to close."""
        self.finish(Outcome("exit", 0, "the instance was closed"))

    def finish(self, outcome: Outcome) -> None:
        """Let go of the instance, which ends so if it has not ended before."""
        with self._lock:
            if self.outcome is None:
                self.outcome = outcome
            self._release()

    def _release(self) -> None:
        """Release the session, but not before a call that was given up has returned."""
        if self._time_limit is not None:
            self._time_limit.close()
        self._worker.end()
        if self._running is None:
            self.session.release()
        else:
            self._running.on_done(self.session.release)

    def _run(self, work: Callable[[], None], *, compile_first: bool = False) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("the instance is inside another call; one call at a time")
        try:
            if self.outcome is not None:
                raise GuestError(self.outcome)
            self._results = None
            refused: list[InvokeError] = []

            def task() -> Outcome:
                error: BaseException | None = None
                if compile_first:
                    self.session.compile()
                running.enter()
                start = time.perf_counter()
                try:
                    work()
                except InvokeError as caught:
                    refused.append(caught)
                except BaseException as caught:  # noqa: BLE001  every end of a guest becomes an Outcome
                    error = caught
                try:
                    return self.session.outcome(None, error, time.perf_counter() - start)
                finally:
                    forget(error)
                    error = None

            self._running = running = Running(self.session, task, self._worker, self._time_limit)
            outcome = self._pump().serve(running.begin())
            self.warnings = outcome.warnings
            if refused:
                raise TypeError(str(refused[0]))
            if outcome.kind != "exit" or self.session.stop.error is not None:
                self.outcome = outcome
                self._release()
                raise GuestError(outcome)
        finally:
            self._lock.release()
