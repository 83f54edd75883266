"""Component instances, the tasks that run in them, and their scheduler.

The structure follows the specification, except that a thread's code is a Python generator. It yields a `CallCore` to
call a core function and a `Wait` to wait, and is resumed with the word or with whether it was cancelled. If the core
function itself waits, its fiber is suspended (`fibers.py`).

An exception from a guest or a built-in propagates through the thread's resumer and ends the whole store: after a trap
no code of it runs again.

Source: component-model, `design/mvp/CanonicalABI.md`, "Component Instances", "Threads", "Tasks", "Waitable State",
"Subtask State".
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from enum import EnumType
from typing import NamedTuple, Protocol

from ....wasi.components.value_types import ComponentFuncType, ResourceType
from ....wasi.components.waits import Value
from ....wasi.types import Trap
from .fibers import Blocked, CoreFunction, Fiber
from .handles import Handle, Table, give_back

MAX_THREADS = 10_000
"""Maximum threads of one run: each may hold a stack."""

NONE, SUBTASK, STREAM_READ, STREAM_WRITE, FUTURE_READ, FUTURE_WRITE, TASK_CANCELLED = range(7)
"""Codes of events."""
STARTING, STARTED, RETURNED, CANCELLED_BEFORE_STARTED, CANCELLED_BEFORE_RETURNED = range(5)
"""States of a subtask."""
EXIT, YIELD, WAIT = range(3)
"""A callback's result code, in its low four bits."""
BLOCKED = 0xFFFFFFFF

Event = tuple[int, int, int]
OnStart = Callable[[], list[Value]]
OnResolve = Callable[["list[Value] | None"], None]
OnCancel = Callable[["ComponentInstance | None"], None]


class CallCore(NamedTuple):
    """Call a core function with these words."""

    function: CoreFunction
    words: tuple[int, ...]


class Wait(NamedTuple):
    """Wait until `ready()`."""

    ready: Callable[[], bool]
    cancellable: bool


Code = Generator[CallCore | Wait, Value, None]


class Notes(Protocol):
    """Listener for events in a component instance other than host calls."""

    def opened(self, handle: Handle, number: int) -> None:
        """An owned handle was made."""

    def dropped(self, handle: Handle, number: int, start: int) -> None:
        """A handle was dropped by a call that began at `start`."""

    def copied(self, name: str, number: int, count: int, result: int, start: int) -> None:
        """A read or write of a stream or future is complete: `result` as the guest gets it."""


