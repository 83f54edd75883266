"""The options: in groups, as the commands share them, and command by command.

What an option of a grant or limit *means* is in `grants/flags.py`, which also puts it on the parser; what a command
does is in the command's own file.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from ...grants.forms.flags import add_options, size
from ...text.numbers import parse_count
from ...toolchains.base import PROGRAMS
from ...trace.strace.style import STRING_BYTES
from .parser import Door, Parser

SUMMARIES = {
    "run": "compile if need be, run under the given grants, record every WASI call",
    "compile": "compile a source file to a .wasm module",
    "inspect": "what a module imports, exports and can ask for, without running it",
    "trace": "read a saved trace: strace text, filters, summary, plots, other formats",
    "sql": "ask a trace in SQL: views calls, fds, paths, lines, output",
    "diff": "compare two traces, call by call",
    "advise": "the smallest grants under which the same calls would succeed",
    "demo": "see it work: one program, refused and then granted, and its timeline",
    "template": "a small program to start from, in any language",
    "doctor": "compilers, versions and caches; what is missing and the line that installs it",
    "cache": "the compile cache: where it is, its size, clear it",
    "list": "the modules and runs named in this notebook",
    "grants": "the panel: what a module asks for, is granted, and used",
    "timeline": "the live timeline of a run",
    "plot": "a plot of a run: calls, bytes, latency",
}
CELL_STACKS = 1000
"""Calls of a cell's run whose stack is taken unless it says otherwise, and as many refused ones: 25 ms at most each."""
NOTEBOOK_ONLY = frozenset({"list", "grants", "timeline", "plot"})


def commands(door: Door) -> list[str]:
    """The names of the subcommands of a door, in the order of the help."""
    return [name for name in SUMMARIES if door == "notebook" or name not in NOTEBOOK_ONLY]


def count(text: str) -> int:
    """A whole number of at least 1, such as 1000 or 10M (`text.numbers.parse_count`)."""
    try:
        return parse_count(text, least=1)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def snaplen(text: str) -> int | None:
    """Bytes, or `all` (None)."""
    return None if text == "all" else size(text)


def pair(text: str) -> tuple[str, str]:
    """`NAME=FILE` as two."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=FILE")
    return name, value


def linked(text: str) -> tuple[str, str]:
    """`FOLDER/lib.wasm` as (`lib`, itself); `NAME=FILE` as for --preload."""
    if "=" in text:
        return pair(text)
    name = Path(text).stem
    if not name:
        raise argparse.ArgumentTypeError("name a module, such as lib.wasm")
    return name, text


def noted(text: str) -> tuple[int, int, str]:
    """`7=here it leaks` or `7-12=...` as (first, last, text)."""
    found = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?=(.+)", text, re.DOTALL)
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form CALL=TEXT or FIRST-LAST=TEXT")
    return int(found[1]), int(found[2] or found[1]), found[3]


def names(text: str) -> list[str]:
    """`a,b` as a list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def add_compile_options(parser: Parser) -> None:
    """What the compiler is told in wasilab's words; its own flags stand behind `--`."""
    group = parser.add_argument_group("the compiler")
    group.add_argument(
        "--reactor", action="store_true", help="a module of exported functions, without main (see --invoke)"
    )
    group.add_argument(
        "--emulate", action="extend", default=[], type=names, metavar="NAME,...",
        help="C, C++: what wasi-libc emulates: mman, signal, process-clocks, getpid",
    )  # fmt: skip


def add_run_options(parser: Parser) -> None:
    """What is run, and how often."""
    group = parser.add_argument_group("the program")
    group.add_argument(
        "--invoke", metavar="FUNCTION",
        help="call this export, with the arguments as numbers, in place of _start",
    )  # fmt: skip
    group.add_argument(
        "--preload", dest="preloads", action="append", default=[], type=pair,
        metavar="NAME=FILE", help="a module whose exports the program imports as NAME",
    )  # fmt: skip
    group.add_argument(
        "--link", dest="preloads", action="append", default=[], type=linked,
        metavar="LIB.wasm", help="the same, imported under the file's own name (lib)",
    )  # fmt: skip
    group.add_argument(
        "--repeat", type=count, metavar="N", help="run N times, show the output once and the distribution"
    )
    group.add_argument(
        "--learn", action="store_true",
        help="try it where it can do no harm (folders as copies, virtual clocks) and say what it would need",
    )  # fmt: skip
    group.add_argument("--time", action="store_true", help="show where the time went: compile, load, run")


