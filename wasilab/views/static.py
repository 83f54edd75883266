"""The forms of a run that need no widget: the report and the plots.

Imported when a run is first drawn, because it imports numpy and Pillow. `display.py` adds the widgets.
"""

from __future__ import annotations

from .plots.plots import plot, plots
from .report.report import mimebundle, text, to_html

__all__ = ["mimebundle", "plot", "plots", "text", "to_html"]
