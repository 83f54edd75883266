"""Python as a component made by componentize-py: CPython, the modules that the cell imports, and the cell.

componentize-py runs the program's module once and snapshots the interpreter. A cell is a plain script, so we compile a
small program that contains it. The program imports the script's modules in advance (there is no library to import from
later), and executes the script when the component runs.
"""

from __future__ import annotations

import os
import re
import sys
from typing import ClassVar

from ...wasi.components.catalogue import INTERFACES
from ...wasi.components.wit.wit_packages import command_wit
from ..base import Command, Job, Toolchain
from ..probe import Failure, Tool, versioned_programs

_PROGRAM = '''\
import ast, importlib, linecache, os, sys, traceback, types
from wit_world import exports
from wit_world.imports import environment, exit as exits

NAME, SOURCE = {name}, {source}
CODE = compile(SOURCE, NAME, "exec")
linecache.cache[NAME] = (len(SOURCE), None, SOURCE.splitlines(True), NAME)
for node in ast.walk(ast.parse(SOURCE)):
    wanted = []
    if isinstance(node, ast.Import):
        wanted = [name.name for name in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        wanted = [node.module, *(f"{{node.module}}.{{name.name}}" for name in node.names)]
    for module in wanted:
        try:
            importlib.import_module(module)
        except Exception:
            pass


class Run(exports.Run):
    def run(self):
        sys.argv[:] = environment.get_arguments()
        os.environ.clear()
        os.environ.update(environment.get_environment())
        if "random" in sys.modules:
            sys.modules["random"].seed()
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        main.__file__ = NAME
        status = 0
        try:
            exec(CODE, main.__dict__)
        except SystemExit as ended:
            status = ended.code
            if status is not None and not isinstance(status, int):
                print(status, file=sys.stderr)
                status = 1
        except BaseException as error:
            traceback.print_exception(error.with_traceback(error.__traceback__.tb_next))
            status = 1
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if status:
            exits.exit_with_code(status & 255)
'''


class Python(Toolchain):
    """Python."""

    language = "python"
    title = "Python"
    aliases = ("python3",)
    suffixes = (".py",)
    example_ending = ".txt"  # these are guest programs, not modules of this package
    lexer = "python"
    style = "python"
    makes_component = True
    refused_flags: ClassVar[dict[str, str]] = {
        "-o": "the component's place is set by wasilab",
        "--output": "the component's place is set by wasilab",
        "-w": "the world is that of a command",
        "--world": "the world is that of a command",
    }

    @property
    def install(self) -> str:
        return "pip install componentize-py"

    def candidates(self, *, refresh: bool = False) -> list[Tool | Failure]:
        found: list[Tool | Failure] = []
        for one in versioned_programs(
            "componentize-py", "WASILAB_COMPONENTIZE_PY", "PyPI or PATH", _does_not_run, refresh=refresh
        ):
            found.append(one)
            if isinstance(one, Tool) and not refresh:
                break
        return found

    def command(self, tool: Tool, job: Job) -> Command:
        (job.folder / "world.wit").write_text(command_wit(INTERFACES), encoding="utf-8")
        program = _PROGRAM.format(name=ascii(job.file_name), source=ascii(job.source))
        (job.folder / "wasilab_program.py").write_text(program, encoding="utf-8")
        argv = [*tool.argv, "-d", "world.wit", "-w", "command", *job.flags, "componentize", "-p", "."]
        return Command((*argv, "wasilab_program", "-o", job.output_path.name), job.folder, {"PYTHONHOME": None})

    def context(self, job: Job) -> list[str]:
        return [_PROGRAM, command_wit(INTERFACES)]

    def installation(self, tool: Tool) -> list[str]:
        # The command is a script installed by pip: it starts a Python, usually ours.
        return [*super().installation(tool), os.path.realpath(sys.base_prefix), sys.prefix]

    def clean(self, output: str, job: Job) -> str:
        """Python's traceback without the frames of componentize-py and of the program around the script."""
        text = super().clean(output, job)
        _, mark, own = text.partition("AssertionError: Traceback")
        if mark:
            text = mark.removeprefix("AssertionError: ") + own
            text = re.split(r"\n\s*(?:Caused by:|Stack backtrace:|\n)", text, maxsplit=1)[0]
            text = re.sub(r'^ *File "[^"\n]*wasilab_program\.py".*\n(?:    .*\n)*', "", text, flags=re.MULTILINE)
        elif "Component built successfully" in text:
            return ""
        return text.rstrip("\n") + "\n" if text.strip() else ""

    def hints(self, output: str, job: Job) -> list[str]:
        if "ModuleNotFoundError" in output:
            return ["put an imported file beside the source with a %%wasi_file cell; packages of pip are not there"]
        return []

    def sentence(self, tool: Tool, job: Job, elapsed: float) -> str:
        return f"making a component of CPython and {job.file_name}: about 20 s"


def _does_not_run(output: str) -> str:
    return f"it does not run: {output[:200] or 'no output'}"
