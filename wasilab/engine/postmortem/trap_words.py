"""Explains a trap by Wasmtime's trap code, and `unreachable` by the functions on the stack.

Compilers end a program by `unreachable` for several reasons. The innermost frames show which: the C and Rust libraries
use functions with known names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import wasmtime

from ..outcome import Frame

TRAP_WORDS: Mapping[str, str] = {
    "UNREACHABLE": "the program executed 'unreachable': an abort, a failed assertion or a panic",
    "MEMORY_OUT_OF_BOUNDS": "the program touched memory outside its linear memory",
    "HEAP_MISALIGNED": "the program made an atomic access at a misaligned address",
    "TABLE_OUT_OF_BOUNDS": "the program called or used a table entry that does not exist",
    "INDIRECT_CALL_TO_NULL": "the program called a null function pointer",
    "BAD_SIGNATURE": "the program called a function pointer of another type",
    "INTEGER_OVERFLOW": "an integer division overflowed",
    "INTEGER_DIVISION_BY_ZERO": "the program divided an integer by zero",
    "BAD_CONVERSION_TO_INTEGER": "the program converted a number to an integer that cannot hold it",
    "STACK_OVERFLOW": "the program's call stack is exhausted: endless recursion, most likely",
}
"""A message for each trap code."""
_UNDEFINED = ("undefined_weak:", "signature_mismatch:")
_ASSERTS = ("__assert_fail", "__assert", "__assert_func")
_LOOKED_AT = 12
"""Number of innermost frames checked: a Rust panic has some frames before its own."""


def trap_code(error: BaseException | None) -> str | None:
    """The name of a Wasmtime trap's code; None for other errors."""
    if not isinstance(error, wasmtime.Trap):
        return None
    try:
        code = error.trap_code
    except ValueError:
        return None
    return code.name if code is not None else None


def unreachable_words(frames: Sequence[Frame], lang: str | None) -> str:
    """Why a program executed `unreachable`, according to its frames (innermost first) and its language."""
    names = [frame.function.split("(", 1)[0].strip() for frame in frames[:_LOOKED_AT]]
    if not names:
        return TRAP_WORDS["UNREACHABLE"]
    for mark in _UNDEFINED:
        if names[0].startswith(mark):
            return _undefined(names[0].removeprefix(mark), mismatch=mark != _UNDEFINED[0])
    if any("panic" in name for name in names):
        return "the program panicked; what it says of it is on stderr"
    if any(name in _ASSERTS for name in names):
        return "an assertion of the program failed"
    if names[0] == "abort":
        return "the program ended itself by abort()"
    if lang in ("c", "c++"):
        return (
            f"{names[0]} reached a place that the compiler replaced by a trap, because what stands there is undefined: "
            "a null pointer that is written or read, a function that ends without its value"
        )
    return TRAP_WORDS["UNREACHABLE"]


def out_of_bounds_words(frames: Sequence[Frame]) -> str:
    """Why a program touched memory that it does not have, according to its frames (innermost first).

    Linkers put a C program's stack below everything else in its memory, so a stack that overflows leaves the memory
    at address 0.
    """
    words = TRAP_WORDS["MEMORY_OUT_OF_BOUNDS"]
    names = [frame.function for frame in frames[:_LOOKED_AT]]
    if len(names) == _LOOKED_AT and len(set(names)) == 1:
        return f"{words}: {names[0]} calls itself again and again, so its stack has most likely run out"
    return words


def _undefined(name: str, *, mismatch: bool) -> str:
    if mismatch:
        return f"the program called {name} with other arguments or another result than it is defined with"
    if name in ("main", "__main_argc_argv", "__original_main"):
        return (
            "the program has no main(): write one, or make a module of exported functions (a reactor, "
            "-mexec-model=reactor; in a cell: --reactor)"
        )
    return f"the program called {name}, which is declared and defined nowhere"
