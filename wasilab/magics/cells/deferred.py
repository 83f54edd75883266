"""What the magics need from the rest of the package, in one module that is imported on first use."""

from __future__ import annotations

from ... import views
from ...module.dwarf import import_reader
from ...runs import compiler, runner
from ...runs.run_diff import Difference, RunDiff
from ...toolchains.doctor import warm_in_background
from ...toolchains.registry import toolchain_for
from ...views.report.report import text as report_text
from ..notebook_session import NotebookSession
from .cell import run_cell, run_line, run_script_cell
from .completion import language_names, matcher, paths_of

__all__ = [
    "matcher_for", "report_text", "run_cell", "run_line", "run_script_cell", "show_difference", "warm_up",
]  # fmt: skip


def matcher_for(session: NotebookSession) -> object:
    """The completion matcher over the names and the last run of `session`."""
    return matcher(lambda: list(session.kept), language_names, lambda: paths_of(session.last))


def show_difference(difference: Difference) -> None:
    """Show two runs or traces on one axis, with their differences marked."""
    known = difference.on_one_axis if isinstance(difference, RunDiff) else views.static.Compared.of(difference)
    views.display.show_comparison(known)


def warm_up(widgets: bool) -> None:
    """Do once, invisibly, what a cell does, and have the C compiler build its library in the background if it is cold.

    `widgets`: also what a front end with widgets needs.
    """
    run = runner.run(compiler.compile(toolchain_for("wat").template, "wat", name="preload"), stacks=1)
    if widgets:
        views.display.rehearse(run)
        import_reader()
    else:
        run._repr_mimebundle_()
    warm_in_background("c")
