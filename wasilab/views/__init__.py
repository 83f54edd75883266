"""Displays of a run: report, timeline, plots. They are imported when a run is first shown."""

from __future__ import annotations

from ..lazy import attach

__getattr__ = attach(
    __name__,
    {
        "PlotOptions": "plots.plot_options:PlotOptions",
        "display": "display",
        "function_code": "inside.function_code",
        "memory_image": "inside.memory_image",
        "static": "static",
        "sweep_plot": "plots.sweep_plots:sweep_plot",
    },
)
