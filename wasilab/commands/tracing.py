"""`trace`, `sql`, `diff`: what was recorded, as text, tables, pictures and other formats. Nothing is run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Unpack

from ..grants.remedy import denied
from ..text.escape import visible
from ..text.nearest import did_you_mean
from ..text.numbers import counted
from ..trace.errors import QueryError
from ..trace.strace.style import StyleOptions
from ..trace.trace import Trace, TraceError
from ..views.timeline.figure import figure
from .line.files import write_file
from .line.frontend import Done, Door
from .line.grammar import Request
from .line.usage import UsageProblem


def load_trace(word: object, door: Door) -> Trace:
    """The trace that `word` names: a trace or a run, a run of the notebook, or a saved file."""
    if isinstance(word, Trace):
        return word
    kept = getattr(word, "trace", None)
    if isinstance(kept, Trace):
        return kept
    if word is not None and not isinstance(word, (str, os.PathLike)):
        raise UsageProblem(f"a {type(word).__name__} is no trace: give a file, a Run or a Trace")
    name = None if word is None else os.fspath(word)
    run = door.run_named(name)
    if run is not None:
        if not run.traced:
            raise UsageProblem("that run recorded no trace (--no-trace)")
        found: Trace = run.trace
        return found
    if name is None:
        raise UsageProblem("nothing has run yet: give a saved trace, or run a %%wasi cell first")
    path = Path(name).expanduser()
    if path.is_dir():
        raise UsageProblem(f"{name!r} is a folder; name the trace in it")
    if path.exists() and not path.is_file():
        raise UsageProblem(f"{name!r} is no regular file, which a saved trace is")
    if not path.is_file():
        names = [entry.name for entry in path.parent.iterdir()][:1000] if path.parent.is_dir() else []
        raise UsageProblem(f"there is no trace {name!r}{did_you_mean(path.name, names)}")
    try:
        return Trace.load(path)
    except (ValueError, OSError) as error:
        raise UsageProblem(f"{name!r} cannot be read as a trace: {error}") from None


def choose(whole: Trace, options: argparse.Namespace) -> Trace:
    """The calls that the letters of strace name (`options.add_strace_options`)."""
    try:
        chosen = whole.filter(call=options.calls, path=options.only_path)
    except QueryError as error:
        raise UsageProblem(f"-e {options.calls}: {error}") from None
    return chosen.filter("ok") if options.successful else chosen.filter("failed") if options.failed else chosen


def strace(chosen: Trace, **style: Unpack[StyleOptions]) -> str:
    """The calls as strace text; the thread's number only where there are several. `style`: see `trace/text.py`."""
    several = len(chosen) > 0 and bool((chosen.column("tid") != chosen.column("tid")[0]).any())
    style.setdefault("pid", several)
    return chosen.text(**style)


def trace(request: Request, door: Door) -> Done:
    """Show a trace as strace text, or as the options say."""
    options = request.options
    whole = load_trace(options.file, door)
    _note(whole, options)
    chosen = choose(whole, options)
    try:
        for expression in options.filters:
            chosen = chosen.filter(expression)
    except QueryError as error:
        raise UsageProblem(f"--filter: {error}") from None
    if options.head is not None:
        chosen = chosen[: options.head]
    if options.tail is not None:
        chosen = chosen[-options.tail :]
    done = False
    if options.export is not None:
        write_file("--export", options.export, chosen.save)
        door.note(f"{options.export}: {counted(len(chosen), 'call')}")
        done = True
    if options.plot is not None:
        write_file("--plot", options.plot, lambda path: _picture(chosen, path))
        door.note(f"{options.plot}: the timeline of {counted(len(chosen), 'call')}")
        done = True
    if options.sql is not None:
        door.say(_query(chosen, options.sql))
        done = True
    if options.summary:
        door.say(str(chosen.summary()))
        done = True
    for wanted, tell in ((options.refused, _refused), (options.fds, Trace.fds), (options.by_line, Trace.by_line)):
        if wanted:
            door.say(str(tell(chosen)))
            done = True
    if options.annotate:
        door.say(_annotated(chosen))
        done = True
    if not done and not (options.notes and request.options.file):
        if len(chosen):
            door.say(
                strace(
                    chosen, time=options.times, stacks=options.stacks, durations=options.durations,
                    fd_paths=options.fd_paths, strings=options.strings, verbose=options.verbose,
                )
            )  # fmt: skip
        elif len(whole):
            door.note(f"none of {counted(len(whole), 'call')} matches")
        else:
            door.note("the trace is empty: the guest made no call")
    if whole.dropped:
        door.note(f"{counted(whole.dropped, 'earlier call')} went over the trace's budget and are not in it")
    return Done(0, None)


def sql(request: Request, door: Door) -> Done:
    """Ask a trace in SQL; a notebook shows the answer as a table."""
    options = request.options
    chosen = load_trace(options.file, door)
    query = options.query if isinstance(options.query, str) else " ".join(options.query)
    found = _answer(chosen, query, "")
    if door.kind == "notebook":
        return Done(0, found)
    door.say(visible(str(found), lines=True))
    return Done(0)


def diff(request: Request, door: Door) -> Done:
    """Compare two traces; the status says whether they do the same."""
    first = load_trace(request.options.first, door)
    second = load_trace(request.options.second, door)
    found = first.diff(second)
    door.say(str(found))
    return Done(0 if found.same else 1, None)


def _picture(chosen: Any, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg", ".pdf"):
        raise ValueError("a picture ends in .png, .svg or .pdf")
    figure(chosen).savefig(path, format=suffix[1:])


def _query(chosen: Trace, query: str) -> str:
    return visible(str(_answer(chosen, query, "--sql: ")), lines=True)


def _answer(chosen: Trace, query: str, told: str) -> Any:
    try:
        return chosen.sql(query)
    except (ImportError, TraceError, QueryError) as error:
        raise UsageProblem(f"{told}{error}") from None


def _refused(chosen: Trace) -> Any:
    return denied(chosen)


def _annotated(chosen: Trace) -> str:
    try:
        return str(chosen.annotate())
    except ValueError as error:
        raise UsageProblem(f"--annotate: {error}") from None


def _note(whole: Trace, options: argparse.Namespace) -> None:
    """Put the notes on the trace; one that came from a file is written back to it."""
    for first, last, text in options.notes:
        if last >= len(whole) + whole.dropped:
            raise UsageProblem(f"--note: there is no call {last}: the last is {len(whole) + whole.dropped - 1}")
        whole.note(first, text, until=last)
    if options.notes and isinstance(options.file, (str, os.PathLike)) and Path(options.file).expanduser().is_file():
        write_file("--note", os.fspath(options.file), whole.save)
