"""Component instances, the tasks that run in them, and the scheduler that decides which of them goes on.

The structure is the specification's, with one change of form: a thread's code is a Python generator. It yields a
`Run` to call a core function and a `Wait` to wait, and is resumed with the word or with whether it was cancelled.
Where the core function itself waits, the fiber it runs on is left (`fibers.py`).

An exception out of a guest or a built-in goes up through whoever resumed the thread and ends the whole store: after a
trap nothing of it is entered again.

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
"""Threads of one run: each may hold a stack."""

NONE, SUBTASK, STREAM_READ, STREAM_WRITE, FUTURE_READ, FUTURE_WRITE, TASK_CANCELLED = range(7)
"""Codes of events."""
STARTING, STARTED, RETURNED, CANCELLED_BEFORE_STARTED, CANCELLED_BEFORE_RETURNED = range(5)
"""States of a subtask."""
EXIT, YIELD, WAIT = range(3)
"""What a callback answers, in its low four bits."""
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
    """Told of what happens in a component instance besides calls of the host."""

    def opened(self, handle: Handle, number: int) -> None:
        """An owned handle was made."""

    def dropped(self, handle: Handle, number: int, start: int) -> None:
        """A handle was dropped by a call that began at `start`."""

    def copied(self, name: str, number: int, count: int, result: int, start: int) -> None:
        """A read or write of a stream or future is over: `result` as the guest gets it."""


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
        """Told of handles and copies, where the run is traced."""

    # ---- who may enter

    def _entered(self, caller: ComponentInstance | None) -> list[ComponentInstance]:
        """This instance and its ancestors, but those that the caller is in already."""
        outside: set[ComponentInstance] = set(caller._ancestors()) if caller is not None else set()
        return [instance for instance in self._ancestors() if instance not in outside]

    def _ancestors(self) -> list[ComponentInstance]:
        found, instance = [self], self.parent
        while instance is not None:
            found.append(instance)
            instance = instance.parent
        return found

    def encloses(self, other: ComponentInstance) -> bool:
        """Whether it is `other` or one of those that `other` was made in."""
        return self in other._ancestors()

    def may_enter_from(self, caller: ComponentInstance | None) -> bool:
        """Whether a call from `caller` (None: the host) may begin."""
        return all(instance.may_enter for instance in self._entered(caller))

    def enter_from(self, caller: ComponentInstance | None) -> None:
        """Begin; traps when it may not."""
        entered = self._entered(caller)
        if not all(instance.may_enter for instance in entered):
            raise Trap("cannot enter component instance: a call is in progress there, or it has trapped")
        for instance in entered:
            instance.may_enter = False

    def leave_to(self, caller: ComponentInstance | None) -> None:
        """End, or wait."""
        for instance in self._entered(caller):
            instance.may_enter = True

    def check_leave(self) -> None:
        """Trap unless its code may call out now."""
        if not self.may_leave:
            raise Trap("cannot leave component instance: realloc and post-return may not call out")

    # ---- handles

    def new_own(self, resource: ResourceType, rep: Value) -> int:
        """Give this instance an owned handle."""
        handle = Handle(resource, rep, True)
        number = self.handles.add(handle)
        if self.notes is not None:
            self.notes.opened(handle, number)
        return number

    def new_borrow(self, resource: ResourceType, rep: Value, task: Task) -> int:
        """Lend this instance a handle for the duration of a task; its own resources arrive as what they stand for."""
        if resource.owner is self:
            return int(rep)
        task.borrows += 1
        return self.handles.add(Handle(resource, rep, False, task))


class Scheduler:
    """The threads of one store, which of them waits for what, and what the host itself waits for.

    `wait_for_host(block)` lets the host's pending work go on: with `block` it waits until some of it is done, and
    returns False when there is none to wait for.
    """

    def __init__(self, wait_for_host: Callable[[bool], bool] = lambda block: False) -> None:
        self.waiting: list[Thread] = []
        self.stack: list[Thread | None] = []
        """The threads whose code is on the stacks, innermost last; None for a call that cannot be left."""
        self.count = 0
        self.fibers = 0
        """How many fibers are being polled now, one within the other."""
        self.wait_for_host = wait_for_host

    @property
    def current(self) -> Thread | None:
        """The thread whose code runs now."""
        for thread in reversed(self.stack):
            if thread is not None:
                return thread
        return None

    def call_here(self, function: CoreFunction, *words: int) -> int | None:
        """Call a core function (realloc, post-return) to its end, on this stack where that is a fiber's already."""
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
        self.stack.pop()  # not after an exception: the store is not entered again
        return found

    def call_within(self, function: CoreFunction, *words: int) -> int | None:
        """Call a core function of the instance that runs now, as part of the current call."""
        return self.call_here(function, *words)

    def tick(self) -> bool:
        """Let one thread that is ready go on; False when none is."""
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
        """Let threads go on until `done()`. Traps when nothing can go on any more."""
        while not done():
            if not self.tick() and not self.wait_for_host(True):
                raise Trap("deadlock: every task waits for something that cannot happen any more")

    def idle(self) -> None:
        """Let go on whatever can without waiting."""
        while self.tick():
            pass


