"""A live instance: Python calls its exports and reads and writes its memory until it is closed or ends itself.

Every call runs on the instance's worker thread with a pump, as a whole run does, so it can be interrupted and its
output goes to the calling cell. Only one call runs at a time. A trap, `proc_exit`, a limit or an interrupt ends the
instance: the call raises `GuestError` with the outcome, and so does every later call.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Unpack

import wasmtime

from ..module.module import Module
from ..trace.record.recorder import Recorder
from ..wasi.host import Host
from .entry import InvokeError
from .limits import Limits
from .outcome import Outcome
from .session import Session, SessionArguments, forget
from .sessions import make_session
from .threads import TimeLimit, Worker
from .values.exported_function import ExportedFunction, ExportValue
from .worker import Pump, Running

ENTRY_POINTS = ("_start", "_initialize")
"""Exports that may be called only once, at the start (WASI application ABI: commands and reactors)."""


class GuestError(Exception):
    """The guest ended instead of returning; see `outcome`."""

    def __init__(self, outcome: Outcome, *, earlier: bool = False) -> None:
        """`earlier`: it ended before this call, which was not made."""
        text = outcome.message or f"the program ended with exit code {outcome.exit_code}"
        super().__init__(f"the instance has ended ({text}); make a new one" if earlier else text)
        self.outcome = outcome


class LiveMemory:
    """The memory that the instance exports as "memory". Addresses and sizes in bytes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _memory(self) -> wasmtime.Memory:
        memory = self._session.exports.get("memory")
        if not isinstance(memory, wasmtime.Memory) or not self._session.is_open:
            raise ValueError(f'{self._session.module.name} exports no memory under the name "memory"')
        return memory

    def __len__(self) -> int:
        return int(self._memory().data_len(self._session.store))

    @property
    def stack_pointer(self) -> int | None:
        """The value of the export `__stack_pointer`: where the guest's stack ends now; None without that export."""
        found = self._session.exports.get("__stack_pointer")
        value = found.value(self._session.store) if isinstance(found, wasmtime.Global) else None
        return value & 0xFFFF_FFFF if isinstance(value, int) else None

    def _range(self, pointer: int, size: int) -> None:
        if pointer < 0 or size < 0 or pointer + size > len(self):
            raise IndexError(f"{size:,} bytes at {pointer:#x} lie outside the memory of {len(self):,} bytes")

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
    """An instance that stays alive. Make it with `Live.open`; `exports[name](*numbers)` calls, `memory` reads and
    writes."""

    def __init__(self, session: Session, pump: Callable[[], Pump], lock: threading.Lock | None = None) -> None:
        """`lock`: shared by instances if only one of them may be called at a time."""
        self.session = session
        self.memory = LiveMemory(session)
        self.outcome: Outcome | None = None
        """How it ended; None while it is alive."""
        self.warnings: tuple[str, ...] = ()
        self._pump = pump
        self._lock = lock or threading.Lock()
        self._running: Running | None = None
        self._results: object = None
        self._begun: set[str] = set()
        """The entry points called so far; each may run once."""
        here = weakref.ref(self)

        def perform(call: Callable[[], object]) -> object:
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
        pump: Callable[[], Pump] = Pump,
        prepare: Callable[[Session], object] | None = None,
        **how: Unpack[SessionArguments],
    ) -> Live:
        """Compile, instantiate and, for a reactor, call `_initialize`. Does not call `_start`.

        `pump()` makes the pump that serves a call. `prepare` is called with the session before it is compiled. `how`
        are arguments of the session. Raises `GuestError` if any of this ends the guest.
        """
        session = make_session(module, host, recorder, limits or Limits(), detached=True, **how)
        if prepare is not None:
            prepare(session)
        live = cls(session, pump)
        live.begin()
        return live

    def begin(self) -> None:
        """Compile, instantiate and, for a reactor, call `_initialize`. Call it once. Raises `GuestError`."""

        def work() -> None:
            self.session.open()
            if self.session.module.kind == "reactor":
                self._call("_initialize", ())

        self._run(work, compile_first=True)

    @property
    def exports(self) -> dict[str, Callable[..., ExportValue]]:
        """The exported functions, callable with numbers."""
        return {name: self._caller(name) for name in self.session.exported()}

    def exports_of(self, module: Module) -> dict[str, Callable[..., ExportValue]]:
        """The exported functions of its core module. After its end they raise `GuestError`."""
        return {export.name: self._caller(export.name) for export in module.exports if export.kind == "func"}

    def _caller(self, name: str) -> ExportedFunction:
        module = self.session.module
        found = (module.function_type(e.index) for e in module.exports if e.name == name and e.kind == "func")
        type_ = None if module.is_component else next(found, None)
        return ExportedFunction(name, partial(self.call, name), partial(self.call_async, name), type_)

    def _call(self, name: str, arguments: Sequence[object]) -> ExportValue:
        """Call an export on the worker. Raises `InvokeError` for an entry point that was called before."""
        if name in ENTRY_POINTS and not self.session.module.is_component:
            if name in self._begun:
                raise InvokeError(
                    f"{name} of {self.session.module.name} was called already: "
                    + ("a command runs once; make a new instance" if name == "_start" else "an instance begins once")
                )
            self._begun.add(name)
        return self.session.call(name, arguments)

    def call(self, name: str, *arguments: object) -> ExportValue:
        """Call an export. Returns None, a number or a list of numbers; for a component, a value of its type.

        Raises `TypeError` for a wrong number or kind of arguments, `GuestError` if the guest ended.
        """
        return self.perform(lambda: self._call(name, arguments))

    async def call_async(self, name: str, *arguments: object) -> ExportValue:
        """`call` without blocking the event loop; cancelling it interrupts the guest and ends the instance.

        Output printed meanwhile is kept and delivered with the next blocking call.
        """
        import asyncio  # imported only when awaited: it adds 0.1 s to the start

        self._acquire()
        try:
            running, refused = self._prepare(self._working(lambda: self._call(name, arguments)))
            loop, over = asyncio.get_running_loop(), asyncio.Event()

            def wake() -> None:
                with suppress(RuntimeError):  # the loop is closed: nothing waits any more
                    loop.call_soon_threadsafe(over.set)

            running.waker = wake
            running.begin()
            try:
                await over.wait()
            except asyncio.CancelledError:
                running.interrupt()
                await over.wait()
                with suppress(GuestError, TypeError):
                    self._conclude(running.outcome, refused)
                raise
            self._conclude(running.outcome, refused)
            return self._results
        finally:
            self._lock.release()

    def _working(self, call: Callable[[], object]) -> Callable[[], None]:
        def work() -> None:
            self.session.arm()
            self._results = call()

        return work

    def perform(self, call: Callable[[], object]) -> ExportValue:
        """Run an action of the guest on the instance's worker, within its limits. Raises as `call` does."""
        self._run(self._working(call))
        return self._results

    def close(self) -> None:
        """Release the instance. Closing twice does nothing. The caller closes the host."""
        self.finish(Outcome("exit", 0, "the instance was closed"))

    def finish(self, outcome: Outcome) -> None:
        """Release the instance, ending it with `kind` and `message` if it is still alive."""
        with self._lock:
            if self.outcome is None:
                self.outcome = outcome
            self._release()

    def _release(self) -> None:
        """Release the session once an abandoned call has returned."""
        if self._time_limit is not None:
            self._time_limit.close()
        self._worker.end()
        self.when_idle(self.session.release)

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call it once no call of this instance runs any more: now, or when an abandoned one returns."""
        if self._running is None:
            call()
        else:
            self._running.on_done(call)

    def _acquire(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("the instance is inside another call; one call at a time")

    def _run(self, work: Callable[[], None], *, compile_first: bool = False) -> None:
        self._acquire()
        try:
            running, refused = self._prepare(work, compile_first=compile_first)
            self._conclude(self._pump().serve(running.begin()), refused)
        finally:
            self._lock.release()

    def _prepare(self, work: Callable[[], None], *, compile_first: bool = False) -> tuple[Running, list[InvokeError]]:
        """A call that has not started, and the list for its call error. Raises `GuestError` if the instance has ended.
        """
        if self.outcome is not None:
            raise GuestError(self.outcome, earlier=True)
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
            except BaseException as caught:  # noqa: BLE001  any end of a guest becomes an Outcome
                error = caught
            try:
                return self.session.outcome(None, error, time.perf_counter() - start)
            finally:
                forget(error)
                error = None

        self._running = running = Running(self.session, task, self._worker, self._time_limit)
        return running, refused

    def _conclude(self, outcome: Outcome | None, refused: list[InvokeError]) -> None:
        """Handle the end of a call. Raises `TypeError` if the call could not be made, or `GuestError`."""
        assert outcome is not None, "the call is over"
        self.warnings = outcome.warnings
        if refused:
            raise TypeError(str(refused[0]))
        if outcome.kind != "exit" or self.session.stop.error is not None:
            self.outcome = outcome
            self._release()
            raise GuestError(outcome)
