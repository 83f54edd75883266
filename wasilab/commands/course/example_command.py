"""`example`: a program of the lessons as a cell to change and run; `examples` lists them."""

from __future__ import annotations

from ...course.prebuilt import LessonProgram, program_source
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from .exercise_command import kind_word

OPTIONS = {
    "bare": "", "copy": "--dir .::in --dir .::out:copy --args 'in/FILE out/COPY'", "cost": "--args buffered",
    "dice": "--clock stepped:1000 --random seeded:1", "growth": "--args 8", "hello": "",
    "holdings": "--dir .", "mmap": "--emulate mman", "notes": "--dir .::data:copy --args tea",
    "show": "--dir .::here --args here/FILE", "ticker": "--dir .::in --args 3", "waits": "--args poll",
    "ways_out": "--dir .::box", "words": "--dir .::/data --args /data/FILE",
}  # fmt: skip
"""The programs that run by themselves, and the options of their cells."""


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    where = "put into a new cell, to change and run" if kind == "notebook" else "printed"
    parser.description = (
        f"A program of the lessons, {where}: {kind_word(kind)} example copy. Without NAME the examples are listed."
    )
    parser.add_argument("name", nargs="?", metavar="NAME", choices=tuple(OPTIONS), help="the example's name")


def execute(request: Request, frontend: Frontend) -> Done:
    """Offer an example, or list all."""
    if request.options.name is None:
        for name in OPTIONS:
            frontend.say(f"{name:10} {program_source(name).about}")
        return Done()
    source = program_source(request.options.name)
    frontend.offer(cell_line(source), source.text)
    return Done()


def cell_line(source: LessonProgram) -> str:
    """The first line of a program's cell."""
    return f"%%wasi {source.lang} --name {source.name} {OPTIONS[source.name]}".rstrip()
