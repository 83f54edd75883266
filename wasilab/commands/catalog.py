"""The list of commands, in the order of the help.

A new command is one file with `add_arguments` and `execute` and one entry here.
"""

from __future__ import annotations

from .line.frontend import Done, Frontend, FrontendKind
from .line.outputs import refuse_overwriting
from .line.request import Request
from .line.subcommand import Subcommand

COMMANDS = (
    Subcommand(
        "run", "compile if necessary, run with the given grants, record every WASI call",
        "programs.run_command", aliases=("exec",), arguments="program",
        example="run --dir in --dir out:rw copy.c in/hello.txt out/copy.txt",
    ),
    Subcommand(
        "compile", "compile a source file to a .wasm module",
        "programs.compile_command", aliases=("build",), arguments="compiler",
        example="compile copy.c -o copy.wasm",
    ),
    Subcommand(
        "adapt", "convert a preview1 module to a WASI 0.2 component", "programs.adapt_command",
        example="adapt copy.wasm -o copy.component.wasm",
    ),
    Subcommand(
        "inspect", "what a module imports, exports and can ask for, without running it", "programs.inspect_command"
    ),
    Subcommand("code", "a function's source, WebAssembly text and machine code side by side", "inside.code_command"),
    Subcommand("memory", "a guest's memory as a hexdump, with its regions marked", "inside.memory_command"),
    Subcommand(
        "explore", "what does this module do? its imports in plain words, and an isolated first run",
        "experiments.explore_command", arguments="compiler",
    ),
    Subcommand(
        "trace", "read a saved trace: strace text, filters, summary, plots, other formats",
        "traces.trace_command", aliases=("strace",),
        example="trace -e path,fd_* -Z run.wtrace",
    ),
    Subcommand(
        "replay", "run a recorded program again, answered from its recording; stop where it differs",
        "experiments.replay_command",
    ),
    Subcommand(
        "inject", "fail every call of a program once: does it recover, report, lose data, crash?",
        "experiments.inject_command", arguments="program",
    ),
    Subcommand(
        "minimize", "the smallest grants, files and input with which a recorded program still shows something",
        "experiments.minimize_command",
    ),
    Subcommand(
        "sweep", "run a program under every combination of some parameters, from a TOML file",
        "experiments.sweep_command",
        example="sweep seeds.toml -o result",
    ),
    Subcommand("wast", "run WebAssembly test scripts (.wast): files, or all below a folder", "runner.wast_command"),
    Subcommand("sql", "query a trace in SQL: views calls, fds, paths, lines, output", "traces.sql_command"),
    Subcommand("diff", "compare two traces, call by call", "traces.diff_command"),
    Subcommand(
        "plot", "a plot of a run or trace: timeline, latency, bytes and others", "traces.plot_command",
        example="plot run.wtrace latency -o latency.svg",
    ),
    Subcommand(
        "advise", "the smallest grants under which the same calls would succeed", "traces.advise_command",
        example="advise run.wtrace -o policy.toml",
    ),
    Subcommand(
        "demo", "see it work: one program, refused and then granted, and its timeline", "programs.demo_command",
        example="demo",
    ),
    Subcommand(
        "template", "a small program to start from, in any language", "programs.template_command",
        example="template rust",
    ),
    Subcommand(
        "grade", "grade the programs and policies of a folder of notebooks", "course.grade_command"
    ),
    Subcommand("lab", "JupyterLab on a copy of the course", "course.lab_command"),
    Subcommand("course", "copy the course into a folder, and bring its lessons up to date", "course.course_command"),
    Subcommand(
        "exercise", "an exercise of the course, with the cell to begin with", "course.exercise_command",
        example="exercise 03.1",
    ),
    Subcommand(
        "example", "a program to change and run; without a name, all of them", "course.example_command",
        aliases=("examples",),
    ),
    Subcommand("program", "a program of the lessons, which needs no compiler", "course.program_command"),
    Subcommand(
        "doctor", "compilers, versions and caches; what is missing and the line that installs it",
        "machine.doctor_command",
        example="doctor --warm",
    ),
    Subcommand(
        "bench", "what a call costs on this machine, compared with Node, wasmtime-py and a bare os.write",
        "machine.bench_command",
        example="bench clock_time_get fd_read",
    ),
    Subcommand(
        "settings", "the engine's settings and every limit", "runner.settings_command",
        example="settings --json",
    ),
    Subcommand("completion", "the completion script for bash, zsh or fish", "runner.completion_command"),
    Subcommand(
        "cache", "the compile cache: where it is, its size, clear it", "machine.cache_command",
        example="cache --clear",
    ),
    Subcommand(
        "list", "the modules and runs named in this notebook", "notebook.list_command",
        aliases=("ls",), notebook_only=True,
    ),
    Subcommand(
        "forget", "remove named modules and runs, and free the memory of their traces", "notebook.forget_command",
        notebook_only=True,
    ),
    Subcommand(
        "grants", "the panel: what a module asks for, is granted, and used", "notebook.grants_command",
        notebook_only=True,
    ),
    Subcommand(
        "config", "what cells do unless an option says otherwise: isolate on|strict|off", "notebook.config_command",
        notebook_only=True,
    ),
    Subcommand("timeline", "the live timeline of a run", "notebook.timeline_command", notebook_only=True),
)  # fmt: skip

def command_names(kind: FrontendKind) -> list[str]:
    """The names of a front end's commands, in the order of the help."""
    return [command.name for command in COMMANDS if kind == "notebook" or not command.notebook_only]


def find_command(name: str, kind: FrontendKind) -> Subcommand | None:
    """The command with that name or alias, or None if the front end has none."""
    for command in COMMANDS:
        if name == command.name or name in command.aliases:
            return command if kind == "notebook" or not command.notebook_only else None
    return None


def execute(request: Request, frontend: Frontend) -> Done:
    """Execute a request. Raises `UsageProblem`, `GrantError`, `ModuleError` or a `ToolchainError`."""
    command = find_command(request.command, frontend.kind)
    assert command is not None, f"the grammar made a request for {request.command!r}"
    refuse_overwriting(request.options)
    return command.module().execute(request, frontend)
