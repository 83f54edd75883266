"""Find the `Trace` that an argument names, and select the calls to show."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Unpack

from ...module.module import is_module
from ...text.nearest import did_you_mean
from ...text.numbers import counted, with_article
from ...text.shell import quote
from ...trace.errors import QueryError
from ...trace.strace.style import StyleOptions
from ...trace.trace import Trace
from ..line.frontend import Frontend
from ..line.usage import UsageProblem


def load_trace(word: object, frontend: Frontend) -> Trace:
    """The trace that `word` names: a trace or a run, a run in the notebook, or a saved file."""
    if isinstance(word, Trace):
        return word
    kept = getattr(word, "trace", None)
    if isinstance(kept, Trace):
        return kept
    if word is not None and not isinstance(word, (str, os.PathLike)):
        raise UsageProblem(f"{with_article(type(word).__name__)} is not a trace: give a file, a Run or a Trace")
    name = None if word is None else os.fspath(word)
    run = frontend.run_named(name)
    if run is not None:
        if not run.traced:
            raise UsageProblem("that run recorded no trace (--no-trace)")
        found: Trace = run.trace
        return found
    if name is None:
        raise UsageProblem("nothing has run yet: give a saved trace, or run a %%wasi cell first")
    if not name:
        raise UsageProblem("the trace's name is empty; name a saved trace")
    path = Path(name).expanduser()
    if path.is_dir():
        raise UsageProblem(f"{name!r} is a folder; name the trace in it")
    if path.exists() and not path.is_file():
        raise UsageProblem(f"{name!r} is not a regular file, as a saved trace must be")
    if not path.is_file():
        names = [entry.name for entry in path.parent.iterdir()][:1000] if path.parent.is_dir() else []
        raise UsageProblem(f"there is no trace {name!r}{did_you_mean(path.name, names)}")
    if is_module(path):
        command = f"{'wasilab' if frontend.kind == 'cli' else '%wasi'} run --trace FILE.wtrace {quote(name)}"
        raise UsageProblem(f"{name!r} is a program, not a trace: {command} saves one")
    try:
        with frontend.busy(f"reading {name}"):
            return Trace.load(path)
    except (ValueError, OSError) as error:
        raise UsageProblem(f"{name!r} cannot be read as a trace: {error}") from None


def choose(whole: Trace, options: argparse.Namespace) -> Trace:
    """The calls that the options of `options.add_strace_options` select."""
    try:
        chosen = whole.filter(call=options.calls, path=options.only_path)
    except QueryError as error:
        raise UsageProblem(f"-e {options.calls}: {error}") from None
    try:
        for expression in options.filters:
            chosen = chosen.filter(expression)
    except QueryError as error:
        raise UsageProblem(f"--filter: {error}") from None
    return chosen.filter("ok") if options.successful else chosen.filter("failed") if options.failed else chosen


def none_matches(whole: Trace) -> str:
    """What is said instead of text if none of the calls is selected."""
    return f"none of {counted(len(whole), 'call')} matches"


def strace(chosen: Trace, **style: Unpack[StyleOptions]) -> str:
    """The calls as strace text; the thread's number only if there are several. `style`: see `trace/text.py`."""
    several = len(chosen) > 0 and bool((chosen.column("tid") != chosen.column("tid")[0]).any())
    style.setdefault("pid", several)
    return chosen.text(**style)
