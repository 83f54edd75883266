"""The forms of a run that need no widget: the report and the plots.

Imported when a run is first drawn, because it imports numpy and Pillow. `display.py` adds the widgets.
"""

from __future__ import annotations

from .comparison.compared import Compared
from .comparison.pair_html import comparison_bundle, write_comparison
from .plots.plots import plot, plots
from .report.report import mimebundle, text, to_html

__all__ = [
    "Compared", "comparison_bundle", "mimebundle", "plot", "plots", "text", "to_html", "write_comparison",
]  # fmt: skip
