"""A lab: several programs as instances that call each other, each with its own grants, descriptors and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, Unpack

from .. import grants as granting
from .. import module as module_room
from .. import trace as tracing
from .. import views
from ..engine.compiling.engine_options import EngineOptions
from ..engine.entry import InvokeError
from ..engine.instances import LiveMemory
from ..engine.lab.live_table import LiveTable, table_of
from ..engine.lab.members import LabMember, LabMembers, LinkPlan, MemberPlan
from ..engine.lab.passing import DescriptorFlow, Passed, RightsGiven, passed
from ..engine.lab.pipeline import Joint, run_pipeline
from ..engine.outcome import Outcome
from ..grants.grants import Grants
from ..module.inside.memory_layout import with_stack_pointer
from ..module.module import Module
from ..text.nearest import did_you_mean
from ..trace.columns.merged import MOST_PASSED, PassedOn, life_of
from .instance import Exports
from .prepare import Prepared, Program, RunOptions, load_program

Passing = Mapping[str, "int | Sequence[int] | Mapping[int, RightsGiven]"]
"""Imported function -> its parameters that are descriptors: a number, several, or each with the rights it may keep."""


class LabError(ValueError):
    """An invalid lab; the message is one sentence for the user."""


class Member:
    """One instance of a lab: its exports, its output and its trace."""

    def __init__(self, lab: Lab, name: str, module: Module, prepared: Prepared, plan: MemberPlan) -> None:
        self._lab = lab
        self.name = name
        self.module = module
        self.grants = prepared.grants
        self._prepared = prepared
        self._plan = plan

    @property
    def exports(self) -> Exports:
        """The exported functions, as those of `wasilab.instantiate`. Opens the lab."""
        return Exports(self._open().live.exports_of(self.module), self.name)

    @property
    def memory(self) -> LiveMemory:
        """`read(pointer, size) -> bytes`, `write(pointer, data)`; `IndexError` outside the memory. Opens the lab."""
        return self._open().live.memory

    def table(self, name: str | None = None) -> LiveTable:
        """An exported table of function references; see `Instance.table`. Opens the lab."""
        return table_of(self._open().live, name)

    def memory_image(self, start: int | None = None, length: int | None = None) -> views.memory_image.MemoryImage:
        """Its memory now, as a hexdump with its regions marked; see `Instance.memory_image`. Opens the lab."""
        memory = self.memory
        return views.memory_image.memory_image(
            self.module, len(memory), memory.read, memory.stack_pointer, f"{self.name} now", start, length
        )

    @property
    def stdout(self) -> str:
        """What it wrote to stdout so far, as UTF-8 text."""
        return self._prepared.output.bytes(1).decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """What it wrote to stderr so far, as UTF-8 text."""
        return self._prepared.output.bytes(2).decode("utf-8", "replace")

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None before the lab is open and while the instance is alive."""
        opened = self._lab.opened
        if self.name in self._lab._piped:
            return self._lab._piped[self.name]
        return None if opened is None else opened.members[self.name].live.outcome

    @property
    def trace(self) -> tracing.Trace:
        """The trace of its calls so far; `lab.trace` has the calls of all members."""
        recorder = self._prepared.recorder
        assert recorder is not None, "a member always records"
        return tracing.Trace.from_recorder(recorder, module_room.dwarf.source_map(self._plan.module))

    @property
    def denied(self) -> tracing.Refusals:
        """Its refusals so far."""
        return granting.denied(self.trace, self.grants)

    def _open(self) -> LabMember:
        return self._lab.open().members[self.name]

    def __repr__(self) -> str:
        outcome = self.outcome
        state = "alive" if self._lab.opened else "not open"
        if outcome is not None:
            state = f"ended ({outcome.kind}, {outcome.exit_code})"
        return f"<{self.name} in {self._lab.name}: {self.module.name}, {state}>"


