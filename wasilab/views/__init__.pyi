from . import display as display
from . import static as static
from .inside import function_code as function_code
from .inside import memory_image as memory_image
from .plots.plot_options import PlotOptions as PlotOptions
from .plots.sweep_plots import sweep_plot as sweep_plot
