"""Runs one component in one store: validates, compiles, instantiates and calls it, and waits for host events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import wasmtime

from ...capabilities.waiting import Interrupt, wait_any
from ...module.module import Module
from ...wasi.components.value_types import ResourceType
from ...wasi.components.waits import HostWait, Value
from ...wasi.types import Trap
from ..calls import raw as _raw
from ..stop import LinkError
from . import component_binary as b
from .canon_functions import LiftedFunction, call_from_host
from .concurrency import fibers
from .concurrency.handles import Handle
from .concurrency.tasks import ComponentInstance, Scheduler
from .instantiate import Imports, Instantiation, uses_waiting
from .recording import CallRecorder

MAX_WAITS = 10_000
"""Maximum concurrent host waits of one run."""


class HostEvents:
    """Events that the host waits for on behalf of guests: times, OS descriptors, conditions."""

    def __init__(self, interrupt: Interrupt) -> None:
        self._interrupt = interrupt
        self._waits: dict[int, tuple[HostWait, Callable[[], None]]] = {}
        self._next = 0

    def add(self, wait: HostWait, then: Callable[[], None]) -> Callable[[], None]:
        """Call `then()` when `wait` is over; returns a function that cancels this."""
        if len(self._waits) >= MAX_WAITS:
            raise Trap(f"the program waits for more than {MAX_WAITS:,} things at once")
        self._next += 1
        number = self._next
        self._waits[number] = (wait, then)
        return lambda: self._waits.pop(number, None) and None

    def wait(self, block: bool) -> bool:
        """Continue what is ready; with `block`, wait for the first event. False if there is nothing to wait for."""
        if not self._waits:
            return False
        self._interrupt.check()
        while True:
            if self._fire(0.0):
                return True
            if not block:
                return False
            deadlines = [w.deadline for w, _ in self._waits.values() if w.deadline is not None]
            jumps = [(n, w) for n, (w, _) in self._waits.items() if w.jump is not None]
            if jumps:  # virtual time advances when nothing else can happen
                number, wait = jumps[0]
                assert wait.jump is not None
                wait.jump()
                self._waits.pop(number)[1]()
                return True
            if deadlines:
                timeout = max(0, min(deadlines) - time.monotonic_ns()) / 1e9
            elif any(w.readers or w.writers for w, _ in self._waits.values()):
                timeout = None
            else:
                return False
            if self._fire(timeout):
                return True

    def _fire(self, timeout: float | None) -> bool:
        readers = [fd for w, _ in self._waits.values() for fd in w.readers]
        writers = [fd for w, _ in self._waits.values() for fd in w.writers]
        can_read: list[int] = []
        can_write: list[int] = []
        if readers or writers:
            can_read, can_write = wait_any(readers, writers, timeout, self._interrupt)
        elif timeout:
            self._interrupt.wait(timeout)
            self._interrupt.check()
        now = time.monotonic_ns()
        done = [
            number
            for number, (w, _) in self._waits.items()
            if (w.deadline is not None and w.deadline <= now)
            or any(fd in can_read for fd in w.readers)
            or any(fd in can_write for fd in w.writers)
            or (w.ready is not None and w.ready())
        ]
        for number in done:
            found = self._waits.pop(number, None)
            if found is not None:
                found[1]()
        return bool(done)


class MakeImports(Protocol):
    """Makes the `Imports` from the functions to wait and to fail with."""

    def __call__(
        self, waits: Callable[[HostWait, Callable[[], None]], Callable[[], None]],
        failed: Callable[[BaseException], int],
    ) -> Imports: ...  # fmt: skip


class ComponentRun:
    """An instantiated component. `cause` is the exception that ended the guest, or None."""

    def __init__(
        self,
        store: wasmtime.Store,
        component: b.ComponentBody,
        modules: dict[bytes, tuple[Module, wasmtime.Module]],
        imports: MakeImports,
        interrupt: Interrupt,
        on_failure: Callable[[BaseException], None] = lambda error: None,
        notes: CallRecorder | None = None,
    ) -> None:
        self.store = store
        self.cause: BaseException | None = None
        self.events = HostEvents(interrupt)
        self.scheduler = Scheduler(self.events.wait)
        self._on_failure = on_failure
        waiting = uses_waiting(component)
        if waiting and not fibers.AVAILABLE:
            raise LinkError("this component has functions that wait, which this wasmtime-py cannot run")
        self._instantiation = Instantiation(
            store, modules, imports(self.events.add, self.failed), self.scheduler, self.failed, self.events.add,
            waiting=waiting,
        )  # fmt: skip
        self.instances: list[ComponentInstance] = []
        self._notes = notes
        self._instantiation.on_instance = self._begun
        self._component = component
        self.exports: dict[str, tuple[str, Value]] = {}

    def _begun(self, instance: ComponentInstance) -> None:
        self.instances.append(instance)
        if self._notes is not None:
            instance.notes = self._notes
            instance.handles.on_take = self._notes.taken

    def instantiate(self) -> None:
        """Execute its definitions. Runs the guest's start functions; raises the exception that ends it."""
        self.exports = self._guarded(lambda: self._instantiation.run(self._component))

    def failed(self, error: BaseException) -> int:
        """Store the exception that ended the guest; return the trap for a callback."""
        if self.cause is None:
            self.cause = error
            self._on_failure(error)
        return _raw.trap()

    def call(self, function: LiftedFunction, arguments: Sequence[Value]) -> Value:
        """Call an exported function from the host."""
        return self._guarded(lambda: call_from_host(function, arguments, self.scheduler))

    def drop(self, resource: ResourceType, rep: Value) -> None:
        """Drop the host's owned handle to a guest's resource: its destructor runs."""
        if resource.destroy is not None:
            destroy = resource.destroy
            self._guarded(lambda: destroy(rep, None))
            self.finish()

    def finish(self) -> None:
        """Run all tasks that continue after their result to their end."""
        self._guarded(self._run_out)

    def _run_out(self) -> None:
        while self.scheduler.tick() or (self.scheduler.waiting and self.events.wait(True)):
            pass

    def _guarded(self, work: Callable[[], Value]) -> Value:
        """Run it; a trap that passed through WebAssembly is raised as its original cause."""
        try:
            return work()
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            if self.cause is not None and self.cause is not error:
                raise self.cause from None
            self.cause = error
            raise
        except BaseException as error:  # noqa: BLE001  reraised, or its cause is
            if self.cause is None:
                self.cause = error
            raise self.cause from None

    def close(self) -> None:
        """Release the store: destructors do not run, and open resources are dropped."""
        for instance in self.instances:
            for handle in instance.handles.entries.values():
                if type(handle) is Handle and handle.own and handle.resource.is_host and handle.resource.destroy:
                    with contextlib.suppress(Exception):  # the run is over, so errors of dropping are ignored
                        handle.resource.destroy(handle.rep, None)
        self._instantiation.close()
        self.exports = {}
        self.instances.clear()