class Lab:
    """Several programs that call each other, each with its own grants, descriptor table, limits and fuel.

    `add` adds a program, `link` lets one import the functions of another (circles are allowed), `run` calls a command's
    `_start`, `lab["b"].exports` those of the others. Nothing is compiled before the first call. One call at a time in
    the whole lab. `close()`, or a `with` block, releases everything.

    Instances call each other with numbers and vectors. A descriptor is passed as a plain argument if the link says
    which parameter is one: `lab.link("a", "b", passing={"count": 0})`. The receiver gets its own number for the same
    capability. It behaves as after dup (one shared offset) and is closed when the call returns. See `flows`.

    With `shared_store` all instances are in one store: memories, tables, globals and references pass too, as each
    module imports them. The instances then share fuel and the limits of memory. Without it each has a store of its own.

    Source of the idea: WASI's rationale ("Why no UNIX-domain sockets?"): descriptors can be passed as arguments in
    plain function calls.
    """

    def __init__(self, name: str = "lab", *, shared_store: bool = False) -> None:
        self.name = name
        self.shared_store = shared_store
        """Whether all instances are in one store."""
        self.flows: list[DescriptorFlow] = []
        """All passed and refused descriptors, in order."""
        self.opened: LabMembers | None = None
        """The instances; None before they are created."""
        self._members: dict[str, Member] = {}
        self._plans: dict[str, MemberPlan] = {}
        self._closed = False
        self.pipes: list[Joint] = []
        """The pipes of the last pipeline, in order."""
        self._piped: dict[str, Outcome] = {}

    def add(
        self,
        name: str,
        program: Program,
        grants: Grants | None = None,
        *,
        args: Sequence[str | bytes] = (),
        functions: Mapping[str, Mapping[str, Callable[..., object]]] | None = None,
        preload: Mapping[str, Program] | None = None,
        engine: EngineOptions | None = None,
        stacks: bool | int = False,
        snaplen: int | None = 64,
    ) -> Member:
        """Add a program under a name; `grants` (default: `Grants()`) apply to it alone.

        `functions` are the Python functions that it imports, by module and name. Arguments and results are numbers,
        `V128` and, for external references, any object. `preload` names modules that share its store. Everything else
        is as in `wasilab.instantiate`. Raises `LabError` for a name that is taken, `ModuleError`, `GrantError`.
        """
        self._must_be_shut(f"add {name!r}")
        if not name or name in self._members:
            raise LabError(f"the lab already has a member {name!r}" if name else "a member of a lab needs a name")
        engine = engine or EngineOptions()
        if engine.profile == "guest":
            raise LabError("a lab cannot make a guest profile: run the program by itself for one")
        module = load_program(program)
        prepared = Prepared(module, args, grants or Grants(), RunOptions(name, stacks=stacks, snaplen=snaplen))
        assert prepared.recorder is not None, "RunOptions asks for a trace"
        plan = MemberPlan(
            name, with_stack_pointer(module), prepared.host, prepared.recorder, prepared.grants.limits,
            prepared.overrides, prepared.pump, engine,
            {key: load_program(value) for key, value in (preload or {}).items()}, functions or {},
        )  # fmt: skip
        self._plans[name] = plan
        member = self._members[name] = Member(self, name, module, prepared, plan)
        return member

    def link(
        self,
        importer: str,
        exporter: str,
        *,
        as_: str | None = None,
        passing: Passing | None = None,
        rights: RightsGiven = "same",
        keep: bool = False,
    ) -> Self:
        """Resolve the imports of `importer` from the module `as_` (default: the exporter's name) with exports of
        `exporter`.

        `passing` says which parameters of which functions are descriptors; `rights` which of their rights are passed:
        "same", "ro" (only rights that cannot change anything), or names of rights of preview1. With `keep` the receiver
        keeps them after the call. A number that is not an open descriptor of the caller is refused before `exporter` is
        entered: the call returns -8 (BADF) if its result is one integer, and otherwise ends the caller. Returns the
        lab.

        Raises `LabError` for unknown names and `PassingError` for unknown rights. Mismatches between the modules are
        reported when the lab opens (`GuestError`, `LinkError`).
        """
        self._must_be_shut(f"link {importer!r}")
        for name in (importer, exporter):
            self._known(name)
        links = self._plans[importer].links
        module = exporter if as_ is None else as_
        if any(link.as_ == module for link in links):
            raise LabError(f"{importer} is already linked to {module!r}")
        declared = {name: _declared(given, rights, keep) for name, given in (passing or {}).items()}
        links.append(LinkPlan(module, exporter, declared))
        return self

    def open(self) -> LabMembers:
        """Compile and instantiate all members, and initialise reactors. The first call does this too. Raises
        `LinkError`, `GuestError`.
        """
        if self._closed:
            raise LabError(f"{self.name} is closed")
        if self.opened is None:
            if self._piped:
                raise LabError(f"{', '.join(self._piped)} ran in a pipeline: make a new lab")
            if not self._plans:
                raise LabError(f"{self.name} is empty: add(name, program) first")
            self.opened = LabMembers(
                list(self._plans.values()), self.flows, shared_store=self.shared_store
            )
        return self.opened

    def run(self, name: str | None = None) -> Outcome:
        """Call `_start` of a command (default: the only one) and return how it ended. Raises `TypeError` the second
        time.
        """
        opened = self.open()
        if name is None:
            commands = [plan.name for plan in self._plans.values() if plan.module.kind == "command"]
            if len(commands) != 1:
                raise LabError(f"{self.name} has {len(commands)} commands: name one with run(name)")
            name = commands[0]
        self._known(name)
        try:
            return opened.run(name)
        except InvokeError as error:
            raise TypeError(str(error)) from None

    def pipe(self, *names: str) -> list[Outcome]:
        """Run commands concurrently, the stdout of each piped to the stdin of the next, and return how each ended.

        Each runs once, on its own thread. `pipes` shows how much was transferred and which member waited for which;
        `lab[name].stdout` has the output of the last one. The members must not be linked. Raises `LabError`.
        """
        self._must_be_shut("run a pipeline")
        if len(names) < 2 or len(set(names)) != len(names):
            raise LabError("a pipeline needs at least two different members")
        for name in names:
            self._known(name)
            plan = self._plans[name]
            if plan.module.kind != "command":
                raise LabError(f"{name} is not a command: it has no _start")
            if plan.links or plan.functions:
                raise LabError(f"{name} is linked: linked members cannot run concurrently in a pipeline")
            if name in self._piped:
                raise LabError(f"{name} has already run: a command runs once; add it again under another name")
        outcomes, self.pipes = run_pipeline([self._plans[name] for name in names])
        self._piped.update(outcomes)
        return list(outcomes.values())

    @property
    def trace(self) -> tracing.Trace:
        """The calls of all members in one trace, on one time axis. The column `instance` numbers the members in the
        order in which they were added; lines of text start with their names.
        """
        named = [(name, member.trace.store) for name, member in self._members.items()]
        return tracing.Trace.merged(named, {"name": self.name, "passed": self._passed()})

    def _passed(self) -> list[PassedOn]:
        """The flows on the axis of the merged trace."""
        numbers = {name: at for at, name in enumerate(self._members)}
        origins = [plan.recorder.origin_ns for plan in self._plans.values()]
        return [
            PassedOn(
                max(0, flow.at - min(origins)), flow.call, flow.sender, flow.from_fd,
                life_of(numbers[flow.sender], flow.from_life), flow.receiver, flow.to_fd,
                life_of(numbers[flow.receiver], flow.to_life), flow.withheld, flow.kept,
            )
            for flow in self.flows[:MOST_PASSED]
            if flow.sender in numbers and flow.receiver in numbers
        ]  # fmt: skip

    def plot(self, kind: str = "gantt", **options: Unpack[views.PlotOptions]) -> Any:
        """A matplotlib `Figure` of the calls of all members; the kinds are those of a run.

        "gantt" (the default) has a lane for each descriptor of each member, and an arrow for each one that was passed.
        """
        return views.static.plot(self.trace, kind, **options)

    def timeline(self) -> Any:
        """The interactive timeline of the calls of all members so far, as a widget.

        By descriptor and by instance it has an arrow for each descriptor that was passed.
        """
        return views.display.timeline(self.trace)

    def close(self) -> None:
        """Release all instances and their resources. Closing twice does nothing."""
        self._closed = True
        if self.opened is not None:
            self.opened.close()
        for member in self._members.values():
            member._prepared.release()

    def _must_be_shut(self, what: str) -> None:
        if self.opened is not None or self._closed:
            state = "closed" if self._closed else "already open"
            raise LabError(f"cannot {what}: {self.name} is {state}; make a new lab")

    def _known(self, name: str) -> None:
        if name not in self._members:
            near = did_you_mean(name, self._members, f" (it has {', '.join(self._members) or 'nothing'})")
            raise LabError(f"{self.name} has no {name!r}{near}")

    def __getitem__(self, name: str) -> Member:
        if name not in self._members:
            raise KeyError(name)
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        links = [f"{plan.name} -> {link.exporter}" for plan in self._plans.values() for link in plan.links]
        return f"<{self.name}: {', '.join(self._members) or 'empty'}{'; ' + ', '.join(links) if links else ''}>"


def _declared(
    given: int | Sequence[int] | Mapping[int, RightsGiven], rights: RightsGiven, keep: bool
) -> dict[int, Passed]:
    if isinstance(given, Mapping):
        return {param: passed(param, own, keep=keep) for param, own in given.items()}
    params = [given] if isinstance(given, int) else list(given)
    return {param: passed(param, rights, keep=keep) for param in params}
