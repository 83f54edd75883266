"""`program`: a program of the lessons, ready to run without a compiler."""

from __future__ import annotations

from ...course.prebuilt import program, program_names, program_source
from ...text.numbers import counted
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.outputs import write_file
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem

MOST_LINES = 40
"""A longer source is folded in a notebook."""


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    keep = (
        "Its source is shown, and it is kept under its name: %wasi program copy, then %wasi run copy FROM TO."
        if kind == "notebook"
        else "Its source is shown, or with -o its module is written: wasilab program copy -o copy.wasm."
    )
    parser.description = f"A program of the lessons, compiled in advance. {keep} Without NAME all are listed."
    parser.add_argument("name", nargs="?", metavar="NAME", choices=program_names(), help="the program's name")
    if kind == "cli":
        parser.add_argument("-o", "--output", metavar="FILE", help="write the module there instead of its source")


def execute(request: Request, frontend: Frontend) -> Done:
    """Show a program's source and keep its module, or list all programs."""
    options = request.options
    if options.name is None:
        if getattr(options, "output", None):
            raise UsageProblem("-o FILE needs a NAME before it: wasilab program copy -o copy.wasm")
        for name in program_names():
            frontend.say(f"{name:12} {program_source(name).about}")
        return Done()
    source, module = program_source(options.name), program(options.name)
    if frontend.kind == "cli":
        if options.output is None:
            frontend.say(source.text)
            return Done()
        write_file("-o", options.output, lambda path: path.write_bytes(module.bytes))
        frontend.note(f"{options.output}: {counted(len(module.bytes), 'byte')}")
        return Done()
    frontend.keep(source.name, module)
    lines = source.text.count("\n")
    if lines > MOST_LINES:
        frontend.fold(f"{source.file}, {counted(lines, 'line')}", source.text)
    else:
        frontend.say(source.text)
    return Done()
