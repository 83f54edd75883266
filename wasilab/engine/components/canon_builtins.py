"""The canonical built-ins: core functions by which a guest manages its resources, tasks, waitables and streams.

`BuiltinFunctions.make(definition, ...)` returns the core signature, the Python function of the core words, and whether
it may suspend its caller's fiber. Every built-in is one method, named as in the specification.

Source: component-model, `design/mvp/CanonicalABI.md`, from "canon resource.new" on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...wasi.components.value_types import (
    MAX_FLAT_PARAMS,
    FutureType,
    ResourceType,
    StreamType,
    ValueType,
    flat,
)
from ...wasi.components.waits import Value
from ...wasi.types import Trap
from .abi.canon_context import CanonContext, check_end
from .component_binary import Builtin
from .concurrency.fibers import Blocked, CoreFunction
from .concurrency.handles import Handle
from .concurrency.stream_ends import (
    CANCELLED,
    COMPLETED,
    DROPPED,
    CopyEnd,
    CopyState,
    GuestBuffer,
    SharedFuture,
    SharedStream,
)
from .concurrency.tasks import (
    BLOCKED,
    FUTURE_READ,
    FUTURE_WRITE,
    NONE,
    STREAM_READ,
    STREAM_WRITE,
    TASK_CANCELLED,
    CallCore,
    ComponentInstance,
    ErrorContext,
    Event,
    Subtask,
    Thread,
    Waitable,
    WaitableSet,
)

MAX_BACKPRESSURE = 1 << 16


@dataclass(frozen=True, slots=True)
class Made:
    """A built-in, ready to become a core function."""

    params: tuple[str, ...]
    results: tuple[str, ...]
    target: Callable[..., Value]
    blocks: bool = False


class BuiltinFunctions:
    """The built-ins of one component instance."""

    def __init__(self, instance: ComponentInstance) -> None:
        self.instance = instance

    def make(
        self,
        definition: Builtin,
        type_: Value,
        context: CanonContext,
        table: Callable[[int], CoreFunction] | None = None,
    ) -> Made:
        """The built-in for `definition`. `type_`: its resolved type (resource, stream, future, result)."""
        name = definition.name
        async_ = definition.is_async or definition.options.is_async
        i32 = ("i32",)
        if name.startswith("resource."):
            method = {"new": self.resource_new, "drop": self.resource_drop, "rep": self.resource_rep}[name[9:]]
            return Made(i32, () if name == "resource.drop" else i32, partial(method, type_))
        if name == "task.return":
            return self._task_return(type_, context)
        if name.startswith("context."):
            kind = str(definition.type)
            if name == "context.get":
                return Made((), (kind,), partial(self.context_get, definition.number))
            return Made((kind,), (), partial(self.context_set, definition.number))
        kind_name, _, operation = name.partition(".")
        if kind_name in ("stream", "future"):
            return self._copying(kind_name, operation, type_, context, async_)
        simple: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[..., Value], bool]] = {
            "task.cancel": ((), (), self.task_cancel, False),
            "backpressure.inc": ((), (), self.backpressure_inc, False),
            "backpressure.dec": ((), (), self.backpressure_dec, False),
            "waitable-set.new": ((), i32, self.waitable_set_new, False),
            "waitable-set.drop": (i32, (), self.waitable_set_drop, False),
            "waitable.join": (("i32", "i32"), (), self.waitable_join, False),
            "waitable-set.wait": (
                ("i32", "i32"), i32, partial(self.waitable_set_wait, context, definition.is_async), True,
            ),
            "waitable-set.poll": (
                ("i32", "i32"), i32, partial(self.waitable_set_poll, context, definition.is_async), False,
            ),
            "subtask.drop": (i32, (), self.subtask_drop, False),
            "subtask.cancel": (i32, i32, partial(self.subtask_cancel, async_), not async_),
            "error-context.new": (("i32", "i32"), i32, partial(self.error_context_new, context), False),
            "error-context.debug-message": (
                ("i32", "i32"), (), partial(self.error_context_debug_message, context), False,
            ),
            "error-context.drop": (i32, (), self.error_context_drop, False),
            "thread.index": ((), i32, self.thread_index, False),
            "thread.resume-later": (i32, (), self.thread_resume_later, False),
            "thread.yield": ((), i32, partial(self.thread_yield, definition.is_async), True),
            "thread.suspend": ((), i32, partial(self.thread_suspend, definition.is_async), True),
        }  # fmt: skip
        if name.startswith(("thread.suspend-then-", "thread.yield-then-")):
            switching = partial(self.thread_switch, "yield" in name, name.endswith("promote"), definition.is_async)
            return Made(i32, i32, switching, True)
        if name in simple:
            params, results, target, blocks = simple[name]
            return Made(params, results, target, blocks)
        if name == "thread.new-indirect" and table is not None:
            return Made(("i32", "i32"), i32, partial(self.thread_new_indirect, table))
        raise Trap(f"the built-in {name} is not supported")

    # ---- resources

    def resource_new(self, resource: ResourceType, rep: int) -> int:
        self.instance.check_leave()
        return self.instance.new_own(resource, rep)

    def resource_rep(self, resource: ResourceType, index: int) -> int:
        return int(self.instance.handles.handle(index, resource).rep)

    def resource_drop(self, resource: ResourceType, index: int) -> None:
        instance = self.instance
        if not instance.may_leave:
            instance.check_leave()
        notes = instance.notes
        start = 0 if notes is None else time.perf_counter_ns()
        handle: Handle = instance.handles.drop(index, resource)
        if handle.own and resource.destroy is not None:
            resource.destroy(handle.rep, instance)
        else:
            self._let_go(handle, resource)
        if notes is not None:
            notes.dropped(handle, index, start)

    def _let_go(self, handle: Handle, resource: ResourceType) -> None:
        instance = self.instance
        if not handle.own:
            handle.scope.borrows -= 1
        elif resource.owner is not None and resource.owner is not instance:
            owner: ComponentInstance = resource.owner  # type: ignore[assignment]
            owner.enter_from(instance)
            owner.leave_to(instance)

    # ---- the current task

    def _thread(self) -> Thread:
        thread = self.instance.scheduler.current
        if thread is None:
            raise Trap("cannot be called while the component is instantiated: there is no task")
        return thread

    def context_get(self, slot: int) -> int:
        return self._thread().storage[slot]

    def context_set(self, slot: int, value: int) -> None:
        self._thread().storage[slot] = value

    def _task_return(self, result: ValueType | None, context: CanonContext) -> Made:
        words = flat(result) if result is not None else ()
        lift = context.lift_result(result, MAX_FLAT_PARAMS)

        def task_return(*given: int) -> None:
            self.instance.check_leave()
            task = self._thread().task
            options = task.options
            if not options.is_async:
                raise Trap("invalid `task.return`: the task was not lifted async")
            if task.type.result != result:
                raise Trap("invalid `task.return` signature: it does not match the result of the task")
            mine = options.context
            if mine.encoding != context.encoding or (context.memory is not None and mine.memory is not context.memory):
                raise Trap("invalid `task.return` options: they are not those of the task")
            task.finish(lift(given))

        return Made(("i32",) if len(words) > MAX_FLAT_PARAMS else words, (), task_return)

    def task_cancel(self) -> None:
        self.instance.check_leave()
        task = self._thread().task
        if not task.options.is_async:
            raise Trap("invalid `task.cancel`: the task was not lifted async")
        task.cancel()

    def backpressure_inc(self) -> None:
        self.instance.backpressure += 1
        if self.instance.backpressure >= MAX_BACKPRESSURE:
            raise Trap("backpressure counter overflow")

    def backpressure_dec(self) -> None:
        self.instance.backpressure -= 1
        if self.instance.backpressure < 0:
            raise Trap("backpressure counter underflow")

    # ---- waitables

    def waitable_set_new(self) -> int:
        self.instance.check_leave()
        return self.instance.handles.add(WaitableSet())

    def _set(self, index: int) -> WaitableSet:
        found: WaitableSet = self.instance.handles.get(index, WaitableSet, "waitable set")
        return found

    def waitable_set_drop(self, index: int) -> None:
        self.instance.check_leave()
        self._set(index).drop()
        self.instance.handles.remove(index, WaitableSet, "waitable set")

    def waitable_join(self, index: int, to: int) -> None:
        self.instance.check_leave()
        waitable: Waitable = self.instance.handles.get(index, Waitable, "waitable")
        if waitable.sync_waiter:
            raise Trap("waitable cannot be joined while a synchronous call waits for it")
        waitable.join(self._set(to) if to else None)

    @staticmethod
    def _put_event(context: CanonContext, pointer: int, event: Event) -> int:
        memory = context.memory
        memory.check(pointer, 8, 4)
        memory.u32[pointer >> 2] = event[1]
        memory.u32[(pointer >> 2) + 1] = event[2]
        return event[0]

    def waitable_set_wait(
        self, context: CanonContext, cancellable: bool, index: int, pointer: int
    ) -> int | Blocked | None:
        self.instance.check_leave()
        found = self._set(index)
        context.memory.check(pointer, 8, 4)
        thread = self._thread()
        if thread.task.deliver_cancel(cancellable):
            return self._put_event(context, pointer, (TASK_CANCELLED, 0, 0))
        if found.has_event():
            return self._put_event(context, pointer, found.take_event())
        found.waiting += 1

        def finish(cancelled: bool) -> int:
            found.waiting -= 1
            event = (TASK_CANCELLED, 0, 0) if cancelled else found.take_event()
            return self._put_event(context, pointer, event)

        return thread.block(finish, found.has_event, cancellable)

    def waitable_set_poll(self, context: CanonContext, cancellable: bool, index: int, pointer: int) -> int:
        self.instance.check_leave()
        found = self._set(index)
        context.memory.check(pointer, 8, 4)
        if self._thread().task.deliver_cancel(cancellable):
            return self._put_event(context, pointer, (TASK_CANCELLED, 0, 0))
        self.instance.scheduler.wait_for_host(False)
        return self._put_event(context, pointer, found.take_event() if found.has_event() else (NONE, 0, 0))

    def subtask_cancel(self, async_: bool, index: int) -> int | Blocked | None:
        instance = self.instance
        instance.check_leave()
        subtask: Subtask = instance.handles.get(index, Subtask, "subtask")
        if subtask.delivered:
            raise Trap("`subtask.cancel` called after terminal status delivered")
        if subtask.cancelling:
            raise Trap("`subtask.cancel` called twice for one subtask")
        if subtask.set is not None and not async_:
            raise Trap("waitable cannot be used synchronously while added to a waitable set")
        if not subtask.resolved:
            subtask.cancelling = True
            assert subtask.on_cancel is not None
            subtask.on_cancel(instance)
            if not subtask.resolved:
                return BLOCKED if async_ else self._wait_for(subtask, lambda event: event[2])
        subtask.take_event()
        return subtask.state

    def _wait_for(self, waitable: Waitable, answer: Callable[[Event], int]) -> int | Blocked | None:
        """Suspend the fiber until the waitable has its event."""
        thread = self._thread()
        waitable.sync_waiter = True

        def finish(cancelled: bool) -> int:
            waitable.sync_waiter = False
            return answer(waitable.take_event())

        return thread.block(finish, waitable.has_event)

    def subtask_drop(self, index: int) -> None:
        instance = self.instance
        instance.check_leave()
        subtask: Subtask = instance.handles.get(index, Subtask, "subtask")
        subtask.leave()
        instance.handles.remove(index, Subtask, "subtask")

    # ---- streams and futures

    def _copying(
        self, kind: str, operation: str, type_: StreamType | FutureType, context: CanonContext, async_: bool
    ) -> Made:
        future = kind == "future"
        if operation == "new":
            return Made((), ("i64",), partial(self.copy_new, type_))
        if operation.startswith("drop-"):
            return Made(("i32",), (), partial(self.copy_drop, type_, operation == "drop-readable"))
        if operation.startswith("cancel-"):
            target = partial(self.copy_cancel, type_, operation == "cancel-read", async_)
            return Made(("i32",), ("i32",), target, not async_)
        params = ("i32", "i32") if future else ("i32", "i32", "i32")
        target = partial(self.copy, type_, operation == "read", async_, context)
        return Made(params, ("i32",), target, not async_)

    def copy_new(self, type_: StreamType | FutureType) -> int:
        instance = self.instance
        instance.check_leave()
        future = isinstance(type_, FutureType)
        shared = SharedFuture(type_.element) if future else SharedStream(type_.element)
        readable = instance.handles.add(CopyEnd(shared, readable=True, future=future))
        writable = instance.handles.add(CopyEnd(shared, readable=False, future=future))
        return readable | writable << 32

    def _end(self, type_: StreamType | FutureType, readable: bool, index: int) -> CopyEnd:
        what = "future end" if isinstance(type_, FutureType) else "stream end"
        end: CopyEnd = self.instance.handles.get(index, CopyEnd, what)
        check_end(end, type_, readable=readable)
        return end

    def copy(
        self,
        type_: StreamType | FutureType,
        reads: bool,
        async_: bool,
        context: CanonContext,
        index: int,
        pointer: int,
        count: int = 1,
    ) -> int | Blocked | None:
        instance = self.instance
        instance.check_leave()
        end = self._end(type_, reads, index)
        future = end.future
        if end.state is not CopyState.IDLE:
            what = "future" if future else "stream"
            if end.state is CopyState.DONE:
                if not future:
                    raise Trap(
                        f"cannot {'read from' if reads else 'write to'} stream after being notified that the "
                        f"{'writable' if reads else 'readable'} end dropped"
                    )
                if reads:
                    raise Trap("cannot read from future after previous read succeeded")
                raise Trap("cannot write to future after previous write succeeded or readable end dropped")
            raise Trap(f"cannot have concurrent operations active on a future/stream: this {what} is busy")
        if end.set is not None and not async_:
            raise Trap("waitable cannot be used synchronously while added to a waitable set")
        buffer = GuestBuffer(type_.element, context, pointer, count)
        start = 0 if instance.notes is None else time.perf_counter_ns()
        name = f"{'future' if future else 'stream'}.{'read' if reads else 'write'}"
        code = (FUTURE_READ if reads else FUTURE_WRITE) if future else (STREAM_READ if reads else STREAM_WRITE)

        def event(result: int, reclaim: Callable[[], None]) -> Event:
            reclaim()
            over = result == DROPPED or (future and result == COMPLETED)
            end.state = CopyState.DONE if over else CopyState.IDLE
            answer = result if future else result | buffer.progress << 4
            if instance.notes is not None:  # one record from call to answer, however long it waited
                instance.notes.copied(name, index, count, answer, start)
            return code, index, answer

        def on_copy(reclaim: Callable[[], None]) -> None:
            # Keep the buffer until the guest is notified: a cancellation still counts.
            end.pending = lambda: event(CANCELLED if end.state is CopyState.CANCELLING else COMPLETED, reclaim)

        def on_done(result: int) -> None:
            end.pending = lambda: event(result, _nothing)

        end.state = CopyState.COPYING
        end.copy(instance, buffer, on_copy, on_done)
        if end.pending is None:
            return BLOCKED if async_ else self._wait_for(end, lambda event: event[2])
        return end.take_event()[2]

    def copy_cancel(
        self, type_: StreamType | FutureType, reads: bool, async_: bool, index: int
    ) -> int | Blocked | None:
        self.instance.check_leave()
        end = self._end(type_, reads, index)
        if end.state is not CopyState.COPYING or end.sync_waiter:
            raise Trap(f"{'stream' if not end.future else 'future'} {'read' if reads else 'write'} cancelled when no "
                       f"{'read' if reads else 'write'} is pending")  # fmt: skip
        if end.set is not None and not async_:
            raise Trap("waitable cannot be used synchronously while added to a waitable set")
        end.state = CopyState.CANCELLING
        if end.pending is None:
            end.shared.cancel()
            if end.pending is None:
                return BLOCKED if async_ else self._wait_for(end, lambda event: event[2])
        return end.take_event()[2]

    def copy_drop(self, type_: StreamType | FutureType, reads: bool, index: int) -> None:
        self.instance.check_leave()
        end = self._end(type_, reads, index)
        end.leave()
        self.instance.handles.remove(index, CopyEnd, "stream or future")

    # ---- error contexts

    def error_context_new(self, context: CanonContext, pointer: int, units: int) -> int:
        self.instance.check_leave()
        text = context.memory.text(pointer, units, context.encoding)
        return self.instance.handles.add(ErrorContext(str(text)))

    def error_context_debug_message(self, context: CanonContext, index: int, pointer: int) -> None:
        self.instance.check_leave()
        found: ErrorContext = self.instance.handles.get(index, ErrorContext, "error context")
        context.memory.check(pointer, 8, 4)
        where, units = context.memory.put_text(found.message, context.allocate, context.encoding)
        context.memory.u32[pointer >> 2] = where
        context.memory.u32[(pointer >> 2) + 1] = units

    def error_context_drop(self, index: int) -> None:
        self.instance.check_leave()
        self.instance.handles.remove(index, ErrorContext, "error context")

    # ---- cooperative threads

    def thread_index(self) -> int:
        self.instance.check_leave()
        index = self._thread().index
        if index is None:
            raise Trap("this thread has no index")
        return index

    def thread_new_indirect(self, table: Callable[[int], CoreFunction], entry: int, argument: int) -> int:
        instance = self.instance
        instance.check_leave()
        task = self._thread().task
        function = table(entry)

        def code() -> Value:
            yield CallCore(function, (argument,))
            task.unregister(thread)

        thread = Thread(task, code())
        task.register(thread)
        assert thread.index is not None
        return thread.index

    def _other(self, index: int) -> Thread:
        found: Thread = self.instance.threads.get(index, Thread, "thread")
        return found

    def thread_resume_later(self, index: int) -> None:
        self.instance.check_leave()
        other = self._other(index)
        if not other.suspended:
            raise Trap("cannot resume thread which is not suspended")
        other.resume_later()

    def thread_yield(self, cancellable: bool) -> int | Blocked | None:
        self.instance.check_leave()
        thread = self._thread()
        if thread.task.deliver_cancel(cancellable):
            return 1
        if thread.fiber is None:
            return 0
        return thread.block(int, lambda: True, cancellable)

    def thread_suspend(self, cancellable: bool) -> int | Blocked | None:
        self.instance.check_leave()
        thread = self._thread()
        if thread.task.deliver_cancel(cancellable):
            return 1
        return thread.block(int, None, cancellable)

    def thread_switch(self, yields: bool, promotes: bool, cancellable: bool, index: int) -> int | Blocked | None:
        self.instance.check_leave()
        thread, other = self._thread(), self._other(index)
        if not promotes and not other.suspended:
            raise Trap("cannot resume thread which is not suspended")
        if thread.task.deliver_cancel(cancellable):
            return 1
        ready = (lambda: True) if yields else None
        if promotes:
            if not other.is_ready():
                return thread.block(int, ready, cancellable)
            other.stop_waiting()
        thread.switch_to = other
        return thread.block(int, ready, cancellable)


def _nothing() -> None:
    return
