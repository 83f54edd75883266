"""Display a run in a notebook: the report and the timeline, which works while the kernel runs.

Imported when a run is first displayed, because it imports the widgets; a terminal needs only `report/report.py`.
"""

from __future__ import annotations

import os

from .comparison.compared import Compared
from .interactive.cells import forget_output
from .interactive.pair_widget import PairWidget
from .interactive.widget import prepare, shown_timeline, timeline
from .ipython import kernel_of, shell
from .report.report import mimebundle
from .subject import Subject
from .timeline.columns import forget_columns

__all__ = ["show", "timeline"]


def show(run: Subject) -> None:
    """Display a run in an interactive kernel: the report, and the live timeline, which hides it while connected.

    Raises NotImplementedError elsewhere, which lets IPython take `mimebundle`.
    """
    if not _serves_a_person():
        raise NotImplementedError("widgets do not work here")
    timeline(run).display(mimebundle(run))
    forget_columns(run)


def rehearse(run: Subject) -> None:
    """Compute once, without a widget, what the first timeline of a process would wait for."""
    prepare(run)
    mimebundle(run)


def show_comparison(compared: Compared) -> None:
    """Display two runs on one axis in an interactive kernel. Raises NotImplementedError elsewhere."""
    if not _serves_a_person():
        raise NotImplementedError("widgets do not work here")
    PairWidget(compared).display()


class LiveDisplay:
    """The growing timeline of a run that its cell waits for."""

    def __init__(self, run: Subject) -> None:
        self._widget = timeline(run)
        self._place = self._widget.display_live()

    def close(self, patience: float) -> None:
        """Remove it from the page once it shows the end of the run, after at most `patience` seconds."""
        self._widget.settle(patience)
        self._place.update({"text/plain": ""}, raw=True)


def show_live(run: Subject) -> LiveDisplay | None:
    """Show the timeline of a running run while its cell waits for it; None where widgets do not work."""
    return LiveDisplay(run) if _serves_a_person() else None


def release(run: Subject) -> None:
    """Release a run that was shown: its timeline, its entry in `Out`, and the memory of its trace."""
    shown = shown_timeline(run)
    if shown is not None:
        shown.release()
    else:
        forget_output(shell(), run)
        run.unload()


def _serves_a_person() -> bool:
    """Whether this process is a Jupyter kernel with an interactive front end, the only place where widgets work.

    Programs that execute a notebook unattended (nbclient: `nbconvert --execute`, papermill, Jupyter Book) make a page
    of it; the page would prefer the widget to the report and show nothing without the network. Voila
    executes in the same way, but serves the widgets.
    """
    kernel = kernel_of(shell())
    if kernel is None:
        return False
    return bool(getattr(kernel, "_allow_stdin", True)) or os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
