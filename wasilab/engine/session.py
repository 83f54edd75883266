"""One run's store, instances and entry point, used on the caller's thread; threads and waiting are in `worker.py`.

A session is compiled, opened (linked and instantiated) and called: once for a command, any number of times for a live
library or reactor. Every end becomes an `Outcome`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

import wasmtime

from .. import module as module_room
from ..capabilities.waiting import Interrupted
from ..module.module import Module, ModuleError
from ..trace.record.recorder import Recorder
from ..wasi.host import Host
from ..wasi.types import ProcExit, Trap
from .calls import raw as _raw
from .calls.link import Link
from .calls.overrides import Overrides
from .calls.stacks import located
from .compiling import engines
from .compiling.costs import CompileLimitReached
from .compiling.engine_options import EngineOptions
from .compiling.wasm_features import features
from .entry import Entries, Exported, InvokeError, offer
from .limits import BOUNDS, Limits
from .native.binding import why_not
from .native.native_run import NativeRun, native_run
from .outcome import EXIT_ERROR, EXIT_INTERRUPT, EXIT_LIMIT, EXIT_TRAP, Frame, Outcome
from .postmortem import guest_profile
from .postmortem.coredump import Dumped, coredump
from .postmortem.trap_words import TRAP_WORDS, out_of_bounds_words, trap_code, unreachable_words
from .preloads import Origins, reexported, references_pass
from .stop import EndOfReplay, HostBug, LinkError, Stop
from .values.texts import value_text
from .values.wasmtime_objects import ExternItem, RetainedCallback


def why_not_native() -> str:
    """Why the native path is not available, as the end of a sentence; "" if it is."""
    if not (_raw.AVAILABLE and engines.NEVER_MOVES):
        return "this version of wasmtime-py lacks what it builds on"
    return why_not()


class SessionArguments(TypedDict, total=False):
    """How a session is made: the keyword arguments of `Session`, which `start` and others pass on."""

    preload: Mapping[str, Module] | None
    """Import module name -> a module that is instantiated first, with its own memory."""
    engine: EngineOptions | None
    """How the modules are compiled and linked."""
    overrides: Overrides | None
    raw: bool
    """False: use wasmtime-py's public functions instead of the C API."""
    native: bool
    """False: Python answers every call."""
    link: Callable[..., Link]
    """Answers the imports: `Link`, or `replay.ReplayLink`."""


