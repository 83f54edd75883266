"""`sweep`: run a program under every combination of the parameters in a TOML file."""

from __future__ import annotations

import os
import tomllib
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ...grants.forms.toml import merge_text
from ...grants.grants import Grants
from ...grants.value import GrantError
from ...module.module import Module
from ...runs.experiments.executors import SweepError
from ...runs.experiments.sweeping import Sweep, sweep
from ...text.nearest import did_you_mean
from ...trace.errors import QueryError, TraceError
from ..line.argument_types import count
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.options import file_argument
from ..line.outputs import check_writable
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..programs.program import load_program

Value = Any
"""A value of a TOML document."""

_KEYS = ("program", "args", "policy", "invoke", "over", "runs_per_task")


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "Run a program under every combination of some parameters. FILE.toml names it:\n"
        "\n"
        "  program = \"copy.wasm\"            args = [\"in/a.txt\"]          policy = \"policy.toml\"\n"
        "  [over]\n"
        "  seed = [1, 2, 3]                 faults = [[], [\"fd_write:error=EIO:p=0.1\"]]\n"
        "  \"limits.fuel\" = [1000000]        \"env.LANG\" = [\"C\", \"de\"]\n"
        "\n"
        "Parameters: args, stdin, seed, clock, faults, env.NAME, limits.NAME. Clocks step and randomness is seeded:\n"
        "the same sweep gives the same calls. Exit status: 0, or 1 if a run was lost or could not start."
    )
    file_argument(parser, "the sweep (.toml)")
    parser.add_argument("--workers", type=count, metavar="N", help="processes (default: none, one run after another)")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write runs.parquet and calls.parquet there")
    parser.add_argument("--sql", metavar="QUERY", help="query the views runs and calls with SQL (needs duckdb)")


def execute(request: Request, frontend: Frontend) -> Done:
    """Run the sweep; show how the runs ended, or the answer to the query."""
    options = request.options
    path = Path(options.file).expanduser()
    plan = _read(path)
    module = load_program(os.fspath(path.parent / plan["program"]), frontend)
    folder = None if options.output is None else Path(options.output).expanduser()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable("--output", os.fspath(folder / "runs.parquet"))
    pool: Value = nullcontext() if options.workers is None else ProcessPoolExecutor(options.workers)
    try:
        with pool as executor, frontend.busy("sweeping") as busy:
            found = _sweep(plan, module, path, executor, lambda done, of: busy.tick(f"run {done:,} of {of:,}"))
        if folder is not None:
            found.save(folder)
            frontend.remark(f"{folder / 'runs.parquet'}, {folder / 'calls.parquet'}")
        frontend.say(str(found.sql(options.sql)) if options.sql else str(found))
    except (SweepError, GrantError, TraceError, QueryError) as error:
        raise UsageProblem(f"{options.file}: {error}") from None
    bad = any(row.kind in ("lost", "error") for row in found.rows)
    return Done(1 if bad or found.partial else 0, found)


def _sweep(plan: dict[str, Value], module: Module, path: Path, executor: Executor | None, progress: Value) -> Sweep:
    grants = Grants()
    if "policy" in plan:
        policy = path.parent / plan["policy"]
        try:
            text = policy.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UsageProblem(f"policy {plan['policy']}: not UTF-8 text") from None
        grants = merge_text(grants, text, folder=policy.parent, name=plan["policy"])
    return sweep(
        module, plan.get("over", {}), executor, args=plan.get("args", ()), grants=grants, invoke=plan.get("invoke"),
        runs_per_task=plan.get("runs_per_task", 20), progress=progress,
    )  # fmt: skip


def _read(path: Path) -> dict[str, Value]:
    """The file's contents, with keys and types checked. Raises `UsageProblem`."""
    if path == Path():
        raise UsageProblem("name the file of the sweep, such as sweep.toml")
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise UsageProblem(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise UsageProblem(f"{path}: {error.strerror or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise UsageProblem(f"{path}: its arrays or tables are nested too deeply") from None
    for key in found:
        if key not in _KEYS:
            close = did_you_mean(key, _KEYS, f"; its keys are {', '.join(_KEYS)}")
            raise UsageProblem(f"{path}: a sweep has no key {key!r}{close}")
    for key, kind in (("program", str), ("args", list), ("policy", str), ("invoke", str), ("over", dict)):
        if key in found and not isinstance(found[key], kind):
            raise UsageProblem(f"{path}: {key} is not a {'table' if kind is dict else kind.__name__}")
    if "program" not in found:
        raise UsageProblem(f"{path}: name the program: program = \"copy.wasm\"")
    if type(found.get("runs_per_task", 1)) is not int or found.get("runs_per_task", 1) < 1:
        raise UsageProblem(f"{path}: runs_per_task is a number of 1 or more")
    return found
