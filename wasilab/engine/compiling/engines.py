"""A pool of Wasmtime engines and compiled modules: made once per module, used by one run at a time.

Epochs, which interrupt a run, are per engine, so concurrent runs never share one. When a run ends, its engine and
compiled module return to the pool, and the next run of the same bytes starts without compiling. Wasmtime's disk cache
does the same across processes. The pool is bounded; an evicted module is compiled (or read from disk) again.

A module that is not small (`small.py`), and whose cost is not known from before (`costs.py`), is compiled in a separate
process with limits (`bounded.py`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import wasmtime

from ...capabilities.host.cache_folders import distrust, user_cache_folder
from ...module.module import Module
from ...module.precompiled import Precompiled
from .. import compiling
from . import costs
from .engine_options import EngineOptions
from .small import MEMORY, SECONDS, is_small
from .wasm_features import FEATURES, Features, features, missing_feature

POOL_BYTES = 96 << 20
"""Wasm bytes whose compiled code is kept for the next run."""
POOL_MODULES = 16

Settings = tuple[tuple[str, int], ...]
"""Wasmtime's configuration, as the names of its settings in the C API and their values."""


@dataclass(slots=True)
class CompiledModules:
    """An engine with the modules of one run compiled for it, owned by the run from `acquire` to `release`."""

    key: tuple[object, ...]
    engine: wasmtime.Engine
    modules: list[wasmtime.Module]
    """A `wasmtime.Module` for each requested `Module`, in order."""
    seconds: float
    """Seconds taken; near 0 if it came from the pool."""
    bytes: int
    keep: bool = True
    """Whether the next run may reuse it."""


class WasmtimeCompileError(Exception):
    """Wasmtime rejects the module; the message is Wasmtime's, after a first line that explains it."""


_bindings = getattr(wasmtime, "_bindings", None)
_lock = threading.Lock()
_confined = threading.Event()
"""Set in a process that cannot open files (`become_confined`)."""
_alone = threading.Event()
"""Set while Wasmtime must not start threads."""
_idle: OrderedDict[tuple[object, ...], list[CompiledModules]] = OrderedDict()


def settings(chosen: Features, *, fuel: bool, further: Settings = ()) -> Settings:
    """The configuration of every engine that runs a guest: interruption by epoch, and the chosen features."""
    found = [("epoch_interruption", 1), *further]
    if fuel:
        found.append(("consume_fuel", 1))
    if not dict(chosen)["reference-types"]:
        found.append(("wasm_component_model_async", 0))  # it needs them, and Wasmtime ends the process without
    # This Wasmtime lacks a feature that it does not know.
    found += [(FEATURES[n].setting, int(on)) for n, on in chosen if _is_setting(FEATURES[n].setting)]
    if NEVER_MOVES:
        found.append(("memory_may_move", 0))
    return tuple(found)


def new_engine(chosen: Settings, *, disk_cache: bool = True) -> wasmtime.Engine:
    """An engine with these settings, and with Wasmtime's cache if its folder can be trusted."""
    config = wasmtime.Config()
    further = []
    if _confined.is_set():
        further.append(("memory_init_cow", 0))  # it needs files in memory, which no limit of a process counts
    if _alone.is_set():
        further.append(("parallel_compilation", 0))
    configure(config, (*chosen, *further))
    if disk_cache and not _confined.is_set() and cache_trouble() is None:
        with suppress(wasmtime.WasmtimeError):  # no writable home, say: compiling each time is slower, nothing else
            config.cache = True
    return wasmtime.Engine(config)


def configure(config: wasmtime.Config, chosen: Settings) -> None:
    """Apply these settings to a `wasmtime.Config`. Some exist only in the C API, not in wasmtime-py."""
    for name, value in chosen:
        setter = getattr(_bindings, f"wasmtime_config_{name}_set", None)
        if setter is not None:
            setter(config.ptr(), value)
        elif hasattr(wasmtime.Config, name):
            setattr(config, name, bool(value))


def _is_setting(name: str) -> bool:
    return hasattr(_bindings, f"wasmtime_config_{name}_set") or hasattr(wasmtime.Config, name)


def cache_trouble() -> str | None:
    """Why Wasmtime's cache of machine code is not used; None if it is."""
    return distrust(user_cache_folder("wasmtime"))