def add_strace_options(group: argparse._ActionsContainer) -> None:
    """The letters of strace that choose calls; `-e trace=SPEC`, as strace has it, is read too."""
    group.add_argument(
        "-e", "--calls", type=calls, metavar="SPEC",
        help="strace text of these calls only: names, patterns, families, /regex/: path,fd_*,/sync$/",
    )  # fmt: skip
    group.add_argument("-P", "--only-path", metavar="PATH", help="... of calls on this path (a pattern: '/data/*')")
    which = group.add_mutually_exclusive_group()
    which.add_argument("-z", "--successful", action="store_true", help="... of calls that succeeded")
    which.add_argument("-Z", "--failed", action="store_true", help="... of calls that failed")
    group.add_argument(
        "-r", dest="times", action="store_const", const="relative", default="run",
        help="... with the time since the call before it",
    )  # fmt: skip


def calls(text: str) -> str:
    """A specification of calls, without strace's `trace=`."""
    return text.removeprefix("trace=")


def add_view_options(parser: Parser, door: Door) -> None:
    """What is shown and kept of a run."""
    group = parser.add_argument_group("what is shown and kept")
    group.add_argument("--strace", action="store_true", help="every call as strace text, after the run")
    group.add_argument("--strace-file", metavar="FILE", help="the strace text into a file (also --strace=FILE)")
    group.add_argument(
        "--trace", dest="trace_file", metavar="FILE",
        help="save the trace; the suffix says how: .wtrace .jsonl .parquet .csv .strace .pftrace .json (calls: -e)",
    )  # fmt: skip
    group.add_argument("--no-trace", action="store_true", help="record nothing (the quickest run)")
    group.add_argument(
        "--snaplen", type=snaplen, default=64, metavar="BYTES", help="bytes of data kept a call (default 64; all)"
    )
    kept = f"of the first {CELL_STACKS:,} calls and refusals" if door == "notebook" else "none"
    group.add_argument(
        "--stacks", action=argparse.BooleanOptionalAction, default=CELL_STACKS if door == "notebook" else False,
        help=f"the guest's call stack and source line at every call (default: {kept})",
    )  # fmt: skip
    add_strace_options(group)
    group.add_argument("-c", "--summary", action="store_true", help="calls, errors and time by name")
    group.add_argument(
        "--explain", action=argparse.BooleanOptionalAction, default=None,
        help="say in words what was refused and what would allow it"
        + (" (default: when stderr is a terminal)" if door == "cli" else ""),
    )  # fmt: skip
    group.add_argument(
        "--apply", action="store_true",
        help="write what changed in the copied folders (--dir HOST:copy) to the host, if the exit status is 0",
    )  # fmt: skip
    group.add_argument("--quiet", action="store_true", help="no progress and no report; the guest's own output only")


def add_cell_options(parser: Parser) -> None:
    """What only a notebook has."""
    group = parser.add_argument_group("the notebook")
    group.add_argument("--name", help="keep the module and its last run under this name")
    group.add_argument("--detach", action="store_true", help="return at once; the run goes on (run.wait(), run.stop())")


LANGUAGE_HELP = "c, c++, zig, rust, go, assemblyscript, wat (default: by the file's suffix)"


def _file_argument(parser: Parser, help: str, nargs: str | None = None, metavar: str = "FILE") -> None:
    parser.add_argument("files" if nargs in ("*", "+") else "file", nargs=nargs, metavar=metavar, help=help)


def _run(parser: Parser, door: Door) -> None:
    parser.usage = "%(prog)s [OPTION]... FILE [ARG]..."
    parser.description = (
        "Run FILE (.wasm, .wat, or a source file, compiled first) under the given grants.\n"
        "Everything after FILE is the guest's own. Exit status: the guest's; 134 after a trap, 137 when a limit\n"
        "ended it, 130 when interrupted, 2 for a usage error."
    )
    what = "the program" + ("; or a name from --name" if door == "notebook" else "")
    _file_argument(parser, what)
    parser.add_argument("--lang", metavar="LANG", help=f"the source's language: {LANGUAGE_HELP}")
    add_options(parser)
    add_run_options(parser)
    add_view_options(parser, door)
    if door == "notebook":
        add_cell_options(parser)


