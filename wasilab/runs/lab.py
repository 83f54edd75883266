"""A lab: several programs as instances that call each other, each with its own grants, descriptors and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

from .. import grants as granting
from .. import module as module_room
from .. import trace as tracing
from ..engine.compiling.engine_options import EngineOptions
from ..engine.entry import InvokeError
from ..engine.instances import LiveMemory
from ..engine.lab.members import LabMember, LabMembers, LinkPlan, MemberPlan
from ..engine.lab.passing import DescriptorFlow, Passed, RightsGiven, passed
from ..engine.lab.pipeline import Joint, run_pipeline
from ..engine.outcome import Outcome
from ..grants.grants import Grants
from ..module.module import Module
from ..text.nearest import did_you_mean
from .instance import Exports
from .prepare import Prepared, Program, RunOptions, load_program

Passing = Mapping[str, "int | Sequence[int] | Mapping[int, RightsGiven]"]
"""Imported function -> its parameters that are descriptors: a number, several, or each with the rights it may keep."""


class LabError(ValueError):
    """An invalid lab; the message is one sentence for the user."""


class Member:
    """One instance of a lab: what it exports, what it printed, what it did."""

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
        """How it ended; None while it lives, and before the lab is open."""
        opened = self._lab.opened
        if self.name in self._lab._piped:
            return self._lab._piped[self.name]
        return None if opened is None else opened.members[self.name].live.outcome

    @property
    def trace(self) -> tracing.Trace:
        """Its own calls so far; `lab.trace` has those of all."""
        recorder = self._prepared.recorder
        assert recorder is not None, "a member always records"
        return tracing.Trace.from_recorder(recorder, module_room.dwarf.source_map(self.module))

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

    `add` puts a program in, `link` lets one import the functions of another (also in a circle), `run` calls a
    command's `_start`, `lab["b"].exports` those of the others. Nothing is compiled before the first call. One call at a
    time, in the whole lab. A context manager; `close()` lets go of everything.

    Functions of numbers and vectors pass between instances. Descriptors pass as plain arguments where a link says which
    parameter is one: `lab.link("a", "b", passing={"count": 0})`. The receiver gets a number of its own for the same
    capability, which counts as dup'ed (one position) and is closed when the call returns. See `flows`.

    Source of the idea: WASI's rationale ("Why no UNIX-domain sockets?"): descriptors can be passed as arguments in
    plain function calls.
    """

    def __init__(self, name: str = "lab") -> None:
        self.name = name
        self.flows: list[DescriptorFlow] = []
        """Every passed or refused descriptor, in order."""
        self.opened: LabMembers | None = None
        """The instances, once there are any."""
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
        """Put in a program under a name; `grants` (default: `Grants()`) are its own, and no other's.

        `functions` are Python functions that it imports, by module and name: numbers, `V128` and, for an external
        reference, any object go in and out. `preload` gives modules that share its store. Everything else is as in
        `wasilab.instantiate`. Raises `LabError` for a name that is taken, `ModuleError`, `GrantError`.
        """
        self._must_be_shut(f"add {name!r}")
        if not name or name in self._members:
            raise LabError(f"the lab has a {name!r} already" if name else "a member of a lab needs a name")
        engine = engine or EngineOptions()
        if engine.profile == "guest":
            raise LabError("a lab makes no guest profile: run the program by itself for one")
        module = load_program(program)
        prepared = Prepared(module, args, grants or Grants(), RunOptions(name, stacks=stacks, snaplen=snaplen))
        assert prepared.recorder is not None, "RunOptions asks for a trace"
        plan = MemberPlan(
            name, module, prepared.host, prepared.recorder, prepared.grants.limits, prepared.overrides, prepared.pump,
            engine, {key: load_program(value) for key, value in (preload or {}).items()}, functions or {},
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
        """Let `importer` have its imports from the module `as_` (default: the exporter's name) from `exporter`.

        `passing` says which parameters of which functions are descriptors; `rights` what of their rights passes:
        "same", "ro" (what changes nothing), or preview1's names. With `keep` the receiver keeps them after the call. A
        number that stands for no descriptor of the caller is refused before `exporter` is entered: the call answers -8
        (BADF) where it returns one integer, and ends the caller elsewhere. Returns the lab.

        Raises `LabError` for names that the lab does not have, `PassingError` for rights that do not exist; what the
        modules themselves do not fit is told when the lab opens (`GuestError`, `LinkError`).
        """
        self._must_be_shut(f"link {importer!r}")
        for name in (importer, exporter):
            self._known(name)
        links = self._plans[importer].links
        module = exporter if as_ is None else as_
        if any(link.as_ == module for link in links):
            raise LabError(f"{importer} has its imports from {module!r} already")
        declared = {name: _declared(given, rights, keep) for name, given in (passing or {}).items()}
        links.append(LinkPlan(module, exporter, declared))
        return self

    def open(self) -> LabMembers:
        """Compile and instantiate all, and initialise reactors; the first call does it too. Raises `LinkError`,
        `GuestError`.
        """
        if self._closed:
            raise LabError(f"{self.name} is closed")
        if self.opened is None:
            if self._piped:
                raise LabError(f"{', '.join(self._piped)} ran in a pipeline: make a new lab")
            if not self._plans:
                raise LabError(f"{self.name} is empty: add(name, program) first")
            self.opened = LabMembers(list(self._plans.values()), self.flows)
        return self.opened

    def run(self, name: str | None = None) -> Outcome:
        """Call `_start` of a command (default: the only one), once. How it ended; raises `TypeError` for a second time.
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
        """Run commands at once, the stdout of each as the stdin of the next, over pipes of the system; how each ended.

        Each runs on a thread of its own and once only; `pipes` tells what went through and who waited for whom, and
        `lab[name].stdout` what the last one printed. The members must not be linked. Raises `LabError`.
        """
        self._must_be_shut("run a pipeline")
        if len(names) < 2 or len(set(names)) != len(names):
            raise LabError("a pipeline has two members or more, each of them once")
        for name in names:
            self._known(name)
            plan = self._plans[name]
            if plan.module.kind != "command":
                raise LabError(f"{name} is no command: it has no _start")
            if plan.links or plan.functions:
                raise LabError(f"{name} is linked: members of a pipeline run at once, and links are for one at a time")
            if name in self._piped:
                raise LabError(f"{name} was run already: a command runs once; add it again under another name")
        outcomes, self.pipes = run_pipeline([self._plans[name] for name in names])
        self._piped.update(outcomes)
        return list(outcomes.values())

    @property
    def trace(self) -> tracing.Trace:
        """The calls of all members in one trace, on one time axis; the column `instance` counts them in the order in
        which they were added, and the text begins with their names.
        """
        named = [(name, member.trace.store) for name, member in self._members.items()]
        return tracing.Trace.merged(named, {"name": self.name})

    def close(self) -> None:
        """Release all instances and their resources. Closing twice does nothing."""
        self._closed = True
        if self.opened is not None:
            self.opened.close()
        for member in self._members.values():
            member._prepared.release()

    def _must_be_shut(self, what: str) -> None:
        if self.opened is not None or self._closed:
            state = "closed" if self._closed else "open already"
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
