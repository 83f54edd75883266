"""A session (`engine/session.py`) whose program is a component."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import wasmtime

from ...capabilities.waiting import Interrupted
from ...module.binary import WasmFormatError
from ...module.module import Module
from ...text.numbers import counted, listed
from ...wasi.components import value_types as v
from ...wasi.components.catalogue import INTERFACES, WORLDS
from ...wasi.components.interfaces import parts
from ...wasi.components.waits import Value
from ...wasi.types import ProcExit, Trap
from ..calls.stacks import function_name, located, offset_of
from ..compiling import engines
from ..entry import InvokeError
from ..session import Session
from ..stop import EndOfReplay, HostBug, LinkError
from . import component_binary as b
from .abi.python_values import Resource, WaveError, from_abi, identifier, read_wave, show, to_abi
from .canon_functions import LiftedFunction
from .component_run import ComponentRun
from .concurrency.fibers import CoreFunction
from .host_calls import HostImports, unknown_interface
from .instantiate import core_modules
from .recording import CallRecorder
from .replayed.call_log import CallLog, HostCalls, ReplayedCalls
from .validation import validate

_TRAPPER = b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\7\5\1\1t\0\0\x0a\5\1\3\0\0\x0b"
"""(module (func (export "t") unreachable))"""
MAX_FRAMES = 128
MAX_MEMORIES = 10_000


class ComponentSession(Session):
    """A component, compiled and then instantiated in one store."""

    _run: ComponentRun | None = None
    _component: b.ComponentBody | None = None
    _core: list[Module]
    _result_type: v.ValueType | None = None
    """What the function that `start` called returns; None for nothing, and for a command."""
    answers: ReplayedCalls | None = None
    """Answers the host calls in a replay; set before `open`."""

    # ---- from bytes to an instance

    def compile(self) -> None:
        """Validate the component, and compile its core modules or take them from the pool.

        Raises `WasmtimeCompileError`, `LinkError`, `CompileLimitReached`.
        """
        module = self.module
        start = time.perf_counter()
        request = self.request()
        self.validate(request)
        try:
            self._component = b.parse(module.bytes)
        except WasmFormatError as error:
            raise LinkError(f"{module.name} cannot be run: {error}") from None
        self._check_imports()
        self._core = []
        for data in dict.fromkeys(core_modules(self._component)):
            self._core.append(Module(data, f"{module.name}, core module {len(self._core)}"))
        self._compiled = engines.acquire(self._core, request)
        self._engine = self._compiled.engine
        self.compile_seconds = self._compiled.seconds + (time.perf_counter() - start if self._compiled.seconds else 0.0)

    def validate(self, request: engines.CompileRequest) -> None:
        """Raise `WasmtimeCompileError` unless the component is valid. Everything else relies on it."""
        validate(self.module.name, self.module.bytes, self.module.sha256, request)

    def _check_imports(self) -> None:
        """Raise `LinkError` naming every import that nothing provides."""
        assert self._component is not None
        missing = [
            definition.name
            for definition in self._component.definitions
            if isinstance(definition, b.ImportDefinition)
            and definition.desc.sort == "instance"
            and parts(definition.name) not in INTERFACES
        ]
        if len(missing) == 1:
            raise LinkError(unknown_interface(missing[0]))
        if missing:
            raise LinkError(f"the component imports what wasilab does not provide: {listed(missing)}")

    def open(self) -> None:
        """Instantiate. May run the guest's start functions."""
        assert self._compiled is not None, "compile() first"
        assert self._component is not None
        self._store = wasmtime.Store(self.engine)
        self.limit_store(self.store, self._core)
        self.arm()
        self.store.set_limits(
            memory_size=self.limits.memory // max(1, memories(self._component)),
            table_elements=self.limits.table_elements,
            instances=10_000,
            tables=10_000,
            memories=MAX_MEMORIES,
        )
        notes = None
        if self._recorder is not None:
            self._recorder.start_clock()
            notes = CallRecorder(
                self._recorder, detached=self._detached, take_stack=self._stack if self._recorder.stacks else None
            )
        calls = self._calls()
        made = zip(self._core, self._compiled.modules, strict=True)
        compiled = {module.bytes: (module, machine_code) for module, machine_code in made}
        self._run = ComponentRun(
            self.store, self._component, compiled,
            lambda waits, failed: HostImports(self.host, waits, failed, notes, calls), self.host.interrupt,
            self._ended, notes,
        )  # fmt: skip
        self._run.instantiate()

    def _calls(self) -> HostCalls | None:
        """What records the host calls for a replay, or answers them in one."""
        if self.answers is not None:
            self.answers.stop = self._stop_replay
            return self.answers
        recorded = self._recorder is not None and self._recorder.host_calls is not None
        return CallLog(self._recorder) if self._recorder is not None and recorded else None

    def _stop_replay(self, end: EndOfReplay) -> None:
        """End the guest at its next loop or call: its recording was ended from outside here."""
        self.stop.error = end
        self.engine.increment_epoch()

    # ---- calling

    def exported(self) -> list[str]:
        """The names of the exported functions."""
        return list(self.functions())

    def functions(self) -> dict[str, LiftedFunction]:
        """The exported functions, by name or by "interface#name"."""
        found: dict[str, LiftedFunction] = {}

        def walk(prefix: str, exports: dict[str, tuple[str, Value]]) -> None:
            for name, (sort, thing) in exports.items():
                if sort == "func" and isinstance(thing, LiftedFunction):
                    found[f"{prefix}{name}"] = thing
                elif sort == "instance":
                    walk(f"{prefix}{name}#", thing)

        if self._run is not None:
            walk("", self._run.exports)
        return found

    def entry(self, invoke: str | None) -> str:
        """The export to call; its full name is known only after instantiation."""
        return invoke or "run"

    def find(self, name: str | None) -> str:
        """The full name of the function to call: `name`, or the `run` of a command. Raises `InvokeError`."""
        functions = self.functions()
        if name is None or name == "run":
            runs = [full for full in functions if full.startswith(f"{WORLDS[0]}@") and full.endswith("#run")]
            if runs:
                return max(runs)  # a program built for 0.3 also exports a stub for 0.2
        if name in functions:
            return str(name)
        ends = [full for full in functions if full.rpartition("#")[2] == name] if name else []
        if len(ends) == 1:
            return ends[0]
        offer = ", ".join(list(functions)[:10]) or "no function at all"
        if name is None and not functions:
            raise InvokeError(f"{self.module.name} is a component that exports no function to run")
        if name is None:
            raise InvokeError(f"{self.module.name} is not a command; name a function with --invoke: it exports {offer}")
        problem = "exports several functions" if ends else "exports no function"
        raise InvokeError(f"{self.module.name} {problem} {name!r}; it exports {offer}")

    def start(self, invoke: str | None, arguments: Sequence[Value]) -> Value:
        """Run the program, or call the requested function with WAVE arguments."""
        name = self.find(invoke)
        result = self.call(name, arguments)
        if name.startswith(f"{WORLDS[0]}@"):
            if result is not None and result.name == "error":
                raise ProcExit(1)
            return None
        self._result_type = self.functions()[name].type.result
        return result

    def texts_of(self, results: Value) -> tuple[str, ...]:
        """The result of the function that `start` called, as WAVE text; empty if it has none."""
        return () if self._result_type is None else (show(self._result_type, results),)

    def call(self, name: str, arguments: Sequence[Value] = ()) -> Value:
        """Call an export with Python values; text is parsed as WAVE unless the parameter is a string."""
        assert self._run is not None
        function = self.functions().get(name)
        if function is None:
            raise InvokeError(f"{self.module.name} exports no function {name!r}")
        params = function.type.params
        if len(arguments) != len(params):
            wanted = ", ".join(f"{n}: {t}" for n, t in params)
            takes = f"{counted(len(params), 'argument')} ({wanted})" if params else "no arguments"
            raise InvokeError(f"{name} takes {takes}, not {len(arguments)}")
        try:
            given = [
                to_abi(type_, read_wave(type_, value, n) if isinstance(value, str) else value, n)
                for (n, type_), value in zip(params, arguments, strict=True)
            ]
        except (WaveError, TypeError, ValueError) as error:
            raise InvokeError(f"{name}: {error}") from None
        found = self._run.call(function, given)
        self._run.finish()
        return from_abi(function.type.result, found, self._resource)

    def call_typed(self, name: str, arguments: Sequence[Value]) -> Value:
        """Call an export with Python values, and return once its result is there; a resource is its representation.

        Unlike `call`, it does not wait for what the component does after returning.
        """
        assert self._run is not None
        function = self.functions()[name]
        given = [to_abi(t, value, n) for (n, t), value in zip(function.type.params, arguments, strict=True)]
        return from_abi(function.type.result, self._run.call(function, given), lambda resource, rep: rep)

    def _resource(self, type_: v.ResourceType, rep: Value) -> Resource:
        """The Python object for an owned handle."""
        run, methods, named = self._run, {}, type_.name
        for full, function in self.functions().items():
            _, mark, rest = full.rpartition("#")[2].partition("[method]")
            params = function.type.params
            if mark and params and getattr(params[0][1], "resource", None) is type_:
                named, _, method = rest.partition(".")
                methods[identifier(method)] = self._method(full)

        def drop() -> None:
            if run is self._run and run is not None:
                self.perform(lambda: run.drop(type_, rep))

        return Resource(type_, rep, named, drop, methods)

    def _method(self, full: str) -> Callable[..., Value]:
        return lambda *arguments: self.perform(lambda: self.call(full, arguments))

    # ---- ends

    def _ended(self, error: BaseException) -> None:
        """Store the exception that ended the guest, and its stack."""
        if isinstance(self.stop.error, EndOfReplay):
            pass
        elif isinstance(error, KeyboardInterrupt):
            self.stop.error = Interrupted()
        elif isinstance(error, (ProcExit, Interrupted, Trap, EndOfReplay)):
            self.stop.error = error
        elif not isinstance(error, (wasmtime.Trap, wasmtime.WasmtimeError)):
            self.stop.error = HostBug("a call of the component", error)
        if not isinstance(error, (ProcExit, wasmtime.Trap)):
            self.stop.frames = self._where()

    def _stack(self) -> int:
        """The number of the guest's stack in the recorder."""
        assert self._recorder is not None
        frames = self._where()
        if not frames:
            return 0
        named = [(function_name(frame, self.module), self._offset(frame)) for frame in frames]
        return self._recorder.intern_stack(named)

    def _offset(self, frame: wasmtime.Frame) -> int:
        """A frame's offset in the module with source lines; 0 for a frame of another module."""
        source = self.module.source_module
        name = frame.func_name
        if source is None or not name or source.function_names.get(frame.func_index) != name:
            return 0
        return offset_of(frame)

    def _where(self) -> list[wasmtime.Frame]:
        """The guest's current frames, innermost first; a trap made by the host has none."""
        try:
            compiled = wasmtime.Module(self.store.engine, _TRAPPER)
            trapper = wasmtime.Instance(self.store, compiled, []).exports(self.store)["t"]
            assert isinstance(trapper, wasmtime.Func)
            CoreFunction(self.store, trapper, (), ()).call()
        except wasmtime.Trap as trap:
            trap.__traceback__ = None
            return list(trap.frames[1:MAX_FRAMES])
        except Exception:  # noqa: BLE001  a missing stack must not fail the call
            return []
        return []

    def outcome(self, results: Value, error: BaseException | None, seconds: float) -> Value:
        """Build the `Outcome`."""
        if self.answers is not None:
            self.answers.finish()
        if self.stop.error is None and isinstance(error, (ProcExit, Trap, Interrupted)):
            self.stop.error = error
        return super().outcome(results, error, seconds)

    def _frames(self, error: BaseException | None) -> tuple[Value, ...]:
        frames = self.stop.frames
        if not frames and isinstance(error, wasmtime.Trap):
            frames = error.frames
        return located(frames, self._core or [self.module]) if frames else ()

    def release(self) -> None:
        """Return the engine to the pool and release the store."""
        if self._run is not None:
            self._run.close()
            self._run = None
        super().release()