NEVER_MOVES = hasattr(_bindings, "wasmtime_config_memory_may_move_set")
"""Whether Wasmtime is configured never to move a growing memory; if not, its address must not be kept."""


@dataclass(frozen=True, slots=True)
class CompileRequest:
    """How to compile modules."""

    features: Features
    options: EngineOptions = EngineOptions()  # noqa: RUF009  it is immutable
    fuel: bool = False
    """Whether instructions are counted."""
    seconds: float | None = None
    """Limit of processor time for compiling, in seconds; None: unlimited."""
    memory: int | None = None
    """Limit of memory for compiling, in bytes; None: unlimited."""
    cancelled: Callable[[], bool] = lambda: False
    """Polled while a separate process compiles; True ends that process."""


def acquire(modules: list[Module], request: CompileRequest) -> CompiledModules:
    """Engine and compiled modules for one run. May take minutes for a large module.

    Raises `WasmtimeCompileError`, `CompileLimitReached`, and `Interrupted` if cancelled.
    """
    options = request.options
    key = _key(modules, request)
    chosen = settings(request.features, fuel=request.fuel, further=options.settings)
    for module in modules:
        if module.precompiled is not None:
            usual = dict(features((), foreign=not made_here(module)))
            differing = [f"{name}{'' if on else '=off'}" for name, on in request.features if usual[name] != on]
            if said := compiling.ahead_of_time.mismatch(module, chosen, differing):
                raise WasmtimeCompileError(said)
    with _lock:
        idle = _idle.get(key)
        if idle:
            found = idle.pop()
            if not idle:
                del _idle[key]
            found.seconds = 0.0
            return found
    start = time.perf_counter()
    engine = new_engine(chosen, disk_cache=options.cache)
    compiled = []
    left = request.seconds
    for module in modules:
        if module.precompiled is not None:
            compiled.append(_made_ahead(engine, module, module.precompiled))
            continue
        if _compiles_here(module, request):
            compiled.append(_compiled_here(engine, module, request.features))
            continue
        code, seconds = _compiled_apart(engine, chosen, module, request, left)
        compiled.append(code)
        left = None if left is None else max(0.001, left - seconds)
    size = sum(len(module.bytes) for module in modules)
    return CompiledModules(key, engine, compiled, time.perf_counter() - start, size, keep=options.cache)


def _made_ahead(engine: wasmtime.Engine, module: Module, made: Precompiled) -> wasmtime.Module:
    try:
        return wasmtime.Module.deserialize(engine, made.code)
    except wasmtime.WasmtimeError as error:
        raise WasmtimeCompileError(
            f"the machine code of {module.name} cannot be used here: {sentence(error)}; compile it again: "
            f"{made.recompile}"
        ) from None


def precompile(module: Module, request: CompileRequest) -> Precompiled:
    """The machine code of a module, to be kept in a file; its `recompile` is empty.

    Raises as `acquire` does.
    """
    chosen = settings(request.features, fuel=request.fuel, further=request.options.settings)
    kept = compiling.ahead_of_time.code_settings(chosen)
    if _compiles_here(module, request) or not compiling.bounded.available():
        made = _compiled_here(new_engine(chosen, disk_cache=False), module, request.features)
        return Precompiled(bytes(made.serialize()), kept, "")
    bounds = compiling.bounded.CompileBounds(request.seconds, request.memory)
    try:
        code, _ = compiling.bounded.compiled(module.name, module.bytes, chosen, bounds, request.cancelled)
    except compiling.bounded.InvalidModule as error:
        raise rejected(module.name, str(error), request.features) from None
    return Precompiled(code, kept, "")


def made_here(module: Module) -> bool:
    """Whether a local compiler made the module. WebAssembly text does not count: it can express any binary."""
    return module.lang not in (None, "wat")


def become_confined(*, threads: bool) -> None:
    """Stop using Wasmtime's cache and child processes, for a confined process.

    `threads`: whether Wasmtime may start compiler threads. They never end, so they must not start before the
    confinement.
    """
    _confined.set()
    if threads:
        _alone.clear()
    else:
        _alone.set()