class ErrorContext:
    """An error context: a debug message."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message


class ComponentInstance:
    """The run-time state of one component instance. `blocking`: its core code can call functions that wait."""

    def __init__(self, scheduler: Scheduler, parent: ComponentInstance | None, *, blocking: bool) -> None:
        self.scheduler = scheduler
        self.parent = parent
        self.blocking = blocking
        self.handles = Table()
        self.threads = Table()
        self.may_enter = True
        self.may_leave = True
        self.backpressure = 0
        self.waiting_to_enter = 0
        self.exclusive: Thread | None = None
        self.notes: Notes | None = None
        """Receives handle and copy events if the run is traced."""

    # ---- who may enter

    def _entered(self, caller: ComponentInstance | None) -> list[ComponentInstance]:
        """This instance and its ancestors, except those that the caller is already in."""
        outside: set[ComponentInstance] = set(caller._ancestors()) if caller is not None else set()
        return [instance for instance in self._ancestors() if instance not in outside]

    def _ancestors(self) -> list[ComponentInstance]:
        found, instance = [self], self.parent
        while instance is not None:
            found.append(instance)
            instance = instance.parent
        return found

    def encloses(self, other: ComponentInstance) -> bool:
        """Whether it is `other` or an ancestor of it."""
        return self in other._ancestors()

    def may_enter_from(self, caller: ComponentInstance | None) -> bool:
        """Whether `caller` (None: the host) may call it now."""
        return all(instance.may_enter for instance in self._entered(caller))

    def enter_from(self, caller: ComponentInstance | None) -> None:
        """Enter for a call; trap if that is not allowed."""
        entered = self._entered(caller)
        if not all(instance.may_enter for instance in entered):
            raise Trap("cannot enter component instance: a call is in progress there, or it has trapped")
        for instance in entered:
            instance.may_enter = False

    def leave_to(self, caller: ComponentInstance | None) -> None:
        """Leave, at the end of a call or while it waits."""
        for instance in self._entered(caller):
            instance.may_enter = True

    def check_leave(self) -> None:
        """Trap unless its code may call out of the instance now."""
        if not self.may_leave:
            raise Trap("cannot leave component instance: realloc and post-return may not call out")

    # ---- handles

    def new_own(self, resource: ResourceType, rep: Value) -> int:
        """Add an owned handle to this instance."""
        handle = Handle(resource, rep, True)
        number = self.handles.add(handle)
        if self.notes is not None:
            self.notes.opened(handle, number)
        return number

    def new_borrow(self, resource: ResourceType, rep: Value, task: Task) -> int:
        """Lend this instance a handle for the duration of a task; its own resources arrive as their representation."""
        if resource.owner is self:
            return int(rep)
        task.borrows += 1
        return self.handles.add(Handle(resource, rep, False, task))


class Scheduler:
    """Schedules the threads of one store and the waits of the host.

    `wait_for_host(block)` continues the host's pending work: with `block` it waits until some is done, and returns
    False if there is none.
    """

    def __init__(self, wait_for_host: Callable[[bool], bool] = lambda block: False) -> None:
        self.waiting: list[Thread] = []
        self.stack: list[Thread | None] = []
        """The threads whose code is on the stacks, innermost last; None for a call that cannot be suspended."""
        self.count = 0
        self.fibers = 0
        """Number of nested fibers being polled now."""
        self.wait_for_host = wait_for_host

    @property
    def current(self) -> Thread | None:
        """The running thread."""
        for thread in reversed(self.stack):
            if thread is not None:
                return thread
        return None

    def call_here(self, function: CoreFunction, *words: int) -> int | None:
        """Call a core function (realloc, post-return) to completion, on this stack if it is already a fiber's."""
        self.stack.append(None)
        if function.on_fiber and not self.fibers:
            fiber = Fiber(function, words)
            self.fibers += 1
            done = fiber.poll()
            self.fibers -= 1
            if not done:
                fiber.drop()
                raise Trap("cannot block a synchronous task before returning")
            found = fiber.result()
        else:
            found = function.call(*words)
        self.stack.pop()  # not after an exception: the store cannot be entered again
        return found

    def call_within(self, function: CoreFunction, *words: int) -> int | None:
        """Call a core function of the running instance, as part of the current call."""
        return self.call_here(function, *words)

    def tick(self) -> bool:
        """Run one ready thread; False if none is ready."""
        self.wait_for_host(False)
        for thread in self.waiting:
            instance = thread.task.instance
            if thread.is_ready() and instance.may_enter_from(None):
                instance.enter_from(None)
                thread.resume()
                instance.leave_to(None)
                return True
        return False

    def run_until(self, done: Callable[[], bool]) -> None:
        """Run threads until `done()`. Traps on deadlock."""
        while not done():
            if not self.tick() and not self.wait_for_host(True):
                raise Trap("deadlock: every task waits for something that cannot happen any more")

    def idle(self) -> None:
        """Run everything that is ready, without waiting."""
        while self.tick():
            pass


