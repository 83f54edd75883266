"""`list`, `grants`, `timeline`, `plot`: what only a notebook has, because it holds runs. Drawing is in `views/`."""

from __future__ import annotations

from typing import Any

from .. import view
from ..grants.compare import compare
from ..views.escape import shorten, visible
from .door import Done, Door
from .grammar import Request
from .usage import UsageProblem


def _run_of(request: Request, door: Door) -> Any:
    name = request.options.of
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
    """What a run's module asks for, was granted and used, side by side."""
    run = _run_of(request, door)
    door.say(f"{'family':9}{'asked for':>10}  {'granted':42}{'used':>9}{'refused':>9}")
    for row in compare(run.module, run.grants, run.trace):
        granted = shorten(visible(row.granted, lines=False) or "nothing", 40)
        used, refused = sum(row.used.values()), sum(row.refused.values())
        door.say(f"{row.family:9}{len(row.asked):>10}  {granted:42}{used:>9,}{refused or '':>9}")
    return Done(0)


def timeline(request: Request, door: Door) -> Done:
    """The live timeline of a run."""
    return Done(0, view("timeline")(_run_of(request, door)))


def plot(request: Request, door: Door) -> Done:
    """One plot of a run."""
    return Done(0, view("plot")(_run_of(request, door), request.options.kind))