class Session:
    """A module with its preloads, compiled and then instantiated in one store."""

    def __init__(
        self,
        module: Module,
        host: Host,
        recorder: Recorder | None,
        limits: Limits,
        *,
        preload: Mapping[str, Module] | None = None,
        engine: EngineOptions | None = None,
        overrides: Overrides | None = None,
        raw: bool = True,
        native: bool = True,
        detached: bool = False,
        link: Callable[..., Link] = Link,
    ) -> None:
        self.module = module
        self.host = host
        self.limits = limits
        self.options = engine or EngineOptions()
        self.stop = Stop()
        self._store: wasmtime.Store | None = None
        self._engine: wasmtime.Engine | None = None
        self.instance: wasmtime.Instance | None = None
        self.links: list[Link] = []
        self.compile_seconds = 0.0
        self.stop_reason: str | None = None
        """"interrupt" or "seconds" once the end was requested (set by the worker before it bumps the epoch)."""
        self.perform: Callable[[Callable[[], object]], object] = lambda call: call()
        """How a value returned by the guest calls it again; a live instance sets its own."""
        self.linked: Callable[[wasmtime.Module], Mapping[str, Mapping[str, ExternItem]]] | None = None
        """Provides functions from outside: compiled module -> import module name -> import name -> function."""
        self.take_store: Callable[[Session], tuple[engines.CompiledModules, wasmtime.Store]] | None = None
        """Gives the compiled modules and the store, where other sessions have the same store; None: it has its own."""
        self.held = False
        """Whether `release` does nothing yet: other instances of its store may still call its functions."""
        self.keep: list[RetainedCallback] = []
        """Callbacks of functions from outside, as long as the store."""
        self.companions: Sequence[Session] = ()
        """Sessions that end with this one on an interrupt: its callees and callers."""
        self.recorder = self._recorder = recorder
        self._preload = dict(preload or {})
        self._overrides = dict(overrides or {})
        self._raw = raw
        self.native: NativeRun | None = None
        """The native path, if the run has it, from `open` to `release`."""
        # The library's clock does not pause while the user is asked.
        asks = host.run_time is not time.perf_counter_ns
        self._native_wanted = native and raw and not asks and not why_not_native()
        self._link = link
        """Answers an instance's imports: a `Link`, or a class with the same interface that answers from a recording."""
        self._detached = detached
        self._changed = False
        self._compiled: engines.CompiledModules | None = None
        self._entries = Entries(module, None, None, raw=raw)
        self._profile: guest_profile.GuestProfile | None = None
        self._started: str | None = None
        """The export called by `start`."""
        self._preloaded: list[Dumped] = []
        self._origins: Origins = {}
        self._foreign = False
        self._memory_share = limits.memory

    @property
    def is_open(self) -> bool:
        """Whether it has a store: from `open` to `release`."""
        return self._store is not None

    @property
    def store(self) -> wasmtime.Store:
        """Its store; it must be open."""
        assert self._store is not None, "open() first"
        return self._store

    @property
    def is_compiled(self) -> bool:
        """Whether it has an engine: from `compile` on; never where another process executes it."""
        return self._engine is not None

    @property
    def engine(self) -> wasmtime.Engine:
        """Its engine; it must be compiled."""
        assert self._engine is not None, "compile() first"
        return self._engine

    # ---- from bytes to an instance

    def compile(self) -> None:
        """Compile the modules, or take them from the pool.

        Raises `WasmtimeCompileError`, `LinkError`, `CompileLimitReached`, and `Interrupted` if the end was requested.
        """
        for module in self.programs():
            if module.is_component:
                raise LinkError(
                    f"{module.name} is a component (WASI 0.2), not a core module: compile it for wasm32-wasip1 instead"
                )
            if any(memory.shared for memory in module.memories):
                raise LinkError(
                    f"{module.name} has a memory that threads share, and there are no threads in WASI preview 1: "
                    "compile it without them (without -pthread, for wasm32-wasip1 instead of wasm32-wasip1-threads)"
                )
        self.change_code()
        if self.take_store is not None:
            self._compiled, self._store = self.take_store(self)
        else:
            self._compiled = engines.acquire(self.programs(), self.request())
        self._engine = self._compiled.engine
        self.compile_seconds = self._compiled.seconds

    def change_code(self) -> None:
        """Replace the instructions of the modules, if the options ask for it; before they are compiled. Doing it again
        changes nothing. Raises `LinkError`.
        """
        if not self.options.trap_on_grow_failure or self._changed:
            return
        self._changed = True
        try:
            self.module, *others = map(module_room.grow_traps.trapping_on_grow_failure, self.programs())
        except ModuleError as error:
            raise LinkError(str(error)) from None
        self._preload = dict(zip(self._preload, others, strict=True))

    def request(self) -> engines.CompileRequest:
        """How to compile the modules."""
        foreign = not self.compiled_here()
        limits = self.limits
        return engines.CompileRequest(
            features(self.options.features, foreign=foreign), self.options, limits.fuel is not None,
            limits.compile_seconds, limits.compile_memory, lambda: self.stop_reason is not None,
        )  # fmt: skip

    def compiled_here(self) -> bool:
        """Whether local compilers made all its modules."""
        return all(engines.made_here(module) for module in self.programs())

    def programs(self) -> list[Module]:
        """The module and its preloads."""
        return [self.module, *self._preload.values()]

    def open(self) -> None:
        """Instantiate the preloads in order, then the module. May run guest code (start functions, `_initialize`)."""
        assert self._compiled is not None, "compile() first"
        modules = self.programs()
        if self._store is None:
            self._store = wasmtime.Store(self.engine)
            self.limit_store(self.store, modules)
        self.arm()
        if self._recorder is not None:
            self._listen(self._recorder)
            self._recorder.start_clock()
        if self._native_wanted:
            self.native = native_run(self.host, self._recorder)
        provided: dict[str, Mapping[str, ExternItem]] = {}
        if self.linked is not None:
            provided.update(self.linked(self._compiled.modules[0]))
        self._foreign = references_pass(modules, self._preload)
        self._begin_profile()
        for number, (name, module) in enumerate(self._preload.items(), 1):
            instance = self._instantiate(module, self._compiled.modules[number], provided, number)
            entries = self._enter(module, instance)
            self._origins = {**self._origins, **reexported(name, module, provided, self._origins)}
            provided[name] = entries.exports
            self._preloaded.append(Dumped(module, entries.exports))
            if "_initialize" in entries:
                entries.call("_initialize")
        self.instance = self._instantiate(self.module, self._compiled.modules[0], provided, 0)
        self._entries = self._enter(self.module, self.instance)

    def _enter(self, module: Module, instance: wasmtime.Instance) -> Entries:
        return Entries(module, self.store, instance, raw=self._raw)

    def _instantiate(
        self, module: Module, compiled: wasmtime.Module, provided: Mapping[str, Mapping[str, ExternItem]], number: int
    ) -> wasmtime.Instance:
        link = self._link(
            module, self.store, self.host, self._recorder, self.stop,
            instance=min(number, 255), raw=self._raw, overrides=self._overrides,
            detached=self._detached, foreign=self._foreign, native=self.native,
            unknown_imports=self.options.unknown_imports,
        )  # fmt: skip
        self.links.insert(0, link) if number == 0 else self.links.append(link)
        imports = link.imports(
            compiled, provided, self._origins, later=list(self._preload)[number:] if number else ()
        )
        try:
            return wasmtime.Instance(self.store, compiled, imports)
        except wasmtime.WasmtimeError as error:
            if self.stop.error is not None:
                raise
            raise LinkError(f"{module.name} cannot be instantiated: {engines.sentence(error)}") from None

    def _begin_profile(self) -> None:
        if self.options.profile != "guest" or self._detached or not guest_profile.AVAILABLE:
            return
        assert self._compiled is not None, "compile() first"
        modules = [self.module, *self._preload.values()]
        named = [(module.name, code) for module, code in zip(modules, self._compiled.modules, strict=False)]
        store, name = self.store, self.module.name
        self._profile = guest_profile.GuestProfile(store, store.engine, name, named, self._is_stopping)

    def _is_stopping(self) -> bool:
        """Whether the guest must end; the profiler calls this in place of Wasmtime's own deadline."""
        if self.stop_reason is None:
            return False
        self.stop.error = self.stop.error or Interrupted()
        return True

    def limit_store(self, store: wasmtime.Store, modules: Sequence[Module]) -> None:
        """Set the limits of a store that is to hold these modules. Raises `LimitReached`."""
        limits = self.limits
        if len(modules) > limits.instances:
            raise LimitReached(
                f"the program and its preloads are {len(modules)} instances, above the limit of {limits.instances}; "
                "raise limits.instances (--max-instances)"
            )
        stand_ins = self.options.unknown_imports == "default"  # the host makes missing memories
        memories = max(1, sum(len(m.memories) - (0 if stand_ins else _imported_memories(m)) for m in modules))
        # Structs and arrays (not function types) use a garbage-collected heap, which Wasmtime counts as another memory.
        memories += any(None in m.types for m in modules)
        share = self._memory_share = limits.memory // memories
        for module in modules:
            largest = max((m.min_bytes for m in module.memories), default=0)
            if largest > share:
                note = "" if memories == 1 else f" (shared by {memories} memories)"
                raise LimitReached(
                    f"{module.name} starts with {largest:,} bytes of memory, above the limit of "
                    f"{limits.memory:,} bytes{note}; raise it with --max-memory"
                )
        store.set_limits(
            memory_size=share,
            table_elements=limits.table_elements // max(1, sum(m.tables for m in modules)),  # it counts each one
            instances=limits.instances + 2 * len(modules),
            tables=100 * len(modules),
            memories=memories,
        )
        if limits.fuel is not None:
            store.set_fuel(limits.fuel)

    def arm(self) -> None:
        """Make the next epoch bump end the guest. Raises `Interrupted` if the end was already requested."""
        self.store.set_epoch_deadline(1)
        if self.stop_reason is not None:
            raise Interrupted

    def relimit(self, limits: Limits) -> None:
        """Apply new values of the limits that the host checks in each call; from any thread, while the guest runs.

        The worker enforces `seconds`. Fuel, memory, tables and instances are fixed at the start.
        """
        keep = {name: getattr(self.limits, name) for name, bound in BOUNDS.items() if bound.fixed}
        self.limits = replace(limits, **keep)
        self.host.limit(
            fds=limits.fds, bytes_written=limits.bytes_written, names=limits.names, io=limits.io
        )
        for link in list(self.links):
            link.limit_io(limits.io)

    def override(self, name: str, function: Callable[..., Any] | None) -> None:
        """Let `function` answer the calls of `name` from now on; None: the host. From any thread."""
        if function is None:
            self._overrides.pop(name, None)
        else:
            self._overrides[name] = function
        for link in list(self.links):
            link.override(name, function)

    def _listen(self, recorder: Recorder) -> None:
        """Make the recorder follow the descriptors: those open now, and all later opens and closes."""
        fds = self.host.fds
        for descriptor in list(fds.entries.values()):
            recorder.on_open(descriptor)
        fds.on_open = recorder.on_open
        fds.on_close = recorder.on_close
        fds.on_renumber = lambda descriptor, old: recorder.on_open(descriptor)

    # ---- calling

    def entry(self, invoke: str | None) -> str:
        """The export to call: `invoke`, or the default for the kind of module. Raises `InvokeError`."""
        kind = self.module.kind
        if invoke is None:
            if kind == "command":
                return "_start"
            if kind == "reactor":
                return "_initialize"
            raise InvokeError(f"{self.module.name} has no _start to run; {offer(self.module)}")
        if not any(e.name == invoke and e.kind == "func" for e in self.module.exports):
            raise InvokeError(f"{self.module.name} exports no function {invoke!r}; {offer(self.module)}")
        return invoke

    def start(self, invoke: str | None, arguments: Sequence[object]) -> object:
        """Run the program: `_start`, or `_initialize` and then the requested function. Returns its results."""
        name = self._started = self.entry(invoke)
        if self.module.kind == "reactor" and name != "_initialize":
            self._entries.call("_initialize")
        return self.call(name, self._entries.read(name, arguments))

    def call(self, name: str, arguments: Sequence[object] = ()) -> object:
        """Call an export with Python numbers (text is parsed as numbers). Raises what the guest raises."""
        return self._entries.call(name, arguments)

    def stop_for(self, error: BaseException, name: str) -> None:
        """Store why the guest ends: its call of the imported function `name` raised `error`. Raises nothing."""
        if self.links:
            self.links[0].end(error, name)
        else:
            self.stop.error = error

    def texts_of(self, results: object) -> tuple[str, ...]:
        """The results of the function called by `start`, as text."""
        if self._started is None:
            return ()
        kinds = self._entries.results(self._started)
        values = results if isinstance(results, list) and len(kinds) > 1 else [results]
        return tuple(value_text(kind, value) for kind, value in zip(kinds, values, strict=False))

    # ---- ends

    def outcome(self, results: object, error: BaseException | None, seconds: float) -> Outcome:
        """Build the `Outcome`."""
        ended = error is not None and not isinstance(self.stop.error, ProcExit)
        common: dict[str, Any] = {
            "coredump": self._coredump(error) if ended and self.options.coredump and self.is_open else b"",
            "profile": b"" if self._profile is None else self._profile.finish(),
            "seconds": seconds,
            "compile_seconds": self.compile_seconds,
            "warnings": self._warnings(),
            "fuel_used": self._fuel_used(),
            "native_calls": None if self.native is None else self.native.answered().total(),
        }
        cause = self.stop.error
        if cause is None and error is None:
            values = () if results is None else tuple(results) if isinstance(results, list) else (results,)
            return Outcome("exit", 0, results=values, result_texts=self.texts_of(results), **common)
        if isinstance(cause, ProcExit):
            return Outcome("exit", cause.code & 0xFFFFFFFF, **common)
        frames = self._frames(error)
        if isinstance(cause, EndOfReplay):
            return Outcome(cause.kind, cause.exit_code, cause.message, frames, **common)
        if isinstance(cause or error, Interrupted) or (cause is None and trap_code(error) == "INTERRUPT"):
            return self._stopped(frames, common)
        if isinstance(cause, Trap):
            return Outcome("trap", EXIT_TRAP, str(cause), frames, **common)
        if isinstance(cause, HostBug):
            return Outcome("error", EXIT_ERROR, str(cause), frames, detail=cause.detail, **common)
        if isinstance(error, (LimitReached, CompileLimitReached)):
            return Outcome("limit", EXIT_LIMIT, str(error), **common)
        if isinstance(error, (engines.WasmtimeCompileError, LinkError, InvokeError)):
            return Outcome("error", EXIT_ERROR, str(error), **common)
        code = trap_code(error)
        if code == "OUT_OF_FUEL":
            return Outcome("limit", EXIT_LIMIT, f"the fuel of {self.limits.fuel:,} is used up", frames, **common)
        if isinstance(error, (wasmtime.Trap, wasmtime.WasmtimeError)):
            words = self._grew_in_vain(error) or self._trap_words(code, frames) or self._cause(str(error))
            return Outcome("trap", EXIT_TRAP, words + self._memory_hint(), frames, **common)
        assert error is not None
        bug = HostBug("the engine", error)
        return Outcome("error", EXIT_ERROR, str(bug), frames, detail=bug.detail, **common)

    def _coredump(self, error: BaseException | None) -> bytes:
        frames = self.stop.frames or (error.frames if isinstance(error, wasmtime.Trap) else [])
        if self._grew_in_vain(error):
            frames = frames[1:]
        return coredump(self.store, [Dumped(self.module, self._entries.exports), *self._preloaded], frames)

    def _grew_in_vain(self, error: BaseException | None) -> str:
        """The message if a function that was added for `trap_on_grow_failure` trapped; "" otherwise."""
        if not isinstance(error, wasmtime.Trap) or not error.frames:
            return ""
        innermost = error.frames[0]
        added = [each.changed.added for each in self.programs() if each.changed is not None]
        if innermost.func_name is not None or not any(innermost.func_index >= first for first in added):
            return ""
        return (
            "the program could not grow a memory or table, and --trap-on-grow-failure ends it then: the limit "
            "(--max-memory, --max-table) or the module's own maximum is reached"
        )

    def _trap_words(self, code: str | None, frames: Sequence[Frame]) -> str:
        """The message for a trap code; "" without a code."""
        if code == "UNREACHABLE":
            return unreachable_words(frames, self.module.lang)
        if code == "MEMORY_OUT_OF_BOUNDS":
            return out_of_bounds_words(frames)
        return TRAP_WORDS.get(code or "", "")

    def _cause(self, text: str) -> str:
        """The message for an end without a trap code: Wasmtime's last cause, without the backtrace."""
        if "GC heap out of memory" in text:
            return (
                f"the program's garbage-collected heap is full: it may take {self._memory_share:,} bytes, its part of "
                "the memory allowed; raise it with --max-memory"
            )
        if "thrown Wasm exception" in text:
            return "the program threw an exception that nothing caught"
        lines = text.rsplit("Caused by:", 1)[-1].split("\n")
        return f"the program trapped: {' '.join(line.strip() for line in lines if line.strip())[:600]}"

    def _stopped(self, frames: tuple[Frame, ...], common: dict[str, Any]) -> Outcome:
        if self.stop_reason == "seconds":
            words = f"the time limit of {self.limits.seconds:g} s is over"
            return Outcome("limit", EXIT_LIMIT, words, frames, **common)
        return Outcome("interrupt", EXIT_INTERRUPT, "the run was interrupted", frames, **common)

    def _frames(self, error: BaseException | None) -> tuple[Frame, ...]:
        frames = self.stop.frames
        if not frames and isinstance(error, wasmtime.Trap):
            frames = error.frames
        return located(frames, self.programs())

    def _memory_hint(self) -> str:
        memory = self._entries.exports.get("memory")
        size = memory.data_len(self.store) if isinstance(memory, wasmtime.Memory) else 0
        if size * 10 < self.limits.memory * 9:
            return ""
        return (
            f" (its memory had grown to {size:,} of the {self.limits.memory:,} bytes allowed; "
            "raise it with --max-memory)"
        )

    def _warnings(self) -> tuple[str, ...]:
        found: list[str] = []
        for link in self.links:
            found += link.warnings
            found += [words for o in link.overrides.values() if (words := o.warning())]
        return tuple(dict.fromkeys([*found, *self.host.remarks()]))

    def start_clock(self, at: tuple[int, int] | None = None) -> None:
        """Start the trace's clock here, where the guest is entered, not before linking.

        `at`: another origin, as (`time.perf_counter_ns`, `time.time_ns`), to share between traces.
        """
        if self._recorder is not None:
            origin = self._recorder.start_clock(at)
            if self.native is not None:
                self.native.state.origin = origin
            for link in self.links:
                link.count_from(origin)

    def _fuel_used(self) -> int | None:
        if self.limits.fuel is None or not self.is_open:
            return None
        try:
            return self.limits.fuel - int(self.store.get_fuel())
        except wasmtime.WasmtimeError:
            return None

    def exported(self) -> list[str]:
        """The names of the exported functions."""
        return list(self.exports.functions())

    @property
    def exports(self) -> Exported:
        """The instance's exports by name (wasmtime objects)."""
        return self._entries.exports

    def release(self) -> None:
        """Return the engine to the pool and release the store. This frees the guest's memory at once unless a view of
        it exists, without waiting for the garbage collector: a run may have touched gigabytes. While `held` it does
        nothing.
        """
        if self.held:
            return
        if self._compiled is not None:
            engines.release(self._compiled)
            self._compiled = None
        if self.native is not None:
            self.native.close()
            self.native = None
        if self._profile is not None:
            self._profile.close()
            self._profile = None
        for link in self.links:
            link.close()
        forget(self.stop.error)
        self.stop.frames = []
        self._entries = Entries(self.module, None, None, raw=self._raw)
        self._preloaded = []
        self.instance = self._store = None
        self.keep.clear()
        self.linked = None


class LimitReached(Exception):
    """A limit is exceeded before the run starts; the message is for the user."""


def run(session: Session, invoke: str | None, arguments: Sequence[object]) -> Outcome:
    """Open the session and run its program to the end on this thread."""
    results: object = None
    error: BaseException | None = None
    start = session.host.run_time()
    try:
        try:
            session.entry(invoke)
            session.open()
            session.start_clock()
            start = session.host.run_time()
            results = session.start(invoke, arguments)
        except BaseException as caught:  # noqa: BLE001  any end of a guest becomes an Outcome
            error = caught
        return session.outcome(results, error, (session.host.run_time() - start) / 1e9)
    finally:
        forget(error)
        error = None


def forget(error: BaseException | None) -> None:
    """Clear an exception's traceback: its frames refer to it and to the store."""
    while error is not None:
        error.__traceback__ = None
        following, error.__context__, error.__cause__ = error.__context__, None, None
        error = following


def _imported_memories(module: Module) -> int:
    return sum(type(item.type).__name__ == "MemoryType" for item in module.imports)
