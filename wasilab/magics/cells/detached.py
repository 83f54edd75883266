"""Runs that outlive their cell: `--detach` returns at once, and the output still goes to the cell that started it.

The guest runs on its worker thread as always. A follower thread in a copy of the cell's context (so that its output
reaches that cell) shows new output. The run itself answers `wait`, `await`, `stop` and `send`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ...commands.line.usage import UsageProblem
from ...commands.programs.program import name_to_keep
from ...commands.programs.running import grants_of, run_settings, say_where_it_listens
from ...engine.threads import spawn
from ...module.module import Module
from ...runs import runner
from ...runs.run import Run
from ..notebook_session import NotebookSession
from .notebook_frontend import CellStreams, NotebookFrontend

FOLLOW_SECONDS = 0.1
"""How often the cell is updated."""


def start(module: Module, args: Sequence[str], options: argparse.Namespace, frontend: NotebookFrontend) -> Run:
    """Start a background run; its output goes to the cell."""
    if options.repeat and options.repeat > 1:
        raise UsageProblem("--detach starts one run: omit --repeat")
    for flag in ("strace", "strace_file", "trace_file", "summary", "time", "learn", "apply"):
        if getattr(options, flag):
            name = flag.removesuffix("_file")
            raise UsageProblem(f"--detach returns before the end: omit --{name}, and use run.trace afterwards")
    grants = grants_of(options, frontend, attended=False)
    say_where_it_listens(grants, frontend)
    run = runner.run(module, args, grants, **run_settings(module, options), detach=True)
    run.streamed = True
    session: NotebookSession = frontend.session
    session.last = run
    kept_name = name_to_keep(options, module, frontend)
    if kept_name:
        session.keep(kept_name, module, run)
    streams = CellStreams()
    spawn(lambda: _follow(run, streams), f"wasilab follows {run.name}"[:60])
    return run


def _follow(run: Run, streams: CellStreams) -> None:
    """Show the run's output until it ends."""
    shown = [0, 0]
    over = False
    while not over:
        over = not run.running
        for at, (data, stream) in enumerate(((run.stdout_bytes, streams.stdout), (run.stderr_bytes, streams.stderr))):
            if len(data) > shown[at]:
                stream(data[shown[at] :])
                shown[at] = len(data)
        if not over:
            run.wait(FOLLOW_SECONDS)
    streams.close()
    if not _is_plain_exit(run):
        sys.stderr.write(f"{run.name}: {run.error or f'exit status {run.exit_code}'}\n")
        sys.stderr.flush()


def _is_plain_exit(run: Run) -> bool:
    return run.outcome.kind == "exit" and run.exit_code == 0
