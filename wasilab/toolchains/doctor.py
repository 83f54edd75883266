"""How every language stands on this machine, and making compilers ready ahead of their first use.

The data of `wasilab doctor`; how it is shown is `commands/`' matter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ..capabilities.host import landlock
from ..text.numbers import size as binary_size
from .compile import Compiled, compile_source
from .confinement import COMPILE_MEMORY, COMPILE_SECONDS
from .diagnostics import ToolchainError
from .probe import Failure, Tool
from .process import Cancelled, Progress
from .registry import LANGUAGES, toolchain_for


@dataclass(frozen=True, slots=True)
class LanguageStatus:
    """One language on this machine."""

    language: str
    title: str
    tool: Tool | None
    """The compiler that is used; None if there is none."""
    others: tuple[Tool, ...]
    """Further compilers that work, in order of preference."""
    failures: tuple[Failure, ...]
    """Compilers that are there and do not do, with the reason."""
    cold: str | None
    """What the first compile has yet to build, as a sentence; None if nothing."""
    install: str
    """The one line that installs a compiler."""
    notes: tuple[str, ...] = ()
    """What else a person should know of the compiler that is used, in sentences."""

    @property
    def found(self) -> bool:
        """Whether the language can be compiled."""
        return self.tool is not None


def status(language: str, *, refresh: bool = True) -> LanguageStatus:
    """Try the compilers of a language, all of them again if `refresh`. Raises `ToolchainError` for an unknown one."""
    toolchain = toolchain_for(language)
    try:
        found = toolchain.candidates(refresh=refresh)
    except ToolchainError as error:  # a bad environment variable: this language's trouble, not the report's
        found = [Failure("", str(error))]
    tools = [one for one in found if isinstance(one, Tool)]
    return LanguageStatus(
        language=toolchain.language,
        title=toolchain.title,
        tool=tools[0] if tools else None,
        others=tuple(tools[1:]),
        failures=tuple(one for one in found if isinstance(one, Failure)),
        cold=toolchain.cold(tools[0]) if tools else None,
        install=toolchain.install,
        notes=tuple(toolchain.notes(tools[0])) if tools else (),
    )


def confinement() -> str:
    """What compilers can open on this machine, as a sentence."""
    bounds = f"{COMPILE_SECONDS:g} s and {binary_size(COMPILE_MEMORY)} of memory"
    version = landlock.abi()
    if not version:
        return f"each compile may take {bounds}; what it opens is not confined, because this system has no Landlock"
    return (
        f"each compile may take {bounds}, and can open only its installation, the files of the cell and what its flags "
        f"name (Landlock, version {version})"
    )


def report(*, refresh: bool = True) -> list[LanguageStatus]:
    """The status of every language."""
    return [status(language, refresh=refresh) for language in LANGUAGES]


def warm(language: str, on_progress: Progress | None = None, interrupt: Cancelled | None = None) -> Compiled:
    """Compile the language's template past the module cache, so that its compiler builds its libraries now.

    The flags are those of a plain cell, since zig builds its libraries once for each set of flags. Raises as
    `compile_source`.
    """
    toolchain = toolchain_for(language)
    return compile_source(
        toolchain.template, language, name="warm", on_progress=on_progress, interrupt=interrupt, use_cache=False
    )


def warm_in_background(language: str) -> Callable[[], None]:
    """Warm a language on a daemon thread if its compiler is there and cold; return a function that stops it.

    Says nothing, whatever happens: the first compile that needs the libraries waits for them or tells the error.
    """
    stop = threading.Event()

    def work() -> None:
        try:
            if status(language, refresh=False).cold is not None:
                warm(language, interrupt=stop.is_set)
        except ToolchainError:
            return

    threading.Thread(target=work, name=f"wasilab-warm-{language}", daemon=True).start()
    return stop.set