def _compile(parser: Parser, door: Door) -> None:
    parser.usage = "%(prog)s SOURCE [-o OUT] [--lang LANG] [-- COMPILER FLAGS]"
    parser.description = "Compile SOURCE to a .wasm module. Everything after -- goes to the compiler as it is."
    _file_argument(parser, "the source file", metavar="SOURCE")
    parser.add_argument("-o", "--output", metavar="OUT", help="the module (default: SOURCE with .wasm)")
    parser.add_argument("--lang", metavar="LANG", help=LANGUAGE_HELP)
    parser.add_argument("--quiet", action="store_true", help="no progress; compiler messages only")
    add_compile_options(parser)
    if door == "notebook":
        parser.add_argument("--name", help="keep the module under this name")


def _inspect(parser: Parser, door: Door) -> None:
    parser.description = "What a module imports, exports and can ask for, without running it."
    _file_argument(parser, "a .wasm, .wat or source file")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--lang", metavar="LANG", help=LANGUAGE_HELP)


def _trace(parser: Parser, door: Door) -> None:
    parser.usage = "%(prog)s [OPTION]... " + ("[FILE]" if door == "notebook" else "FILE")
    parser.description = (
        "Read a saved trace"
        + (" or that of a named run" if door == "notebook" else "")
        + "; shows it as strace text.\n"
        "EXPR is terms that must all hold ('or', 'not' and parentheses work): call=fd_*,path_open path=/data/*\n"
        "errno=ENOENT refused failed dur>1ms bytes>4KiB fd=3 t<0.5s"
    )
    _file_argument(parser, "the trace", nargs="?" if door == "notebook" else None)
    parser.add_argument(
        "--filter", dest="filters", action="append", default=[], metavar="EXPR",
        help="only the calls that match (several: all must match)",
    )  # fmt: skip
    parser.add_argument("--head", type=count, metavar="N", help="the first N calls")
    parser.add_argument("--tail", type=count, metavar="N", help="the last N calls")
    parser.add_argument(
        "--times", choices=("run", "relative", "epoch", "none"), default="run",
        help="the time before a call: since the run's start (default), since the call before, of the day, or none",
    )  # fmt: skip
    add_strace_options(parser)
    parser.add_argument(
        "-T", "--durations", action=argparse.BooleanOptionalAction, default=True, help="seconds in the call (default)"
    )
    parser.add_argument(
        "-y", "--fd-paths", action=argparse.BooleanOptionalAction, default=True,
        help="descriptors with their paths (default)",
    )  # fmt: skip
    parser.add_argument("-s", "--strings", type=count, default=STRING_BYTES, metavar="N", help="bytes shown a buffer")
    parser.add_argument("-v", "--verbose", action="store_true", help="all rights by name")
    parser.add_argument(
        "-k", "--stacks", action="store_true", help="the guest's stack under each call, where it was taken"
    )
    parser.add_argument("-c", "--summary", action="store_true", help="calls, errors and time by name")
    parser.add_argument("--fds", action="store_true", help="each descriptor's life: opened, moved, closed or leaked")
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


def _sql(parser: Parser, door: Door) -> None:
    which = "the trace of the last run, or of the run or file TRACE," if door == "notebook" else "a saved trace"
    parser.description = (
        f"Ask {which} in SQL (DuckDB). The views: calls, fds, paths, lines, output; times are ns."
    )
    if door == "notebook":
        parser.usage = "%(prog)s [--of TRACE] QUERY"
        parser.add_argument("query", nargs="+", metavar="QUERY", help="select call, count(*) from calls group by call")
        parser.add_argument("--of", dest="file", metavar="TRACE", help="a run's name or a file (default: the last run)")
    else:
        _file_argument(parser, "the trace")
        parser.add_argument("query", metavar="QUERY", help="'select call, count(*) from calls group by call'")


def _diff(parser: Parser, door: Door) -> None:
    parser.description = "Compare two saved traces call by call. Exit status 0 when they do the same, 1 when not."
    parser.add_argument("first", metavar="A", help="a trace")
    parser.add_argument("second", metavar="B", help="another trace")


