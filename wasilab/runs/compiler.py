"""`compile`: source to a `Module`. A separate file, because running a .wasm needs no toolchain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..engine.limits import DEFAULTS, Limits
from ..module.module import Module
from ..toolchains.compile import compile_source
from ..toolchains.confinement import CompileLimits
from .adapter import adapt


def compile(
    source: str,
    lang: str = "c",
    *,
    flags: Sequence[str] = (),
    name: str = "cell",
    files: Mapping[str, str] | None = None,
    first_line: int = 1,
    component: bool = False,
    portable: bool = False,
    limits: Limits | None = None,
    on_progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Module:
    """Compile `source` to a module, or take the result from the cache if nothing has changed.

    `lang`: c, c++, zig, rust, go, assemblyscript, wat, python or javascript; the last two make components, and the
    others do with `component` (`adapt`). `flags` go to the compiler. `files` are further sources, name -> text, in the
    same folder. `first_line` is the line of the cell or file on which the source starts. A program in C, C++, Zig
    (-lc) or Rust imports a function of wasilab, with which its library reports the paths that it refuses without
    calling the host. `portable` omits it, for a module that is to run elsewhere (`Module.portable`).
    `on_progress(seconds, sentence)` is called during a long compilation; `cancelled()` is polled, and true ends it.
    `limits` may change the time and memory that the compiler can use (`compile_seconds`, `compile_memory`).
    Raises `CompileError` (the compiler's message), `ToolchainMissing` (what to install), `CompileInterrupted`, and with
    `component` `AdaptError`.
    """
    compiled = compile_source(
        source,
        lang,
        flags,
        name=name,
        files=files,
        first_line=first_line,
        on_progress=on_progress,
        interrupt=cancelled or (lambda: False),
        reports=not (portable or component),
        limits=_of_source(limits),
    )
    module = Module(
        compiled.wasm,
        name,
        source=compiled.source,
        lang=compiled.language,
        source_name=compiled.file_name,
    )
    module.warnings = compiled.warnings
    if module.reports_lookups:
        module.without_reports = partial(
            compile, source, lang, flags=flags, name=name, files=files, first_line=first_line, portable=True
        )
    if component and not module.is_component:
        return adapt(module, on_progress=on_progress, cancelled=cancelled)
    return module


def _of_source(limits: Limits | None) -> CompileLimits:
    """The limits of a compiler of source: its own defaults, except for what differs from the defaults of `Limits`."""
    usual, given = CompileLimits(), limits or Limits()
    return CompileLimits(
        usual.seconds if given.compile_seconds == DEFAULTS["compile_seconds"] else given.compile_seconds,
        usual.memory if given.compile_memory == DEFAULTS["compile_memory"] else given.compile_memory,
    )
