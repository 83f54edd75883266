"""Display a run in a notebook: the report, and beside it the timeline, which works while the kernel runs.

Imported when a run is first displayed, since it brings in the widgets; `report/report.py` alone does for a terminal.
"""

from __future__ import annotations

import os

from .interactive.cells import forget_output
from .interactive.widget import shown_timeline, timeline
from .ipython import kernel_of, shell
from .report.report import mimebundle
from .subject import Subject
from .timeline.columns import forget_columns

__all__ = ["show", "timeline"]


def show(run: Subject) -> None:
    """Display a run where a kernel serves a person: the report, and the live timeline, which hides it while it lives.

    Raises NotImplementedError elsewhere, which lets IPython take `mimebundle`.
    """
    if not _serves_a_person():
        raise NotImplementedError("no widget lives here")
    timeline(run).display(mimebundle(run))
    forget_columns(run)


class LiveDisplay:
    """The growing timeline of a run that its cell waits for."""

    def __init__(self, run: Subject) -> None:
        self._widget = timeline(run)
        self._place = self._widget.display_live()

    def close(self, patience: float) -> None:
        """Take it from the page once the end of the run is in it, after `patience` seconds in any case."""
        self._widget.settle(patience)
        self._place.update({"text/plain": ""}, raw=True)


def show_live(run: Subject) -> LiveDisplay | None:
    """Show the timeline of a running run while its cell waits for it; None where no widget lives."""
    return LiveDisplay(run) if _serves_a_person() else None


def release(run: Subject) -> None:
    """Let go of a run that was shown: its timeline, its place in `Out`, and the memory of its trace."""
    shown = shown_timeline(run)
    if shown is not None:
        shown.release()
    else:
        forget_output(shell(), run)
        run.unload()


def _serves_a_person() -> bool:
    """Whether this process is a Jupyter kernel whose front end can ask a person: only there a widget lives.

    Programs that execute a notebook with nobody to answer (nbclient: `nbconvert --execute`, papermill, Jupyter Book)
    make a page of it, and a page would prefer the widget to the report and show nothing without the network. Voila
    executes in the same way, but serves the widgets.
    """
    kernel = kernel_of(shell())
    if kernel is None:
        return False
    return bool(getattr(kernel, "_allow_stdin", True)) or os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
