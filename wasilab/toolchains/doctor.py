"""The status of every language on this machine, and warming compilers before their first use.

The data of `wasilab doctor`; `commands/` displays it.
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
    """The compiler in use; None if there is none."""
    others: tuple[Tool, ...]
    """Other working compilers, in order of preference."""
    failures: tuple[Failure, ...]
    """Compilers that were found but do not work, with the reason."""
    cold: str | None
    """A sentence about what the first compile must still build; None if nothing."""
    install: str
    """The command that installs a compiler."""
    notes: tuple[str, ...] = ()
    """Other remarks about the compiler in use."""

    @property
    def found(self) -> bool:
        """Whether the language can be compiled."""
        return self.tool is not None


def status(language: str, *, refresh: bool = True) -> LanguageStatus:
    """Try the compilers of a language; with `refresh`, all of them again. Raises `ToolchainError` for an unknown
    language."""
    toolchain = toolchain_for(language)
    try:
        found = toolchain.candidates(refresh=refresh)
    except ToolchainError as error:  # a bad environment variable affects this language, not the whole report
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
    """A sentence about what compilers can open on this machine."""
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


def warm(
    language: str,
    on_progress: Progress | None = None,
    interrupt: Cancelled | None = None,
    *,
    background: bool = False,
) -> Compiled:
    """Compile the language's template without the module cache, so that its compiler builds its libraries now.

    It uses the flags of a plain cell, since zig builds its libraries for each set of flags. `background`: on one
    processor, at the lowest priority. Raises as `compile_source`.
    """
    toolchain = toolchain_for(language)
    return compile_source(
        toolchain.template, language, name="warm", on_progress=on_progress, interrupt=interrupt, use_cache=False,
        background=background,
    )  # fmt: skip


def warm_in_background(language: str) -> Callable[[], None]:
    """Warm a language on a daemon thread if its compiler is installed and cold; returns a function that stops it.

    It reports nothing, and ends with this process. The first compile that needs the libraries continues where it is.
    """
    stop = threading.Event()

    def work() -> None:
        try:
            if status(language, refresh=False).cold is not None:
                warm(language, interrupt=stop.is_set, background=True)
        except ToolchainError:
            return

    threading.Thread(target=work, name=f"wasilab-warm-{language}", daemon=True).start()
    return stop.set
