"""How Wasmtime compiles and links a program, beside its grants and limits. Imports nothing heavy: the grammar reads it.

Every field has the default that a person need not think about. `settings` is what an engine is made from: two runs of
one module share its machine code only where they are equal.
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
"""Wasmtime's fiber stacks have 2 MiB; an engine with more stack for WebAssembly than that ends the process."""
DEFAULT_STACK = 512 * KIB
_PROFILERS = {"jitdump": 1, "perfmap": 3}
"""`wasmtime_profiling_strategy_t`, as far as it writes files for `perf`."""


class EngineOptionError(ValueError):
    """Options that no engine can have; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a program is compiled, linked and looked at. Raises `EngineOptionError` for a value that cannot be."""

    optimize: Optimize = "speed"
    """What Cranelift optimises for: "none" (compiles fastest), "speed", "size" (speed and size)."""
    debug_info: bool = False
    """Whether the machine code carries DWARF made from the module's, for a native debugger (gdb, lldb)."""
    cache: bool = True
    """Whether compiled code is kept on the disk by Wasmtime, and in memory for the next run."""
    nan_canonical: bool = False
    """Whether every NaN that arithmetic makes is the canonical one and relaxed SIMD has one result, so that all
    machines compute the same bits; loops of floats take up to four times as long."""
    max_stack: int = DEFAULT_STACK
    """Bytes of stack that WebAssembly may use before it traps, 16 KiB to 2 MiB."""
    unknown_imports: UnknownImports | None = None
    """What is done about imports that nothing provides: "trap": functions that end the program when called; "default":
    functions that return zeros and null references, and empty memories, tables and globals; "error": it does not start.
    None: names that WASI does not have answer ENOSYS, all others are an error."""
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
        for name in ("debug_info", "cache", "nan_canonical", "coredump"):
            if not isinstance(getattr(self, name), bool):
                raise EngineOptionError(f"{name}={getattr(self, name)!r}: write True or False")
        stack = self.max_stack
        if not isinstance(stack, int) or isinstance(stack, bool) or not LEAST_STACK <= stack <= MOST_STACK:
            raise EngineOptionError(
                f"max_stack={stack!r}: WebAssembly's stack has {LEAST_STACK:,} to {MOST_STACK:,} bytes (16k to 2m)"
            )

    def words(self) -> list[str]:
        """How its machine code is made, for people, as far as it is not as usual."""
        said = {
            "not optimised": self.optimize == "none",
            "optimised for size": self.optimize == "size",
            "with debug information": self.debug_info,
            "not cached": not self.cache,
            "with canonical NaNs": self.nan_canonical,
            f"{self.max_stack:,} bytes of stack": self.max_stack != DEFAULT_STACK,
        }
        return [words for words, so in said.items() if so]

    @property
    def settings(self) -> tuple[tuple[str, int], ...]:
        """What shapes the engine and its machine code: settings of Wasmtime's configuration that are not as it has them
        by itself, by their names in the C API (`wasmtime_config_NAME_set`).
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