def adopt(modules: list[Module], request: CompileRequest, codes: Sequence[bytes]) -> None:
    """Make the next `acquire` of these modules use machine code that was serialized before.

    Wasmtime does not check such code: use this only in a process where any code would be harmless. Raises
    `WasmtimeCompileError` for code of another version.
    """
    chosen = settings(request.features, fuel=request.fuel, further=request.options.settings)
    engine = new_engine(chosen)
    try:
        made = [wasmtime.Module.deserialize(engine, code) for code in codes]
    except wasmtime.WasmtimeError as error:
        raise WasmtimeCompileError(f"its machine code cannot be used: {sentence(error)}") from None
    release(CompiledModules(_key(modules, request), engine, made, 0.0, 0))


def _key(modules: list[Module], request: CompileRequest) -> tuple[object, ...]:
    options = request.options
    shas = (module.sha256 for module in modules)
    return (request.fuel, request.features, options.settings, options.cache, *shas)


def _compiles_here(module: Module, request: CompileRequest) -> bool:
    """Whether compiling the module is known to stay within the limits, so that this process may do it."""
    unbounded = _confined.is_set() or (request.seconds is None and request.memory is None)
    return unbounded or (_within(request, SECONDS, MEMORY) and is_small(module))


def _within(request: CompileRequest, seconds: float, memory: int) -> bool:
    return (request.seconds is None or seconds <= request.seconds) and (
        request.memory is None or memory <= request.memory
    )


def _compiled_here(engine: wasmtime.Engine, module: Module, has: Features) -> wasmtime.Module:
    try:
        return wasmtime.Module(engine, module.bytes)
    except wasmtime.WasmtimeError as error:
        raise rejected(module.name, str(error), has) from None


def _compiled_apart(
    engine: wasmtime.Engine, chosen: Settings, module: Module, request: CompileRequest, left: float | None
) -> tuple[wasmtime.Module, float]:
    """The module, and the seconds of processor time that it took: 0 if it is known to be cheap."""
    identity = costs.identity(module.sha256, chosen)
    known = costs.known_cost(identity) if request.options.cache else None
    if (known is not None and _within(request, *known)) or not compiling.bounded.available():
        return _compiled_here(engine, module, request.features), 0.0
    bounds = compiling.bounded.CompileBounds(left, request.memory)
    cache = (("cache", 1),) if request.options.cache and cache_trouble() is None else ()
    try:
        code, cost = compiling.bounded.compiled(
            module.name, module.bytes, (*chosen, *cache), bounds, request.cancelled
        )
    except compiling.bounded.InvalidModule as error:
        raise rejected(module.name, str(error), request.features) from None
    costs.remember(identity, cost)
    return wasmtime.Module.deserialize(engine, code), cost.seconds


def rejected(name: str, said: str, has: Features, what: str = "valid WebAssembly") -> WasmtimeCompileError:
    """The error for Wasmtime's message about a module; it names the feature to turn on, if there is one."""
    missing = missing_feature(said, has)
    if missing is not None:
        why = "" if missing.foreign else ", which is off for modules that were not compiled here"
        return WasmtimeCompileError(
            f"{name} needs the WebAssembly feature {missing.name} ({missing.words}){why}; "
            f"turn it on with --feature {missing.name}"
        )
    return WasmtimeCompileError(f"{name} is not {what}: {sentence(said)}")


def release(compiled: CompiledModules) -> None:
    """Return it to the pool for the next run of the same modules. Nothing may still run in its engine."""
    if compiled.bytes > POOL_BYTES or not compiled.keep:
        return
    with _lock:
        _idle.setdefault(compiled.key, []).append(compiled)
        _idle.move_to_end(compiled.key)
        while (
            sum(len(kept) for kept in _idle.values()) > POOL_MODULES
            or sum(one.bytes for kept in _idle.values() for one in kept) > POOL_BYTES
        ):
            oldest = next(iter(_idle))
            _idle[oldest].pop()
            if not _idle[oldest]:
                del _idle[oldest]


def clear() -> None:
    """Drop all idle engines."""
    with _lock:
        _idle.clear()


def sentence(error: Exception | str) -> str:
    """Wasmtime's chain of causes on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and line.strip() != "Caused by:"]
    return ": ".join(line.split(": ", 1)[-1] if line[:1].isdigit() else line for line in lines)[:600]
