"""`canon lift` and `canon lower`: component functions from core functions, and the reverse.

A component function is called as in the specification: `invoke(on_start, on_resolve, caller)`. `on_start` lifts the
caller's arguments when the callee starts, `on_resolve` lowers the result into the caller. The return value is a
function that requests cancellation. Host functions that may wait have the same form (`HostFunction`); for those that
cannot wait, `host_calls.py` generates a single function.

Source: component-model, `design/mvp/CanonicalABI.md`, "canon lift" and "canon lower".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from ...wasi.components.value_types import (
    MAX_FLAT_ASYNC_PARAMS,
    MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS,
    ComponentFuncType,
    ResultType,
    Signature,
    signature,
)
from ...wasi.components.waits import HostWait, Pending, Value
from ...wasi.types import Trap
from .abi.canon_context import CanonContext
from .concurrency.fibers import Blocked, CoreFunction
from .concurrency.tasks import (
    CANCELLED_BEFORE_RETURNED,
    CANCELLED_BEFORE_STARTED,
    EXIT,
    NONE,
    RETURNED,
    STARTED,
    STARTING,
    SUBTASK,
    TASK_CANCELLED,
    WAIT,
    YIELD,
    CallCore,
    ComponentInstance,
    Event,
    OnCancel,
    OnResolve,
    OnStart,
    Scheduler,
    Subtask,
    Task,
    TaskState,
    Thread,
    Wait,
    WaitableSet,
)


class ComponentFunction(Protocol):
    """A function that a component can import, lower and call."""

    type: ComponentFuncType

    def invoke(self, on_start: OnStart, on_resolve: OnResolve, caller: ComponentInstance | None) -> OnCancel:
        """Call it. Returns a function that requests the call's cancellation."""


class LiftedFunction:
    """A function that a component instance exports: a core function with canonical options."""

    def __init__(
        self,
        name: str,
        type_: ComponentFuncType,
        core: CoreFunction,
        context: CanonContext,
        *,
        is_async: bool = False,
        callback: CoreFunction | None = None,
        post_return: CoreFunction | None = None,
    ) -> None:
        self.name = name
        self.type = type_
        self.core = core
        self.context = context
        self.instance = context.instance
        self.is_async = is_async
        self.callback = callback
        self.post_return = post_return
        self._lower = context.lower_arguments(type_)
        self._lift = None if is_async else context.lift_result(type_.result)

    def invoke(self, on_start: OnStart, on_resolve: OnResolve, caller: ComponentInstance | None) -> OnCancel:
        """Call it; trap if the instance may not be entered."""
        instance = self.instance
        if caller is not None and (instance.encloses(caller) or caller.encloses(instance)):
            raise Trap("cannot enter component instance: it encloses, or is enclosed by, the one that calls it")
        instance.enter_from(caller)
        task = Task(self.type, self, instance, on_start, on_resolve)
        thread = Thread(task, self._code(task))
        task.implicit = thread
        thread.resume()
        if not self.type.is_async:
            self._run_siblings(task)
        instance.leave_to(caller)
        return task.request_cancellation

    def _run_siblings(self, task: Task) -> None:
        """Run other threads of the instance: a synchronous function may wait only for these.

        A thread that needs the instance's stack for itself stands back: the call that waits may be using it.
        """
        while task.state is not TaskState.RESOLVED:
            threads = self.instance.threads.entries.values()
            ready = [thread for thread in threads if thread.is_ready() and not thread.needs_stack]
            if not ready:
                raise Trap("cannot block a synchronous task before returning")
            ready[0].resume()

    def _code(self, task: Task) -> Generator[CallCore | Wait, Value, None]:
        instance = self.instance
        if not (yield from task.enter()):
            return
        words = tuple(self._lower(task.start(), task))
        if self._lift is not None:
            word = yield CallCore(self.core, words)
            flat = () if word is None else (word,)
            task.finish(self._lift(flat))
            if self.post_return is not None:
                instance.may_leave = False
                instance.scheduler.call_here(self.post_return, *flat)
                instance.may_leave = True
            task.exit()
            return
        packed = yield CallCore(self.core, words)
        if self.callback is not None:
            while packed & 15 != EXIT:
                event = yield from self._next_event(task, packed)
                instance.exclusive = task.implicit
                packed = yield CallCore(self.callback, event)
        task.exit()

    def _next_event(self, task: Task, packed: int) -> Generator[Wait, bool, Event]:
        """Wait for the event that the callback requested; no other exclusive task runs on resumption."""
        instance = self.instance
        code, index = packed & 15, packed >> 4
        if code not in (YIELD, WAIT):
            raise Trap(f"unsupported callback code: {code}")
        instance.exclusive = None

        def free() -> bool:
            return instance.exclusive is None

        if code == YIELD:
            cancelled = yield from task.wait(free, cancellable=True)
            return (TASK_CANCELLED, 0, 0) if cancelled else (NONE, 0, 0)
        found: WaitableSet = instance.handles.get(index, WaitableSet, "waitable set")
        found.waiting += 1
        cancelled = yield from task.wait(lambda: free() and found.has_event(), cancellable=True)
        event = (TASK_CANCELLED, 0, 0) if cancelled else found.take_event()
        found.waiting -= 1
        return event


