"""The base class of toolchains: how to find and call a language's compiler, and how to explain its errors.

`languages/` has a subclass of `Toolchain` for each language. It finds its compiler, builds one command and explains
errors; its class attributes are the only place that describes the language. Running the command is common to all and is
here. Not here: the list of languages (`registry.py`), and the compile cache (`compile.py`).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from . import confinement
from .confinement import CompileLimits
from .diagnostics import CompileError, ToolchainError, ToolchainMissing, parse
from .libraries.first_build import FirstBuild
from .linking import library_lookup
from .names import source_file_name
from .probe import Failure, Tool
from .process import Cancelled, Finished, ProcessBounds, Progress, out_of_memory, run_group

PROGRAMS = ("hello", "words")
"""The programs bundled for every language: a greeting, and a word counter."""


@dataclass(frozen=True, slots=True)
class Job:
    """One compile: everything that the module depends on, and the work folder."""

    source: str
    file_name: str
    flags: tuple[str, ...]
    files: Mapping[str, str]
    folder: Path
    """The work folder, with the source as `file_name` and the other files under their names."""
    limits: CompileLimits = CompileLimits()  # noqa: RUF009  it is immutable
    reports: bool = False
    """Whether the program reports paths that its own library refuses (`linking/library_lookup.py`)."""
    background: bool = False
    """Whether it runs in the background (`ProcessBounds.background`)."""
    first_build: FirstBuild | None = None
    """The build of the compiler's libraries that this compile includes; None if they are built."""

    @property
    def source_path(self) -> Path:
        """The path of the source."""
        return self.folder / self.file_name

    @property
    def output_path(self) -> Path:
        """The path where the compiler must write the module."""
        return self.folder / "out.wasm"


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: arguments, folder, environment changes (None removes a variable)."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str | None] = field(default_factory=dict)