class Thread:
    """One thread of a task: its code and its wait state."""

    __slots__ = (
        "blocked", "cancellable", "cancelled", "code", "fiber", "index", "ready", "started", "storage", "switch_to",
        "task",
    )  # fmt: skip

    def __init__(self, task: Task, code: Code) -> None:
        scheduler = task.instance.scheduler
        scheduler.count += 1
        if scheduler.count > MAX_THREADS:
            raise Trap(f"more than {MAX_THREADS:,} tasks and threads of components at once")
        self.task = task
        self.code = code
        self.ready: Callable[[], bool] | None = None
        self.cancellable = False
        self.cancelled = False
        self.index: int | None = None
        self.storage = [0, 0]
        self.fiber: Fiber | None = None
        self.blocked: Blocked | None = None
        self.started = False
        self.switch_to: Thread | None = None
        """The thread that continues when this one suspends."""

    # ---- waiting

    @property
    def suspended(self) -> bool:
        """Whether it waits for an explicit resume."""
        return self.ready is None and self not in self.task.instance.scheduler.stack

    @property
    def needs_stack(self) -> bool:
        """Whether no other such thread of the instance may run meanwhile: it is the first one of an async call that is
        lifted synchronously or with a callback."""
        task = self.task
        return self is task.implicit and task.type.is_async and task.exclusive

    def is_ready(self) -> bool:
        """Whether its wait is over."""
        return self.ready is not None and self.ready()

    def wait(self, ready: Callable[[], bool], cancellable: bool) -> None:
        """Begin to wait."""
        self.ready = ready
        self.cancellable = cancellable
        self.task.instance.scheduler.waiting.append(self)

    def resume_later(self) -> None:
        """Resume it after the other ready threads."""
        self.wait(lambda: True, self.cancellable)

    def block(
        self, finish: Callable[[bool], int | None], ready: Callable[[], bool] | None, cancellable: bool = False
    ) -> int | Blocked | None:
        """Suspend the fiber: `finish(cancelled)` gives the answer once `ready()` (None: once explicitly resumed).

        Only for the callback of a blocking function. Traps if the code cannot be suspended.
        """
        scheduler = self.task.instance.scheduler
        if not scheduler.stack or scheduler.stack[-1] is not self or self.fiber is None:
            raise Trap("cannot block a synchronous task before returning")
        self.blocked = Blocked(lambda: finish(self.cancelled))
        if ready is None:
            self.cancellable = cancellable
        else:
            self.wait(ready, cancellable)
        return self.blocked

    # ---- going on

    def stop_waiting(self) -> None:
        """Stop waiting."""
        if self.ready is not None:
            self.ready = None
            self.task.instance.scheduler.waiting.remove(self)

    def resume(self, cancelled: bool = False) -> None:
        """Run until the code ends or waits. Raises the exception that ends the store."""
        scheduler = self.task.instance.scheduler
        thread: Thread | None = self
        while thread is not None:
            thread.stop_waiting()
            thread.cancelled, cancelled = cancelled, False
            scheduler.stack.append(thread)
            thread._go_on()
            scheduler.stack.pop()
            thread.switch_to, thread = None, thread.switch_to

    def _go_on(self) -> None:
        scheduler = self.task.instance.scheduler
        answer: Value = None
        if self.fiber is not None:
            blocked, self.blocked = self.blocked, None
            if blocked is not None:
                blocked.released = True
        elif self.started:
            answer = self.cancelled
        while True:
            if self.fiber is not None:
                scheduler.fibers += 1
                done = self.fiber.poll()
                scheduler.fibers -= 1
                if not done:
                    return
                fiber, self.fiber = self.fiber, None
                answer = fiber.result()
            try:
                self.started = True
                item = self.code.send(answer)
            except StopIteration:
                scheduler.count -= 1
                return
            if isinstance(item, Wait):
                self.wait(item.ready, item.cancellable)
                return
            if item.function.on_fiber:
                self.fiber = Fiber(item.function, item.words)
                answer = None
            else:
                answer = item.function.call(*item.words)


class TaskState(EnumType):
    """The state of a task."""

    INITIAL = 1
    STARTED = 2
    PENDING_CANCEL = 3
    CANCEL_DELIVERED = 4
    RESOLVED = 5


class Task:
    """One call of a lifted function. `options` has `is_async` and `callback`."""

    def __init__(
        self,
        type_: ComponentFuncType,
        options: Value,
        instance: ComponentInstance,
        on_start: OnStart,
        on_resolve: OnResolve,
    ) -> None:
        self.type = type_
        self.options = options
        self.instance = instance
        self.on_start = on_start
        self.on_resolve = on_resolve
        self.state = TaskState.INITIAL
        self.borrows = 0
        self.implicit: Thread | None = None
        self.threads: list[Thread] = []

    @property
    def exclusive(self) -> bool:
        """Whether at most one such task may run in its instance at a time."""
        return not self.options.is_async or self.options.callback is not None

    def enter(self) -> Generator[Wait, bool, bool]:
        """Wait until the instance admits it; False if it was cancelled meanwhile."""
        instance, thread = self.instance, self.implicit
        assert thread is not None
        if self.type.is_async:

            def held_up() -> bool:
                return instance.backpressure > 0 or (self.exclusive and instance.exclusive is not None)

            if held_up() or instance.waiting_to_enter:
                instance.waiting_to_enter += 1
                cancelled = yield Wait(lambda: not held_up(), True)
                instance.waiting_to_enter -= 1
                if cancelled:
                    self.cancel()
                    return False
            if self.exclusive:
                instance.exclusive = thread
        self.register(thread)
        return True

    def wait(self, ready: Callable[[], bool], *, cancellable: bool) -> Generator[Wait, bool, bool]:
        """Wait until `ready()`; returns whether it was cancelled instead."""
        if self.deliver_cancel(cancellable):
            return True
        return (yield Wait(ready, cancellable))

    def register(self, thread: Thread) -> None:
        """Count a new thread of this task."""
        self.threads.append(thread)
        thread.index = self.instance.threads.add(thread)

    def unregister(self, thread: Thread) -> None:
        """A thread of this task ended; when the last one ends the task must be resolved."""
        self.threads.remove(thread)
        if not self.threads and self.state is not TaskState.RESOLVED:
            raise Trap("async-lifted export failed to produce a result")
        assert thread.index is not None
        self.instance.threads.remove(thread.index, Thread, "thread")

    def exit(self) -> None:
        """The task's first thread ended."""
        assert self.implicit is not None
        self.unregister(self.implicit)
        if self.type.is_async and self.exclusive:
            self.instance.exclusive = None

    def request_cancellation(self, caller: ComponentInstance | None) -> None:
        """The caller no longer wants a result."""
        instance = self.instance
        if self.state is TaskState.INITIAL:
            self.state = TaskState.CANCEL_DELIVERED
            assert self.implicit is not None
            self.implicit.resume(cancelled=True)
            return
        ready = [thread for thread in self.threads if thread.cancellable and _stands(thread)]
        if self.exclusive and instance.exclusive not in (None, self.implicit):
            ready = [thread for thread in ready if thread is not self.implicit]
        if ready and instance.may_enter_from(caller):
            self.state = TaskState.CANCEL_DELIVERED
            instance.enter_from(caller)
            ready[0].resume(cancelled=True)
            instance.leave_to(caller)
        else:
            self.state = TaskState.PENDING_CANCEL

    def deliver_cancel(self, cancellable: bool) -> bool:
        """Whether a requested cancellation is delivered now."""
        if cancellable and self.state is TaskState.PENDING_CANCEL:
            self.state = TaskState.CANCEL_DELIVERED
            return True
        return False

    def start(self) -> list[Value]:
        """Start: lift the arguments from the caller."""
        self.state = TaskState.STARTED
        return self.on_start()

    def finish(self, result: list[Value]) -> None:
        """Return the result."""
        if self.state is TaskState.RESOLVED:
            raise Trap("invalid task.return: the task has returned or was cancelled already")
        self._no_borrows()
        self.on_resolve(result)
        self.state = TaskState.RESOLVED

    def cancel(self) -> None:
        """Accept the cancellation: end without a result."""
        if self.state is not TaskState.CANCEL_DELIVERED:
            raise Trap("`task.cancel` called by task which has not been cancelled")
        self._no_borrows()
        self.on_resolve(None)
        self.state = TaskState.RESOLVED

    def _no_borrows(self) -> None:
        if self.borrows:
            raise Trap("borrow handles still remain at the end of the call")


