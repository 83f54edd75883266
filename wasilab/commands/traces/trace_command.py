"""`trace`: show a recording as strace text, tables, pictures and other formats. Nothing is run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ...grants.remedy import denied
from ...text.escape import visible
from ...text.numbers import counted
from ...trace.formats.suffixes import opened_in
from ...trace.strace.style import STRING_BYTES
from ...trace.trace import Trace
from ...views.timeline.figure import figure
from ..line.argument_types import count, noted
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import add_strace_options, file_argument
from ..line.outputs import write_file
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from .saved import choose, load_trace, none_matches, strace
from .sql_command import answer


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s [OPTION]... " + ("[FILE]" if kind == "notebook" else "FILE")
    parser.description = (
        "Read a saved trace"
        + (" or that of a named run" if kind == "notebook" else "")
        + "; shows it as strace text."
    )
    file_argument(parser, "the trace", nargs="?" if kind == "notebook" else None)
    parser.add_argument("--head", type=count, metavar="N", help="the first N calls")
    parser.add_argument("--tail", type=count, metavar="N", help="the last N calls")
    parser.add_argument(
        "--times", choices=("run", "relative", "epoch", "none"), default="run",
        help="the time shown for a call: since the run's start (default), since the previous call, of day, or none",
    )  # fmt: skip
    add_strace_options(parser)
    parser.add_argument(
        "-T", "--durations", action=argparse.BooleanOptionalAction, default=True, help="seconds in the call (default)"
    )
    parser.add_argument(
        "-y", "--fd-paths", action=argparse.BooleanOptionalAction, default=True,
        help="descriptors with their paths (default)",
    )  # fmt: skip
    parser.add_argument("-s", "--strings", type=count, default=STRING_BYTES, metavar="N", help="bytes shown per buffer")
    parser.add_argument("-v", "--verbose", action="store_true", help="all rights by name")
    parser.add_argument(
        "-k", "--stacks", action="store_true", help="the guest's stack under each call, where it was taken"
    )
    parser.add_argument("-c", "--summary", action="store_true", help="calls, errors and time by name")
    parser.add_argument("--fds", action="store_true", help="lifetime of each descriptor: opened, moved, closed, leaked")
    parser.add_argument("--by-line", action="store_true", help="calls, bytes and time by line of source")
    parser.add_argument("--annotate", action="store_true", help="the source with those figures in the margin")
    parser.add_argument(
        "--note", dest="notes", action="append", default=[], type=noted, metavar="SEQ[-SEQ]=TEXT",
        help="label a call or a span; saved into FILE",
    )  # fmt: skip
    parser.add_argument("--refused", action="store_true", help="what was refused, in words")
    parser.add_argument("--plot", metavar="OUT.png", help="write the timeline picture (.png .svg .pdf)")
    parser.add_argument("--export", metavar="OUT", help="write another format, by suffix")
    parser.add_argument("--sql", metavar="QUERY", help="a query over the table 'trace' (needs duckdb)")


def execute(request: Request, frontend: Frontend) -> Done:
    """Show a trace as strace text, or as the options specify."""
    options = request.options
    whole = load_trace(options.file, frontend)
    _note(whole, options)
    chosen = choose(whole, options)
    if options.head is not None:
        chosen = chosen[: options.head]
    if options.tail is not None:
        chosen = chosen[-options.tail :]
    done = False
    if options.export is not None:
        with frontend.busy(f"writing {options.export}"):
            write_file("--export", options.export, chosen.save)
        where = opened_in(Path(options.export).suffix.lower())
        frontend.note(f"{options.export}: {counted(len(chosen), 'call')}{f'; {where}' if where else ''}")
        done = True
    if options.plot is not None:
        with frontend.busy(f"drawing {options.plot}"):
            write_file("--plot", options.plot, lambda path: _picture(chosen, path))
        frontend.note(f"{options.plot}: the timeline of {counted(len(chosen), 'call')}")
        done = True
    if options.sql is not None:
        with frontend.busy("asking"):
            found = _query(chosen, options.sql)
        frontend.say(found)
        done = True
    if options.summary:
        frontend.say(chosen.summary().text(frontend.out))
        done = True
    if options.refused:
        frontend.say(denied(chosen).text(frontend.out))
        done = True
    for wanted, tell in ((options.fds, Trace.fds), (options.by_line, Trace.by_line)):
        if wanted:
            frontend.say(str(tell(chosen)))
            done = True
    if options.annotate:
        frontend.say(_annotated(chosen))
        done = True
    if not done and not (options.notes and request.options.file):
        if len(chosen):
            frontend.say(
                strace(
                    chosen, time=options.times, stacks=options.stacks, durations=options.durations,
                    fd_paths=options.fd_paths, strings=options.strings, verbose=options.verbose,
                )
            )  # fmt: skip
        elif len(whole):
            frontend.note(none_matches(whole))
        else:
            frontend.note("the trace is empty: the guest made no call")
    if whole.dropped:
        frontend.note(f"{counted(whole.dropped, 'earlier call')} exceeded the trace's budget and are not included")
    return Done(0, None)


def _picture(chosen: Trace, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg", ".pdf"):
        raise ValueError("a picture ends in .png, .svg or .pdf")
    figure(chosen).savefig(path, format=suffix[1:])


def _query(chosen: Trace, query: str) -> str:
    return visible(str(answer(chosen, query, "--sql: ")), lines=True)


def _annotated(chosen: Trace) -> str:
    try:
        return str(chosen.annotate())
    except ValueError as error:
        raise UsageProblem(f"--annotate: {error}") from None


def _note(whole: Trace, options: argparse.Namespace) -> None:
    """Add the notes to the trace; one that came from a file is written back to it."""
    for first, last, text in options.notes:
        if last >= len(whole) + whole.dropped:
            raise UsageProblem(f"--note: there is no call {last}: the last is {len(whole) + whole.dropped - 1}")
        whole.note(first, text, until=last)
    if options.notes and isinstance(options.file, (str, os.PathLike)) and Path(options.file).expanduser().is_file():
        write_file("--note", os.fspath(options.file), whole.save)
