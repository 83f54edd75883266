"""The instances of a lab: opened together, each in its own store, and called one at a time.

A call from Python runs on the called instance's worker; its calls to other instances run nested on the same thread. An
interrupt or time limit ends all of them. Python answers every WASI call here: the native path serves only one instance
on one thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import wasmtime

from ...module.module import Module
from ...trace.record.recorder import Recorder
from ...wasi.host import Host
from ..calls.overrides import Overrides
from ..compiling.engine_options import EngineOptions
from ..entry import InvokeError
from ..instances import GuestError, Live
from ..limits import Limits
from ..outcome import Outcome
from ..session import Session
from ..stop import LinkError
from ..values.wasmtime_objects import Imported
from ..worker import Pump
from .channel_calls import MODULE, channel_functions
from .cross_calls import CrossCalls, Ended, Exporter, check_link
from .passing import DescriptorFlow, Passed
from .python_functions import Functions, check_functions, provide_functions
from .shared_store import SharedStore, begin_order, provide_directly


@dataclass(slots=True)
class LinkPlan:
    """A requested link: imports from the module `as_` come from the instance `exporter`."""

    as_: str
    exporter: str
    passing: Mapping[str, Mapping[int, Passed]]


@dataclass(slots=True)
class MemberPlan:
    """A requested instance."""

    name: str
    module: Module
    host: Host
    recorder: Recorder
    limits: Limits
    overrides: Overrides
    pump: Pump
    engine: EngineOptions
    preload: Mapping[str, Module]
    functions: Functions
    links: list[LinkPlan] = field(default_factory=list)


class LabMember:
    """One instance of an open lab."""

    def __init__(self, plan: MemberPlan, lock: threading.Lock) -> None:
        self.plan = plan
        self.session = Session(
            plan.module, plan.host, plan.recorder, plan.limits, preload=plan.preload, engine=plan.engine,
            overrides=plan.overrides, native=False,
        )  # fmt: skip
        self.live = Live(self.session, lambda: plan.pump, lock)
        self.cross = CrossCalls(plan.name, self.session)
        self.exporters: dict[str, Exporter] = {}
        self.functions: dict[str, Mapping[str, Callable[..., object]]] = dict(plan.functions)
        self.shares = False
        """Whether its store has other instances too."""
        self.started = False
        """Whether its `_start` was called."""
        self._depth = 0

    def provide(self, compiled: wasmtime.Module) -> Imported:
        """The functions for its imports from other instances and from Python."""
        found = provide_functions(self.session, self.functions, compiled, self.session.keep)
        for module, members in self.cross.provide(self.exporters, compiled).items():
            found.setdefault(module, {}).update(members)
        if self.shares:
            for module, members in provide_directly(self.plan.module, self.exporters).items():
                found.setdefault(module, {}).update(members)
        return found

    def enter(self, name: str, values: Sequence[object]) -> object:
        """Call an export on this thread, nested in another instance's call. Raises `Ended`."""
        live, session = self.live, self.session
        if live.outcome is not None:
            raise Ended(f"{self.plan.name} has ended: {live.outcome.message or 'its program is over'}")
        if session.instance is None:
            raise Ended(f"{self.plan.name} is not there yet: a function that runs at the start called {name}")
        error: BaseException | None = None
        start = time.perf_counter()
        self._depth += 1
        try:
            session.arm()
            return session.call(name, values)
        except InvokeError:
            raise
        except BaseException as caught:  # noqa: BLE001  every end of a guest becomes an Outcome
            error = caught
        finally:
            self._depth -= 1
        outcome = session.outcome(None, error, time.perf_counter() - start)
        live.outcome = live.outcome or outcome
        how = f"exit status {outcome.exit_code}" if outcome.kind == "exit" else outcome.message
        raise Ended(f"{self.plan.name} ended inside {name}: {how}")

    def close(self) -> None:
        """Release the instance."""
        self.live.close()
        self.cross.close()


class LabMembers:
    """The instances of a lab by name."""

    def __init__(self, plans: Sequence[MemberPlan], flows: list[DescriptorFlow], *, shared_store: bool = False) -> None:
        """Check every link, and compile and instantiate all. Raises `LinkError` or `GuestError`; nothing is open
        then. `shared_store`: one store for all."""
        for plan in plans:
            if plan.module.is_component:
                raise LinkError(f"{plan.name} is a component, and a lab links core modules")
        lock = threading.Lock()
        self.members = {plan.name: LabMember(plan, lock) for plan in plans}
        self._shared: SharedStore | None = None
        try:
            if shared_store:
                self._shared = SharedStore([(name, member.session) for name, member in self.members.items()])
            for member in self.members.values():
                self._link(member, flows)
            for name in self._order(plans):
                self._begin(self.members[name])
            now = time.perf_counter_ns(), time.time_ns()
            for member in self.members.values():
                member.session.start_clock(now)
        except BaseException:
            self.close()
            raise

    def _link(self, member: LabMember, flows: list[DescriptorFlow]) -> None:
        plan = member.plan
        check_functions(plan.name, member.session, plan.functions)
        if any(item.module == MODULE for item in plan.module.imports):
            member.functions.setdefault(MODULE, channel_functions(plan.name, plan.host, flows))
        for link in plan.links:
            other = self.members[link.exporter]
            exporter = Exporter(link.exporter, other.plan.module, other.session, other.enter, link.passing, flows)
            check_link(plan.name, plan.module, link.as_, exporter, one_store=self._shared is not None)
            member.exporters[link.as_] = exporter
        member.session.linked = member.provide
        if self._shared is not None:
            member.shares = True
            member.session.take_store = self._shared.of
        member.session.companions = [other.session for other in self.members.values() if other is not member]

    def _order(self, plans: Sequence[MemberPlan]) -> list[str]:
        """The order in which the members are instantiated."""
        if self._shared is None:
            return [plan.name for plan in plans]
        links = {plan.name: {link.as_: link.exporter for link in plan.links} for plan in plans}
        return begin_order({plan.name: plan.module for plan in plans}, links)

    def _begin(self, member: LabMember) -> None:
        try:
            member.live.begin()
        except GuestError as error:
            outcome = error.outcome
            raise GuestError(_named(outcome, member.plan.name)) from None

    def run(self, name: str) -> Outcome:
        """Call `_start` of a command and return the outcome. Raises `InvokeError` the second time, or if it is not a
        command."""
        member = self.members[name]
        if member.plan.module.kind != "command":
            raise InvokeError(f"{name} is not a command: it has no _start; call its exports")
        if member.started:
            raise InvokeError(f"{name} was started already: a command runs once; make a new lab")
        member.started = True
        try:
            member.live.call("_start")
        except GuestError as error:
            return error.outcome
        member.live.finish(Outcome("exit", 0))
        return Outcome("exit", 0)

    def close(self) -> None:
        """Release all instances."""
        for member in self.members.values():
            member.close()
        if self._shared is not None:
            left = list(self.members)

            def idle() -> None:
                left.pop()
                if not left and self._shared is not None:
                    self._shared.close()

            for member in self.members.values():
                member.live.when_idle(idle)


def _named(outcome: Outcome, name: str) -> Outcome:
    return replace(outcome, message=f"{name}: {outcome.message}")
