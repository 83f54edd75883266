"""From source to module: what a toolchain is, and `compile_source`, the one way a cell becomes WebAssembly.

A language is a `Toolchain`: it finds its compiler, builds one command and explains errors. All else is common and
here: checking names and flags, the cache, the lock, the work folder, running, mapping paths back to the cell. Not
here: which languages there are (`registry`), and anything that looks at or runs the module.
"""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from . import cache
from .diagnostics import CompileError, CompileInterrupted, Diagnostic, ToolchainError, ToolchainMissing, parse
from .names import check_files, check_flags, source_file_name
from .probe import Failure, Tool
from .process import Cancelled, Progress, interruptible, never, run_group

__all__ = [
    "Compiled",
    "CompileError",
    "CompileInterrupted",
    "Diagnostic",
    "Job",
    "Tool",
    "Toolchain",
    "ToolchainError",
    "ToolchainMissing",
    "compile_source",
]

PROGRAMS = ("hello", "words")
"""The programs that are bundled in every language: a greeting, and one that counts the words of a file."""
FORMAT = "1"
"""Part of every cache key: raise it when a change here makes old entries wrong."""


@dataclass(frozen=True, slots=True)
class Job:
    """One compile: everything that the resulting module depends on, and where it happens."""

    source: str
    file_name: str
    flags: tuple[str, ...]
    files: Mapping[str, str]
    folder: Path
    """The work folder, holding the source as `file_name` and the further files under their names."""

    @property
    def source_path(self) -> Path:
        """The source on the disk."""
        return self.folder / self.file_name

    @property
    def output_path(self) -> Path:
        """Where the compiler is told to write the module."""
        return self.folder / "out.wasm"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A module fresh from a compiler or from the cache."""

    wasm: bytes
    warnings: str
    """What the compiler wrote although it succeeded; empty most times."""
    diagnostics: tuple[Diagnostic, ...]
    """`warnings`, parsed."""
    seconds: float
    """Wall time of this call, a cache hit's too."""
    cached: bool
    command: tuple[str, ...]
    """The command as run when the module was compiled; paths in the work folder are relative."""
    toolchain: str
    """Kind and version of the compiler, "clang 22.1.8"."""
    language: str
    source: str
    """The source with its leading blank lines: line numbers in diagnostics and DWARF index it."""
    file_name: str
    """The name under which diagnostics and DWARF know the source, "copy.c"."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: arguments, folder, environment changes (None removes a variable)."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str | None] = field(default_factory=dict)


class Toolchain(ABC):
    """One language: how its compiler is found, called and understood."""

    language: ClassVar[str]
    """The name that a cell gives, "c"."""
    title: ClassVar[str]
    """The name for people, "C++"."""
    aliases: ClassVar[tuple[str, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]]
    """File name endings, the first being the one that a cell's file gets."""
    lexer: ClassVar[str]
    """Pygments' name of the language."""
    install: ClassVar[str]
    """The one line that installs a compiler."""
    style: ClassVar[str] = "gnu"
    """The format of its diagnostics, see `diagnostics.parse`."""
    reactor_flags: ClassVar[tuple[str, ...]] = ()
    """Flags that make a module without `main`, kept alive for its exports."""
    refused_flags: ClassVar[Mapping[str, str]] = {}
    """Flags that would break the contract of a compile, and why."""

    @abstractmethod
    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        """Every compiler found, in order of preference, tried. Stops at the first that works unless `refresh`."""

    @abstractmethod
    def command(self, tool: Tool, job: Job) -> Command:
        """The command that compiles a job to `job.output_path`."""

    @property
    def template(self) -> str:
        """A cell to start from: the bundled `hello` of this language."""
        return self.example("hello")

    def example(self, program: str) -> str:
        """The source of a bundled program, one of `PROGRAMS`, in this language."""
        from importlib.resources import files

        return (files("wasilab") / "examples" / f"{program}{self.suffixes[0]}").read_text(encoding="utf-8")

    def find(self) -> Tool:
        """The compiler to use. Raises `ToolchainMissing`, which says how to install one."""
        found = self.candidates()
        for candidate in found:
            if isinstance(candidate, Tool):
                return candidate
        raise self.missing(found)

    def missing(self, found: Sequence[Tool | Failure]) -> ToolchainMissing:
        """The error for a machine without this compiler."""
        tried = [f"{one.path}: {one.why}" for one in found if isinstance(one, Failure)]
        return ToolchainMissing(self.language, self.title, self.install, tried)

    def file_name(self, name: str) -> str:
        """The file name for a cell's or a file's name."""
        return source_file_name(name, self.suffixes)

    def tune(self, flags: tuple[str, ...]) -> tuple[str, ...]:
        """The flags as this language wants them; called before the cache key is made."""
        return flags

    def build(
        self, tool: Tool, job: Job, cancelled: Cancelled, on_progress: Progress | None
    ) -> tuple[bytes, str, Command]:
        """Compile: the module, what the compiler wrote, and the command. Raises `CompileError`."""
        command = self.command(tool, job)
        env = dict(os.environ)
        for key, value in {"NO_COLOR": "1", **command.env}.items():
            if value is None:
                env.pop(key, None)
            else:
                env[key] = value
        finished = run_group(
            command.argv,
            cwd=command.cwd,
            env=env,
            cancelled=cancelled,
            on_progress=on_progress,
            sentence=lambda elapsed: self.sentence(tool, job, elapsed),
        )
        output = self.clean(finished.output, job)
        if finished.status != 0:
            if not output.strip():
                output = f"{command.argv[0]} ended with status {finished.status} and said nothing"
            raise self.error(tool, job, output, command)
        try:
            wasm = job.output_path.read_bytes()
        except OSError as error:
            raise ToolchainError(f"{tool.name} succeeded but wrote no module; check the flags {job.flags!r}") from error
        if wasm[:4] != b"\0asm":
            raise ToolchainError(
                f"{tool.name} wrote something that is not a WebAssembly module; check the flags {job.flags!r}"
            )
        return wasm, output, command

    def clean(self, output: str, job: Job) -> str:
        """The compiler's output with the work folder's path removed, so that it names the cell."""
        for folder in dict.fromkeys((str(job.folder), os.path.realpath(job.folder))):
            output = output.replace(folder + os.sep, "").replace(folder, ".")
        return output

    def error(self, tool: Tool, job: Job, output: str, command: Command) -> CompileError:
        """The error for what a failed compiler wrote."""
        found = parse(output, {**job.files, job.file_name: job.source}, self.style)
        hints = list(dict.fromkeys(self.hints(output, job)))
        return CompileError(output, found, hints=hints, command=command.argv, toolchain=tool.name, source=job.source)

    def hints(self, output: str, job: Job) -> list[str]:
        """Sentences that say which flag or change would mend an error."""
        return []

    def sentence(self, tool: Tool, job: Job, elapsed: float) -> str:
        """What a compile is doing, for the progress line."""
        return f"compiling {job.file_name} with {tool.name}"

    def dependencies(self, job: Job) -> list[str]:
        """Files outside the work folder that the module depends on; a change of one makes the cached module stale."""
        return [flag for flag in job.flags if os.path.isabs(flag) and os.path.isfile(flag)]

    def context(self, job: Job) -> list[str]:
        """Further texts that the module depends on, such as environment variables; part of the cache key."""
        return []

    def cold(self, tool: Tool) -> str | None:
        """What the first compile has yet to build, as a sentence; None if the compiler is warm."""
        return None


