"""`plot`: one plot of a run or of a saved trace, or of two side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeGuard, cast

from ...text.shell import quote
from ...trace.trace import Trace
from ...views.plots import plots
from ...views.plots.plot_options import PLOT_KINDS, PlotOptions
from ...views.subject import Subject
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.grammar import program_name
from ..line.outputs import write_file
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .saved import load_trace

DEFAULT_KIND = "timeline"
TWO = "compare"
"""The kind of plot that shows two runs."""
PICTURES = (".png", ".svg", ".pdf")


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    name = "[NAME]" if kind == "notebook" else "TRACE"
    of = "the last run, or of the run or file NAME" if kind == "notebook" else "a saved trace"
    parser.usage = f"%(prog)s [-o OUT] {name} [KIND]   or   %(prog)s {name.strip('[]')} compare OTHER"
    lines = [f"A plot of {of}. The kinds (default: {DEFAULT_KIND}):"]
    parser.description = "\n".join([*lines, *(f"  {name:13}{words}" for name, words in PLOT_KINDS.items())])
    first = name.strip("[]")
    nargs = "*" if kind == "notebook" else "+"
    parser.add_argument("words", nargs=nargs, metavar=f"{first}, KIND", help="what is plotted, and the kind of plot")
    default = "" if kind == "notebook" else "; default: KIND.png"
    parser.add_argument("-o", "--output", metavar="OUT", help=f"write the picture ({' '.join(PICTURES)}{default})")


def execute(request: Request, frontend: Frontend) -> Done:
    """Draw one plot of a run, or of two side by side; show it in a notebook, write a file on the command line."""
    name, kind, other = _read(request.options.words, frontend)
    if (kind == TWO) != (other is not None):
        prog = program_name(frontend.kind)
        raise UsageProblem(f"the plot {TWO}, and no other, takes two runs: {prog} plot NAME {TWO} OTHER")
    options: PlotOptions = {} if other is None else {"other": _subject(other, frontend)}
    subject = _subject(name, frontend)
    try:
        with frontend.busy(f"drawing {kind}"):
            figure = plots.plot(subject, kind, **options)
    except plots.PlotError as error:
        raise UsageProblem(str(error)) from None
    output = request.options.output
    if output is None and frontend.kind == "notebook":
        return Done(0, figure)
    output = f"{kind}.png" if output is None else output

    def write(path: Path) -> None:
        if path.suffix.lower() not in PICTURES:
            raise ValueError(f"a picture ends in {', '.join(PICTURES)}")
        figure.savefig(path, format=path.suffix.lower()[1:])

    write_file("-o", output, write)
    frontend.note(f"{output}: {PLOT_KINDS[kind]}")
    return Done()


def _subject(word: object, frontend: Frontend) -> Subject | Trace:
    """The run that `word` is or names (None: the last one), else the trace in a file. Raises `UsageProblem`."""
    run: Subject | None = None
    if word is None or isinstance(word, str):
        run = frontend.run_named(word)
    elif hasattr(word, "trace"):
        run = cast("Subject", word)
    if run is not None:
        return run
    if word is None:
        raise UsageProblem("nothing has run yet in this notebook")
    if frontend.kind == "notebook" and isinstance(word, str) and not os.path.exists(os.path.expanduser(word)):
        raise UsageProblem(f"no run is named {word!r}; %wasi list shows the names")
    return load_trace(word, frontend)


def _read(words: list[object], frontend: Frontend) -> tuple[object, Any, object]:
    """(run or None, kind, other run or None) of `[NAME] [KIND] [OTHER]`; KIND before NAME also works, with a hint."""
    prog = f"{program_name(frontend.kind)} plot"
    if len(words) > 3:
        raise UsageProblem(f"{words[3]!r} is one argument too many: {prog} NAME KIND")
    match words:
        case []:
            return None, DEFAULT_KIND, None
        case [word] if frontend.kind == "notebook" and isinstance(word, str):
            is_run = word not in PLOT_KINDS and (frontend.run_named(word) is not None or os.path.isfile(word))
            return (word, DEFAULT_KIND, None) if is_run else (None, word, None)
        case [word]:
            return word, DEFAULT_KIND, None
        case [kind, name, *others] if _is_kind(kind) and not _is_kind(name):
            other = others[0] if others else None
            frontend.note(f"hint: what is plotted comes first: {prog} {_shown(name)} {kind}{_shown(other, ' ')}")
            return name, kind, other
        case [name, kind, *others]:
            return name, kind, others[0] if others else None
    raise AssertionError(words)


def _is_kind(word: object) -> TypeGuard[str]:
    return isinstance(word, str) and word in PLOT_KINDS


def _shown(word: object, before: str = "") -> str:
    """A word as typed, for a hint; a Python value is shown in braces."""
    return "" if word is None else before + (quote(word) if isinstance(word, str) else "{...}")
