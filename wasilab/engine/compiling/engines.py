"""Wasmtime engines and compiled modules: made once for a module, lent to one run at a time.

Epochs, by which a run is interrupted, count per engine, so two runs at once never share one. A run that is over gives
its engine and compiled module back, and the next run of the same bytes starts without compiling. Wasmtime's own disk
cache does the same across processes. The pool is bounded; what falls out is compiled (or read from the disk) again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import wasmtime

from ...module.module import Module
from .engine_options import EngineOptions

POOL_BYTES = 96 << 20
"""Wasm bytes whose compiled code is kept for the next run."""
POOL_MODULES = 16

_PROPOSALS = (
    "wasm_exceptions", "wasm_tail_call", "wasm_simd", "wasm_relaxed_simd", "wasm_bulk_memory", "wasm_multi_value",
    "wasm_multi_memory", "wasm_memory64", "wasm_reference_types", "wasm_function_references", "wasm_gc",
)  # fmt: skip
"""Proposals that are switched on where this Wasmtime has them: a program that needs one should just run."""


@dataclass(slots=True)
class CompiledModules:
    """An engine with the modules of one run compiled for it, lent by `acquire` until `release`."""

    key: tuple[Any, ...]
    engine: Any
    modules: list[Any]
    """A `wasmtime.Module` for each `Module` asked for, in order."""
    seconds: float
    """What making it took; near 0 when it came from the pool."""
    bytes: int
    keep: bool = True
    """Whether the next run may have it."""


class WasmtimeCompileError(Exception):
    """Wasmtime rejects the module; the message is Wasmtime's, first line in words."""


_lock = threading.Lock()
_idle: OrderedDict[tuple[Any, ...], list[CompiledModules]] = OrderedDict()


def new_engine(*, fuel: bool, options: EngineOptions | None = None) -> Any:
    """An engine with interruption by epoch, every proposal that is stable enough, and memories that never move."""
    options = options or EngineOptions()
    config = wasmtime.Config()
    config.epoch_interruption = True
    for name, value in options.settings:
        setattr(config, name, _named(name, value))
    if fuel:
        config.consume_fuel = True
    for name in _PROPOSALS:
        if hasattr(wasmtime.Config, name):
            setattr(config, name, True)
    _never_move(config)
    if options.cache:
        with suppress(wasmtime.WasmtimeError):  # no writable home, say: compiling each time is slower, nothing else
            config.cache = True
    return wasmtime.Engine(config)


def _named(name: str, value: int) -> int | bool | str:
    """A setting's value as `wasmtime.Config` takes it."""
    if name == "cranelift_opt_level":
        return ("none", "speed", "speed_and_size")[value]
    if name == "profiler":
        return {1: "jitdump", 3: "perfmap"}[value]
    return value if name == "max_wasm_stack" else bool(value)


_may_move_set = getattr(getattr(wasmtime, "_bindings", None), "wasmtime_config_memory_may_move_set", None)
NEVER_MOVES = _may_move_set is not None
"""Whether Wasmtime is told to leave a growing memory where it is; else nobody may remember its place."""


def _never_move(config: Any) -> None:
    """Ask for memories that grow in place. It is the default for 32-bit ones; here it is said, where it can be."""
    if _may_move_set is not None:
        _may_move_set(config.ptr(), False)


def acquire(modules: list[Module], *, fuel: bool, options: EngineOptions | None = None) -> CompiledModules:
    """Engine and compiled modules for one run. Raises `WasmtimeCompileError`. May take minutes for a large module."""
    options = options or EngineOptions()
    key = (fuel, options.settings, options.cache, *(module.sha256 for module in modules))
    with _lock:
        idle = _idle.get(key)
        if idle:
            found = idle.pop()
            if not idle:
                del _idle[key]
            found.seconds = 0.0
            return found
    start = time.perf_counter()
    engine = new_engine(fuel=fuel, options=options)
    compiled = []
    for module in modules:
        try:
            compiled.append(wasmtime.Module(engine, module.bytes))
        except wasmtime.WasmtimeError as error:
            raise WasmtimeCompileError(f"{module.name} is not valid WebAssembly: {sentence(error)}") from None
    size = sum(len(module.bytes) for module in modules)
    return CompiledModules(key, engine, compiled, time.perf_counter() - start, size, keep=options.cache)


def release(compiled: CompiledModules) -> None:
    """Keep it for the next run of the same modules. Nothing may still run in its engine."""
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
    """Forget every idle engine."""
    with _lock:
        _idle.clear()


def sentence(error: Exception) -> str:
    """Wasmtime's chain of causes on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and line.strip() != "Caused by:"]
    return ": ".join(line.split(": ", 1)[-1] if line[:1].isdigit() else line for line in lines)[:600]
