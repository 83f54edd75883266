"""`minimize`: the smallest grants, files and input with which a recorded program still shows something."""

from __future__ import annotations

from pathlib import Path

from ...grants.forms.flags import add_options, from_options
from ...grants.grants import Grants
from ...runs.experiments.minimizing import MOST_RUNS, Kept, check_new, minimize
from ...runs.experiments.reproduction import MinimizeError, Reproduction
from ...runs.replays.recordings import Recording
from ...runs.run import Run
from ...text.escape import visible
from ...trace.errors import QueryError
from ..line.argument_types import count, exit_status
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import file_argument
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..programs.running import grants_of
from ..traces.saved import load_trace


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Find the smallest grants, files, arguments and stdin with which a recorded program still makes a call that\n"
        "FILTER names, by running it again and again with less (delta debugging). The inputs come from the recording:\n"
        "what the program read. If grants are named, they come from those; host folders are only copied.\n"
        "\n"
        "  wasilab run --record r.wtrace --dir data parse.wasm data/big.txt\n"
        "  wasilab minimize r.wtrace --keep 'call=path_open errno=ENOENT' -o small\n"
        "\n"
        "Ctrl-C shows the smallest found so far. Exit status: 0; 1 if the search was not finished."
    )
    file_argument(parser, "the recording" + ("; or the name of a run" if kind == "notebook" else ""))
    parser.add_argument("--keep", metavar="FILTER", help="the calls of which one must stay, as for trace --filter")
    parser.add_argument(
        "--exit", dest="exit_code", type=exit_status, metavar="STATUS",
        help="the exit status that must stay; 134 is a trap",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=count, default=MOST_RUNS, metavar="N", help=f"the most runs to make (default {MOST_RUNS:,})"
    )
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", help="write program, files and policy.toml there, and show the line to run"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_options(parser)


def execute(request: Request, frontend: Frontend) -> Done:
    """Search, show what is left, and write it where that is asked for."""
    options = request.options
    if options.keep is None and options.exit_code is None:
        raise UsageProblem("name what must stay: --keep 'call=path_open errno=ENOENT', or --exit STATUS")
    trace = load_trace(options.file, frontend)
    run = frontend.run_named(options.file) if isinstance(options.file, str) else None
    module = getattr(run, "module", None) if not trace.store.modules else None
    recording = Recording(trace, module)
    given = from_options(options, Grants())
    grants = None
    if given.with_(limits=Grants().limits, features=()) != Grants():
        grants = grants_of(options, frontend, attended=False)
    try:
        if options.output is not None:
            check_new(Path(options.output))
        ended = trace.meta.get("exit_code")
        if grants is None and options.exit_code is not None and ended not in (None, options.exit_code):
            raise MinimizeError(f"the recorded program ended with exit status {ended}, not {options.exit_code}")
        keep = _kept(recording, options.keep, options.exit_code)
        with frontend.busy("the first run", options.quiet) as busy:
            def tick(runs: int, best: Reproduction) -> None:
                busy.tick(f"run {runs:,}: {best}")

            found = minimize(recording, keep, grants=grants, most_runs=options.runs, progress=tick)
        frontend.say(str(found))
        if options.output is not None:
            frontend.say(visible(found.save(options.output)))
    except (MinimizeError, QueryError) as error:
        raise UsageProblem(str(error)) from None
    except OSError as error:
        raise UsageProblem(f"--output {options.output}: {error.strerror or error}") from None
    return Done(0 if found.complete else 1, found.run)


def _kept(recording: Recording, expression: str | None, exit_code: int | None) -> str | Kept:
    if exit_code is None:
        assert expression is not None, "one of them is there"
        return expression
    if expression is not None and not len(recording.trace.filter(expression)):
        raise MinimizeError(f"no call of the recording satisfies {expression!r}")

    def both(run: Run) -> bool:
        return run.exit_code == exit_code and (expression is None or len(run.trace.filter(expression)) > 0)

    return both