def _stands(thread: Thread) -> bool:
    return thread not in thread.task.instance.scheduler.stack


# ---- waitables


class Waitable:
    """A source of events."""

    def __init__(self) -> None:
        self.pending: Callable[[], Event] | None = None
        self.set: WaitableSet | None = None
        self.sync_waiter = False

    def has_event(self) -> bool:
        """Whether an event is pending."""
        return self.pending is not None

    def take_event(self) -> Event:
        """Remove and return the event."""
        assert self.pending is not None
        pending, self.pending = self.pending, None
        return pending()

    def join(self, to: WaitableSet | None) -> None:
        """Move to another set, or out of any."""
        if self.set is not None:
            self.set.members.remove(self)
        self.set = to
        if to is not None:
            to.members.append(self)

    def leave(self) -> None:
        """Called when it is dropped."""
        self.join(None)


class WaitableSet:
    """A set of waitables, to wait for any of them."""

    def __init__(self) -> None:
        self.members: list[Waitable] = []
        self.waiting = 0

    def has_event(self) -> bool:
        """Whether any of them has one."""
        return any(member.pending is not None for member in self.members)

    def take_event(self) -> Event:
        """The event of the first waitable that has one; it moves to the end, so that none starves."""
        member = next(member for member in self.members if member.pending is not None)
        self.members.remove(member)
        self.members.append(member)
        return member.take_event()

    def drop(self) -> None:
        """Trap if it is not empty or a thread waits for it."""
        if self.members:
            raise Trap("cannot drop waitable set with waitables in it")
        if self.waiting:
            raise Trap("cannot drop waitable set with waiters")


class Subtask(Waitable):
    """A call made by a component, until it has learned the result."""

    def __init__(self) -> None:
        super().__init__()
        self.state = STARTING
        self.on_cancel: OnCancel | None = None
        self.lenders: list[Handle] | None = []
        self.cancelling = False
        self.words: list[int] = []
        self.on_progress: Callable[[], None] = _nothing

    @property
    def resolved(self) -> bool:
        """Whether it has a result, or never will."""
        return self.state >= RETURNED

    def resolve(self, state: int, words: list[int]) -> None:
        """Mark it as ended."""
        self.state = state
        self.words = words

    def deliver(self) -> None:
        """Notify the caller: return the lent handles."""
        if self.lenders is not None:
            give_back(self.lenders)
        self.lenders = None

    @property
    def delivered(self) -> bool:
        """Whether the caller has been notified."""
        return self.lenders is None

    def leave(self) -> None:
        if not self.delivered:
            raise Trap("cannot drop a subtask which has not yet resolved")
        super().leave()


def _nothing() -> None:
    return
