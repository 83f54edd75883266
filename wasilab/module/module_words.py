"""What a module is and can ask for, in plain words, for `inspect` and `explore`."""

from __future__ import annotations

from .dwarf import DebugInfo

FAMILY_WORDS = {
    "args": "its arguments",
    "environ": "environment variables",
    "clock": "the time",
    "fd": "work with open files and streams",
    "path": "names in its directories: open, make, remove, look up",
    "poll": "sleep, and wait for input",
    "proc": "end itself, raise a signal",
    "random": "random bytes",
    "sched": "let others run",
    "sock": "network connections",
    "unknown": "names that are not in WASI (answered with ENOSYS)",
}
"""The purpose of a family of calls."""

KIND_WORDS = {
    "command": "a command: runs from _start to its end",
    "reactor": "a reactor: is initialised, then its exports are called",
    "component": "a component: its imports and exports are interfaces with types",
    "library": "a library: neither _start nor _initialize; call an export with --invoke",
}

PACKAGE_WORDS = {
    "cli": "its arguments, the environment, standard streams, its exit",
    "clocks": "the time, and sleeping",
    "filesystem": "files and directories",
    "http": "HTTP requests",
    "io": "streams, and waiting for them",
    "random": "random bytes",
    "sockets": "network connections",
}
"""The purpose of a WASI 0.2 or 0.3 package."""

DEBUG_WORDS = {
    DebugInfo.LINES: "names of functions and source lines (DWARF)",
    DebugInfo.STALE: "source lines are lost: its DWARF does not fit its code. A tool such as wasm-opt without -g "
    "changed the code after the linker: omit that step, or pass -g to it",
    DebugInfo.NAMES: "names of functions, no source lines (C, C++, Rust and Zig write them with -g)",
    DebugInfo.NOTHING: "neither names of functions nor source lines: stripped, or never there",
}
"""What stacks and traces of a module can show."""