def call_from_host(function: ComponentFunction, arguments: Sequence[Value], scheduler: Scheduler) -> Value:
    """Call a component function and run the scheduler until it has returned; its result, or None.

    Raises the exception that ends the guest.
    """
    answered: list[list[Value] | None] = []
    function.invoke(lambda: list(arguments), answered.append, None)
    scheduler.run_until(lambda: bool(answered))
    result = answered[0]
    return result[0] if result else None


class HostFunction:
    """A host function that may wait: `call(*arguments)` returns a result or a `Pending`.

    An exception that `explain` converts to an error payload becomes the `error` case of the result; any other ends the
    guest.
    """

    def __init__(
        self,
        name: str,
        type_: ComponentFuncType,
        call: Callable[..., Value],
        explain: Callable[[BaseException], Value],
        waits: Callable[[HostWait, Callable[[], None]], Callable[[], None]],
        *,
        note: Callable[[int, list[Value], Value, BaseException | None], None] | None = None,
    ) -> None:
        self.name = name
        self.type = type_
        self.call = call
        self._explain = explain
        self._waits = waits
        self._note = note
        """note(start, arguments, result, error) records an answered call."""

    def invoke(self, on_start: OnStart, on_resolve: OnResolve, caller: ComponentInstance | None) -> OnCancel:
        """Call it: the answer comes at once or later."""
        arguments = on_start()
        note = self._note
        start = 0 if note is None else time.perf_counter_ns()
        fallible = isinstance(self.type.result, ResultType)
        stop: list[Callable[[], None]] = []

        def finish(call: Callable[..., Value], *given: Value) -> None:
            try:
                found = call(*given)
            except BaseException as error:
                if note is not None:
                    note(start, arguments, None, error)
                if not isinstance(error, Exception):
                    raise
                found = ("error", self._explain(error))
            else:
                if isinstance(found, Pending):
                    pending = found
                    stop[:] = [pending.cancel, self._waits(pending.wait, lambda: finish(pending.finish))]
                    return
                if note is not None:
                    note(start, arguments, found, None)
                if fallible:
                    found = ("ok", found)
            stop.clear()
            on_resolve([] if self.type.result is None else [found])

        finish(self.call, *arguments)

        def cancel(caller: ComponentInstance | None) -> None:
            if stop:
                abandon, forget = stop
                stop.clear()
                forget()
                abandon()
                on_resolve(None)

        return cancel


class LoweredFunction:
    """A component function as a core function of one instance. Core code calls `target(*words)`."""

    def __init__(self, function: ComponentFunction, context: CanonContext, *, is_async: bool) -> None:
        self.function = function
        self.type = function.type
        self.context = context
        self.instance = context.instance
        self.is_async = is_async
        self.signature: Signature = signature(self.type, lowered=True, is_async=is_async)
        most = MAX_FLAT_ASYNC_PARAMS if is_async else MAX_FLAT_PARAMS
        self._lift = context.lift_arguments(self.type, most)
        self._lower = context.lower_result(self.type.result, 0 if is_async else MAX_FLAT_RESULTS)

    @property
    def blocks(self) -> bool:
        """Whether it may suspend its caller's fiber."""
        return self.type.is_async and not self.is_async

    def target(self, *words: int) -> int | Blocked | None:
        """Call the function with core words."""
        instance = self.instance
        instance.check_leave()
        subtask = Subtask()
        pointer = words[-1] if self.signature.result_in_memory else 0

        def on_start() -> list[Value]:
            subtask.on_progress()
            subtask.state = STARTED
            return self._lift(words, subtask.lenders)

        def on_resolve(result: list[Value] | None) -> None:
            subtask.on_progress()
            if result is None:
                before = subtask.state == STARTING
                subtask.resolve(CANCELLED_BEFORE_STARTED if before else CANCELLED_BEFORE_RETURNED, [])
            else:
                subtask.resolve(RETURNED, list(self._lower(result, pointer)))

        subtask.on_cancel = self.function.invoke(on_start, on_resolve, instance)
        if self.is_async:
            return self._answer_later(subtask)
        if subtask.resolved:
            subtask.deliver()
            return subtask.words[0] if subtask.words else None

        def finish(cancelled: bool) -> int | None:
            subtask.deliver()
            return subtask.words[0] if subtask.words else None

        thread = instance.scheduler.current
        if thread is None:
            raise Trap("cannot block a synchronous task before returning")
        return thread.block(finish, lambda: subtask.resolved)

    def _answer_later(self, subtask: Subtask) -> int:
        if subtask.resolved:
            subtask.deliver()
            return RETURNED
        number = self.instance.handles.add(subtask)

        def event() -> Event:
            if subtask.resolved:
                subtask.deliver()
            return SUBTASK, number, subtask.state

        def on_progress() -> None:
            subtask.pending = event

        subtask.on_progress = on_progress
        return subtask.state | number << 4
