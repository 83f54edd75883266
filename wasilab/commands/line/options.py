"""Groups of options that several commands share.

Options for grants and limits are in `grants/forms/flags.py`, which also adds them to the parser.
"""

from __future__ import annotations

import argparse

from .argument_types import calls, count, linked, names, pair, snaplen
from .frontend import FrontendKind
from .parser import Parser

CELL_STACKS = 1000
"""By default stacks are taken for this many calls of a cell's run and as many refused ones: at most 25 ms each."""


SNAPSHOTS_HELP: dict[FrontendKind, str] = {
    "cli": "keep what rebuilds the guest's memory at every call, in the file of --trace FILE.wtrace: "
    "`run --snapshots --trace r.wtrace x.wasm`, then `memory r.wtrace --at 12`; costs what --record does",
    "notebook": "keep what rebuilds the guest's memory at every call: what changed in it is in the timeline's State, "
    "and run.at(12).memory has it; costs what --record does",
}


SOURCE_IS_UNTRUSTED = (
    "A source can have its compiler read your files and variables (#include,\n"
    ".incbin, include_str!, env!). It sees few environment variables, and has a limit\n"
    "of time and memory (--max-compile-...). Where the kernel has Landlock it opens\n"
    "nothing but its installation, the source, the files of the cell, and the files\n"
    "and folders that its flags name (-I FOLDER)."
)
"""A warning about compiling untrusted sources, as in README and MANUAL."""


def add_compile_options(parser: Parser) -> argparse._ArgumentGroup:
    """Compiler settings with wasilab's own names; the compiler's flags follow `--`."""
    group = parser.add_argument_group(
        "the compiler",
        SOURCE_IS_UNTRUSTED,
    )
    group.add_argument(
        "--reactor", action="store_true", help="a module of exported functions, without main (see --invoke)"
    )
    group.add_argument(
        "--component", action="store_true",
        help="make the module a WASI 0.2 component, with the adapter that `wasilab doctor` names",
    )  # fmt: skip
    group.add_argument(
        "--emulate", action="extend", default=[], type=names, metavar="NAME,...",
        help="C, C++: what wasi-libc emulates: mman, signal, process-clocks, getpid",
    )  # fmt: skip
    return group


def add_run_options(parser: Parser) -> None:
    """What to run, and how often."""
    group = parser.add_argument_group("the program")
    group.add_argument(
        "--invoke", metavar="FUNCTION",
        help="call this export instead of _start, with arguments written by type: 42, 0xff, nan, 0x1.8p3, "
        "i32x4:1,2,3,4, null, extern:TEXT, func:EXPORT; a component's "
        "as WIT has them: '{x: 1, y: 2}', '[1, 2]', 'some(\"text\")'",
    )  # fmt: skip
    group.add_argument(
        "--preload", dest="preloads", action="append", default=[], type=pair,
        metavar="NAME=FILE", help="a module whose exports the program imports as NAME",
    )  # fmt: skip
    group.add_argument(
        "--link", dest="preloads", action="append", default=[], type=linked,
        metavar="LIB.wasm", help="the same, imported under the file's own name (lib)",
    )  # fmt: skip
    group.add_argument("--argv0", metavar="NAME", help="the program's argv[0] (default: its file's name)")
    group.add_argument(
        "--inject-file", dest="fault_files", action="append", default=[], metavar="FILE.toml",
        help="faults to inject, as [[fault]] tables (calls, error, short, delay, data, when, path, p, seed)",
    )  # fmt: skip
    group.add_argument(
        "--repeat", type=count, metavar="N", help="run N times, show the output once and the distribution"
    )
    group.add_argument(
        "--learn", action="store_true",
        help="rehearse safely (folders as copies, virtual clocks) and say what grants it would need",
    )  # fmt: skip
    group.add_argument("--time", action="store_true", help="show where the time went: compile, load, run")
    group.add_argument(
        "--no-native", action="store_true", help="answer every call in Python, without the native library (slower)"
    )


