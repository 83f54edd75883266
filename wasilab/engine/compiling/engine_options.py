"""How Wasmtime compiles and links a program, apart from its grants and limits. Must import fast: the grammar reads it.

Every field has a sensible default. An engine is made from `settings`: two runs of a module share its machine code only
if their settings are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from . import wasm_features

Optimize = Literal["none", "speed", "size"]
UnknownImports = Literal["trap", "default", "error"]
Profile = Literal["guest", "perfmap", "jitdump"]

KIB = 1 << 10
LEAST_STACK = 16 * KIB
MOST_STACK = 2048 * KIB
"""Wasmtime's fiber stacks have 2 MiB; configuring more WebAssembly stack than that aborts the process."""
DEFAULT_STACK = 512 * KIB
_PROFILERS = {"jitdump": 1, "perfmap": 3}
"""The values of `wasmtime_profiling_strategy_t` that write files for `perf`."""


class EngineOptionError(ValueError):
    """Invalid engine options; the message is for the user."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a program is compiled, linked and inspected. Raises `EngineOptionError` for an invalid value."""

    optimize: Optimize = "speed"
    """What Cranelift optimises for: "none" (compiles fastest), "speed", "size" (speed and size)."""
    debug_info: bool = False
    """Whether the machine code gets DWARF translated from the module's, for a native debugger (gdb, lldb)."""
    cache: bool = True
    """Whether Wasmtime caches compiled code on disk, and wasilab in memory for the next run."""
    nan_canonical: bool = False
    """Whether arithmetic produces only canonical NaNs and relaxed SIMD is deterministic, so that all machines compute
    the same bits. Floating-point loops take up to four times as long."""
    max_stack: int = DEFAULT_STACK
    """Bytes of stack that WebAssembly may use before it traps, 16 KiB to 2 MiB."""
    unknown_imports: UnknownImports | None = None
    """How imports that nothing provides are handled: "trap": functions that end the program when called; "default":
    functions that return zeros and null references, and empty memories, tables and globals; "error": it does not start.
    None: names that WASI does not have answer ENOSYS, all others are an error."""
    trap_on_grow_failure: bool = False
    """Whether a `memory.grow` or `table.grow` that fails ends a core module instead of answering -1. Its instructions
    are replaced for this (`module/grow_traps.py`)."""
    coredump: bool = False
    """Whether a run that ends in a trap or at a limit leaves `Outcome.coredump`."""
    profile: Profile | None = None
    """"guest": samples of the guest's stack, for Firefox Profiler (`Outcome.profile`); "perfmap" and "jitdump": files
    by which Linux's `perf` names compiled functions (/tmp/perf-PID.map, ./jit-PID.dump)."""

    features: tuple[str, ...] = ()
    """WebAssembly features that are turned on or off: NAME or NAME=off (`wasm_features.py`)."""

    def __post_init__(self) -> None:
        try:
            wasm_features.features(self.features, foreign=True)
        except wasm_features.FeatureError as error:
            raise EngineOptionError(str(error)) from None
        for name, values in (("optimize", Optimize), ("unknown_imports", UnknownImports), ("profile", Profile)):
            value = getattr(self, name)
            if value not in get_args(values) and not (value is None and name != "optimize"):
                raise EngineOptionError(f"{name}={value!r}: write one of {', '.join(map(repr, get_args(values)))}")
        for name in ("debug_info", "cache", "nan_canonical", "trap_on_grow_failure", "coredump"):
            if not isinstance(getattr(self, name), bool):
                raise EngineOptionError(f"{name}={getattr(self, name)!r}: write True or False")
        stack = self.max_stack
        if not isinstance(stack, int) or isinstance(stack, bool) or not LEAST_STACK <= stack <= MOST_STACK:
            raise EngineOptionError(
                f"max_stack={stack!r}: WebAssembly's stack has {LEAST_STACK:,} to {MOST_STACK:,} bytes (16k to 2m)"
            )

    def words(self) -> list[str]:
        """The settings that differ from the defaults, described for the user."""
        said = {
            "not optimised": self.optimize == "none",
            "optimised for size": self.optimize == "size",
            "with debug information": self.debug_info,
            "not cached": not self.cache,
            "with canonical NaNs": self.nan_canonical,
            "ended when growing fails": self.trap_on_grow_failure,
            f"{self.max_stack:,} bytes of stack": self.max_stack != DEFAULT_STACK,
        }
        return [words for words, so in said.items() if so]

    @property
    def settings(self) -> tuple[tuple[str, int], ...]:
        """The settings that differ from Wasmtime's defaults, by their names in the C API (`wasmtime_config_NAME_set`).
        """
        found = [
            ("cranelift_opt_level", get_args(Optimize).index(self.optimize), 1),
            ("debug_info", int(self.debug_info), 0),
            ("cranelift_nan_canonicalization", int(self.nan_canonical), 0),
            ("wasm_relaxed_simd_deterministic", int(self.nan_canonical), 0),
            ("max_wasm_stack", self.max_stack, DEFAULT_STACK),
            ("profiler", _PROFILERS.get(self.profile or "", 0), 0),
        ]
        return tuple((name, value) for name, value, usual in found if value != usual)
