"""`list`, `grants`, `timeline`, `plot`: what only a notebook has, because it holds runs. Drawing is in `views/`."""

from __future__ import annotations

from typing import Any

from ..panel.panel import panel
from ..views.display import timeline as interactive
from ..views.plots import plots
from ..views.plots.plot_options import PlotOptions
from .line.frontend import Done, Door
from .line.grammar import Request
from .line.program import load_program
from .line.usage import UsageProblem


def _run_of(request: Request, door: Door, option: str = "of") -> Any:
    name = getattr(request.options, option)
    run = name if hasattr(name, "trace") else door.run_named(name)
    if run is None:
        raise UsageProblem(
            f"no run is named {name!r}; %wasi list shows the names" if name else "nothing has run yet in this notebook"
        )
    return run


def list(request: Request, door: Door) -> Done:
    """The named modules and their last runs."""
    rows = door.rows()
    if not rows:
        door.say("nothing is named yet: %%wasi c --name hello names a cell's module and its runs")
    for name, module, run in rows:
        door.say(f"{name:20} {module:32} {run}")
    return Done(0)


def grants(request: Request, door: Door) -> Done:
    """The panel: what a program asks for, is granted and used, with a switch for each (of a name, or the last run)."""
    name = request.options.of
    if hasattr(name, "trace"):
        program = name
    else:
        program = door.run_named(name) if name is None or isinstance(name, str) else None
        if program is None and name is not None:
            program = load_program(name, door)
    return Done(0, panel(program))


def timeline(request: Request, door: Door) -> Done:
    """The live timeline of a run."""
    return Done(0, interactive(_run_of(request, door)))


def plot(request: Request, door: Door) -> Done:
    """One plot of a run, or of two beside each other (`plot compare NAME OTHER`)."""
    kind, run = request.options.kind, _run_of(request, door)
    if (kind == "compare") != (request.options.other is not None):
        raise UsageProblem("of the plots compare, and only it, needs two runs: %wasi plot compare NAME OTHER")
    options: PlotOptions = {} if request.options.other is None else {"other": _run_of(request, door, "other")}
    try:
        return Done(0, plots.plot(run, kind, **options))
    except plots.PlotError as error:
        raise UsageProblem(str(error)) from None