class Toolchain(ABC):
    """One language: how to find and call its compiler, and how to explain its errors."""

    language: ClassVar[str]
    """The name used in a cell, such as "c"."""
    title: ClassVar[str]
    """The display name, such as "C++"."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names accepted in a cell, besides the suffixes."""
    related: ClassVar[tuple[str, ...]] = ()
    """Names that are rejected with a suggestion of this language."""
    suffixes: ClassVar[tuple[str, ...]]
    """File suffixes with the dot; a cell's file gets the first."""
    example_ending: ClassVar[str] = ""
    """An extra ending after the suffix of bundled programs."""
    lexer: ClassVar[str]
    """The language's name in Pygments."""
    slow_first: ClassVar[bool] = False
    """Whether the first compile builds libraries, for tens of seconds (C and C++ only with zig)."""
    style: ClassVar[str] = "gnu"
    """The format of its diagnostics; see `diagnostics.parse`."""
    reactor_flags: ClassVar[tuple[str, ...]] = ()
    """Flags that make a module without `main`, to be called through its exports."""
    makes_component: ClassVar[bool] = False
    """Whether it makes a component rather than a core module."""
    reports: ClassVar[bool] = False
    """Whether its programs can report paths that their own library refuses."""
    refused_flags: ClassVar[Mapping[str, str]] = {}
    """Rejected flags, with the reason."""

    @property
    @abstractmethod
    def install(self) -> str:
        """The command that installs a compiler."""

    @abstractmethod
    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        """Find and try compilers in order of preference. Stops at the first that works unless `refresh`."""

    @abstractmethod
    def command(self, tool: Tool, job: Job) -> Command:
        """The command to compile a job to `job.output_path`."""

    @property
    def template(self) -> str:
        """A starting point for a cell: the bundled `hello` of this language."""
        return self.example("hello")

    def example(self, program: str) -> str:
        """The source of a bundled program, one of `PROGRAMS`, in this language."""
        from importlib.resources import files

        name = f"{program}{self.suffixes[0]}{self.example_ending}"
        return (files("wasilab") / "examples" / name).read_text(encoding="utf-8")

    def find(self) -> Tool:
        """The compiler to use. Raises `ToolchainMissing`, with the install command."""
        found = self.candidates()
        for candidate in found:
            if isinstance(candidate, Tool):
                return candidate
        raise self.missing(found)

    def missing(self, found: Sequence[Tool | Failure]) -> ToolchainMissing:
        """The error if no compiler is found."""
        tried = [f"{one.path}: {one.why}" for one in found if isinstance(one, Failure)]
        return ToolchainMissing(self.language, self.title, self.install, tried)

    def file_name(self, name: str) -> str:
        """The source file name for the name of a cell or file."""
        return source_file_name(name, self.suffixes)

    def tune(self, flags: tuple[str, ...]) -> tuple[str, ...]:
        """Adjust the flags for this language; called before the cache key is made."""
        return flags

    def build(
        self, tool: Tool, job: Job, cancelled: Cancelled, on_progress: Progress | None
    ) -> tuple[bytes, str, Command]:
        """Compile; returns the module, the compiler's output, and the command. Raises `CompileError`."""
        command = self.command(tool, job)
        bounds = ProcessBounds(
            job.limits.seconds,
            job.limits.memory,
            confinement.reach([*self.installation(tool), *self.named(job)], [str(job.folder), *self.caches(tool)]),
            job.background,
        )
        report = None if job.first_build is None else job.first_build.descriptor
        reports: dict[str, str | None] = {} if report is None else {"ZIG_PROGRESS": str(report)}

        def run(command: Command) -> Finished:
            return run_group(
                command.argv,
                cwd=command.cwd,
                env=confinement.environment({**command.env, **reports}, job.folder),
                cancelled=cancelled,
                on_progress=on_progress,
                sentence=lambda elapsed: self.sentence(tool, job, elapsed),
                bounds=bounds,
                descriptors=() if report is None else (report,),
            )

        finished = run(command)
        if finished.status != 0 and job.reports and library_lookup.concerns(finished.output):
            return self.build(tool, replace(job, reports=False), cancelled, on_progress)
        again = self.link_again(tool, job, finished.output) if finished.status == 0 and job.reports else None
        if again is not None and run(again).status == 0:
            os.replace(again.argv[again.argv.index("-o") + 1], job.output_path)
        output = self.clean(finished.output, job)
        if finished.status != 0:
            raise self.error(tool, job, output, command, finished, bounds)
        try:
            wasm = job.output_path.read_bytes()
        except OSError as error:
            raise ToolchainError(f"{tool.name} succeeded but wrote no module; check the flags {job.flags!r}") from error
        if wasm[:4] != b"\0asm":
            raise ToolchainError(
                f"{tool.name} wrote something that is not a WebAssembly module; check the flags {job.flags!r}"
            )
        return wasm, output, command

    def link_again(self, tool: Tool, job: Job, output: str) -> Command | None:
        """The command that links a compiled program again, so that it reports what its library refuses.

        For a compiler whose own link step cannot do it; `output` is the compiler's output. None if nothing is to be
        done.
        """
        return None

    def clean(self, output: str, job: Job) -> str:
        """The compiler's output with the work folder's path removed, so that it names the cell."""
        for folder in dict.fromkeys((str(job.folder), os.path.realpath(job.folder))):
            output = output.replace(folder + os.sep, "").replace(folder, ".")
        return output

    def error(
        self,
        tool: Tool,
        job: Job,
        output: str,
        command: Command,
        finished: Finished | None = None,
        bounds: ProcessBounds = ProcessBounds(),  # noqa: B008  it is immutable
    ) -> CompileError:
        """The error for a failed compile, from the compiler's output and the end of its process."""
        hints = self.hints(output, job)
        if finished is not None:
            hints += filter(None, [out_of_memory(output, finished, bounds), confinement.refused_hint(output)])
            if not output.strip():
                output = f"{command.argv[0]} ended with status {finished.status} and said nothing"
        found = parse(output, {**job.files, job.file_name: job.source}, self.style)
        hints = list(dict.fromkeys(hints))
        return CompileError(output, found, hints=hints, command=command.argv, toolchain=tool.name, source=job.source)

    def hints(self, output: str, job: Job) -> list[str]:
        """Sentences that suggest a flag or change to fix an error."""
        return []

    def sentence(self, tool: Tool, job: Job, elapsed: float) -> str:
        """The progress message of a compile."""
        return f"compiling {job.file_name} with {tool.name}"

    def dependencies(self, job: Job) -> list[str]:
        """Files outside the work folder that the module depends on; if one changes, the cached module is stale."""
        return [flag for flag in job.flags if os.path.isabs(flag) and os.path.isfile(flag)]

    def installation(self, tool: Tool) -> list[str]:
        """The compiler's own files and folders, which it may read and execute."""
        argued = [part.rpartition("=")[2] for part in tool.argv[1:]]
        parts = [os.path.realpath(path) for path in argued if os.path.isabs(path) and os.path.exists(path)]
        return [*confinement.installation(tool.path), *confinement.installation(tool.argv[0]), *parts]

    def caches(self, tool: Tool) -> list[str]:
        """The compiler's cache folders, which it may change."""
        return []

    def named(self, job: Job) -> list[str]:
        """Files and folders named by a job's flags, which the compiler may read."""
        return [os.path.realpath(flag) for flag in job.flags if not flag.startswith("-") and os.path.exists(flag)]

    def context(self, job: Job) -> list[str]:
        """Other text that the module depends on, such as environment variables; part of the cache key."""
        return []

    def notes(self, tool: Tool) -> list[str]:
        """Remarks about this compiler on this machine, for `doctor`."""
        return []

    def cold(self, tool: Tool) -> str | None:
        """A sentence about what the first compile must still build; None if the compiler is warm."""
        return None