def cache_key(toolchain: Toolchain, tool: Tool, job: Job) -> str:
    """The sha256 of all that the module depends on, each part with its length so that parts cannot run together."""
    digest = hashlib.sha256()
    parts = [FORMAT, toolchain.language, tool.kind, tool.version, *tool.argv, "\0flags", *job.flags, "\0context"]
    parts += toolchain.context(job)
    parts += ["\0source", job.file_name, job.source, "\0files"]
    for name in sorted(job.files):
        parts += [name, job.files[name]]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _stamp(path: str) -> list[Any]:
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
) -> Compiled:
    """Compile `source` of language `lang` (a name, an alias or a suffix) to a WASI module.

    `flags` go to the compiler after the default ones. `name` names the cell or the file (none: `cell`): diagnostics
    and DWARF say `name.c`. `files` are further files by relative path, which the source may include; one that is
    itself a source file to be compiled and linked is named among the flags. `first_line` is the line of the cell on
    which the source starts (2 under a `%%wasi` line): line numbers everywhere count from it.

    `interrupt` is a function asked every 50 ms that says whether to stop; `on_progress(seconds, sentence)` is
    called about four times a second once half a second has passed.

    Raises `CompileError` (the compiler refused), `ToolchainMissing`, `CompileInterrupted`, and `ToolchainError` for
    a bad name, flag or file.
    """
    from .registry import toolchain_for

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
            placed = Job(job.source, job.file_name, job.flags, job.files, folder)
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
