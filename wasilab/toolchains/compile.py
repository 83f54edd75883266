"""`compile_source`, the only way to compile source to WebAssembly, with its cache.

It checks names and flags, finds the compiler and looks in the cache; on a miss it compiles in a work folder, holding
the cache key's lock. Not here: the definition of a language (`base.py`), and inspecting or running the module.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import cache
from .base import Job, Toolchain
from .confinement import CompileLimits
from .diagnostics import Diagnostic, ToolchainError, parse
from .names import check_files, check_flags
from .probe import Tool
from .process import Cancelled, Progress, interruptible, never
from .registry import toolchain_for

FORMAT = "2"
"""Part of every cache key: increase it when a change here invalidates old entries."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A module fresh from a compiler or from the cache."""

    wasm: bytes
    warnings: str
    """The compiler's output on success; usually empty."""
    diagnostics: tuple[Diagnostic, ...]
    """`warnings`, parsed."""
    seconds: float
    """Wall time of this call, also for a cache hit."""
    cached: bool
    command: tuple[str, ...]
    """The command that compiled the module; paths in the work folder are relative."""
    toolchain: str
    """Kind and version of the compiler, "clang 22.1.8"."""
    language: str
    source: str
    """The source with its leading blank lines, so that line numbers in diagnostics and DWARF match."""
    file_name: str
    """The source's name in diagnostics and DWARF, such as "copy.c"."""


def cache_key(toolchain: Toolchain, tool: Tool, job: Job) -> str:
    """The sha256 of everything the module depends on; each part has a length prefix, so that parts cannot be
    confused."""
    digest = hashlib.sha256()
    parts = [FORMAT, toolchain.language, tool.kind, tool.version, *tool.argv, "\0flags", *job.flags, "\0context"]
    parts += toolchain.context(job)
    if job.reports:
        parts.append("\0reports")
    parts += ["\0source", job.file_name, job.source, "\0files"]
    for name in sorted(job.files):
        parts += [name, job.files[name]]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _stamp(path: str) -> list[object]:
    try:
        stat = os.stat(path)
    except OSError:
        return [path, 0, -1]
    return [path, stat.st_mtime_ns, stat.st_size]


def compile_source(
    source: str,
    lang: str,
    flags: Sequence[str] = (),
    *,
    name: str | None = None,
    files: Mapping[str, str] | None = None,
    first_line: int = 1,
    on_progress: Progress | None = None,
    interrupt: Cancelled | None = None,
    use_cache: bool = True,
    limits: CompileLimits = CompileLimits(),  # noqa: B008  it is immutable
    reports: bool = False,
    background: bool = False,
) -> Compiled:
    """Compile `source` of language `lang` (a name, an alias or a suffix) to a WASI module.

    `flags` follow the default flags. `name` is the cell's or file's name (none: `cell`): diagnostics and DWARF say
    `name.c`. `files` are other files by relative path, which the source may include; to compile and link one, name it
    in the flags. `first_line` is the line of the cell on which the source starts (2 under a `%%wasi` line): all line
    numbers count from it.

    With `reports`, a C, C++, Zig (-lc) or Rust program reports each path that its own library refuses, through an
    import that only the lab provides (`linking/library_lookup.py`). Without it, the module runs anywhere.

    With `background`, the compiler runs on one processor at the lowest priority.

    `interrupt` is a function polled every 50 ms; True stops the compile. `on_progress(seconds, sentence)` is called
    about four times a second after the first half second.

    The compiler sees few environment variables and has `limits` on time and memory. On a kernel with Landlock it can
    open only its installation, the source, `files` and what `flags` name (`confinement.py`).

    Raises `CompileError` (the compiler failed), `ToolchainMissing`, `CompileInterrupted`, and `ToolchainError` for a
    bad name, flag or file, and for a reached limit.
    """
    start = time.monotonic()
    stop = interrupt or never
    toolchain = toolchain_for(lang)
    if not 1 <= first_line <= 100_000:
        raise ToolchainError(f"first_line is {first_line}; a source starts on a line from 1 to 100000")
    checked = check_flags(flags, toolchain.refused_flags, toolchain.title)
    file_name = toolchain.file_name(name or "cell")
    job = Job(
        source="\n" * (first_line - 1) + source,
        file_name=file_name,
        flags=toolchain.tune(checked),
        files=check_files(files or {}, file_name),
        folder=Path(),
        limits=limits,
        reports=reports and toolchain.reports,
        background=background,
    )
    with interruptible(stop):
        tool = toolchain.find()
    key = cache_key(toolchain, tool, job)

    def from_cache() -> Compiled | None:
        entry = cache.load(key) if use_cache else None
        if entry is None or any(_stamp(known[0]) != known for known in entry.meta.get("depends", ())):
            return None
        warnings = entry.meta["warnings"]
        return _result(toolchain, tool, job, entry.wasm, warnings, tuple(entry.meta["command"]), start, cached=True)

    if hit := from_cache():
        return hit

    def waiting(seconds: float) -> None:
        if on_progress is not None and seconds >= 0.5:
            on_progress(time.monotonic() - start, f"waiting for another compile of {file_name}")

    with cache.lock(key, stop, waiting):
        if hit := from_cache():
            return hit
        with cache.work_folder(key) as folder:
            placed = replace(job, folder=folder)
            _write_files(placed)
            wasm, output, command = toolchain.build(tool, placed, stop, on_progress)
            argv = tuple(part.replace(f"{folder}{os.sep}", "").replace(str(folder), "$WORK") for part in command.argv)
            if use_cache:
                depends = [_stamp(path) for path in toolchain.dependencies(placed)]
                meta = {"warnings": output, "command": argv, "depends": depends, "language": toolchain.language}
                cache.store(key, meta, wasm)
    return _result(toolchain, tool, job, wasm, output, argv, start, cached=False)


def _result(
    toolchain: Toolchain,
    tool: Tool,
    job: Job,
    wasm: bytes,
    warnings: str,
    command: tuple[str, ...],
    start: float,
    *,
    cached: bool,
) -> Compiled:
    found = parse(warnings, {**job.files, job.file_name: job.source}, toolchain.style) if warnings else ()
    return Compiled(
        wasm=wasm,
        warnings=warnings,
        diagnostics=tuple(found),
        seconds=time.monotonic() - start,
        cached=cached,
        command=command,
        toolchain=tool.name,
        language=toolchain.language,
        source=job.source,
        file_name=job.file_name,
    )


def _write_files(job: Job) -> None:
    for name, text in {**job.files, job.file_name: job.source}.items():
        path = job.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