def _advise(parser: Parser, door: Door) -> None:
    parser.usage = "%(prog)s [OPTION]... " + ("[TRACE]..." if door == "notebook" else "TRACE...")
    parser.description = "The smallest grants under which the same calls would succeed. A trace is a lower bound."
    nargs = "*" if door == "notebook" else "+"
    _file_argument(parser, "saved traces" + (" or named runs" if door == "notebook" else ""), nargs, "TRACE")
    parser.add_argument("-o", "--output", metavar="FILE", help="write a policy file (TOML)")
    parser.add_argument(
        "--as", dest="form", choices=("flags", "toml", "python"), default="flags", help="how it is printed"
    )
    parser.add_argument("--narrow", action="store_true", help="grant the deepest folders that hold all that was used")
    parser.add_argument("--limits", action="store_true", help="set the limits to the peaks that were seen")
    parser.add_argument("--include-missing", action="store_true", help="add what was asked for and refused")


def _demo(parser: Parser, door: Door) -> None:
    parser.description = "Compile a small C program that copies a file, run it refused and granted, draw its timeline."
    parser.add_argument(
        "--into", default="wasilab-demo", metavar="FOLDER", help="where it writes (default: %(default)s)"
    )


def _template(parser: Parser, door: Door) -> None:
    where = "as a new cell" if door == "notebook" else "on stdout"
    parser.description = f"A small program to start from, {where}: hello greets, words counts those of a file."
    parser.add_argument("lang", nargs="?", default="c", metavar="LANG", help=LANGUAGE_HELP.split(" (")[0])
    parser.add_argument("program", nargs="?", default="hello", choices=PROGRAMS, metavar="PROGRAM", help="hello, words")


def _doctor(parser: Parser, door: Door) -> None:
    parser.description = (
        "Which compilers were found and work, versions and caches; what is missing, with its install line."
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--warm", action="store_true", help="build the libc caches ahead, so that the first cell is quick"
    )


def _cache(parser: Parser, door: Door) -> None:
    parser.description = "The compile cache."
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--size", action="store_true", help="how big it is (the default)")
    which.add_argument("--clear", action="store_true", help="empty it")


def _list(parser: Parser, door: Door) -> None:
    parser.description = SUMMARIES["list"]


def _of_a_run(parser: Parser, door: Door) -> None:
    parser.description = "Of the last run, or of the one named NAME."
    parser.add_argument("of", nargs="?", metavar="NAME", help="the run's name")


def _plot(parser: Parser, door: Door) -> None:
    parser.add_argument("kind", nargs="?", default="timeline", metavar="KIND")
    _of_a_run(parser, door)
    parser.add_argument("other", nargs="?", metavar="OTHER", help="the second run of `plot compare NAME OTHER`")


def add_cell(parser: Parser) -> None:
    """The line of a `%%wasi` cell, up to `--`."""
    parser.usage = "%%%%wasi [LANG] [--name NAME] [OPTION]... [-- COMPILER FLAGS]"
    parser.description = (
        "Compile the cell and run it under the given grants. LANG is " + LANGUAGE_HELP.split(" (")[0] + "."
    )
    parser.add_argument("lang", nargs="?", metavar="LANG", help="the language of the cell (default: c)")
    parser.add_argument(
        "--args", metavar="'ARG...'", help="the guest's arguments, one text split like a shell's, or {a_list}"
    )
    parser.add_argument("--save", metavar="FILE", help="write the compiled module to FILE as well")
    parser.add_argument("--compile-only", action="store_true", help="compile and name it, do not run it")
    add_compile_options(parser)
    add_options(parser)
    add_run_options(parser)
    add_view_options(parser, "notebook")
    add_cell_options(parser)


OF_COMMAND: dict[str, Callable[[Parser, Door], None]] = {
    "run": _run,
    "compile": _compile,
    "inspect": _inspect,
    "trace": _trace,
    "sql": _sql,
    "diff": _diff,
    "advise": _advise,
    "demo": _demo,
    "template": _template,
    "doctor": _doctor,
    "cache": _cache,
    "list": _list,
    "grants": _of_a_run,
    "timeline": _of_a_run,
    "plot": _plot,
}