def memories(component: b.ComponentBody) -> int:
    """An upper estimate of the memories that instantiating a component makes. A component passed in from elsewhere
    counts as the largest one nested in it.
    """
    counts: dict[int, int] = {}
    owning: dict[bytes, int] = {}

    def own(data: bytes) -> int:
        if data not in owning:
            module = Module(data, "a core module")
            imported = sum(type(item.type).__name__ == "MemoryType" for item in module.imports)
            owning[data] = len(module.memories) - imported
        return owning[data]

    def count(body: b.ComponentBody) -> int:
        if id(body) in counts:
            return counts[id(body)]
        counts[id(body)] = 0
        modules: list[bytes | None] = []
        components: list[b.ComponentBody | None] = []
        total = 0
        nested = [d for d in body.definitions if isinstance(d, b.ComponentBody)]
        for d in body.definitions:
            if isinstance(d, b.CoreModule):
                modules.append(d.data)
            elif isinstance(d, b.ComponentBody):
                components.append(d)
            elif isinstance(d, b.CoreInstance) and d.module is not None:
                data = modules[d.module] if d.module < len(modules) else None
                total += own(data) if data is not None else 1
            elif isinstance(d, b.InstanceDefinition) and d.component is not None:
                found = components[d.component] if d.component < len(components) else None
                total += count(found) if found is not None else max((count(inner) for inner in nested), default=1)
            elif isinstance(d, (b.AliasDefinition, b.ImportDefinition, b.ExportDefinition)):
                sort = d.sort if isinstance(d, b.AliasDefinition) else _sort_of(d)
                if sort == "component":
                    components.append(None)
                elif sort == "core module":
                    modules.append(None)
        counts[id(body)] = min(total, MAX_MEMORIES)
        return counts[id(body)]

    return count(component)


def _sort_of(definition: b.ImportDefinition | b.ExportDefinition) -> str:
    return definition.desc.sort if isinstance(definition, b.ImportDefinition) else definition.item.sort
