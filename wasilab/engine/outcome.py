"""How a run ended, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..text.escape import visible

Kind = Literal["exit", "trap", "limit", "interrupt", "error", "diverged"]

EXIT_TRAP = 134
"""128 + SIGABRT: the guest trapped."""
EXIT_LIMIT = 137
"""128 + SIGKILL: a limit ended the run."""
EXIT_INTERRUPT = 130
"""128 + SIGINT: the user stopped the run."""
EXIT_ERROR = 1
"""The run could not start, or the host failed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the guest's stack; lists of frames start with the innermost.

    `function` is the demangled name from the module (otherwise "function N"); `file` and `line` come from the module's
    DWARF, or are `None`. `offset` is the byte offset of the instruction in the module, or 0 if unknown (the stack
    overflowed before a function's first instruction); `module` is the module's name ("" if unknown).
    """

    function: str
    file: str | None = None
    line: int | None = None
    offset: int = 0
    module: str = ""

    def __str__(self) -> str:
        if self.file is not None:
            return visible(f"{self.function} at {self.file}:{self.line}")
        return visible(f"{self.function} at offset 0x{self.offset:x}" if self.offset else self.function)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run.

    `kind`: "exit" (returned from its start, or called proc_exit), "trap" (the guest broke a rule of WebAssembly or
    handed the host a bad pointer), "limit" (a field of `Limits`), "interrupt" (by the user), "error" (it could not
    start, or a host bug), "diverged" (a replay differed from its recording). `message` is one sentence for the
    user, "" for an ordinary exit; a replay that stopped where it was told to, also an "exit", says where. `frames`
    is the guest's stack at a trap or limit, innermost first. `seconds` is the time in the entry point,
    `compile_seconds` the compile time before it. `warnings` name imports that return ENOSYS. `detail` is a
    traceback of the host's own code where the host failed, for a bug report. `coredump` and `profile` are files for
    other tools, where `EngineOptions` asked for them; b"" otherwise. `results` are the values that an invoked
    export returned, `result_texts` the same as text. `native_calls` counts the calls that the native library
    answered; None where Python answered all of them.
    """

    kind: Kind
    exit_code: int
    message: str = ""
    frames: tuple[Frame, ...] = ()
    seconds: float = 0.0
    compile_seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    detail: str = ""
    fuel_used: int | None = None
    results: tuple[object, ...] = field(default=())
    result_texts: tuple[str, ...] = field(default=())
    coredump: bytes = field(default=b"", repr=False)
    profile: bytes = field(default=b"", repr=False)
    native_calls: int | None = None

    def __post_init__(self) -> None:
        # Both contain names chosen by the module's author.
        object.__setattr__(self, "message", visible(self.message))
        object.__setattr__(self, "warnings", tuple(visible(warning) for warning in self.warnings))
        object.__setattr__(self, "result_texts", tuple(visible(text) for text in self.result_texts))

    @property
    def ok(self) -> bool:
        """Whether the guest ended by itself with status 0."""
        return self.kind == "exit" and self.exit_code == 0
