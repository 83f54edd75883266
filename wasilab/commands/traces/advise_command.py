"""`advise`: the smallest grants under which the calls of some traces would succeed again, with the evidence."""

from __future__ import annotations

from ...grants.advice.advise import advise as smallest
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import file_argument
from ..line.outputs import write_file
from ..line.parser import Parser
from ..line.request import Request
from .saved import load_trace


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s [OPTION]... " + ("[TRACE]..." if kind == "notebook" else "TRACE...")
    parser.description = "The smallest grants under which the same calls would succeed. A trace is a lower bound."
    nargs = "*" if kind == "notebook" else "+"
    file_argument(parser, "saved traces" + (" or named runs" if kind == "notebook" else ""), nargs, "TRACE")
    parser.add_argument("-o", "--output", metavar="FILE", help="write a policy file (TOML)")
    parser.add_argument(
        "--as", dest="form", choices=("flags", "toml", "python"), default="flags", help="how it is printed"
    )
    parser.add_argument("--narrow", action="store_true", help="grant the deepest folders that hold all that was used")
    parser.add_argument("--limits", action="store_true", help="set the limits to the observed peaks")
    parser.add_argument("--include-missing", action="store_true", help="also grant what was requested and refused")


def execute(request: Request, frontend: Frontend) -> Done:
    """Print the advice, or write it as a policy file."""
    options = request.options
    traces = [load_trace(word, frontend) for word in options.files or [None]]
    advice = smallest(*traces, narrow=options.narrow, limits=options.limits, include_missing=options.include_missing)
    if options.output is not None:
        text = advice.toml().encode("utf-8")
        path = write_file("-o", options.output, lambda file: file.write_bytes(text))
        frontend.note(f"{path}: a policy file; run with --policy {path}")
    forms = {"flags": lambda: str(advice), "toml": advice.toml, "python": advice.python}
    if options.output is None or options.form != "flags":
        frontend.say(forms[options.form]())
    return Done(0, None)