def add_strace_options(group: argparse._ActionsContainer) -> None:
    """Which calls are shown: strace's letters, of which `-e trace=SPEC` works too, and the trace's filter language."""
    group.add_argument(
        "-e", "--calls", type=calls, metavar="SPEC",
        help="strace text of these calls only: names, patterns, families, /regex/: path,fd_*,/sync$/; or operations: "
        "operation=open,read",
    )  # fmt: skip
    group.add_argument("-P", "--only-path", metavar="PATH", help="... of calls on this path (a pattern: '/data/*')")
    which = group.add_mutually_exclusive_group()
    which.add_argument("-z", "--successful", action="store_true", help="... of calls that succeeded")
    which.add_argument("-Z", "--failed", action="store_true", help="... of calls that failed")
    group.add_argument(
        "--filter", dest="filters", action="append", default=[], metavar="EXPR",
        help="... of calls that match all terms (also 'or', 'not', parentheses), such as 'call=fd_* errno=ENOENT "
        "path=/data/* refused dur>1ms bytes>4KiB fd=3 t<0.5s'; repeatable",
    )  # fmt: skip
    group.add_argument(
        "-r", dest="times", action="store_const", const="relative", default="run",
        help="... with the time since the previous call",
    )  # fmt: skip


def add_view_options(parser: Parser, kind: FrontendKind) -> None:
    """What to show and save of a run."""
    group = parser.add_argument_group("what is shown and kept")
    group.add_argument("--strace", action="store_true", help="every call as strace text, after the run")
    group.add_argument("--strace-file", metavar="FILE", help="the strace text into a file (also --strace=FILE)")
    group.add_argument(
        "--trace", dest="trace_file", metavar="FILE",
        help="save the trace, in the suffix's format: .wtrace .jsonl .parquet .csv .strace .pftrace .json (calls: -e)",
    )  # fmt: skip
    group.add_argument(
        "--record", metavar="FILE.wtrace",
        help="save the trace with all data and the program, for `replay`; slows floating-point loops",
    )  # fmt: skip
    group.add_argument("--snapshots", action="store_true", help=SNAPSHOTS_HELP[kind])
    group.add_argument("--no-trace", action="store_true", help="record nothing (the quickest run)")
    group.add_argument(
        "--snaplen", type=snaplen, default=64, metavar="BYTES", help="bytes of data kept per call (default 64; all)"
    )
    kept = f"of the first {CELL_STACKS:,} calls and refusals" if kind == "notebook" else "none"
    group.add_argument(
        "--stacks", action=argparse.BooleanOptionalAction, default=CELL_STACKS if kind == "notebook" else False,
        help=f"the guest's call stack and source line for every call (default: {kept})",
    )  # fmt: skip
    add_strace_options(group)
    group.add_argument("-c", "--summary", action="store_true", help="calls, errors and time by name")
    group.add_argument(
        "--explain", action=argparse.BooleanOptionalAction, default=None,
        help="say in words what was refused and what would allow it"
        + (" (default: when stderr is a terminal)" if kind == "cli" else ""),
    )  # fmt: skip
    group.add_argument(
        "--apply", action="store_true",
        help="write what changed in the copied folders (--dir HOST:copy) to the host, if the exit status is 0",
    )  # fmt: skip
    group.add_argument("--quiet", action="store_true", help="no progress and no report; the guest's own output only")


def add_cell_options(parser: Parser) -> None:
    """Options that only a notebook has."""
    group = parser.add_argument_group("the notebook")
    group.add_argument("--name", help="keep the module and its last run under this name")
    group.add_argument("--detach", action="store_true", help="return at once while it runs on (run.wait(), run.stop())")


LANGUAGE_HELP = "c, c++, zig, rust, go, assemblyscript, wat, python, javascript (default: by the file's suffix)"


def file_argument(parser: Parser, help: str, nargs: str | None = None, metavar: str = "FILE") -> None:
    """The argument `file`, or `files` with a `nargs` of several. In a notebook it can be a name or a value, too."""
    parser.add_argument("files" if nargs in ("*", "+") else "file", nargs=nargs, metavar=metavar, help=help)
