"""Errors that the user can fix, as opposed to our bugs, and the exit status of each."""

from __future__ import annotations

from ..engine.compiling.wasm_features import FeatureError
from ..engine.stop import CannotReplay
from ..grants.value import GrantError
from ..module.module import ModuleError
from ..text.compiler_text import styled
from ..text.palette import Palette
from ..toolchains.diagnostics import CompileError, CompileInterrupted, ToolchainError, ToolchainMissing

EXIT_USAGE = 2
EXIT_FAILED = 1
EXIT_INTERRUPT = 130


def text_of(error: Exception, palette: Palette) -> str:
    """The text to print for the error: a compiler's own text in the colours of `palette`, else the message."""
    if isinstance(error, CompileError):
        return "\n".join(styled(str(error), palette))
    return str(error)


def exit_status(error: Exception) -> int | None:
    """The exit status for an error that the user can fix; None for any other."""
    if isinstance(error, CompileInterrupted):
        return EXIT_INTERRUPT
    if isinstance(error, (CompileError, ToolchainMissing)):
        return EXIT_FAILED
    if isinstance(error, (CannotReplay, FeatureError, GrantError, ModuleError, ToolchainError)):
        return EXIT_USAGE
    return None