class Thread:
    """One thread of a task: its code, and where it waits."""

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
        """The thread that goes on when this one is left."""

    # ---- waiting

    @property
    def suspended(self) -> bool:
        """Whether it stands still until somebody resumes it."""
        return self.ready is None and self not in self.task.instance.scheduler.stack

    def is_ready(self) -> bool:
        """Whether what it waits for is there."""
        return self.ready is not None and self.ready()

    def wait(self, ready: Callable[[], bool], cancellable: bool) -> None:
        """Begin to wait."""
        self.ready = ready
        self.cancellable = cancellable
        self.task.instance.scheduler.waiting.append(self)

    def resume_later(self) -> None:
        """Let it go on when the others have waited."""
        self.wait(lambda: True, self.cancellable)

    def block(
        self, finish: Callable[[bool], int | None], ready: Callable[[], bool] | None, cancellable: bool = False
    ) -> int | Blocked | None:
        """Leave the fiber: `finish(cancelled)` answers once `ready()` (None: once somebody resumes it).

        For the callback of a blocking function only. Traps where the code cannot be left.
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
        """No longer wait."""
        if self.ready is not None:
            self.ready = None
            self.task.instance.scheduler.waiting.remove(self)

    def resume(self, cancelled: bool = False) -> None:
        """Go on until the code ends or waits. Raises what ends the store."""
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
    """How far a task is."""

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
        """Whether only one such task may run in its instance at a time."""
        return not self.options.is_async or self.options.callback is not None

    def enter(self) -> Generator[Wait, bool, bool]:
        """Wait until the instance takes it; False when it was cancelled meanwhile."""
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
        """Wait until `ready()`; whether it was cancelled instead."""
        if self.deliver_cancel(cancellable):
            return True
        return (yield Wait(ready, cancellable))

    def register(self, thread: Thread) -> None:
        """A thread of this task begins."""
        self.threads.append(thread)
        thread.index = self.instance.threads.add(thread)

    def unregister(self, thread: Thread) -> None:
        """A thread of this task ends; with the last one the task must be resolved."""
        self.threads.remove(thread)
        if not self.threads and self.state is not TaskState.RESOLVED:
            raise Trap("async-lifted export failed to produce a result")
        assert thread.index is not None
        self.instance.threads.remove(thread.index, Thread, "thread")

    def exit(self) -> None:
        """The thread that the call began with ends."""
        assert self.implicit is not None
        self.unregister(self.implicit)
        if self.type.is_async and self.exclusive:
            self.instance.exclusive = None

    def request_cancellation(self, caller: ComponentInstance | None) -> None:
        """The caller wants no result any more."""
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
        """Whether a cancellation that was asked for is delivered now."""
        if cancellable and self.state is TaskState.PENDING_CANCEL:
            self.state = TaskState.CANCEL_DELIVERED
            return True
        return False

    def start(self) -> list[Value]:
        """Begin: the arguments are lifted out of the caller now."""
        self.state = TaskState.STARTED
        return self.on_start()

    def finish(self, result: list[Value]) -> None:
        """The result is there."""
        if self.state is TaskState.RESOLVED:
            raise Trap("invalid task.return: the task has returned or was cancelled already")
        self._no_borrows()
        self.on_resolve(result)
        self.state = TaskState.RESOLVED

    def cancel(self) -> None:
        """The task agrees to end without a result."""
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
    """Something that an event may come from."""

    def __init__(self) -> None:
        self.pending: Callable[[], Event] | None = None
        self.set: WaitableSet | None = None
        self.sync_waiter = False

    def has_event(self) -> bool:
        """Whether an event is there."""
        return self.pending is not None

    def take_event(self) -> Event:
        """The event, once."""
        assert self.pending is not None
        pending, self.pending = self.pending, None
        return pending()

    def join(self, to: WaitableSet | None) -> None:
        """Move to another set, or to none."""
        if self.set is not None:
            self.set.members.remove(self)
        self.set = to
        if to is not None:
            to.members.append(self)

    def leave(self) -> None:
        """It is dropped."""
        self.join(None)


class WaitableSet:
    """Waitables of which one is waited for."""

    def __init__(self) -> None:
        self.members: list[Waitable] = []
        self.waiting = 0

    def has_event(self) -> bool:
        """Whether any of them has one."""
        return any(member.pending is not None for member in self.members)

    def take_event(self) -> Event:
        """The event of the first that has one; that one goes last, so that none starves."""
        member = next(member for member in self.members if member.pending is not None)
        self.members.remove(member)
        self.members.append(member)
        return member.take_event()

    def drop(self) -> None:
        """Traps while something is in it or waits for it."""
        if self.members:
            raise Trap("cannot drop waitable set with waitables in it")
        if self.waiting:
            raise Trap("cannot drop waitable set with waiters")


class Subtask(Waitable):
    """A call that a component made, until it has learned the result."""

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
        """Whether there is a result, or will never be one."""
        return self.state >= RETURNED

    def resolve(self, state: int, words: list[int]) -> None:
        """It has ended."""
        self.state = state
        self.words = words

    def deliver(self) -> None:
        """The caller learns of it: what was lent is given back."""
        if self.lenders is not None:
            give_back(self.lenders)
        self.lenders = None

    @property
    def delivered(self) -> bool:
        """Whether the caller knows."""
        return self.lenders is None

    def leave(self) -> None:
        if not self.delivered:
            raise Trap("cannot drop a subtask which has not yet resolved")
        super().leave()


def _nothing() -> None:
    return
